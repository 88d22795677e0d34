"""What a page of the catalogue costs: 100 datasets out of 10,000 under 100 distinct policies, beside the same out of 1,000.

Three callers ask: one who sees everything, one who sees one policy of a hundred, and one who looks for a text that one dataset of
a hundred has. A page is what the use case gives, from the store to the bytes of the answer; decisions were made before.
`python -m tests.bench.catalogue` prints the figures.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import click
import msgspec
import orjson

from connector.flow import shelf
from connector.flow.context import Context
from connector.flow.described import rendered
from connector.flow.sight import visibility
from connector.identity.interface import Principal
from connector.protocol.states import Role
from connector.store.rows import Offered, Published
from connector.store.shelf import publish_dataset
from policies.terms.party import MEMBERSHIP
from tests.flow.house import Fuse, House, Street

AIM_MS: Final = 10.0
FEW, MANY, POLICIES = 1_000, 10_000, 100
ROUNDS: Final = 30

EVERYBODY: Final = Principal("did:web:all.example", {"membership": [f"g{number}" for number in range(POLICIES)]})
SOMEBODY: Final = Principal("did:web:one.example", {"membership": ["g7"]})
Asked = tuple[Principal, dict[str, Any], int]
# The last is the size of the page: as much as there is of it in the smaller catalogue.
REQUESTS: Final[dict[str, Asked]] = {
    "100 of everything": (EVERYBODY, {}, 100),
    "10 under one policy": (SOMEBODY, {}, 10),
    "10 with a text": (EVERYBODY, {"filter": [{"text": "fleet07 trips"}]}, 10),
}


class Cost(msgspec.Struct, frozen=True):
    """The least time of a page in milliseconds: out of few datasets, out of many."""

    few_ms: float
    many_ms: float

    @property
    def ratio(self) -> float:
        """How much slower a page out of many is."""
        return self.many_ms / self.few_ms


def lines(costs: dict[str, Cost]) -> list[str]:
    """For people, in Markdown."""
    worst = max(cost.many_ms for cost in costs.values())
    return [
        f"| a page of | out of {FEW} | out of {MANY} | ratio |",
        "| --- | ---: | ---: | ---: |",
        *(f"| {name} | {cost.few_ms:.2f} ms | {cost.many_ms:.2f} ms | {cost.ratio:.2f} |" for name, cost in costs.items()),
        "",
        f"- below {AIM_MS:.0f} ms: {worst:.2f} ms: {'ok' if worst < AIM_MS else 'missed'}",
    ]


async def measured(rounds: int = ROUNDS) -> dict[str, Cost]:
    """The least of some rounds, in turns, so that a noisy neighbour spoils neither alone."""
    with tempfile.TemporaryDirectory() as folder:
        async with _house(Path(folder) / "few", FEW) as few, _house(Path(folder) / "many", MANY) as many:
            return {name: await _compared(few, many, *asked, rounds) for name, asked in REQUESTS.items()}


async def _compared(few: Context, many: Context, who: Principal, request: dict[str, Any], size: int, rounds: int) -> Cost:
    for context in (few, many):
        page = await shelf.catalog_page(context, who, request, None, size)
        if len(orjson.loads(page.body)["dataset"]) != size:
            raise AssertionError("the page is not what is measured")
    pairs = [
        (
            await _spent_ms(lambda: shelf.catalog_page(few, who, request, None, size)),
            await _spent_ms(lambda: shelf.catalog_page(many, who, request, None, size)),
        )
        for _ in range(rounds)
    ]
    return Cost(min(pair[0] for pair in pairs), min(pair[1] for pair in pairs))


async def _spent_ms(act: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await act()
    return (time.perf_counter() - began) * 1000


@asynccontextmanager
async def _house(folder: Path, datasets: int) -> AsyncIterator[Context]:
    await asyncio.to_thread(folder.mkdir)
    street = Street(Fuse())
    house = House(Role.PROVIDER, folder / "control.db", street)
    await house.open()
    try:
        await _fill(house.context, datasets)
        yield house.context
    finally:
        await house.engine.close()


async def _fill(context: Context, datasets: int) -> None:
    """Datasets as publishing writes them, a hundred in a transaction."""
    for start in range(0, datasets, 100):
        statements = [each for number in range(start, start + 100) for each in _written(number)]
        await context.store.commit(statements)


def _written(number: int) -> list[Any]:
    name, group = f"urn:dataset:{number:06}", f"g{number % POLICIES}"
    constraint = {"leftOperand": MEMBERSHIP, "operator": "eq", "rightOperand": group}
    offer = {"@id": f"{name}#offer", "@type": "Offer", "permission": [{"action": "use", "constraint": [constraint]}]}
    title = f"Trips of fleet{number % POLICIES:02}"
    service = {"@id": "did:web:provider:connector", "@type": "DataService", "endpointURL": "https://provider.example"}
    distribution = {"@type": "Distribution", "format": "HttpData-PULL", "accessService": service}
    described = {"@id": name, "@type": "Dataset", "distribution": [distribution], "http://purl.org/dc/terms/title": title}
    seen = visibility(offer, "admitted")
    document = orjson.dumps({**described, "hasPolicy": [offer]}).decode()
    row = Published(name, document, "trips.csv", 1, brief=rendered(described), words=title.lower())
    return publish_dataset(row, [Offered(f"{name}#offer", name, 0, orjson.dumps(offer).decode(), "", seen.digest)], [seen])


@click.command()
@click.option("--rounds", default=ROUNDS, help="How often each page is asked for.")
def main(rounds: int) -> None:
    """Print what a page costs."""
    click.echo("\n".join(lines(asyncio.run(measured(rounds)))))


if __name__ == "__main__":
    main()
