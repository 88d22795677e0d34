"""What the two participants want of each other: one seeded story for each negotiation and each transfer.

A story drives both sides by their local channels as people would: it asks, looks, waits and asks again, and takes 409 and
broken connections for what they are. It ends when both sides have ended the process.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

from tests.faults.world import LOST, Side, World, until

PATIENCE_S: Final = 150.0
LOOK_FIRST_S: Final = 0.03
LOOK_MAX_S: Final = 0.3
FINAL: Final = frozenset({"FINALIZED", "COMPLETED", "TERMINATED"})
OTHER_TERMS: Final = {"permission": [{"action": "use"}, {"action": "read"}]}
PATHS: Final = {"negotiation": "negotiations", "transfer": "transfers"}
Shown = dict[str, Any]


@dataclass(slots=True)
class Record:
    """What was asked, what was acknowledged, and what went wrong."""

    counts: Counter[str] = field(default_factory=Counter)
    acknowledged: list[tuple[str, str, str]] = field(default_factory=list)
    agreements: list[tuple[str, str, str]] = field(default_factory=list)
    agreed: asyncio.Event = field(default_factory=asyncio.Event)
    wrong: list[str] = field(default_factory=list)
    finished: int = 0


@dataclass(slots=True)
class Pair:
    """One process as both sides know it; an id is None until it is known."""

    kind: str
    consumer: Side
    provider: Side
    ids: dict[str, str | None]
    crossed: bool = False

    async def look(self, side: Side) -> Shown | None:
        """The process at one side; learns the other's id on the way."""
        known = self.ids[side.name]
        if known is None:
            return None
        answer = await side.ask("GET", f"/{PATHS[self.kind]}/{known}")
        if answer.status != 200:
            raise AssertionError(f"{side.name} has lost the acknowledged {self.kind} {known}: {answer.status}")
        shown: Shown = answer.body
        for other, key in ((self.consumer, "consumerPid"), (self.provider, "providerPid")):
            self.ids[other.name] = self.ids[other.name] or shown[key] or None
        return shown

    async def both(self) -> tuple[Shown | None, Shown | None]:
        """Consumer's and provider's view."""
        first, second = (
            (self.consumer, self.provider) if self.ids[self.consumer.name] is not None else (self.provider, self.consumer)
        )
        views = {first.name: await self.look(first)}
        views[second.name] = await self.look(second)
        return views[self.consumer.name], views[self.provider.name]


