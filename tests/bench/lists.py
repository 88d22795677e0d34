"""What a list of the management interface costs: pages out of 10,000 assets, beside the same out of 1,000.

A list is what every request for one takes: the QuerySpec as it came, the page, how many there are in all, and the page as JSON.
Each asset has nine properties. `python -m tests.bench.lists` prints the figures; `--postgres ADDRESS` takes two schemas of that
database instead of files.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from connector.app import MIGRATIONS
from connector.management.model import EDC, Asset
from connector.management.queryspec import parse
from connector.store.definitions import DefinitionStore, insert_asset
from connector.store.engine import Statement
from connector.store.migrate import Migratable, migrate
from connector.store.postgres import PostgresEngine
from connector.store.sqlite import SqliteEngine

AIM_MS: Final = 20.0
AIM_RATIO: Final = 1.2
AIM_CPU_MS: Final = 1.0
FEW, MANY, GROUPS = 1_000, 10_000, 100
ROUNDS: Final = 200
TYPE: Final = "http://purl.org/dc/terms/type"


def _where(left: str, operator: str, right: Any, **more: Any) -> dict[str, Any]:
    return {"filterExpression": [{"operandLeft": left, "operator": operator, "operandRight": right}], **more}


# No page is larger than what the smaller store has of it.
QUERIES: Final[dict[str, dict[str, Any]]] = {
    "first 50": {},
    "newest 50": {"sortField": "createdAt", "sortOrder": "DESC"},
    "50 from the 900th": {"offset": 900},
    "50 by name": {"sortField": "name"},
    "one by id": _where("id", "=", "asset-000500"),
    "three by id": _where(f"{EDC}id", "in", ["asset-000001", "asset-000500", "asset-000999"]),
    "10 by group": _where("properties.group", "=", "g7", limit=10),
    "10 by type": _where(f"'{TYPE}'.'@id'", "=", "urn:type:7", limit=10),
    "10 by number": _where("properties.number", "<", 100, limit=10),
}
# These cost what there is to be looked through: every value that is met, or every value at all.
SEARCHES: Final[dict[str, dict[str, Any]]] = {
    "10 by beginning": _where("name", "like", "Trips of fleet 07%", limit=10),
    "10 of two groups": _where("properties.group", "in", ["g7", "g8"], limit=10),
    "10 of a tenth": _where("properties.rows", "<", 10, limit=10),
    "10 by any case": _where("name", "ilike", "%FLEET 07%", limit=10),
}


class Cost(msgspec.Struct, frozen=True):
    """Milliseconds of a list out of few and out of many assets: the middle one, the 95th of a hundred, and CPU."""

    few_p50: float
    few_p95: float
    many_p50: float
    many_p95: float
    cpu: float

    @property
    def ratio(self) -> float:
        """How much slower a list out of many is."""
        return self.many_p50 / self.few_p50


def lines(costs: dict[str, Cost]) -> list[str]:
    """For people, in Markdown."""
    slowest = max(cost.many_p95 for cost in costs.values())
    steepest = max(cost.ratio for name, cost in costs.items() if name in QUERIES)
    dearest = max(cost.cpu for name, cost in costs.items() if name in QUERIES)
    return [
        f"| list | p50 of {FEW} | p95 | p50 of {MANY} | p95 | ratio | CPU |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        *(
            f"| {name} | {cost.few_p50:.2f} ms | {cost.few_p95:.2f} ms | {cost.many_p50:.2f} ms | {cost.many_p95:.2f} ms "
            f"| {cost.ratio:.2f} | {cost.cpu:.2f} ms |"
            for name, cost in costs.items()
        ),
        "",
        f"- p95 below {AIM_MS:.0f} ms: {slowest:.2f} ms: {'ok' if slowest < AIM_MS else 'missed'}",
        f"- no slower by more than a fifth, but for searches: {steepest:.2f}: {'ok' if steepest <= AIM_RATIO else 'missed'}",
        f"- CPU below {AIM_CPU_MS:.0f} ms, but for searches: {dearest:.2f} ms: {'ok' if dearest < AIM_CPU_MS else 'missed'}",
    ]


async def measured(rounds: int = ROUNDS, postgres: str | None = None) -> dict[str, Cost]:
    """Few and many in turns, so that a noisy neighbour spoils neither alone."""
    with tempfile.TemporaryDirectory() as folder:
        async with filled(Path(folder), FEW, postgres) as few, filled(Path(folder), MANY, postgres) as many:
            return {name: await _compared(few, many, query, rounds) for name, query in {**QUERIES, **SEARCHES}.items()}


async def _compared(few: DefinitionStore, many: DefinitionStore, query: dict[str, Any], rounds: int) -> Cost:
    shown = {len(msgspec.json.decode(await _listed(store, query))) for store in (few, many)}
    if len(shown) != 1 or shown == {0}:
        raise AssertionError(f"the page is not what is measured: {query} gave {shown}")
    pairs = [(await _spent_ms(few, query), await _spent_ms(many, query)) for _ in range(rounds)]
    began = time.process_time()
    for _ in range(rounds):
        await _listed(many, query)
    cpu = (time.process_time() - began) * 1000 / rounds
    out = [statistics.quantiles(times, n=20, method="inclusive") for times in zip(*pairs, strict=True)]
    return Cost(out[0][9], out[0][18], out[1][9], out[1][18], cpu)


async def _spent_ms(store: DefinitionStore, query: dict[str, Any]) -> float:
    began = time.perf_counter()
    await _listed(store, query)
    return (time.perf_counter() - began) * 1000


async def _listed(store: DefinitionStore, query: dict[str, Any]) -> bytes:
    spec = parse(query)
    found = await store.assets(spec)
    await store.count_assets(spec)
    return msgspec.json.encode(found)


@asynccontextmanager
async def filled(folder: Path, assets: int, postgres: str | None) -> AsyncIterator[DefinitionStore]:
    """A store with so many assets, in a file of the folder or in a schema of a PostgreSQL database."""
    engine: Migratable
    if postgres is None:
        engine = await SqliteEngine.open(folder / f"{assets}.db")
    else:
        engine = await PostgresEngine.open(postgres, schema=f"lists_{assets}")
    try:
        await migrate(engine, MIGRATIONS, 1)
        for start in range(0, assets, 100):
            await engine.commit([each for number in range(start, start + 100) for each in _written(number)])
        yield DefinitionStore(engine)
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
