"""`carnet requests`: what users of vehicles have asked for, that the data of theirs go to somebody of their choice.

A vehicle may be typed, or read from standard input (`-`) so that it stands in no shell's history.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, get_args

import click

from connector.cli.channel import call, channel_options, moment, show
from connector.cli.consents import DECIDERS, short, text_shown, vehicle_named
from connector.dataplane.tables.model import Category

Row = dict[str, Any]
EMPTY: Final = "no user asked for anything yet; begin with: carnet requests add"


@click.group(name="requests")
def command() -> None:
    """List, add, show and withdraw requests of users.

    The user of a vehicle may ask that its data go to a third party (Data Act, article 5). A request is for one vehicle, one
    recipient and one purpose. Under an offer with the term vdx:userRequest its recipient, and nobody else, gets the rows of
    the vehicles that the named requests are about. The request is the ground on which they leave: a consent is needed beside it
    only where the offer says so.
    """


@command.command(name="list")
@channel_options
def listed(config: Path, as_json: bool) -> None:
    """The newest requests, without their vehicles."""
    rows = call(config, lambda client: client.user_requests())
    show(rows, [_line(row) for row in rows] or [EMPTY], as_json=as_json)


@command.command(name="add")
@channel_options
@click.argument("vehicle")
@click.option("--recipient", required=True, metavar="ID", help="The participant that is to get the data.")
@click.option("--purpose", default="vdx:AgreedWithUser", show_default=True, metavar="IRI", help="What for.")
@click.option("--category", "categories", multiple=True, type=click.Choice(get_args(Category)), help="Of which data; else all.")
@click.option("--by", "decided_by", type=click.Choice(DECIDERS), default="owner", show_default=True, help="Who asked.")
@click.option("--id", "request_id", metavar="IRI", help="Its id, such as urn:request:42; else one is made.")
@click.option("--text", metavar="FILE|SHA256", help="What the user signed: a file, or its SHA-256 in lower-case hex.")
def added(config: Path, as_json: bool, vehicle: str, request_id: str | None, text: str | None, **about: Any) -> None:
    """Put on record that the user of VEHICLE asks for its data to go to a participant."""
    more = {name: value for name, value in about.items() if name not in ("recipient", "purpose")}
    more |= {} if request_id is None else {"id": request_id}
    more |= {} if text is None else {"text_sha256": text_shown(text)}
    name, recipient, purpose = vehicle_named(vehicle), str(about["recipient"]), str(about["purpose"])
    document = call(config, lambda client: client.request_share(name, recipient, purpose, **more))
    show(document, [f"on record: {document['id']}, ledger number {document['number']}"], as_json=as_json)


@command.command(name="show")
@channel_options
@click.argument("request_id", metavar="ID")
def shown(config: Path, as_json: bool, request_id: str) -> None:
    """One request, with its vehicle."""
    document = call(config, lambda client: client.user_request(request_id))
    row = document["request"]
    lines = [
        _line(row),
        f"  vehicle {document['vehicle']}",
        f"  data: {', '.join(row['categories'])}",
        f"  text {row['textSha256'] or 'not given'}",
    ]
    show(document, lines, as_json=as_json)


@command.command(name="withdraw")
@channel_options
@click.argument("request_id", metavar="ID")
def withdrawn(config: Path, as_json: bool, request_id: str) -> None:
    """End a request.

    When this returns, nothing more leaves under it. A buyer that holds data of the vehicle is told to erase them.
    """
    document = call(config, lambda client: client.withdraw_request(request_id))
    show(document, [f"withdrawn: {document['id']}, ledger number {document['number']}"], as_json=as_json)


def _line(row: Row) -> str:
    """A request in a line."""
    state = "on record" if row["endedAt"] is None else f"withdrawn {moment(row['endedAt'])}"
    asked = f"{moment(row['at'])} by the {row['decidedBy']}"
    return f"{row['id']}  {state}: to {row['recipient']} for {short(row['purpose'])}, asked {asked}"
