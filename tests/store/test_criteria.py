"""The same criteria in SQL, on both engines, and in code: the same assets, in the same order, whatever is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from connector.app import MIGRATIONS
from connector.management.leaves import asset_place, leaves, matches, of_asset
from connector.management.model import EDC, Asset, Criterion, QuerySpec
from connector.management.queryspec import parse
from connector.store.definitions import DefinitionStore, insert_asset
from connector.store.engine import Statement
from connector.store.migrate import migrate
from tests.store.conftest import open_engine

TYPE = "http://purl.org/dc/terms/type"
LONG = "l" * 500
TEXTS = st.sampled_from(
    ["", "a", "A", "ab", "aB", "a%b", "a_b", "a*b", "a[b", "Ä", "ä", "ß", "SS", "b\n", "1", "10", "true", LONG]
)
TEXTS |= st.just(LONG + "x")
NUMBERS = st.sampled_from([-2, 0, 1, 1.0, 1.5, 9, 10, 2**53])
SCALARS = TEXTS | NUMBERS | st.booleans()
VALUES = (
    SCALARS
    | st.sampled_from([1e300, 2**70])
    | st.lists(SCALARS | st.fixed_dictionaries({"@id": TEXTS}), max_size=3)
    | st.fixed_dictionaries({"@id": SCALARS})
)
KEYS = st.sampled_from([f"{EDC}name", f"{EDC}n", TYPE])
BAGS = st.dictionaries(KEYS, VALUES, max_size=3)
IDS = ["a", "A", "ab", "Ä", "1", "a%b"]
ADDRESSES = st.none() | st.sampled_from([{f"{EDC}type": "HttpData"}, {f"{EDC}type": "CarnetFile", f"{EDC}path": "a"}])
PLACES = st.sampled_from(
    [
        *("id", "createdAt", "properties.name", "properties.n", TYPE, f"'{TYPE}'.'@id'", f"{EDC}n", f"{EDC}name"),
        *("privateProperties.n", "privateProperties.name.'@id'", "dataAddress.type", "dataAddress.path", "edc:nothing"),
    ]
)
PATTERNS = TEXTS | st.text(st.sampled_from("aAbÄ%_*[]1"), max_size=4)


@st.composite
def shelves(draw: st.DrawFn) -> list[Asset]:
    ids = draw(st.lists(st.sampled_from(IDS), unique=True, max_size=len(IDS)))
    times = st.integers(1, 3)
    return [Asset(each, draw(BAGS), draw(BAGS), draw(ADDRESSES), draw(times)) for each in ids]


@st.composite
def filters(draw: st.DrawFn) -> dict[str, Any]:
    left = draw(PLACES)
    numbers = left == "createdAt"
    operators = ["=", "!=", "in", "notIn", "contains", "<", "<=", ">", ">="]
    operator = draw(st.sampled_from(operators if numbers else [*operators, "like", "ilike"]))
    scalar = st.sampled_from([0, 1, 2, 2.5, 3]) if numbers else SCALARS
    if operator in ("like", "ilike"):
        right: Any = draw(PATTERNS)
    elif operator in ("in", "notIn"):
        right = draw(st.lists(scalar, min_size=1, max_size=3))
    elif operator in ("<", "<=", ">", ">="):
        right = draw(scalar.filter(lambda value: not isinstance(value, bool)))
    else:
        right = draw(scalar)
    return {"operandLeft": left, "operator": operator, "operandRight": right}


QUERIES = st.fixed_dictionaries(
    {
        "filterExpression": st.lists(filters(), max_size=3),
        "sortField": st.none() | PLACES,
        "sortOrder": st.sampled_from(["ASC", "DESC"]),
        "offset": st.integers(0, 4),
        "limit": st.integers(1, 4),
    }
)


def expected(assets: Sequence[Asset], spec: QuerySpec) -> list[str]:
    """The ids of all that is meant, in order."""
    meant = [each for each in assets if all(matches(criterion, of_asset(each)) for criterion in spec.criteria)]
    meant.sort(key=lambda asset: (asset.created_at, asset.id), reverse=spec.descending)
    path = asset_place(spec.sort_path, "").path if spec.sort_path else ("createdAt",)
    firsts = {asset.id: [leaf.rank for leaf in leaves(of_asset(asset)) if leaf.path == path][:1] for asset in meant}
    having = [asset for asset in meant if firsts[asset.id]]
    having.sort(key=lambda asset: (firsts[asset.id], asset.id), reverse=spec.descending)
    return [asset.id for asset in [*having, *(asset for asset in meant if not firsts[asset.id])]]


NUMBER_OF_A_TEXT = {"filterExpression": [{"operandLeft": "id", "operator": ">", "operandRight": -2}]}
EMPTY = [
    Statement("DELETE FROM asset", (), None),
    Statement("DELETE FROM property", (), None),
    Statement("UPDATE tally SET held = 0, changes = changes + 1", (), None),
]


def test_sql_and_code_mean_the_same(database: str) -> None:
    with asyncio.Runner() as runner:
        engine = runner.run(open_engine(database))
        runner.run(migrate(engine, MIGRATIONS, 1))
        store = DefinitionStore(engine)

        async def compare(assets: Sequence[Asset], queries: Sequence[dict[str, Any]]) -> None:
            await engine.commit([*EMPTY, *(each for asset in assets for each in insert_asset(asset))])
            for query in queries:
                spec = parse(query)
                meant = expected(assets, spec)
                found = [asset.id for asset in await store.assets(spec)]
                assert found == meant[spec.offset : spec.offset + spec.limit], query
                assert await store.count_assets(spec) == len(meant), query
                chosen = [asset.id for asset in await store.assets_after("A", 10, spec.criteria)]
                assert chosen == sorted(each for each in meant if each > "A"), query

        @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
        @example([Asset("a", created_at=1)], [NUMBER_OF_A_TEXT])
        @given(shelves(), st.lists(QUERIES, min_size=1, max_size=6))
        def same(assets: list[Asset], queries: list[dict[str, Any]]) -> None:
            runner.run(compare(assets, queries))

        try:
            same()
        finally:
            runner.run(engine.close())


@pytest.mark.parametrize("operator", ["=", "in"])
def test_a_text_is_a_parameter(database: str, operator: str) -> None:
    """Whatever a text says, it stays a text."""
    evil = "x' OR '1' = '1"
    criterion = Criterion("id", ("id",), "=", evil)
    with asyncio.Runner() as runner:
        engine = runner.run(open_engine(database))
        runner.run(migrate(engine, MIGRATIONS, 1))
        runner.run(engine.commit(insert_asset(Asset("a", {evil: "1"}))))
        store = DefinitionStore(engine)
        assert runner.run(store.assets(QuerySpec(criteria=(criterion,)))) == []
        quoted = evil.replace("'", "''")
        document = {"operandLeft": f"properties.'{quoted}'", "operator": operator, "operandRight": evil}
        assert runner.run(store.assets(parse({"filterExpression": [document]}))) == []
        runner.run(engine.close())
