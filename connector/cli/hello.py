"""`carnet hello`: greet a peer and show what it says that it can do."""

from pathlib import Path

import click

from connector.cli.channel import call, channel_options, show
from connector.cli.errors import Failed


@click.command(name="hello")
@channel_options
@click.argument("counterparty")
@click.option("--wait-s", type=click.IntRange(1, 3600), default=10, show_default=True, help="Longest wait for the answer.")
def command(config: Path, as_json: bool, counterparty: str, wait_s: int) -> None:
    """Send COUNTERPARTY a greeting. Ends with 1 if nothing comes back; a greeting is delivered later, too."""
    said = call(config, lambda client: client.hello(counterparty, wait_s))
    if said is None:
        raise Failed("peer-silent", f"{counterparty} has not answered within {wait_s} s")
    features = ", ".join(said.get("features", [])) or "none"
    lines = [f"{said['participantId']} speaks {said.get('protocol')} and runs {said.get('software')}; features: {features}"]
    show(said, lines, as_json=as_json)
