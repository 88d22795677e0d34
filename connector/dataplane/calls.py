"""The meters of what passes through from an HTTP source: each request is a call, counted before the source hears of it.

Bytes are reserved before they leave, a little ahead, and what was reserved and did not leave is given back when the answer ends;
of a process that dies, or a transfer that is stopped meanwhile, what was reserved stays counted. A call is given back only if
nothing was sent to the source. Exact under concurrency: every reading is written over the version that was judged. May import
this package and the terms of delivery.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final
from weakref import WeakValueDictionary

from connector.dataplane import meters
from connector.dataplane.deliveries import Asked, Deliveries
from connector.dataplane.leaves import Leaves
from connector.dataplane.meters import LimitReached, Size
from connector.dataplane.passages import Passage, Used, add_use, insert_passage, note_first_call, passage_of, update_passage
from connector.dataplane.problems import Refusal
from connector.dataplane.readings import Reading, Readings, Reservation, put_reading, put_reservation, while_started
from connector.dataplane.reserving import MAX_RACES, Right
from connector.dataplane.seams import Clock
from connector.store.engine import LostRace, Statement

WINDOW_BYTES: Final = 8 * 1024 * 1024
"""Most that is reserved ahead; never more than has left already, so that a short answer is not counted as a long one."""
_NOTHING: Final = Size(0, 0, 0)
_SOMETHING: Final = Size(0, 1, 0)


@dataclass(slots=True)
class Call:
    """One request of a transfer that is counted. ``permission``: under which it goes, ``counted``: under which it is written.
    ``reserved``: bytes that may leave. ``last_ms``: when the call before it was."""

    asked: Asked
    right: Right
    permission: int
    counted: int
    at: int
    last_ms: int | None
    reserved: int = 0
    ended: bool = False


class Calls:
    """Owner of the transactions. Requests under one agreement take turns, as far as this process goes."""

    def __init__(self, deliveries: Deliveries, readings: Readings, leaves: Leaves, now_ms: Clock) -> None:
        self._deliveries = deliveries
        self._readings = readings
        self._leaves = leaves
        self._now_ms = now_ms
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def begin(self, asked: Asked, right: Right) -> Call:
        """Count a call of now, if it and at least one byte are allowed. Raises LimitReached or Refusal."""
        async with self._turn(asked):
            for _ in range(MAX_RACES):
                now = self._now_ms()
                used = await self._used(asked, now)
                permission = meters.admit(right.terms, right.permissions, used[0], _SOMETHING, None, now)
                counted = (meters.add(reading, _NOTHING, None, now) for reading in used)
                writes = [while_started(asked.flow_id), *_put(asked, counted), *await self._entered(asked, permission, now)]
                writes.append(_use(asked, now, permission, 1, 0))
                if await self._written(asked, writes):
                    self._leaves.wake()
                    return Call(asked, right, permission, permission, now, used[0].last_at)
        raise _busy()

    async def cover(self, call: Call, upto: int, most: int | None = None) -> None:
        """Reserve what is missing up to ``upto`` bytes of the answer, and more ahead where the limits allow; ``most``: its
        length, where that is known. Raises LimitReached or Refusal; then nothing was reserved."""
        if upto <= call.reserved:
            return
        ahead = upto + min(WINDOW_BYTES, call.reserved)
        ahead = ahead if most is None else max(upto, min(ahead, most))
        async with self._turn(call.asked):
            try:
                await self._to(call, ahead, ())
            except LimitReached:
                if ahead == upto:
                    raise
                await self._to(call, upto, ())

    async def fits(self, call: Call, size: int) -> None:
        """Whether an answer of ``size`` bytes could leave as a whole. Raises LimitReached."""
        used = (await self._used(call.asked, call.at))[0]
        self._judge(call, used, size - call.reserved)

    async def finish(self, call: Call, sent: int, digest: str, *, whole: bool) -> None:
        """The answer ends with these bytes, counted exactly; ``digest``: SHA-256 (hex) of them; ``whole``: it is all that the
        source has answered. Before the last of them leaves. Raises LimitReached, or Refusal if the transfer does not run."""
        if call.ended:
            return
        async with self._turn(call.asked):
            for _ in range(MAX_RACES):
                before = await passage_of(self._readings.engine, call.asked.flow_id)
                if before is None:
                    return
                try:
                    await self._to(call, sent, [update_passage(_after(before, sent, digest, whole=whole))], once=True)
                except LostRace:
                    await self._running(call.asked)
                    continue
                call.ended = True
                return
        raise _busy()

    async def refund(self, call: Call) -> None:
        """The source was never reached: the call is not counted. Nothing where the transfer does not run any more."""
        asked = call.asked
        async with self._turn(asked):
            for _ in range(MAX_RACES):
                before = await passage_of(self._readings.engine, asked.flow_id)
                used = await self._used(asked, call.at)
                if before is None:
                    return
                back = (_without(reading, call) for reading in used)
                fewer = replace(before, calls=before.calls - 1, version=before.version + 1)
                try:
                    writes = [while_started(asked.flow_id), *_put(asked, back), update_passage(fewer)]
                    await self._deliveries.commit([*writes, _use(asked, call.at, call.counted, -1, -call.reserved)])
                except LostRace:
                    if not await self._deliveries.started(asked.flow_id):
                        return
                    continue
                call.ended = True
                return

    async def _entered(self, asked: Asked, permission: int, now: int) -> Sequence[Statement]:
        """That there is one call more in the transfer; of the first, what every delivery has."""
        before = await passage_of(self._readings.engine, asked.flow_id)
        if before is not None:
            return [update_passage(replace(before, calls=before.calls + 1, version=before.version + 1))]
        day = meters.day_of(now)
        reservation = Reservation(asked.flow_id, asked.agreement_id, asked.counterparty, permission, day, 0, 0, 0, now)
        first = [insert_passage(asked.flow_id), put_reservation(reservation, None), note_first_call(asked.flow_id, now)]
        return [*first, self._leaves.left(asked, None, _NOTHING, now)]

    async def _to(self, call: Call, size: int, also: Sequence[Statement], *, once: bool = False) -> None:
        """Make ``size`` what the call has reserved. With ``once`` a lost race is the caller's."""
        asked, delta = call.asked, size - call.reserved
        for _ in range(MAX_RACES):
            writes: list[Statement] = [while_started(asked.flow_id), *also]
            if delta:
                used = await self._used(asked, call.at)
                self._judge(call, used[0], delta)
                before = await self._readings.reservation(asked.flow_id)
                if before is not None:
                    writes.append(put_reservation(replace(before, bytes=before.bytes + delta), before))
                writes += _put(asked, (replace(each, bytes=each.bytes + delta, version=each.version + 1) for each in used))
                writes += _moved(call, size)
            if once:
                await self._deliveries.commit(writes)
            elif not await self._written(asked, writes):
                continue
            call.reserved, call.counted = size, call.permission
            return
        raise _busy()

    def _judge(self, call: Call, used: Reading, more: int) -> None:
        """Whether so many bytes more may leave: under the permission of the call, or under another one whose limits hold for
        calls and bytes together. Raises LimitReached."""
        if more <= 0:
            return
        terms, now = call.right.terms, self._now_ms()
        own = Reservation(call.asked.flow_id, "", "", call.permission, "", 0, 0, 0, call.at)
        try:
            meters.admit(terms, (call.permission,), used, Size(0, more, 0), own, now)
        except LimitReached:
            others = tuple(index for index in call.right.permissions if index != call.permission)
            if not others:
                raise
            without = replace(used, calls=used.calls - 1, last_at=None)
            call.permission = meters.admit(terms, others, without, Size(0, more, 0), None, now)

    async def _written(self, asked: Asked, writes: Sequence[Statement]) -> bool:
        """Whether it is committed; else somebody wrote first. Raises Refusal if the transfer does not run any more."""
        try:
            await self._deliveries.commit(writes)
        except LostRace:
            await self._running(asked)
            return False
        return True

    async def _running(self, asked: Asked) -> None:
        if not await self._deliveries.started(asked.flow_id):
            raise Refusal(403, "flow_suspended", "the transfer has just been suspended or ended")

    async def _used(self, asked: Asked, at: int) -> list[Reading]:
        return await self._readings.of(asked.agreement_id, asked.counterparty, *meters.periods(at))

    def _turn(self, asked: Asked) -> asyncio.Lock:
        key = (asked.agreement_id, asked.counterparty)
        lock = self._turns.get(key)
        if lock is None:
            lock = self._turns[key] = asyncio.Lock()
        return lock


