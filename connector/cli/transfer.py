"""`carnet transfer`: fetch the data of an agreement through our data plane, and say what came."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from connector.cli.channel import FINAL, States, about, call, channel_options, finish, show, wait_option
from connector.cli.config import read_settings
from connector.cli.here import fetch_here
from connector.cli.reaching import elsewhere
from connector.cli.receiving import received
from connector.client.local import Document, LocalClient, Refused

MAX_NAME = 100
_here = click.Path(path_type=Path, dir_okay=False)
ASKED: Final = {
    "from": "Not before this moment: 2026-11-01T00:00:00Z.",
    "to": "Before this moment.",
    "box": "Within west,south,east,north in degrees.",
    "columns": "These signals only: VSS paths with commas between them.",
    "format": "parquet, arrow, ndjson or csv; parquet if left out.",
    "purpose": "What for: an IRI, or vdx:PayAsYouDrive; the agreed purpose if left out.",
}
"""What a request may narrow, and how."""


def _ask_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for name, text in reversed(ASKED.items()):
        # --to says where the file goes.
        command = click.option("--until" if name == "to" else f"--{name}", f"ask_{name}", help=text)(command)
    return command


@click.command(name="transfer")
@channel_options
@wait_option
@click.argument("agreement")
@click.option("--to", "sink", metavar="[FOLDER/]NAME", help="File name below data.sink_dir; dataset and time if left out.")
@click.option("--into", metavar="NAME.duckdb:TABLE", help="Put the rows into a table of a DuckDB file below data.sink_dir.")
@_ask_options
@click.option("--here", type=_here, metavar="FILE", help="Fetch to FILE, where this runs; goes on where it broke off.")
@click.option("--allow", multiple=True, metavar="HOST:PORT", help="With --here: where data are that are not on public https.")
@click.option("--no-fetch", is_flag=True, help="Fetch nothing; print address and token once the transfer has started.")
@click.option("--counterparty", help="The provider, should two have chosen the same agreement id.")
@click.option("--address", help="One of its addresses in [[peers]]; the first one if left out.")
def command(
    config: Path,
    as_json: bool,
    wait_s: int,
    agreement: str,
    sink: str | None,
    into: str | None,
    here: Path | None,
    allow: tuple[str, ...],
    no_fetch: bool,
    counterparty: str | None,
    address: str | None,
    **given: str | None,
) -> None:
    """Transfer the data of AGREEMENT and wait until they are here. Ends with 1 if they are not.

    Where there is one contract of ours for a dataset, the dataset's id may stand for it.
    What the agreement allows can be narrowed: a period, an area, some columns. One transfer is one delivery, of one request.
    """
    ask = {name: value for name in ASKED if (value := given[f"ask_{name}"])}
    if no_fetch and (ask or into):
        raise click.UsageError("--no-fetch asks for nothing: give these as query parameters to the address that it prints")
    if here is not None:
        if no_fetch or into or sink or address or not wait_s:
            raise click.UsageError("--here takes the data to this machine: leave out where else they go, and --no-wait")
        found, told = fetch_here(
            config,
            lambda client: chosen(client, agreement, counterparty),
            here,
            ask,
            allow=allow,
            counterparty=counterparty,
            wait_s=wait_s,
        )
        show(found, told, as_json=as_json)
        return
    states = States()
    goal = "STARTED" if no_fetch else "COMPLETED"

    async def transfer(client: LocalClient) -> tuple[Document, Document | None]:
        found = await chosen(client, agreement, counterparty)
        name = None if no_fetch else sink or file_name(str(found["dataset"]))
        begun = await client.transfer(found["id"], sink=name, counterparty=counterparty, address=address, ask=ask, into=into)
        if not wait_s:
            return begun, None
        process = await received(client, begun["id"], lambda now: now["state"] in FINAL | {goal, "SUSPENDED"}, wait_s, states)
        started = no_fetch and process["state"] == "STARTED"
        return process, await client.data_address(process["id"]) if started else None

    try:
        process, data_address = call(config, transfer, goes_on=states.goes_on)
    finally:
        states.end()
    file = None if process.get("sink") is None else _landed(config, process["sink"])
    show(
        {**process, "file": file and str(file), "dataAddress": data_address}, _lines(process, file, data_address), as_json=as_json
    )
    finish(process, good=not wait_s or process["state"] == goal)


def _landed(config: Path, name: str) -> Path:
    """Where a file of that name is: of a connector elsewhere only that it is below its ``data.sink_dir``."""
    return Path(name) if elsewhere() else read_settings(config).data.sink_dir / name


def _lines(process: Document, file: Path | None, data_address: Document | None) -> list[str]:
    lines = about(process)
    if data_address is not None:
        lines.append(f"  from {data_address.get('endpoint')}")
        lines += [f"  {item['name']}: {item['value']}" for item in data_address.get("endpointProperties", [])]
    received = process.get("received") or {}
    if "rows" in received:
        lines.append(
            f"  {received['rows']} rows" + (f", {received['suppressed']} suppressed" if received.get("suppressed") else "")
        )
    if file is not None and process["state"] == "COMPLETED":
        lines.append(f"  table {received['into']}" if received.get("into") else f"  file {file}")
    return lines


async def chosen(client: LocalClient, word: str, counterparty: str | None = None) -> Document:
    """The agreement of that id, or our only one for a dataset of that id. Raises Refused as for an unknown agreement.

    Providers choose the ids of agreements: one that is also a dataset of another contract of ours counts only with the
    ``counterparty`` that it is of.
    """
    try:
        named = await client.agreement(word)
    except Refused:
        if (held := await only(client, word)) is None:
            raise
        return held
    if counterparty is None and named["dataset"] != word and await only(client, word) is not None:
        raise Refused(409, "agreement-several", f"{word} is the id of a contract and of another's dataset; say --counterparty")
    return named


async def only(client: LocalClient, dataset: str) -> Document | None:
    """Our only contract for a dataset of others, if there is one. Raises Refused if there are several."""
    held = [each for each in await client.agreements() if each["dataset"] == dataset and each["role"] == "consumer"]
    binding = [each for each in held if each["state"] == "binding"]
    if len(binding) > 1:
        raise Refused(409, "agreement-several", f"{len(binding)} contracts are for {dataset}: name one (carnet contracts list)")
    return binding[0] if binding else None


def file_name(dataset: str) -> str:
    """A name that the data plane takes: what is plain in the dataset's id, and the time of now."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", dataset).strip("-")[-MAX_NAME:] or "data"
    return f"{plain}.{datetime.now(UTC).strftime('%Y%m%dT%H%M%S%f')}"
