"""Our own interface, bundles: ``/carnet/v1/agreements/{id}/evidence``, the evidence of an agreement as a zip.

Made in a temporary file, so that a bundle is whole before its first byte leaves, and streamed from there.
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from typing import IO, Final

from aiohttp import web

from connector.api.operation import Operation
from connector.evidence.bundling import bundle, write_bundle
from connector.flow.context import Context
from connector.http.local_agreements import BASE, WHOSE
from connector.log.access import LogAccess

IN_MEMORY_BYTES: Final = 4_194_304
PIECE_BYTES: Final = 262_144


@dataclass(frozen=True, slots=True)
class LocalBundles:
    """Handlers for who takes evidence away. Without ``log`` a bundle has no line of one, and says so."""

    context: Context
    log: LogAccess | None = None

    def operations(self) -> list[Operation]:
        """All of them."""
        return [
            Operation(
                "GET", f"{BASE}/{{id}}/evidence", "exportEvidence", "evidence", "read",
                "The evidence of an agreement as a zip that can be verified without this connector.",
                self._bundle, answer=bytes, errors=(404, 409), query=(WHOSE,), media="application/zip",
            ),
        ]  # fmt: skip

    async def _bundle(self, request: web.Request) -> web.StreamResponse:
        members = await bundle(self.context, self.log, request.match_info["id"], request.query.get("counterparty"))
        with tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES) as made:
            await write_bundle(made, members)
            response = web.StreamResponse(headers={"Content-Type": "application/zip", "Content-Length": str(made.tell())})
            await response.prepare(request)
            made.seek(0)
            while piece := await asyncio.to_thread(_read, made):
                await response.write(piece)
        return response


def _read(made: IO[bytes]) -> bytes:
    return made.read(PIECE_BYTES)
