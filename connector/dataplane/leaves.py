"""What the data plane has to say to the contract log: callbacks of the event ``leaf``, queued with what makes them true.

A callback names no vehicle. The control plane, which has the keys, asks for the names behind it page by page, makes their index,
and answers with its digest. May import this package only.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
import numpy as np
from aiohttp import web

from connector.dataplane import indexes
from connector.dataplane import records as rec
from connector.dataplane.deliveries import Artifact, Asked, Deliveries
from connector.dataplane.meters import Size
from connector.dataplane.passages import passage_of
from connector.dataplane.problems import Refusal
from connector.dataplane.readings import ALL, Readings
from connector.dataplane.records import Callback, Flow, Records
from connector.dataplane.seams import Clock, Naming
from connector.dataplane.states import Role, State
from connector.dataplane.threads import settle
from connector.store.engine import Engine, Statement

LEAF: Final = "leaf"
"""The callback that is for the contract log."""
PAGE: Final = 20_000
"""So many vehicles are named in one answer."""
_ENDS: Final = (State.COMPLETED, State.TERMINATED)
_ORDINAL: Final = re.compile(r"-1|[0-9]{1,10}")


class _Accepted(msgspec.Struct, frozen=True):
    """What the control plane answers to a leaf."""

    index: str | None = None
    vehicles: int = 0


class Leaves:
    """Makes the callbacks. Each statement is for the transaction that it tells of; call ``wake`` once that is committed."""

    def __init__(self, readings: Readings, wake: Callable[[], None], now_ms: Clock) -> None:
        self._readings = readings
        self._now_ms = now_ms
        self.wake = wake

    def consents(self, change: str, number: int) -> Statement:
        """A commit of the ledger."""
        return self._told("consents", {"change": change, "ledger": number}, vehicles={"ledger": number})

    def left(self, asked: Asked, artifact: Artifact | None, size: Size, now_ms: int) -> Statement:
        """From now on the bytes of a delivery may leave."""
        members: dict[str, str | int] = {"state": "left", "role": "provider", "rows": size.rows, "bytes": size.bytes}
        vehicles: dict[str, str | int] | None = None
        if artifact is not None:
            members["vehicles"] = size.vehicles
            if artifact.plan is not None and artifact.plan.personal and artifact.index_file is not None:
                vehicles = {"flow": artifact.flow_id, "generation": artifact.generation}
        about = {"process": asked.flow_id, "agreement": asked.agreement_id, "party": asked.counterparty}
        return self._told("receipt", members, about | {"asset": asked.dataset_id}, vehicles, at=now_ms)

    def erased(self, transfer: str, kind: str, vehicles: int) -> Statement:
        """Something that had landed was erased: ``kind`` is rows or whole, ``vehicles`` how many were named."""
        members = {"stage": "erased", "kind": kind, "role": "consumer"} | ({"vehicles": vehicles} if vehicles else {})
        return self._told("erasure", members, {"process": transfer})

    async def closed(self, flow: Flow) -> list[Statement]:
        """The meters of an agreement at the end of one of its transfers that was metered, and of an HTTP source what left in all;
        nothing for other changes."""
        reserved = await self._readings.reservation(flow.id) if flow.role is Role.PROVIDER and flow.state in _ENDS else None
        if reserved is None:
            return []
        now = self._now_ms()
        (used,) = await self._readings.of(reserved.agreement_id, reserved.counterparty, ALL)
        about = {"process": flow.id, "agreement": reserved.agreement_id, "party": reserved.counterparty, "asset": flow.dataset_id}
        whole: list[Statement] = []
        if await passage_of(self._readings.engine, flow.id) is not None:
            # How much leaves with all requests was not known when the first one was told of.
            size: dict[str, str | int] = {"state": "passed", "role": "provider", "rows": 0, "bytes": reserved.bytes}
            whole.append(self._told("receipt", size, about, at=reserved.at))
        read = {"calls": used.calls, "rows": used.rows, "bytes": used.bytes}
        return [*whole, *(self._told("meter", {"meter": name, "used": value}, about, at=now) for name, value in read.items())]

    def _told(
        self,
        kind: str,
        members: Mapping[str, str | int],
        about: Mapping[str, str] | None = None,
        vehicles: Mapping[str, str | int] | None = None,
        *,
        at: int | None = None,
    ) -> Statement:
        identifier, now = f"urn:uuid:{uuid.uuid4()}", self._now_ms()
        body = {"id": identifier, "type": kind, "members": members, "at": now if at is None else at, **(about or {})}
        # The control plane reads that there are vehicles, and asks by the id of the callback for them.
        body |= {} if vehicles is None else {"vehicles": vehicles}
        return rec.insert_callback(Callback(identifier, "", LEAF, msgspec.json.encode(body).decode(), 0, now))


def settled(callback: Callback, answer: bytes) -> list[Statement]:
    """What is kept of the control plane's answer to a leaf: the digest of the index of a delivery."""
    about = msgspec.json.decode(callback.body).get("vehicles") or {}
    try:
        accepted = msgspec.json.decode(answer, type=_Accepted)
    except (msgspec.ValidationError, msgspec.DecodeError):
        return []
    if accepted.index is None or "flow" not in about:
        return []
    return [
        Statement(
            "INSERT INTO vehicle_index (flow_id, generation, sha256, vehicles) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (flow_id, generation) DO NOTHING",
            (str(about["flow"]), int(about["generation"]), accepted.index, accepted.vehicles),
            expect=None,
        )
    ]


