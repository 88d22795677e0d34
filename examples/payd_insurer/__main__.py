"""`python -m examples.payd_insurer`: plays the story and keeps its files."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import click

from connector.demo.servers import NotServing
from connector.demo.stage import Untrue
from connector.protocol.errors import CarnetError
from examples.payd_insurer.story import play


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), help="Where its files go; a folder that is not there yet.")
def main(folder: Path | None) -> None:
    """Pay as you drive: from raw trips at a car maker to premiums at an insurer."""
    if folder is not None and folder.exists():
        raise click.ClickException(f"{folder} is there already: name another folder")
    chosen = folder or Path(tempfile.mkdtemp(prefix="carnet-payd-"))
    try:
        asyncio.run(play(chosen.resolve(), click.echo))
    except (Untrue, NotServing, CarnetError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Everything lies in {chosen}")


if __name__ == "__main__":
    main()
