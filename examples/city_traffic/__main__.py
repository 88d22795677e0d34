"""`python -m examples.city_traffic`: plays the story and keeps its files."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import click

from connector.demo.servers import NotServing
from connector.demo.stage import Untrue
from connector.protocol.errors import CarnetError
from examples.city_traffic.story import play


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), help="Where its files go; a folder that is not there yet.")
def main(folder: Path | None) -> None:
    """A city gets how fast its traffic flows, and a map of it; a company pays for the same."""
    if folder is not None and folder.exists():
        raise click.ClickException(f"{folder} is there already: name another folder")
    chosen = folder or Path(tempfile.mkdtemp(prefix="carnet-city-traffic-"))
    try:
        asyncio.run(play(chosen.resolve(), click.echo))
    except (Untrue, NotServing, CarnetError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Everything lies in {chosen}")


if __name__ == "__main__":
    main()
