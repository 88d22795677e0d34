"""`carnet peers`: the registry of participants. Who is known, how it is reached and recognised, and who vouched for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from connector.cli.channel import call, channel_options, moment, show
from connector.cli.claims import claim_options, claims_of
from connector.cli.columns import columns
from connector.cli.documents import read_json
from connector.cli.errors import Failed, written
from connector.identity.participants import Admission

MAX_FILE_BYTES: Final = 1_000_000
_LOG: Final = {
    "witnessed": "logs witnessed",
    "refused": "log not cosigned",
    "split-view": "LOG CONTRADICTS ITSELF",
}
Row = dict[str, Any]
_file = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group(name="peers")
def command() -> None:
    """Write participants down, admit, suspend and expel them.

    A participant that shows who it is, and for whom nobody has vouched, is "unverified": it sees only what is published with
    `--open-to all`. "admit" says that somebody vouches for it. "suspend" and "expel" end at once whatever is open with it.
    """


def _profile_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """How it is reached and recognised: `--address`, `--keys`, `--issuer`, `--bearer`."""
    for option in (
        click.option("--bearer/--dpop", "bearer", default=None, help="Whether its tokens may be used without proof of a key."),
        click.option("--issuer", metavar="URL", help="The authorization server that alone speaks for it (see [[issuers]])."),
        click.option("--keys", type=_file, help="JSON file with its public keys (JWKS); its DID document is then not asked."),
        click.option("--address", "addresses", multiple=True, metavar="URL", help="Its protocol base URL; may be repeated."),
    ):
        command = option(command)
    return command


def _vouched_by(*, required: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    text = "Who vouches for it and its claims: a name, an office or a document."
    return click.option("--vouched-by", required=required, metavar="WHO", help=text)


@command.command(name="list")
@channel_options
@click.option("--state", type=click.Choice([state.value for state in Admission]), help="Only these.")
def listed(config: Path, as_json: bool, state: str | None) -> None:
    """Every participant that is known, one a line."""
    rows = call(config, lambda client: client.peers(state))
    lines = columns([(row["id"], row["state"], _where(row), _vouched(row), _log(row)) for row in rows], shrink=(2, 3))
    show(rows, lines or ["no participant yet; write one down with: carnet peers add"], as_json=as_json)


@command.command(name="show")
@channel_options
@click.argument("participant")
def shown(config: Path, as_json: bool, participant: str) -> None:
    """One participant: addresses, keys, claims, who vouched, and how it was last recognised."""
    row = call(config, lambda client: client.peer(participant))
    show(row, _about(row), as_json=as_json)


@command.command(name="add")
@channel_options
@click.argument("participant")
@_profile_options
@claim_options
@_vouched_by(required=False)
def add(config: Path, as_json: bool, participant: str, vouched_by: str | None, **given: Any) -> None:
    """Write PARTICIPANT down: its id, mostly a DID such as did:web:city.example.

    With --vouched-by it is admitted, without it is unverified until `carnet peers admit`. Without --address its DID document
    says where it is.
    """
    more = {"profile": _profile(given), "claims": claims_of(given), "vouched_by": vouched_by}
    row = call(config, lambda client: client.add_peer(participant, **more))
    show(row, _about(row), as_json=as_json)


@command.command(name="update")
@channel_options
@click.argument("participant")
@_profile_options
@claim_options
@_vouched_by(required=False)
def update(config: Path, as_json: bool, participant: str, vouched_by: str | None, **given: Any) -> None:
    """Change what is written down of PARTICIPANT. Options that are left out stay; claims that are given replace all it had."""
    more = {"profile": _profile(given), "claims": claims_of(given), "vouched_by": vouched_by}
    row = call(config, lambda client: client.update_peer(participant, **more))
    show(row, _about(row), as_json=as_json)


@command.command(name="admit")
@channel_options
@click.argument("participant")
@claim_options
@_vouched_by(required=True)
@click.option("--again", is_flag=True, help="Yes, although it was expelled.")
def admit(config: Path, as_json: bool, participant: str, vouched_by: str, again: bool, **given: Any) -> None:
    """Say that somebody vouches for PARTICIPANT. Claims that are given replace all it had."""
    row = call(config, lambda client: client.admit_peer(participant, vouched_by, claims=claims_of(given), again=again))
    show(row, _about(row), as_json=as_json)


_reason = click.option("--reason", required=True, help="Why, in a sentence. The participant is told.")


@command.command(name="suspend")
@channel_options
@click.argument("participant")
@_reason
def suspend(config: Path, as_json: bool, participant: str, reason: str) -> None:
    """Take nothing more of PARTICIPANT and end all negotiations and transfers with it, until it is admitted again."""
    row = call(config, lambda client: client.suspend_peer(participant, reason))
    show(row, _about(row), as_json=as_json)


@command.command(name="expel")
@channel_options
@click.argument("participant")
@_reason
def expel(config: Path, as_json: bool, participant: str, reason: str) -> None:
    """As suspend, for good: it comes back by `carnet peers admit --again` only."""
    row = call(config, lambda client: client.expel_peer(participant, reason))
    show(row, _about(row), as_json=as_json)


@command.command(name="accept-log")
@channel_options
@click.argument("participant")
@click.option("--reason", required=True, help="Why, in a sentence. It stands in our own log.")
def accept_log(config: Path, as_json: bool, participant: str, reason: str) -> None:
    """Accept the contract log of PARTICIPANT as it is, although it contradicted itself: agreements with it are made again.

    The evidence stays. Talk to its operator first: who rewrites a log can deny what was agreed.
    """
    row = call(config, lambda client: client.accept_log(participant, reason))
    show(row, _about(row), as_json=as_json)


@command.command(name="export")
@channel_options
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
def export(config: Path, as_json: bool, file: Path | None) -> None:
    """Write every entry whole, as JSON, to FILE or to standard output. It can be imported elsewhere."""
    rows = call(config, lambda client: client.export_peers())
    if file is None:
        show(rows, [], as_json=True)
        return
    try:
        file.write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise written(error, f"{file} cannot be written") from error
    show({"file": str(file), "participants": len(rows)}, [f"{len(rows)} participants written to {file}"], as_json=as_json)


@command.command(name="import")
@channel_options
@click.argument("file", type=_file)
@click.option("--again", is_flag=True, help="Let participants come back that were expelled here.")
def imported(config: Path, as_json: bool, file: Path, again: bool) -> None:
    """Make the entries of FILE what they say, all or none; others stay. Who is suspended thereby is suspended at once."""
    documents = read_json(file, MAX_FILE_BYTES, list, "a JSON array of participants, as `carnet peers export` writes it")
    rows = call(config, lambda client: client.import_peers(documents, again=again))
    lines = [f"{row['id']}  {row['state']}" for row in rows]
    show(rows, [*lines, f"{len(rows)} of {len(documents)} are new or have changed"], as_json=as_json)


# -- in and out -------------------------------------------------------------------------------------------------------


def _profile(given: Row) -> Row | None:
    profile: Row = {}
    if given["addresses"]:
        profile["addresses"] = list(given["addresses"])
    if given["keys"] is not None:
        profile["keys"] = _read_keys(given["keys"])
    if given["issuer"] is not None:
        profile["issuer"] = given["issuer"]
    if given["bearer"] is not None:
        profile["tokens"] = "bearer" if given["bearer"] else "dpop"
    return profile or None


def _read_keys(file: Path) -> list[Any]:
    what = "a JSON Web Key Set: an object with an array `keys` of public keys"
    keys = read_json(file, MAX_FILE_BYTES, dict, what).get("keys")
    if not isinstance(keys, list):
        raise Failed("file-content", f"{file} must hold {what}")
    return keys


def _where(row: Row) -> str:
    return ", ".join(row["addresses"] or row["announced"]) or "no address"


def _log(row: Row) -> str:
    """How it stands with its log and ours, in a few words; nothing where nothing is known."""
    return _LOG.get(row["log"]["state"], "")


def _log_lines(row: Row) -> list[str]:
    said = row["log"]
    lines = []
    if said["state"] == "not-witnessed":
        return ["  logs not witnessed"]
    if said["split"]:
        split = said["split"]
        lines.append(
            f"  ITS LOG {split['said']} (seen {moment(split['at'])}); nothing new is agreed with it until you accept that"
        )
    if said["refused"]:
        lines.append(f"  does not cosign our log: {said['refused']}")
    if said["refusal"] and not said["split"]:
        lines.append(f"  its log is not cosigned: {said['refusal']}")
    if said["cosignedAt"]:
        lines.append(f"  cosigned our log of {said['cosignedSize']} lines {moment(said['cosignedAt'])}")
    if said["seenAt"]:
        lines.append(f"  its log of {said['seenSize']} lines cosigned {moment(said['seenAt'])}")
    if said["accepted"]:
        lines.append(f"  its log was accepted {moment(said['accepted']['at'])}: {said['accepted']['reason']}")
    return lines


def _vouched(row: Row) -> str:
    return f"vouched for by {row['vouchedBy']}" if row["vouchedBy"] else "nobody vouches"


def _about(row: Row) -> list[str]:
    """A participant in a few lines."""
    lines = [f"{row['id']}  {row['state']}"]
    if row["reason"]:
        lines.append(f"  since {moment(row['updatedAt'])}: {row['reason']}")
    lines.append(f"  {_vouched(row)}" + (f", {moment(row['vouchedAt'])}" if row["vouchedAt"] is not None else ""))
    lines += [f"  address {address}" for address in row["addresses"]]
    lines += [f"  announces {address}" for address in row["announced"]]
    lines += [f"  key {key['thumbprint']}" + (f" ({key['kid']})" if key["kid"] else "") for key in row["keys"]]
    if row["issuer"]:
        lines.append(f"  issuer {row['issuer']}")
    if row["tokens"] == "bearer":
        lines.append("  tokens without proof of a key")
    lines += [f"  {name} {_plain(value)}" for name, value in row["claims"].items()]
    if row["recognised"]:
        seen = row["recognised"]
        lines.append(f"  last recognised {moment(seen['at'])} by {seen['assurance']}, key {seen['key']}")
    return lines + _log_lines(row)


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return "yes" if value is True else str(value)
