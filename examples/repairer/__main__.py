"""`python -m examples.repairer`: plays the story and keeps its files."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import click

from connector.demo.servers import NotServing
from connector.demo.stage import Untrue
from connector.protocol.errors import CarnetError
from examples.repairer.story import play


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), help="Where its files go; a folder that is not there yet.")
def main(folder: Path | None) -> None:
    """A repair at the owner's request: one vehicle's faults and kilometres, for the garage that its owner chose."""
    if folder is not None and folder.exists():
        raise click.ClickException(f"{folder} is there already: name another folder")
    chosen = folder or Path(tempfile.mkdtemp(prefix="carnet-repairer-"))
    try:
        asyncio.run(play(chosen.resolve(), click.echo))
    except (Untrue, NotServing, CarnetError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Everything lies in {chosen}")


if __name__ == "__main__":
    main()
