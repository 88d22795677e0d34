"""``python -m tests.faults.loss``: two connectors do business over a bad wire and are killed at it; then all is compared.

Every tenth exchange is lost, doubled, delayed or overtaken, every fifth delivery of data is cut, and processes are killed
at seeded points. At the end the wire becomes clean, everything has to come to rest, and nothing may be lost, doubled or
different on the two sides. Exit codes: 0 all holds, 1 divergences (listed with both timelines).
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import platform
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiohttp

from tests.faults.check import drain, judge
from tests.faults.proxy import Odds
from tests.faults.stories import Record, Stories
from tests.faults.world import Replica, World, until
from tests.postgres import find_programs, make_server

PARALLEL: Final = 16
SOURCE_LINES: Final = 20_000
BOTH_AT_ONCE: Final = 0.15
AT_A_TOKEN: Final = 0.3
TOKEN_WAIT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is to happen; now and then a kill takes two processes at once, or one more that is about to issue a token.

    ``keep`` is a folder for databases and logs; None: they are removed.
    """

    seed: int
    negotiations: int
    transfers: int
    kills: int
    store: str = "sqlite"
    keep: Path | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it; ``wrong`` is empty if all holds."""

    plan: Plan
    wrong: list[str]
    counts: Counter[str]
    fates: Counter[str]
    cuts: int
    kills: int
    seconds: float

    @property
    def summary(self) -> str:
        """One line."""
        counts, fates = self.counts, self.fates
        requests = sum(fates.values())
        spoilt = {name: number for name, number in sorted(fates.items()) if name != "passed"}
        did = ", ".join(f"{number} {name}" for name, number in sorted(counts.items()))
        faults = ", ".join(f"{number} {name}" for name, number in spoilt.items())
        verdict = "nothing lost, nothing doubled" if not self.wrong else f"{len(self.wrong)} DIVERGENCES"
        return (
            f"{verdict}: {self.plan.store}, seed {self.plan.seed}, {self.kills} kills, {self.seconds:.0f} s; {did}; "
            f"{requests} exchanges of which {faults}; {self.cuts} data streams cut"
        )


async def run(plan: Plan) -> Outcome:
    """The whole of it. Raises TimeoutError if a connector does not start."""
    began = time.monotonic()
    with _folder(plan) as folder, _databases(plan, folder) as databases:
        world = World(folder, plan.seed, Odds(), databases)
        record = Record()
        try:
            await world.start()
            wrong = await _live(world, plan, record)
        finally:
            codes = await world.stop()
        wrong += [f"a connector that was told to stop ended with {code}" for code in codes if code not in (0, None)]
    fates = Counter[str]()
    for side in world.sides.values():
        fates.update(side.wire.fates)
        record.counts.update(side.ledger.counts)
        record.counts["local requests repeated"] += side.retries
    cuts = sum(side.data.cuts for side in world.sides.values())
    return Outcome(plan, wrong, record.counts, fates, cuts, world.kills, time.monotonic() - began)


async def _live(world: World, plan: Plan, record: Record) -> list[str]:
    """Stories and kills, then rest, then judgement."""
    offers, digest = await _publish(world)
    stories = Stories(world, plan.seed, record)
    dice = random.Random(f"{plan.seed}:order")  # noqa: S311 - repeatable on purpose
    work = [("negotiation", number) for number in range(plan.negotiations)]
    for number in range(plan.transfers):
        work.insert(dice.randint(min(len(work), 8), len(work)), ("transfer", number))
    waiting = iter(work)

    async def worker() -> None:
        for kind, number in waiting:
            story = stories.negotiation(number, offers) if kind == "negotiation" else stories.transfer(number)
            await stories.told(f"{kind} {number}", story)

    async with _killing(world, plan, record):
        await asyncio.gather(*(worker() for _ in range(PARALLEL)))
    world.clean()
    await drain(world, record)
    return await judge(world, record, digest)


@asynccontextmanager
async def _killing(world: World, plan: Plan, record: Record) -> AsyncIterator[None]:
    """Kill and restart at seeded points of the work's progress."""
    dice = random.Random(f"{plan.seed}:kills")  # noqa: S311 - repeatable on purpose
    total = plan.negotiations + plan.transfers
    points = sorted(dice.randrange(total * 95 // 100) for _ in range(plan.kills))
    replicas = [replica for side in world.sides.values() for replica in side.replicas]

    async def reached(point: int) -> bool:
        return record.finished >= point

    async def kill() -> None:
        for point in points:
            await until(partial(reached, point), 3600)
            await asyncio.sleep(dice.uniform(0, 0.1))
            victims = dice.sample(replicas, 2 if dice.random() < BOTH_AT_ONCE else 1)
            kills = [world.kill(victim) for victim in victims]
            if dice.random() < AT_A_TOKEN and len(victims) == 1:
                kills.append(_kill_at_a_token(world, victims[0], dice.uniform(0, 0.02), record))
            await asyncio.gather(*kills)

    killer = asyncio.create_task(kill())
    try:
        yield
        await killer
    finally:
        killer.cancel()
        await asyncio.gather(killer, return_exceptions=True)


async def _kill_at_a_token(world: World, killed: Replica, after_s: float, record: Record) -> None:
    """Whoever was killed has no tokens any more: kill who is asked for one, while it issues it."""
    side = next(side for side in world.sides.values() if killed not in side.replicas)
    side.ledger.token_asked.clear()
    try:
        async with asyncio.timeout(TOKEN_WAIT_S):
            await side.ledger.token_asked.wait()
    except TimeoutError:
        return
    await asyncio.sleep(after_s)
    record.counts["kills while a token was asked for"] += 1
    await asyncio.gather(*(world.kill(replica) for replica in side.replicas))


async def _publish(world: World) -> tuple[dict[str, Any], str]:
    """The same file on offer at both sides. Returns the offers, as each side sees them in the other's catalogue."""
    content = b"vin,speed\n" + b"".join(b"%017d,%d\n" % (line, line % 130) for line in range(SOURCE_LINES))
    alice, bob = world.sides.values()
    offers: dict[str, Any] = {}
    for provider, consumer in ((alice, bob), (bob, alice)):
        source = provider.folder / "trips.csv"
        await asyncio.to_thread(source.write_bytes, content)
        answer = await provider.ask("POST", "/datasets", {"id": "trips", "file": str(source), "title": "Trips"})
        if answer.status != 201:
            raise AssertionError(f"{provider.name} cannot publish: {answer.body}")
        while provider.name not in offers:
            answer = await consumer.ask("POST", "/catalog", {"counterparty": provider.id})
            if answer.status == 200 and answer.body:
                offers[provider.name] = answer.body[0]["hasPolicy"][0]
    return offers, hashlib.sha256(content).hexdigest()


@contextmanager
def _folder(plan: Plan) -> Iterator[Path]:
    # Short, since the path of a Unix socket is at most 107 bytes long.
    folder = Path(tempfile.mkdtemp(prefix="carnet-")) if plan.keep is None else plan.keep
    try:
        yield folder
    finally:
        if plan.keep is None:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _databases(plan: Plan, folder: Path) -> Iterator[dict[str, str] | None]:
    """A PostgreSQL server of our own with a database for each side; None for SQLite."""
    if plan.store == "sqlite":
        yield None
        return
    programs = find_programs()
    if programs is None:
        raise SystemExit("PostgreSQL is not installed here (apt-get install postgresql)")
    with tempfile.TemporaryDirectory(prefix="carnet-pg-") as name:
        server = make_server(programs, Path(name), fsync=False)
        try:
            for side in ("alice", "bob"):
                server.run("createdb", "-h", name, "-p", str(server.port), "-U", "carnet", side)
            yield {side: server.address(side) for side in ("alice", "bob")}
        finally:
            server.stop()


def report(outcome: Outcome) -> str:
    """The outcome as a page for people."""
    plan = outcome.plan
    lines = [
        "# Loss run",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
        f"aiohttp {aiohttp.__version__}; store {plan.store}, seed {plan.seed}:",
        f"{plan.negotiations} negotiations, {plan.transfers} transfers, {outcome.kills} kills, {outcome.seconds:.0f} s.",
        "",
        "Nothing lost, nothing doubled." if not outcome.wrong else f"**{len(outcome.wrong)} divergences.**",
        "",
        "| what | number |",
        "| --- | ---: |",
        *(f"| {name} | {number} |" for name, number in sorted(outcome.counts.items())),
        *(f"| exchanges: {name} | {number} |" for name, number in sorted(outcome.fates.items())),
        f"| data streams cut | {outcome.cuts} |",
        "",
        f"`python -m tests.faults.loss --seed {plan.seed} --negotiations {plan.negotiations} --transfers {plan.transfers}"
        f" --kills {plan.kills} --store {plan.store}`",
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    """Read the arguments, run, and give the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.loss")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--negotiations", type=int, default=200)
    parser.add_argument("--transfers", type=int, default=200)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--store", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--full", action="store_true", help="1,000 and 1,000 with 50 kills")
    parser.add_argument("--keep", type=Path, help="an empty folder for databases and logs, which then stay")
    parser.add_argument("--report", type=Path, help="write a page with the figures")
    given = parser.parse_args()
    plan = Plan(given.seed, given.negotiations, given.transfers, given.kills, given.store, given.keep)
    if given.full:
        plan = replace(plan, negotiations=1000, transfers=1000, kills=50)
    outcome = asyncio.run(run(plan))
    for text in outcome.wrong:
        sys.stdout.write(f"{text}\n")
    sys.stdout.write(f"{outcome.summary}\n")
    if given.report is not None:
        given.report.write_text(report(outcome))
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
