"""What a list of the management interface costs: pages out of 10,000 assets, beside the same out of 1,000.

A list is what every request for one takes: the QuerySpec as it came, the page, how many there are in all, and the page as JSON.
Each asset has nine properties. What meets a filter is counted once for as long as no asset changes: `first` is the CPU of a
list with that. Times depend on the machine, CPU on its neighbours a little, and the steps of the database on nothing.

`python -m tests.bench.lists` prints the figures; `--postgres ADDRESS` takes two schemas of that database instead of files.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import click
import msgspec

from connector.app import MIGRATIONS
from connector.management.model import EDC, Asset
from connector.management.queryspec import parse
from connector.store.definitions import DefinitionStore, insert_asset
from connector.store.engine import Engine, Statement
from connector.store.migrate import Migratable, migrate
from connector.store.postgres import PostgresEngine
from connector.store.sqlite import SqliteEngine
from tests.bench.steps import Heard, steps

AIM_MS: Final = 20.0
AIM_RATIO: Final = 1.2
AIM_CPU_MS: Final = 1.0
FEW, MANY, GROUPS = 1_000, 10_000, 100
ROUNDS: Final = 200
BATCHES: Final = 10
Listing = Callable[[], Awaitable[bytes]]
"""One list, as bytes."""
TYPE: Final = "http://purl.org/dc/terms/type"


def _where(left: str, operator: str, right: Any, **more: Any) -> dict[str, Any]:
    return {"filterExpression": [{"operandLeft": left, "operator": operator, "operandRight": right}], **more}


# No page is larger than what the smaller store has of it.
QUERIES: Final[dict[str, dict[str, Any]]] = {
    "first 50": {},
    "newest 50": {"sortField": "createdAt", "sortOrder": "DESC"},
    "50 from the 900th": {"offset": 900},
    "50 by name": {"sortField": "name"},
    "50 by number, downwards": {"sortField": "properties.number", "sortOrder": "DESC"},
    "20 by name, from the 100th": {"sortField": "name", "offset": 100, "limit": 20},
    "one by id": _where("id", "=", "asset-000500"),
    "three by id": _where(f"{EDC}id", "in", ["asset-000001", "asset-000500", "asset-000999"]),
    "10 by group": _where("properties.group", "=", "g7", limit=10),
    "5 by group, newest, from the 5th": _where("properties.group", "=", "g7", limit=5, offset=5, sortOrder="DESC"),
    "10 by type": _where(f"'{TYPE}'.'@id'", "=", "urn:type:7", limit=10),
    "10 by number": _where("properties.number", "<", 100, limit=10),
    "10 of two groups": _where("properties.group", "in", ["g7", "g8"], limit=10),
    "10 of all but a group": _where("properties.group", "!=", "g7", limit=10),
    "10 of a tenth": _where("properties.rows", "<", 10, limit=10),
    "10 of a type and a group": {
        "filterExpression": [
            {"operandLeft": "contenttype", "operator": "=", "operandRight": "text/csv"},
            {"operandLeft": "properties.group", "operator": "=", "operandRight": "g7"},
        ],
        "limit": 10,
    },
    "10 of a tenth by name": _where("properties.rows", "<", 10, limit=10, sortField="name"),
}
# These cost what there is to be looked through: ten times as many begin so, and no index knows what stands inside a text.
SEARCHES: Final[dict[str, dict[str, Any]]] = {
    "10 by beginning": _where("name", "like", "Trips of fleet 07%", limit=10),
    "10 by any case": _where("name", "ilike", "%FLEET 07%", limit=10),
}


class Cost(msgspec.Struct, frozen=True):
    """A list out of few and out of many assets: ms at the middle and at the 95th of a hundred; ms of CPU out of many, and how
    much more that is; steps of the database; and ms of CPU the first time out of many, when its total is counted."""

    few_p50: float
    few_p95: float
    many_p50: float
    many_p95: float
    cpu: float
    ratio: float
    few_steps: int
    many_steps: int
    first: float

    @property
    def more(self) -> float:
        """How much more the database does for it; 1 where nobody can count that."""
        return self.many_steps / self.few_steps if self.few_steps else 1.0


def lines(costs: dict[str, Cost], what: str = "list") -> list[str]:
    """For people, in Markdown."""
    paged = {name: cost for name, cost in costs.items() if name not in SEARCHES}
    slowest = max(max(cost.many_p95, cost.first) for cost in costs.values())
    steepest, most = max(cost.ratio for cost in paged.values()), max(cost.more for cost in paged.values())
    dearest = max(cost.cpu for cost in paged.values())
    return [
        f"| {what} | p50 of {FEW} | p50 of {MANY} | p95 of {MANY} | CPU, first | CPU | ratio | steps | ratio |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        *(
            f"| {name} | {cost.few_p50:.2f} ms | {cost.many_p50:.2f} ms | {cost.many_p95:.2f} ms | {cost.first:.1f} ms "
            f"| {cost.cpu:.2f} ms | {cost.ratio:.2f} | {cost.many_steps} | {cost.more:.2f} |"
            for name, cost in costs.items()
        ),
        "",
        f"- p95 below {AIM_MS:.0f} ms, also of CPU the first time: {slowest:.2f} ms: {'ok' if slowest < AIM_MS else 'missed'}",
        f"- no more CPU by more than a fifth, but for searches: {steepest:.2f}: {'ok' if steepest <= AIM_RATIO else 'missed'}",
        f"- no more steps by more than a fifth, but for searches: {most:.2f}: {'ok' if most <= AIM_RATIO else 'missed'}",
        f"- CPU below {AIM_CPU_MS:.0f} ms, but for searches: {dearest:.2f} ms: {'ok' if dearest < AIM_CPU_MS else 'missed'}",
    ]


async def measured(rounds: int = ROUNDS, postgres: str | None = None) -> dict[str, Cost]:
    """Few and many in turns, so that a noisy neighbour spoils neither alone."""
    with tempfile.TemporaryDirectory() as folder:
        async with filled(Path(folder), FEW, postgres) as few, filled(Path(folder), MANY, postgres) as many:
            return {
                name: await compared(partial(_listed, few, query), partial(_listed, many, query), few.engine, many.engine, rounds)
                for name, query in {**QUERIES, **SEARCHES}.items()
            }


async def compared(few: Listing, many: Listing, fewer: Engine, more: Engine, rounds: int) -> Cost:
    """What a list costs out of few and out of many; raises AssertionError where these are not of one length."""
    began = time.process_time()
    shown = {len(msgspec.json.decode(await many()))}
    first = (time.process_time() - began) * 1000
    shown.add(len(msgspec.json.decode(await few())))
    if len(shown) != 1 or shown == {0}:
        raise AssertionError(f"the pages are not what is measured: they have {shown}")
    pairs = [(await _spent_ms(few), await _spent_ms(many)) for _ in range(rounds)]
    cpu = [(await _cpu_ms(few, rounds // BATCHES + 1), await _cpu_ms(many, rounds // BATCHES + 1)) for _ in range(BATCHES)]
    out = [statistics.quantiles(times, n=20, method="inclusive") for times in zip(*pairs, strict=True)]
    # The least is what it takes; whatever is more is a neighbour's, who comes and goes for both.
    least, ratio = min(each for _, each in cpu), statistics.median(many / few for few, many in cpu)
    worked = (await steps(cast("Heard", fewer), few), await steps(cast("Heard", more), many))
    return Cost(out[0][9], out[0][18], out[1][9], out[1][18], least, ratio, *worked, first)


async def _spent_ms(listing: Listing) -> float:
    began = time.perf_counter()
    await listing()
    return (time.perf_counter() - began) * 1000


async def _cpu_ms(listing: Listing, times: int) -> float:
    began = time.process_time()
    for _ in range(times):
        await listing()
    return (time.process_time() - began) * 1000 / times


async def _listed(store: DefinitionStore, query: dict[str, Any]) -> bytes:
    spec = parse(query)
    found = await store.assets(spec)
    await store.count_assets(spec)
    return msgspec.json.encode(found)


@asynccontextmanager
async def filled(folder: Path, assets: int, postgres: str | None) -> AsyncIterator[DefinitionStore]:
    """A store with so many assets, in a file of the folder or in a schema of a PostgreSQL database."""
    engine: Migratable
    path = folder / f"{assets}.db" if postgres is None else None
    if path is not None:
        engine = await SqliteEngine.open(path)
    else:
        engine = await PostgresEngine.open(str(postgres), schema=f"lists_{assets}")
    try:
        await migrate(engine, MIGRATIONS, 1)
        for start in range(0, assets, 100):
            await engine.commit([each for number in range(start, start + 100) for each in _written(number)])
        yield DefinitionStore(Heard(engine, path))
    finally:
        await engine.close()


def _written(number: int) -> list[Statement]:
    group = number % GROUPS
    properties = {
        f"{EDC}name": f"Trips of fleet {group:02}, part {number}",
        f"{EDC}description": "Where the vehicles of a fleet have been, minute by minute, as their owner gives it away. " * 3,
        f"{EDC}contenttype": "text/csv",
        f"{EDC}version": "1.0",
        f"{EDC}group": f"g{group}",
        f"{EDC}rows": group,
        f"{EDC}number": number,
        TYPE: {"@id": f"urn:type:{group}"},
        "http://www.w3.org/ns/dcat#keyword": ["trips", f"fleet {group}"],
    }
    address = {f"{EDC}type": "HttpData", f"{EDC}baseUrl": f"https://api.example/{number}"}
    return insert_asset(Asset(f"asset-{number:06}", properties, {}, address, 1_000_000 + number))


@click.command()
@click.option("--rounds", default=ROUNDS, help="How often each list is asked for.")
@click.option("--postgres", default=None, help="Address of an empty database on a PostgreSQL server.")
def main(rounds: int, postgres: str | None) -> None:
    """Print what a list costs."""
    click.echo("\n".join(lines(asyncio.run(measured(rounds, postgres)))))


if __name__ == "__main__":
    main()
