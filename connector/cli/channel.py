"""What the commands share that talk to a running connector: options, one call, and how an answer is shown.

They go through the owner's channel that the settings name, or to a management listener, and open no database.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from connector.cli.config import config_option, read_settings
from connector.cli.errors import Failed, Interrupted, failed
from connector.cli.plain import plain, plain_json
from connector.cli.progress import Bar, beating
from connector.cli.reaching import place
from connector.client.local import Document, LocalClient, Refused, once
from connector.protocol.errors import CarnetError
from connector.remedies import REMEDIES

Result = TypeVar("Result")
FINAL = frozenset({"FINALIZED", "COMPLETED", "TERMINATED"})
BEGUN = "the command was interrupted, and what the connector has begun goes on there"


def channel_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--config` and `--json`."""
    option = click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
    return config_option(option(command))


def wait_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--wait-s` and `--no-wait`; the function gets `wait_s`, 0 for not at all."""
    command = click.option("--no-wait", "wait_s", flag_value=0, type=int, help="Do not wait; say what was begun.")(command)
    return click.option("--wait-s", type=click.IntRange(0, 86_400), default=60, show_default=True, help="Longest wait.")(command)


def call(
    config: Path,
    work: Callable[[LocalClient], Awaitable[Result]],
    *,
    bar: Bar | None = None,
    goes_on: Callable[[], tuple[str, str]] = lambda: (BEGUN, ""),
) -> Result:
    """One piece of work with the running connector; ends the command with the connector's code and sentence if it says no.

    ``bar`` shows that it takes time. ``goes_on`` says, and with what remedy, what the connector does on when we are interrupted.
    """
    try:
        client = client_of(config)
        if bar is None:
            return once(client, work)
        with bar:
            return once(client, lambda opened: beating(bar, work(opened)))
    except Refused as error:
        if not error.findings:
            raise failed(error) from error
        raise Failed(error.code, error.reason.partition(":")[0], REMEDIES["findings"], error.findings) from error
    except CarnetError as error:
        raise failed(error) from error
    except KeyboardInterrupt:
        raise Interrupted("interrupted", *goes_on()) from None


def client_of(config: Path) -> LocalClient:
    """The client for the connector that is meant, elsewhere or of these settings. Ends the command if that cannot be told."""
    there = place()
    if there is None:
        return LocalClient.of(read_settings(config))
    return LocalClient(url=there.url, token=there.key, ca_file=there.ca_file)


def show(document: Any, lines: Iterable[str], *, as_json: bool) -> None:
    """The document as it is, or lines for people, each of them one line whatever a peer has written into it."""
    if as_json:
        click.echo(plain_json(document, indent=2))
        return
    for line in lines:
        click.echo(plain(line))


class States:
    """States as they come, on one line of standard error."""

    def __init__(self) -> None:
        self.process: Document | None = None
        self._last = ""
        self._shown = False

    def __call__(self, process: Document) -> None:
        """A version of the process."""
        self.process = process
        state = str(process["state"])
        if state != self._last and state != "INITIAL":
            click.echo(f"{' -> ' if self._shown else ''}{state}", nl=False, err=True)
            self._shown = True
        self._last = state

    def end(self) -> None:
        """Close the line, if one was begun."""
        if self._shown:
            click.echo(err=True)
        self._shown = False

    def goes_on(self) -> tuple[str, str]:
        """What goes on in the connector when we wait no more, and how to look at it."""
        if self.process is None:
            return BEGUN, ""
        kind, name = self.process["kind"], self.process["id"]
        return f"waiting was interrupted, and the {kind} goes on in the connector", f"look with: carnet processes show {name}"


def finish(process: Document, *, good: bool) -> None:
    """End the command with 1 if this is not where it should have come to."""
    if good:
        return
    if process["state"] == "TERMINATED":
        remedy = f"read what led to it: carnet processes timeline {process['id']}"
        raise Failed("process-ended", f"the {process['kind']} was ended: {why(process)}", remedy)
    remedy = f"look again with: carnet processes show {process['id']}"
    raise Failed("still-waiting", f"the {process['kind']} is still {process['state']}", remedy)


def why(process: Document) -> str:
    """Who ended, refused or suspended it, and in which words."""
    ended = process.get("ended") or process.get("refusal") or {}
    reason = "; ".join(item if isinstance(item, str) else json.dumps(item) for item in ended.get("reason", []))
    code = f" [{ended['code']}]" if ended.get("code") else ""
    return f"by the {ended.get('by', 'other side')}: {reason or 'no reason given'}{code}"


def about(process: Document) -> list[str]:
    """A process in a few lines."""
    lines = [
        f"{process['kind']} {process['id']}",
        f"  {process['role']} with {process['counterparty']} about {process['subject']}",
        f"  state {process['state']}" + (f", awaiting the answer to {process['awaiting']}" if process["awaiting"] else ""),
    ]
    if process.get("redline"):
        lines.append("  the offer on the table, and what was there before it:")
        lines += [f"    {change['sentence']}" for change in process["redline"]]
    if process.get("pending"):
        until = f", until {moment(process['decide_by'])}" if process.get("decide_by") else ""
        lines.append(f"  waits for a person: {process['pending']}{until}")
        lines += asked(process)
    if process.get("ended") or process.get("refusal"):
        lines.append(f"  {why(process)}")
    if process.get("agreement"):
        lines.append(f"  agreement {process['agreement']['@id']}")
    if process.get("received"):
        lines += [f"  {key} {value}" for key, value in process["received"].items()]
    return [*lines, f"  correlation id {process['correlationId']}"]


def asked(process: Document) -> Iterator[str]:
    """Who is asked about what waits, and who has said yes."""
    rule = process.get("asks")
    if rule:
        people = "one person" if rule["eyes"] == 1 else f"{rule['eyes']} people"
        yield f"    asked: {people} with the role {' or '.join(rule['roles'])}"
    for given in process.get("approvals", []):
        yield f"    approved by {given['caller']} as {given['role']}, {moment(given['at'])}"


def moment(at_ms: int) -> str:
    """A time of the connector for people, UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + "Z"