def _put(asked: Asked, after: Iterable[Reading]) -> list[Statement]:
    return [put_reading(asked.agreement_id, asked.counterparty, reading) for reading in after]


def _use(asked: Asked, at: int, permission: int, calls: int, size: int) -> Statement:
    return add_use(asked.flow_id, Used(meters.day_of(at), permission, calls, size, at))


def _moved(call: Call, size: int) -> list[Statement]:
    """The call with ``size`` bytes, under the permission that it goes under now."""
    if call.permission == call.counted:
        return [_use(call.asked, call.at, call.counted, 0, size - call.reserved)]
    before = _use(call.asked, call.at, call.counted, -1, -call.reserved)
    return [before, _use(call.asked, call.at, call.permission, 1, size)]


def _without(reading: Reading, call: Call) -> Reading:
    last = call.last_ms if reading.last_at == call.at else reading.last_at
    return replace(reading, calls=reading.calls - 1, last_at=last, version=reading.version + 1)


def _after(before: Passage, sent: int, digest: str, *, whole: bool) -> Passage:
    """With the digest of another body in the running one."""
    running = sha256(bytes.fromhex(before.running) + bytes.fromhex(digest)).hexdigest()
    after = replace(before, ended=before.ended + 1, running=running, version=before.version + 1)
    return replace(after, last_bytes=sent, last_sha256=digest) if whole else after


def _busy() -> Refusal:
    return Refusal(503, "busy", "too many ask under this agreement at once; try again")
