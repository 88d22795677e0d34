"""`carnet enrol`: a buyer's own reference of a vehicle, such as an insurance contract, with what the driver agreed to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from connector.cli.channel import call, channel_options, show
from connector.cli.consents import DECIDERS, text_option, text_shown, vehicle_named


@click.command(name="enrol")
@channel_options
@click.argument("vehicle")
@click.option("--recipient", required=True, metavar="ID", help="The participant whose reference it is.")
@click.option("--reference", required=True, metavar="TEXT", help="Its own name for the vehicle, such as a contract's number.")
@click.option("--by", "decided_by", type=click.Choice(DECIDERS), default="driver", show_default=True, help="Who agreed.")
@text_option
def command(config: Path, as_json: bool, vehicle: str, text: str, **about: Any) -> None:
    """Note under which reference a buyer knows VEHICLE. It ends when the last consent to that buyer is withdrawn."""
    enrolment = {"vehicle": vehicle_named(vehicle), "text_sha256": text_shown(text), **about}
    document = call(config, lambda client: client.enrol([enrolment]))
    show(document, [f"enrolled, ledger number {document['number']}"], as_json=as_json)
