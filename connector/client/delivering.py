"""The Python client, delivery: the data of a contract, where the connector keeps them or where the program runs.

May import this package and the guarded client.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from connector.client import deals, frames
from connector.client.deals import Landed
from connector.client.downloads import MAX_BYTES, Downloaded, Downloading, Progress
from connector.client.local import LocalClient
from connector.client.processes import Process
from connector.client.refusals import Document
from connector.client.trade import AgreementId, ProcessId, id_of
from connector.http.client import EgressPolicy, GuardedClient

FETCH_S: Final = 600.0


class Delivering:
    """Transfers of data to us."""

    documents: LocalClient
    egress: EgressPolicy
    """What the program may call for data: other addresses than public https ones are named."""

    async def transfer(self, /, agreement: AgreementId, *, once: str | None = None, **more: Any) -> Process:
        """Begin a transfer; ``more`` holds sink (a file name in the connector's own folder), into (``NAME.duckdb:TABLE`` there),
        ask, counterparty, address. Of several with the same ``once`` one is begun."""
        return Process.of(await self.documents.transfer(id_of(agreement), once=once, **more))

    async def data_address(self, transfer: ProcessId) -> Document:
        """Where and with which token the data of a started transfer can be fetched."""
        return await self.documents.data_address(id_of(transfer))

    async def fetch(self, /, agreement: AgreementId, name: str, *, within_s: float = FETCH_S, **ask: Any) -> Landed:
        """The data of a contract in a file of that name below ``data.sink_dir``, where the connector runs.

        ``ask`` narrows what the contract gives: ``from_`` and ``to`` (instants), ``box``, ``columns``, ``format``, ``purpose``.
        Raises Declined with the provider's reason; the transfer is then terminated.
        """
        return await deals.fetch(self.documents, id_of(agreement), name, within_s=within_s, **asked(ask))

    async def download(
        self,
        /,
        agreement: AgreementId,
        file: str | Path,
        *,
        progress: Progress = lambda _, __: None,
        counterparty: str | None = None,
        within_s: float = FETCH_S,
        max_bytes: int = MAX_BYTES,
        **ask: Any,
    ) -> Downloaded:
        """The data of a contract in a new file, where the program runs.

        ``progress`` is told how many bytes are there, of how many. A download that broke off, or whose program was killed, goes
        on where it was when it is asked for again. The digest that the provider announces is checked. ``ask`` as for ``fetch``;
        ``within_s`` bounds the wait for the transfer to start, ``max_bytes`` the file.

        Raises FileExistsError; Declined with the provider's reason; Waited.
        """
        async with GuardedClient(self.egress) as web:
            work = Downloading(
                self.documents,
                web,
                id_of(agreement),
                Path(file),
                asked(ask),
                progress=progress,
                counterparty=counterparty,
                within_s=within_s,
                max_bytes=max_bytes,
            )
            return await work.run()

    async def pandas(self, /, agreement: AgreementId, **more: Any) -> Any:
        """The data of a contract as a ``pandas.DataFrame``; ``more`` as for ``download``. Raises PackageMissing."""
        frames.package("pandas")
        async with self._fetched(agreement, **more) as file:
            return await asyncio.to_thread(frames.as_pandas, file)

    async def polars(self, /, agreement: AgreementId, **more: Any) -> Any:
        """The data of a contract as a ``polars.DataFrame``; ``more`` as for ``download``. Raises PackageMissing."""
        frames.package("polars")
        async with self._fetched(agreement, **more) as file:
            return await asyncio.to_thread(frames.as_polars, file)

    async def duckdb(self, /, agreement: AgreementId, connection: Any, table: str, **more: Any) -> int:
        """The data of a contract in a new table of a DuckDB connection, which nobody else uses meanwhile; how many rows. ``more``
        as for ``download``."""
        frames.package("duckdb")
        async with self._fetched(agreement, **more) as file:
            return await asyncio.to_thread(frames.into_duckdb, file, connection, table)

    @asynccontextmanager
    async def _fetched(self, agreement: AgreementId, **more: Any) -> AsyncIterator[Path]:
        """The data in a file that is gone after the block."""
        folder = await asyncio.to_thread(tempfile.TemporaryDirectory, prefix="carnet-")
        try:
            file = Path(folder.name) / "data"
            await self.download(agreement, file, **more)
            yield file
        finally:
            await asyncio.to_thread(folder.cleanup)


def asked(ask: dict[str, Any]) -> dict[str, str]:
    """What a request narrows, by the names that it has there: ``from_`` is how Python writes ``from``."""
    return {name.removesuffix("_"): str(value) for name, value in ask.items() if value is not None}
