"""How a story is run from the command line: in a new folder, which is named and stays."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click

from connector.demo.servers import NotServing
from connector.demo.stage import Untrue
from connector.protocol.errors import CarnetError


def program(name: str, about: str, play: Callable[[Path, Callable[[str], None]], Awaitable[Any]]) -> click.Command:
    """The command that plays a story; it ends with 0 only if everything held that the story says. ``about`` is its help."""

    async def whole(folder: Path) -> None:
        await play(folder, click.echo)

    @click.command(help=about)
    @click.option("--folder", type=click.Path(path_type=Path), help="Where its files go; a folder that is not there yet.")
    def command(folder: Path | None) -> None:
        if folder is not None and folder.exists():
            raise click.ClickException(f"{folder} is there already: name another folder")
        chosen = folder or Path(tempfile.mkdtemp(prefix=f"carnet-{name}-"))
        try:
            asyncio.run(whole(chosen.resolve()))
        except (Untrue, NotServing, CarnetError) as error:
            raise click.ClickException(str(error)) from error
        click.echo(f"Everything lies in {chosen}")

    return command
