"""`carnet consents`: who agreed to what, for which vehicle, and to take it back.

A vehicle may be typed, or read from standard input (`-`) so that it stands in no shell's history.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, get_args

import click

from connector.cli.channel import call, channel_options, moment, show
from connector.cli.errors import Failed
from connector.cli.progress import progress
from connector.dataplane.tables.model import Category
from policies.model import CARNET, DPV

MAX_TEXT_BYTES: Final = 1_000_000
DECIDERS: Final = ("driver", "owner", "renter")
Row = dict[str, Any]
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_file = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group(name="consents")
def command() -> None:
    """List, grant, withdraw and import consents.

    A consent is for one vehicle, one category of data, one purpose and one recipient. The ledger keeps every decision and the
    hash of the text that was shown. A VEHICLE is written as in the table of data; `-` reads it from standard input.
    """


def _about(*, required: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`--category`, `--purpose`, `--recipient`, `--by`."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in (
            click.option("--by", "decided_by", type=click.Choice(DECIDERS), default="driver", show_default=True, help="Who."),
            click.option("--recipient", required=required, metavar="ID", help="The participant that gets the data."),
            click.option("--purpose", required=required, metavar="IRI", help="Such as vdx:UsageBasedInsurance."),
            click.option("--category", required=required, type=click.Choice(get_args(Category)), help="Of which data."),
        ):
            command = option(command)
        return command

    return add


text_option = click.option(
    "--text", required=True, metavar="FILE|SHA256", help="The text that was shown: a file, or its SHA-256 in lower-case hex."
)


@command.command(name="list")
@channel_options
def listed(config: Path, as_json: bool) -> None:
    """How many vehicles agree to what, one line for each category, purpose and recipient."""
    document = call(config, lambda client: client.consents())
    rows = document["counts"]
    lines = [f"{row['vehicles']:>12,}  {_key(row)}" for row in rows]
    empty = "nobody agreed to anything yet; begin with: carnet consents grant, or carnet consents import"
    show(document, [*lines, f"ledger number {document['number']}"] if rows else [empty], as_json=as_json)


@command.command(name="show")
@channel_options
@click.argument("vehicle")
def shown(config: Path, as_json: bool, vehicle: str) -> None:
    """What VEHICLE agrees to now, and every decision about it, newest first."""
    name = vehicle_named(vehicle)
    document = call(config, lambda client: client.vehicle_consents(name))
    held = [f"  {_key(row)}" for row in document["held"]] or ["  nothing"]
    entries = [f"  {_decision(row)}" for row in document["entries"]]
    show(document, ["agrees to", *held, "decisions", *entries, f"ledger number {document['number']}"], as_json=as_json)


@command.command(name="grant")
@channel_options
@click.argument("vehicles", nargs=-1, required=True, metavar="VEHICLE...")
@_about(required=True)
@click.option("--basis", metavar="IRI", default="dpv:Consent", show_default=True, help="Or dpv:Contract, ...")
@text_option
def grant(config: Path, as_json: bool, vehicles: tuple[str, ...], text: str, **about: Any) -> None:
    """Note that each VEHICLE agrees."""
    shown_text = text_shown(text)
    entries = [{"vehicle": vehicle_named(each), "given": True, "text_sha256": shown_text, **about} for each in vehicles]
    document = call(config, lambda client: client.decide_consents(entries))
    show(document, [f"noted for {document['entries']} vehicles, ledger number {document['number']}"], as_json=as_json)


@command.command(name="withdraw")
@channel_options
@click.argument("vehicle")
@_about(required=False)
def withdraw(config: Path, as_json: bool, vehicle: str, **about: Any) -> None:
    """Take back all that VEHICLE agreed to, or what of it is for a category, purpose or recipient.

    When this returns, nothing more leaves under it. Buyers that hold data of the vehicle are told to erase them.
    """
    wanted = {"vehicle": vehicle_named(vehicle), **{name: value for name, value in about.items() if value is not None}}
    document = call(config, lambda client: client.withdraw_consents(wanted))
    lines = [f"withdrawn: {_key(row)}" for row in document["withdrawn"]] or ["nothing was left to withdraw"]
    show(document, [*lines, f"ledger number {document['number']}"], as_json=as_json)


@command.command(name="number")
@channel_options
@click.argument("vehicle")
def number(config: Path, as_json: bool, vehicle: str) -> None:
    """The ledger's own number of VEHICLE, by which a driver's key names it (carnet access add --role driver --vehicle NUMBER)."""
    wanted = vehicle_named(vehicle)
    document = call(config, lambda client: client.vehicle_number(wanted))
    show(document, [str(document["vehicleNumber"])], as_json=as_json)


@command.command(name="import")
@channel_options
@click.argument("file", type=_file)
def imported(config: Path, as_json: bool, file: Path) -> None:
    """Write the decisions of FILE, CSV or Parquet, all or nothing.

    Its columns: vehicle, category, purpose, recipient, basis, decided_by, text_sha256, at_ms, given. It must lie in a folder that
    may be published from (data.source_roots). Of several rows about the same the latest holds; a grant that is older than a
    withdrawal in the ledger holds not.
    """
    document = call(config, lambda client: client.import_consents(str(file.resolve())), bar=progress(f"Importing {file.name}"))
    lines = [
        f"{document['entries']:,} decisions, {document['newVehicles']:,} vehicles are new",
        f"{document['withdrawn']:,} withdrawn, {document['late']:,} grants overtaken by later withdrawals",
        f"ledger number {document['number']}",
    ]
    show(document, lines, as_json=as_json)


def vehicle_named(word: str) -> str:
    """A vehicle as it was typed, or from standard input for `-`."""
    return sys.stdin.readline().strip() if word == "-" else word


def text_shown(word: str) -> str:
    """The SHA-256 of a text: of a file, or as it was given. Ends the command if it is neither."""
    if _SHA256.fullmatch(word):
        return word
    try:
        with Path(word).open("rb") as opened:
            content = opened.read(MAX_TEXT_BYTES + 1)
    except (OSError, ValueError) as error:
        sentence = "--text names neither a file that can be read nor a SHA-256 in lower-case hex"
        raise Failed("file-failed", sentence, "give the file with the text that was shown, or its SHA-256") from error
    if len(content) > MAX_TEXT_BYTES:
        raise Failed("file-too-large", f"--text names a file of more than {MAX_TEXT_BYTES} bytes", "give its SHA-256")
    return hashlib.sha256(content).hexdigest()


def _key(row: Row) -> str:
    return f"{row['category']} for {short(row['purpose'])} to {row['recipient']} on {short(row['basis'])}"


def _decision(row: Row) -> str:
    answer = "given" if row["given"] else "withdrawn"
    return f"{row['number']}  {moment(row['at'])}  {answer} by the {row['decidedBy']}: {_key(row)}"


def short(iri: str) -> str:
    """An IRI with the prefix of its vocabulary."""
    return iri.replace(DPV, "dpv:").replace(CARNET, "vdx:")