async def index_of(engine: Engine, artifact: Artifact) -> dict[str, Any] | None:
    """The index of a delivery's vehicles beside the log, once the control plane has made it."""
    rows = await engine.fetch(
        "SELECT sha256, vehicles FROM vehicle_index WHERE flow_id = ? AND generation = ?",
        (artifact.flow_id, artifact.generation),
    )
    return {"sha256": str(rows[0][0]), "vehicles": int(rows[0][1] or 0)} if rows else None


class LeafRoutes:
    """Handlers of the signaling listener."""

    def __init__(self, records: Records, deliveries: Deliveries, ledger: Naming) -> None:
        self._records = records
        self._deliveries = deliveries
        self._ledger = ledger

    def routes(self) -> list[web.RouteDef]:
        """For the signaling listener."""
        return [web.get("/carnet/leaves/{id}/vehicles", self._vehicles)]

    async def _vehicles(self, request: web.Request) -> web.Response:
        """The vehicles that a leaf is about, for the log's index: names, and the ordinal to go on ``after``, or null."""
        after = request.query.get("after", "-1")
        if not _ORDINAL.fullmatch(after):
            raise Refusal(400, "message_invalid", "after is the ordinal that the last answer gave")
        callback = await self._records.callback(request.match_info["id"])
        if callback is None or callback.event != LEAF:
            raise Refusal(404, "leaf_unknown", "no leaf of this id waits")
        every = await self._ordinals(msgspec.json.decode(callback.body).get("vehicles") or {})
        page = every[every > int(after)][:PAGE] if int(after) >= 0 else every[:PAGE]
        names = await self._ledger.vehicles(page.tolist())
        more = len(page) == PAGE
        body = {"vehicles": list(names.values()), "after": int(page[-1]) if more else None}
        return web.Response(
            body=msgspec.json.encode(body), content_type="application/json", headers={"Cache-Control": "no-store"}
        )

    async def _ordinals(self, about: Mapping[str, Any]) -> indexes.Whole:
        if "ledger" in about:
            return await self._ledger.concerned(int(about["ledger"]))
        if "flow" in about:
            artifact = await self._deliveries.artifact(str(about["flow"]), int(about["generation"]))
            if artifact is not None and artifact.index_file is not None:
                return await settle(indexes.read, artifact.index_file)
        return np.zeros(0, np.uint32)
