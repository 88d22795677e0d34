"""Orders to erase: what was landed of some transfers, or of some vehicles in them. The same order gets the same answer.

What cannot be reached is part of the answer, with the reason; nothing is said to be erased that was not. May import this package
and the data plane's records.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web

from connector.dataplane.landing.offload import Offload
from connector.dataplane.landing.records import Landing, erased, insert_erased, landing_of, note_erased
from connector.dataplane.leaves import Leaves
from connector.dataplane.messages import Id, decode
from connector.dataplane.part import part_path
from connector.dataplane.problems import Refusal
from connector.dataplane.records import Flow, Records, update_download
from connector.dataplane.states import State
from connector.dataplane.threads import settle

MOST: Final = 100_000
"""Most transfers, pseudonyms, references or trips of one order."""
_Names = Annotated[tuple[Annotated[str, msgspec.Meta(max_length=512)], ...], msgspec.Meta(max_length=MOST)]


class Order(msgspec.Struct, frozen=True):
    """Erase what has landed of these transfers (``whole``), or the rows of these vehicles in them. ``trips`` names their trips,
    where rows have no other name."""

    id: Id
    transfers: _Names
    pseudonyms: _Names = ()
    references: _Names = ()
    trips: _Names = ()
    whole: bool = False


class Eraser:
    """Owner of what is erased. Orders take turns, so that no file is rewritten twice at a time."""

    def __init__(self, records: Records, sink_dir: Path, offload: Offload, leaves: Leaves, now_ms: Callable[[], int]) -> None:
        self._records = records
        self._sink_dir = sink_dir
        self._offload = offload
        self._leaves = leaves
        self._now_ms = now_ms
        self._turn = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        """For the signaling listener."""
        return [web.post("/carnet/erasures", self._handle)]

    async def _handle(self, request: web.Request) -> web.Response:
        report = await self.erase(decode(await request.read(), Order))
        return web.Response(body=report, content_type="application/json")

    async def erase(self, order: Order) -> bytes:
        """Erase, and give the report as JSON: ``erased`` has transfer, file, rows, sha256Before and sha256After, ``outside`` has
        transfer and why. Raises Refusal 503 while data of one of the transfers are on their way: nothing was erased then."""
        async with self._turn:
            known = await erased(self._records.engine, order.id)
            if known is not None:
                return known.encode()
            for transfer in order.transfers:
                await self._nothing_on_its_way(transfer)
            report: dict[str, list[dict[str, Any]]] = {"erased": [], "outside": []}
            for transfer in order.transfers:
                flow = await self._records.flow(transfer)
                done, why = await self._transfer(order, transfer, flow)
                report["erased"] += [{"transfer": transfer, **done}] if done else []
                report["outside"] += [{"transfer": transfer, "why": why}] if why else []
            text = msgspec.json.encode(report)
            told = [self._leaves.erased(each["transfer"], *_what(order)) for each in report["erased"]]
            await self._records.commit([insert_erased(order.id, text.decode(), self._now_ms()), *told])
            self._leaves.wake()
            return text

    async def _nothing_on_its_way(self, transfer: str) -> None:
        """What was sent before the order came must not land after it. What runs ends soon, whole or cut by the provider, and is
        waited for; what was kept of a transfer that does not run is dropped, so that it begins anew. Raises Refusal."""
        flow, download = await self._records.flow(transfer), await self._records.download(transfer)
        if flow is None or flow.sink is None or download is None or download.phase not in ("running", "placing"):
            return
        if flow.state is State.STARTED:
            raise Refusal(503, "landing-running", "data of the transfer are landing just now; ask again")
        if flow.state in (State.COMPLETED, State.TERMINATED):
            return
        afresh = replace(download, phase="running", etag=None, total=None, digest=None, bytes=None, sha256=None)
        await self._records.commit([update_download(afresh, before=download.phase)])
        file = self._sink_dir / flow.sink
        await settle(part_path(file).unlink, missing_ok=True)
        if download.phase == "placing":
            await settle(file.unlink, missing_ok=True)

    async def _transfer(self, order: Order, transfer: str, flow: Flow | None) -> tuple[dict[str, Any] | None, str | None]:
        """What was erased of one transfer, and why what was not."""
        if flow is None or flow.sink is None:
            return None, "our data plane did not fetch it: whoever had the address may have the data"
        landing = await landing_of(self._records.engine, transfer) or Landing(transfer, {}, "")
        if flow.state is not State.COMPLETED:
            return None, f"the transfer is {flow.state}: nothing has landed, and its part is removed when it ends"
        if landing.into:
            return await self._in_table(order, landing)
        file = self._sink_dir / flow.sink
        if order.whole:
            return await self._whole(transfer, file, landing)
        work = {"do": "erase", "file": str(file), "format": landing.format or "", **_named(order)}
        found = await self._offload.do(work)
        if "code" in found:
            return None, f"{found['code']}: {found['reason']}"
        await self._records.commit([note_erased(transfer, found["after"], self._now_ms())])
        said = {"file": flow.sink, "rows": found["rows"], "sha256Before": found["before"], "sha256After": found["after"]}
        changed = landing.sha256 is not None and landing.sha256 != found["before"]
        return said, "the file had been changed since it landed; copies of it may exist" if changed else None

    async def _in_table(self, order: Order, landing: Landing) -> tuple[dict[str, Any] | None, str | None]:
        database, _, table = landing.into.partition(":")
        work = {"do": "erase", "database": str(self._sink_dir / database), "table": table, "transfer": landing.flow_id}
        found = await self._offload.do({**work, **_named(order)})
        if "code" in found:
            return None, f"{found['code']}: {found['reason']}"
        await self._records.commit([note_erased(landing.flow_id, None, self._now_ms())])
        return {"file": landing.into, "rows": found["rows"]}, None

    async def _whole(self, transfer: str, file: Path, landing: Landing) -> tuple[dict[str, Any] | None, str | None]:
        if not await settle(file.is_file):
            return None, "landing-gone: the file is not where it landed"
        await settle(file.unlink, missing_ok=True)
        await self._records.commit([note_erased(transfer, None, self._now_ms())])
        return {"file": file.name, "rows": landing.rows, "sha256Before": landing.sha256, "sha256After": None}, None


def _what(order: Order) -> tuple[str, int]:
    """What is erased, and how many vehicles are named: as pseudonyms or references; trips name none."""
    return "whole" if order.whole else "rows", max(len(order.pseudonyms), len(order.references))


def _named(order: Order) -> dict[str, Any]:
    named = {"pseudonym": list(order.pseudonyms), "reference": list(order.references), "trip": list(order.trips)}
    return {"named": named, "whole": order.whole}
