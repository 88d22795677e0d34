"""`carnet transfer --here`: the data of an agreement in a file where the command runs, with a bar, resumed where it broke off."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from connector.cli.channel import call
from connector.cli.config import read_settings
from connector.cli.errors import Failed
from connector.cli.progress import progress
from connector.cli.reaching import elsewhere
from connector.client.carnet import Carnet
from connector.client.downloads import Downloaded
from connector.client.local import Document, LocalClient

KEPT: Final = "the download was interrupted, and what has come is kept"
AGAIN: Final = "give the same command again: it goes on where it was"


def fetch_here(
    config: Path,
    chosen: Callable[[LocalClient], Awaitable[Document]],
    file: Path,
    ask: Mapping[str, Any],
    *,
    allow: tuple[str, ...],
    counterparty: str | None,
    wait_s: int,
) -> tuple[Document, list[str]]:
    """Fetch the data of the agreement that ``chosen`` gives; what came, for programs and for people.

    Ends the command where nothing came.
    """
    known = () if elsewhere() else read_settings(config).client.allow
    bar = progress("Receiving", unit="B")

    async def work(client: LocalClient) -> Downloaded:
        found, carnet = await chosen(client), Carnet.over(client, (*known, *allow))
        return await carnet.download(str(found["id"]), file, progress=bar.to, counterparty=counterparty, within_s=wait_s, **ask)

    try:
        came = call(config, work, bar=bar, goes_on=lambda: (KEPT, AGAIN))
    except FileExistsError:
        raise Failed("file-exists", f"{file} is there already") from None
    rows = [] if came.rows is None else [f"  {came.rows} rows" + (f", {came.suppressed} suppressed" if came.suppressed else "")]
    lines = [f"transfer {came.transfer}", f"  bytes {came.bytes}", f"  sha256 {came.sha256}", *rows, f"  file {came.path}"]
    return {**asdict(came), "path": str(came.path)}, lines
