"""What was delivered and metered, for receipts, statements and people: read only. No name of a vehicle leaves here.

May import this package only.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
from aiohttp import web

from connector.dataplane import indexes, leaves
from connector.dataplane.deliveries import Artifact, Asked, Deliveries
from connector.dataplane.desk import result_of
from connector.dataplane.passages import passage_of, uses_of
from connector.dataplane.problems import Refusal
from connector.dataplane.readings import ALL, Readings
from connector.dataplane.records import Records
from connector.dataplane.threads import settle

_MOMENT: Final = re.compile(r"[0-9]{1,16}")


class Facts:
    """Handlers of the signaling listener."""

    def __init__(self, records: Records, deliveries: Deliveries, readings: Readings) -> None:
        self._records = records
        self._deliveries = deliveries
        self._readings = readings

    def routes(self) -> list[web.RouteDef]:
        """For the signaling listener."""
        return [web.get("/carnet/meters", self._meters), web.get("/carnet/deliveries/{flow}", self._delivery)]

    async def _meters(self, request: web.Request) -> web.Response:
        """What an agreement has used: in all, by month and by day (UTC), with distinct vehicles, and its deliveries.

        With ``from`` and ``to`` (ms since the epoch, half-open): the distinct vehicles of what left in between.
        """
        agreement, counterparty = request.query.get("agreement", ""), request.query.get("counterparty", "")
        if not agreement or not counterparty:
            raise Refusal(400, "message_invalid", "agreement and counterparty are needed")
        under = await self._deliveries.under(agreement, counterparty)
        if "from" in request.query or "to" in request.query:
            return await self._between(under, *_span(request.query.get("from"), request.query.get("to")))
        deliveries = [each for asked in under for each in await self._uses(asked)]
        paths = {asked.flow_id: await self._index(asked) for asked in under}
        periods = [
            {
                "period": reading.period,
                "calls": reading.calls,
                "rows": reading.rows,
                "bytes": reading.bytes,
                "vehicles": await self._distinct(deliveries, paths, reading.period),
                "lastAt": reading.last_at,
            }
            for reading in await self._readings.all(agreement, counterparty)
        ]
        left = [delivery for delivery in deliveries if delivery["firstByteAt"] is not None]
        body = {"agreementId": agreement, "counterparty": counterparty, "periods": periods, "deliveries": left}
        return _json(body)

    async def _uses(self, asked: Asked) -> list[dict[str, Any]]:
        """A delivery as it is paid for: what passes from an HTTP source was used on each of its days, under each permission."""
        seen = await self._seen(asked)
        if asked.kind != "http" or seen["meters"] is None:
            return [seen]
        return [
            seen
            | {"firstByteAt": use.first_at, "day": use.day, "permission": use.permission}
            | {"meters": {"calls": use.calls, "rows": 0, "bytes": use.bytes, "vehicles": 0}}
            for use in await uses_of(self._records.engine, asked.flow_id)
        ]

    async def _between(self, under: list[Asked], begin_ms: int, end_ms: int) -> web.Response:
        inside = [asked for asked in under if asked.reserved_at is not None and begin_ms <= asked.reserved_at < end_ms]
        paths = [path for asked in inside if (path := await self._index(asked)) is not None]
        vehicles = await settle(indexes.distinct, paths)
        return _json({"from": begin_ms, "to": end_ms, "deliveries": len(inside), "vehicles": vehicles})

    async def _distinct(self, deliveries: list[dict[str, Any]], paths: dict[str, str | None], period: str) -> int:
        chosen = [
            path
            for delivery in deliveries
            if delivery["firstByteAt"] is not None and (period == ALL or str(delivery["day"]).startswith(period))
            if (path := paths[delivery["transfer"]]) is not None
        ]
        return await settle(indexes.distinct, chosen)

    async def _index(self, asked: Asked) -> str | None:
        artifact = await self._last(asked)
        return None if artifact is None else artifact.index_file

    async def _last(self, asked: Asked) -> Artifact | None:
        """The artifact that counts: the last one whose first byte left, else the last one."""
        found = await self._deliveries.artifacts("flow_id = ? ORDER BY generation DESC LIMIT 50", asked.flow_id)
        return next((artifact for artifact in found if artifact.reserved_at is not None), found[0] if found else None)

    async def _delivery(self, request: web.Request) -> web.Response:
        asked = await self._deliveries.asked(request.match_info["flow"])
        if asked is None:
            raise Refusal(404, "delivery_unknown", "nothing was asked for in this transfer")
        return _json(await self._seen(asked))

    async def _seen(self, asked: Asked) -> dict[str, Any]:
        reserved = await self._readings.reservation(asked.flow_id)
        artifact = await self._last(asked)
        seen: dict[str, Any] = {
            "transfer": asked.flow_id,
            "agreementId": asked.agreement_id,
            "counterparty": asked.counterparty,
            "datasetId": asked.dataset_id,
            "kind": asked.kind,
            "ask": msgspec.to_builtins(asked.ask),
            "purpose": asked.purpose,
            "askedAt": asked.asked_at,
            "firstByteAt": asked.reserved_at,
            "day": None if reserved is None else reserved.day,
            "permission": None if reserved is None else reserved.permission,
            "meters": None
            if reserved is None
            else {"calls": 1, "rows": reserved.rows, "bytes": reserved.bytes, "vehicles": reserved.vehicles},
            "erased": len(await self._deliveries.erased(asked.flow_id)),
        }
        if asked.kind == "http":
            return seen | await self._passed(asked.flow_id, seen["meters"])
        if artifact is None:
            source = await self._records.source(asked.dataset_id)
            whole = source if source is not None and reserved is not None and source.bytes == reserved.bytes else None
            return seen | {
                "bytes": None if reserved is None else reserved.bytes,
                "sha256": None if whole is None else whole.sha256,
            }
        vehicles = await leaves.index_of(self._records.engine, artifact)
        return seen | _made(artifact) | {"vehicleIndex": vehicles}

    async def _passed(self, flow_id: str, meters: dict[str, int] | None) -> dict[str, Any]:
        """Of an HTTP source: the last answer that left as a whole, which is what a consumer has that keeps one; the meters count
        all. The running digest is of all bodies."""
        passage = await passage_of(self._records.engine, flow_id)
        if passage is None or meters is None:
            return {"bytes": None, "sha256": None}
        return {
            "meters": meters | {"calls": passage.calls},
            "bytes": passage.last_bytes,
            "sha256": passage.last_sha256,
            "answered": passage.ended,
            "runningDigest": passage.running,
        }


def _span(begin: str | None, end: str | None) -> tuple[int, int]:
    """An interval from a query. Raises Refusal."""
    if begin is None or end is None or not _MOMENT.fullmatch(begin) or not _MOMENT.fullmatch(end) or int(begin) > int(end):
        raise Refusal(400, "message_invalid", "from and to are moments in ms since the epoch, in this order")
    return int(begin), int(end)


def _made(artifact: Artifact) -> dict[str, Any]:
    made, plan = artifact.made, artifact.plan
    return {
        "generation": artifact.generation,
        "state": artifact.state,
        "planDigest": None if plan is None else plan.digest,
        "plan": None if plan is None else msgspec.to_builtins(plan),
        "snapshot": artifact.snapshot,
        "ledger": artifact.ledger,
        "leftOut": artifact.left_out,
        "code": artifact.code,
        "bytes": None if made is None else made.bytes,
        "sha256": None if made is None else made.sha256,
        "rows": None if made is None else made.rows,
        "rowsDigest": None if made is None else made.rows_digest,
        "vehicles": None if made is None else made.vehicles,
        "suppressed": None if made is None else made.suppressed,
        "columns": None if made is None else list(made.columns),
        "result": result_of(artifact),
    }


def _json(value: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json", headers={"Cache-Control": "no-store"})