class Stories:
    """Tells stories in one world, each from its own seed."""

    def __init__(self, world: World, seed: int, record: Record) -> None:
        self._world = world
        self._seed = seed
        self._record = record

    # -- what both kinds have in common ------------------------------------------------------------------------------

    async def _begin(self, side: Side, kind: str, body: Shown, sink: str | None = None) -> str:
        """Ask until it is acknowledged. A request whose answer got lost may have begun a process that nobody tends.

        A sink is a name of its own for each try, so that a try of which we never heard stands in nobody's way.
        """
        for attempt in count(1):
            try:
                answer = await side.once(
                    "POST", f"/{PATHS[kind]}", body if sink is None else {**body, "sink": f"{attempt}-{sink}"}
                )
            except LOST:
                self._record.counts["local answers lost"] += 1
                await asyncio.sleep(0.1)
                continue
            if answer.status == 201:
                self._record.acknowledged.append((side.name, kind, answer.body["id"]))
                return str(answer.body["id"])
            if answer.status < 500 and answer.status != 409:
                raise AssertionError(f"{side.name} refused to begin: {answer.status} {answer.body}")
            await asyncio.sleep(0.1)
        raise AssertionError("unreachable")

    async def _act(self, pair: Pair, side: Side, act: str, body: Shown | None = None) -> bool:
        """One act, if it is possible now."""
        process_id = pair.ids[side.name]
        if process_id is None:
            return False
        try:
            answer = await side.once("POST", f"/{PATHS[pair.kind]}/{process_id}/{act}", body or {})
        except LOST:
            self._record.counts["local answers lost"] += 1
            return False
        if answer.status not in (200, 409) and answer.status < 500:
            raise AssertionError(f"{act} at {side.name} was answered {answer.status} {answer.body}")
        self._record.counts[f"{act}: {'done' if answer.status == 200 else 'not now'}"] += 1
        return answer.status == 200

    async def _ended(self, pair: Pair) -> str:
        """Until both sides have ended it. Returns the state that both should have."""
        pause = LOOK_FIRST_S
        while True:
            consumer, provider = await pair.both()
            if consumer and provider and consumer["state"] in FINAL and provider["state"] in FINAL:
                return str(consumer["state"])
            await asyncio.sleep(pause)
            pause = min(LOOK_MAX_S, pause * 1.5)

    async def _unasked(self, pair: Pair) -> str:
        """A process that nobody ended has ended."""
        lines = ["TERMINATED, and nobody asked for it"]
        for side in (pair.consumer, pair.provider):
            if pair.ids[side.name] is None:
                continue
            answer = await side.ask("GET", f"/{PATHS[pair.kind]}/{pair.ids[side.name]}/timeline")
            lines += [f"    {line['at']} {side.name:6} {line}" for line in answer.body]
        return "\n".join(sorted(lines, reverse=True)[:1] + sorted(lines[1:]))

    async def told(self, name: str, story: Any) -> None:
        """A story to its end; one that sticks or breaks is a divergence."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                await story
        except TimeoutError:
            self._record.wrong.append(f"{name} does not end")
        except AssertionError as error:
            self._record.wrong.append(f"{name}: {error}")
        self._record.finished += 1

    # -- negotiations -------------------------------------------------------------------------------------------------

    async def negotiation(self, number: int, offers: dict[str, Shown]) -> None:
        """A contract, asked for or offered, haggled over or not, ended early or not."""
        dice = random.Random(f"{self._seed}:negotiation:{number}")  # noqa: S311 - repeatable on purpose
        consumer, provider = dice.sample(list(self._world.sides.values()), 2)
        plot = dice.choices(("asked", "offered", "haggled"), (6, 2, 3))[0]
        pair = Pair("negotiation", consumer, provider, {consumer.name: None, provider.name: None})
        opener = provider if plot == "offered" else consumer
        body: Shown = {"counterparty": consumer.id, "dataset": "trips", "role": "provider"}
        if opener is consumer:
            offer = {**offers[provider.name], **(OTHER_TERMS if plot == "haggled" else {})}
            body = {"counterparty": provider.id, "dataset": "trips", "offer": offer}
        pair.ids[opener.name] = await self._begin(opener, "negotiation", body)
        ending = None
        if dice.random() < 0.2:
            ending = asyncio.create_task(self._end_early(pair, dice.choice([consumer, provider]), dice.uniform(0, 0.15)))
        try:
            await self._haggle(pair, dice)
        finally:
            if ending is not None:
                ending.cancel()
                await asyncio.gather(ending, return_exceptions=True)
        state = await self._ended(pair)
        self._record.counts[f"negotiations {state}"] += 1
        if state != "FINALIZED" and ending is None:
            raise AssertionError(await self._unasked(pair))
        if state == "FINALIZED":
            shown = await pair.look(consumer)
            if shown is not None:
                self._record.agreed.set()
                self._record.agreements.append((shown["agreement"]["@id"], consumer.name, provider.name))

    async def _haggle(self, pair: Pair, dice: random.Random) -> None:
        """Decide what waits for a decision until the process has ended at one side."""
        rounds, pause = dice.randint(0, 2), LOOK_FIRST_S
        while True:
            consumer, provider = await pair.both()
            if any(view is not None and view["state"] in FINAL for view in (consumer, provider)):
                return
            done = False
            if provider and provider["state"] == "REQUESTED" and provider["awaiting"] is None:
                haggle = rounds > 0
                done = await self._act(pair, pair.provider, *(("offer", {"offer": OTHER_TERMS}) if haggle else ("agree",)))
                rounds -= done
            elif consumer and consumer["state"] == "OFFERED" and consumer["awaiting"] is None:
                haggle = rounds > 0
                done = await self._act(pair, pair.consumer, *(("offer", {"offer": OTHER_TERMS}) if haggle else ("accept",)))
                rounds -= done
            pause = LOOK_FIRST_S if done else min(LOOK_MAX_S, pause * 1.5)
            await asyncio.sleep(pause)

    async def _end_early(self, pair: Pair, side: Side, after_s: float) -> None:
        await asyncio.sleep(after_s)
        await until(lambda: self._act(pair, side, "terminate", {"code": "changed-mind", "reason": ["a story"]}), PATIENCE_S)

    # -- transfers ----------------------------------------------------------------------------------------------------

    async def transfer(self, number: int) -> None:
        """Data under an agreement: suspended and resumed twice, then received, completed by a person, or ended."""
        dice = random.Random(f"{self._seed}:transfer:{number}")  # noqa: S311 - repeatable on purpose
        await self._record.agreed.wait()
        agreement, consumer_name, provider_name = dice.choice(self._record.agreements[:20])
        consumer, provider = self._world.sides[consumer_name], self._world.sides[provider_name]
        plot = dice.choices(("received", "completed", "ended"), (6, 2, 2))[0]
        body: Shown = {"agreement": agreement, "counterparty": provider.id}
        pair = Pair("transfer", consumer, provider, {consumer.name: None, provider.name: None})
        pair.ids[consumer.name] = await self._begin(
            consumer, "transfer", body, f"trips-{number}.csv" if plot == "received" else None
        )
        ending = None
        if plot == "ended":
            ending = asyncio.create_task(self._end_early(pair, dice.choice([consumer, provider]), dice.uniform(0, 3.0)))
        try:
            # The last byte may come before, between or after the suspensions.
            complete_after = dice.choice((0, 1, 2, 2))
            for cycle in range(2):
                if plot == "received" and cycle == complete_after and await self._reach(pair, [], "STARTED", None):
                    provider.data.open_gate(str(pair.ids[provider.name]))
                if not await self._pause_and_go_on(pair, dice):
                    break
            if plot == "received":
                provider.data.open_gate(str(pair.ids[provider.name]))
            if plot == "completed":
                await self._complete(pair, dice.choice([consumer, provider]))
            state = await self._ended(pair)
            self._record.counts[f"transfers {state}"] += 1
            if state != "COMPLETED" and plot != "ended":
                raise AssertionError(await self._unasked(pair))
        finally:
            if ending is not None:
                ending.cancel()
                await asyncio.gather(ending, return_exceptions=True)

    async def _pause_and_go_on(self, pair: Pair, dice: random.Random) -> bool:
        """One cycle. False if the process has ended meanwhile."""
        who = [pair.consumer, pair.provider]
        asking = who if dice.random() < 0.15 else [dice.choice(who)]
        if not await self._reach(pair, asking, "STARTED", None):
            return False
        if not await self._reach(pair, asking, "SUSPENDED", "suspend"):
            return False
        await asyncio.sleep(dice.uniform(0, 0.2))
        views = await pair.both()
        if any(view is None or view["state"] not in ("SUSPENDED", *FINAL) for view in views):
            # Both had resumed at once; the consumer's message was withdrawn and came late. DSP cannot tell it from a new one.
            if not pair.crossed:
                states = [view and view["state"] for view in views]
                raise AssertionError(f"suspended on both sides, and goes on unasked: {states}")
            self._record.counts["late resumptions"] += 1
        asking = who if dice.random() < 0.15 else [dice.choice(who)]
        pair.crossed = pair.crossed or len(asking) > 1
        return await self._reach(pair, asking, "STARTED", "resume")

    async def _reach(self, pair: Pair, asking: list[Side], state: str, act: str | None) -> bool:
        """Until both sides are at rest in ``state``, asking for it where it is possible. False if the process has ended."""
        pause = LOOK_FIRST_S
        while True:
            views = await pair.both()
            if any(view is not None and view["state"] in FINAL for view in views):
                return False
            if all(view is not None and view["state"] == state and view["awaiting"] is None for view in views):
                return True
            if act is not None:
                held = {side.name: view for side, view in zip((pair.consumer, pair.provider), views, strict=True)}
                ready = [side for side in asking if self._may(held[side.name], state)]
                await asyncio.gather(*(self._act(pair, side, act) for side in ready))
            await asyncio.sleep(pause)
            pause = min(LOOK_MAX_S, pause * 1.4)

    @staticmethod
    def _may(view: Shown | None, wanted: str) -> bool:
        return (
            view is not None
            and view["awaiting"] is None
            and view["state"] in ("STARTED", "SUSPENDED")
            and view["state"] != wanted
        )

    async def _complete(self, pair: Pair, side: Side) -> None:
        while True:
            if any(view is not None and view["state"] in FINAL for view in await pair.both()):
                return
            if await self._act(pair, side, "complete"):
                return
            await asyncio.sleep(0.1)
