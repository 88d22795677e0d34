"""`carnet demo`: four connectors doing business on this machine; ends with 0 only if everything that it shows held."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from connector.cli.errors import Failed
from connector.cli.plain import say
from connector.demo.given_mapping import NotTaken
from connector.demo.servers import NotServing
from connector.demo.stage import Untrue
from connector.demo.story import Brought, tell
from connector.protocol.errors import CarnetError

ROOM_BYTES: Final = 128 << 20
"""Four connectors write some 20 MiB, and each stops when the disk is nearly full."""
LONGEST_S: Final = 120.0
LONGEST_WITH_DATA_S: Final = 3600.0


@click.command(name="demo")
@click.option("--keep", is_flag=True, help="Leave the connectors up until Ctrl-C, with commands to explore them.")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help="New folder for the files.")
@click.option("--data", type=click.Path(path_type=Path), help="Your own CSV or Parquet file, or a folder of them.")
@click.option(
    "--mapping",
    type=click.Path(path_type=Path, dir_okay=False),
    help="With --data: a JSON file that says what its columns mean; guessed, printed and written down if left out.",
)
def command(keep: bool, folder: Path | None, data: Path | None, mapping: Path | None) -> None:
    """Start an OEM, an insurer, a city and a repairer on this machine and let them publish, negotiate, transfer, compute,
    withdraw and terminate.

    Listens on loopback only. The files that are made stay in a new folder, which the last line names.
    """
    if mapping is not None and data is None:
        raise click.UsageError("--mapping says what the columns of --data mean: give both")
    os.umask(0o077)
    place = _place(folder)
    brought = None if data is None else Brought(data, mapping)
    try:
        code = asyncio.run(_until_told(place, brought, keep=keep))
        stays = code == 0 or folder is not None
    except* NotTaken as failed:
        (error, *_) = _leaves(failed)
        _remove_if_empty(place)
        raise _not_taken(error) from failed
    except* (Untrue, NotServing, CarnetError) as failed:
        for error in _leaves(failed):
            say(f"This did not hold: {error}", err=True)
        code, stays = 1, True
    except* click.ClickException as failed:
        raise click.ClickException("; ".join(str(error) for error in _leaves(failed))) from failed
    if not stays:
        shutil.rmtree(place, ignore_errors=True)
    else:
        say(f"All files are in {place}; to remove them: rm -r {shlex.quote(str(place))}")
    sys.exit(code)


def _not_taken(error: BaseException) -> click.ClickException:
    if isinstance(error, NotTaken):
        return Failed(error.code, error.reason, "\n  ".join(error.remedy))
    return click.ClickException(str(error))


def _place(folder: Path | None) -> Path:
    """A new folder for the files of the demo."""
    if folder is None:
        place = Path(tempfile.mkdtemp(prefix="carnet-demo-"))
        _roomy(place)
        return place
    try:
        folder.mkdir(mode=0o700, parents=True)
    except OSError as error:
        remedy = "name a folder that does not exist yet, in one in which you may write"
        raise Failed("file-failed", f"cannot make the new folder {folder}: {error.strerror}", remedy) from error
    _roomy(folder)
    return folder.absolute()


def _roomy(place: Path) -> None:
    """Ends the command, and removes the empty folder, where connectors would soon stop for want of room."""
    free = shutil.disk_usage(place).free
    if free < ROOM_BYTES:
        place.rmdir()
        said = f"where {place} would be there are {free >> 20} MiB left; the demo takes {ROOM_BYTES >> 20}"
        raise Failed("disk-full", said, "name another place with --folder")


def _remove_if_empty(place: Path) -> None:
    with contextlib.suppress(OSError):
        place.rmdir()


async def _until_told(place: Path, brought: Brought | None, *, keep: bool) -> int:
    """0 when everything held (and, with ``keep``, we were told to stop after it), 1 when we were told to stop before."""
    play = asyncio.create_task(_bounded(place, brought, keep=keep))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, play.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await play
    if not play.cancelled():
        return 0
    click.echo("Told to stop; the connectors are stopped.", err=True)
    return 0 if keep else 1


async def _bounded(place: Path, brought: Brought | None, *, keep: bool) -> None:
    program = sys.argv[0] if Path(sys.argv[0]).name == "carnet" else "carnet"
    telling = tell(place, say, keep=keep, program=program, brought=brought)
    if keep:
        await telling
        return
    longest_s = LONGEST_S if brought is None else LONGEST_WITH_DATA_S
    try:
        async with asyncio.timeout(longest_s):
            await telling
    except TimeoutError:
        raise Untrue(f"the demo did not end within {longest_s:.0f} s") from None


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
