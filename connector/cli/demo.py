"""`carnet demo`: two connectors doing business on this machine; ends with 0 only if everything that it shows held."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from connector.demo.servers import NotServing
from connector.demo.stage import Untrue
from connector.demo.story import tell
from connector.protocol.errors import CarnetError

LONGEST_S: Final = 120.0


@click.command(name="demo")
@click.option("--keep", is_flag=True, help="Leave both connectors up until Ctrl-C, and their files where they are.")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help="New folder for the files, which are kept.")
def command(keep: bool, folder: Path | None) -> None:
    """Start a provider and a consumer on this machine and let them publish, negotiate, transfer, suspend and terminate.

    Listens on loopback only. Without --keep and --folder nothing is left behind.
    """
    os.umask(0o077)
    with _place(folder, keep=keep) as place:
        try:
            code = asyncio.run(_until_told(place, keep=keep))
        except* (Untrue, NotServing, CarnetError) as failed:
            for error in _leaves(failed):
                click.echo(f"This did not hold: {error}", err=True)
            code = 1
        except* click.ClickException as failed:
            raise click.ClickException("; ".join(str(error) for error in _leaves(failed))) from failed
        kept = keep or folder is not None
        click.echo(
            f"All files are in {place}" + ("" if kept else ", which is removed now; --keep leaves them and both connectors")
        )
    sys.exit(code)


@contextmanager
def _place(folder: Path | None, *, keep: bool) -> Iterator[Path]:
    """The folder of the demo; one of our own making is removed unless it is to be kept."""
    if folder is not None:
        try:
            folder.mkdir(mode=0o700, parents=True)
        except OSError as error:
            raise click.ClickException(f"cannot make the new folder {folder}: {error.strerror}") from error
        yield folder.absolute()
        return
    place = Path(tempfile.mkdtemp(prefix="carnet-demo-"))
    try:
        yield place
    finally:
        if not keep:
            shutil.rmtree(place, ignore_errors=True)


async def _until_told(place: Path, *, keep: bool) -> int:
    """0 when everything held (and, with ``keep``, we were told to stop after it), 1 when we were told to stop before."""
    play = asyncio.create_task(_bounded(place, keep=keep))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, play.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await play
    if not play.cancelled():
        return 0
    click.echo("Told to stop; both connectors are stopped.", err=True)
    return 0 if keep else 1


async def _bounded(place: Path, *, keep: bool) -> None:
    program = sys.argv[0] if Path(sys.argv[0]).name == "carnet" else "carnet"
    telling = tell(place, click.echo, keep=keep, program=program)
    if keep:
        await telling
        return
    try:
        async with asyncio.timeout(LONGEST_S):
            await telling
    except TimeoutError:
        raise Untrue(f"the demo did not end within {LONGEST_S:.0f} s") from None


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
