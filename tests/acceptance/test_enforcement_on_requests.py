"""Every term is enforced on requests for data where the registry says so: take it away, and bytes leave that must not.

Limits are kept by the meters: three transfers ask one after the other, and what has left is counted. Gates are decided by the
control plane on each request of a transfer that runs, with what it knows of the buyer then. Each is taken away, by term and by
decision, and then the data do leave.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import pyarrow.parquet
import pytest

from connector.dataplane import desk as desks
from connector.dataplane import meters
from connector.dataplane.problems import Refusal
from connector.flow import data_requests
from connector.protocol.states import State
from policies.document import evaluate_document
from policies.model import CARNET, Action, Permission, Policy
from policies.terms.actions import USE
from policies.terms.consent import USER_REQUEST
from policies.terms.metering import BYTES, COUNT, REQUESTS_PER_VEHICLE_DAY, ROWS
from policies.terms.term import Point
from policies.terms.time import TIME_INTERVAL
from tests.acceptance.depot import Depot, Drives, of_file, of_table, open_depot
from tests.acceptance.shop import AGREEMENT, Shop, open_shop
from tests.acceptance.test_enforcement import satisfied, take_away_term
from tests.acceptance.test_enforcement_on_data import of
from tests.acceptance.test_enforcement_on_data import take_away_term as take_away_limit
from tests.acceptance.weighed import CLAIMS, POLICIES, Row, written
from tests.acceptance.weighed import ROWS as WEIGHED

CONTENT: Final = bytes(range(250)) * 4
METERED: Final = "urn:agreement:metered"
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
GATES: Final = sorted(of(Point.DATA_REQUEST))


@dataclass(frozen=True)
class Left:
    """A file that left, and when (ms)."""

    path: Path
    at_ms: int


class Metered(NamedTuple):
    """A limit, and whether what left is within it. ``plain``: of a file that passes as it is. ``fit``: so many files leave."""

    limit: Row
    within: Callable[[list[Left]], bool]
    fit: int
    plain: bool = False

    @property
    def iri(self) -> str:
        """The term."""
        return self.limit.iri


def a_day_apart(left: list[Left]) -> bool:
    """Between any two files lies a day."""
    return all(later.at_ms - earlier.at_ms >= DAY_MS for earlier, later in pairwise(left))


def each_once(left: list[Left]) -> bool:
    """No vehicle is in two files."""
    seen = Counter(name for one in left for name in set(pyarrow.parquet.read_table(one.path)["pseudonym"].to_pylist()))
    return max(seen.values()) == 1


def rows_in(left: list[Left]) -> int:
    """In all files."""
    return sum(pyarrow.parquet.read_table(one.path).num_rows for one in left)


def bytes_in(left: list[Left]) -> int:
    """Of all files."""
    return sum(one.path.stat().st_size for one in left)


LIMITS: Final = (
    *(Metered(Row("count", "lteq", "2"), lambda left: len(left) <= 2, 2, plain) for plain in (False, True)),
    *(Metered(Row("timeInterval", "gteq", "P1D"), a_day_apart, 1, plain) for plain in (False, True)),
    # A file of the drives has 7,214 rows, and well over 20,000 bytes.
    Metered(Row("vdx:rows", "lteq", "15000"), lambda left: rows_in(left) <= 15_000, 2),
    Metered(Row("vdx:bytes", "lteq", "2500"), lambda left: bytes_in(left) <= 2_500, 2, plain=True),
    Metered(Row("vdx:bytes", "lteq", "20000"), lambda left: bytes_in(left) <= 20_000, 0),
    Metered(Row("vdx:requestsPerVehicleDay", "lteq", "1"), each_once, 1),
)
GOOD: Final[Mapping[str, Mapping[str, Any]]] = {
    "vdx:consumerKind": {"kind": "public-body"},
    "vdx:membership": {"membership": ("Catena-X",)},
    "vdx:recipientCountry": {"country": "FR"},
    "industry": {"sector": "insurance"},
}
"""Claims that satisfy what ``weighed.py`` asks for; those of its buyer do not."""
limits = pytest.mark.parametrize("row", LIMITS, ids=lambda row: f"{row.limit.left}-{'file' if row.plain else 'table'}")
gates = pytest.mark.parametrize("iri", GATES)


@pytest.fixture(scope="module")
def drives(tmp_path_factory: pytest.TempPathFactory) -> Drives:
    return Drives.write(tmp_path_factory.mktemp("drives"))


@pytest.fixture
async def depot(tmp_path: Path) -> AsyncIterator[Depot]:
    async with open_depot(tmp_path) as ready:
        yield ready


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with open_shop(tmp_path) as ready:
        yield ready


def test_every_term_has_its_rows() -> None:
    assert {row.iri for row in LIMITS} == of(Point.METER)
    assert {COUNT, BYTES, ROWS, REQUESTS_PER_VEHICLE_DAY, TIME_INTERVAL} == of(Point.METER)
    assert of(Point.DATA_REQUEST) <= set(POLICIES)


# --- the meters ------------------------------------------------------------------------------------------------------


async def asked_for(depot: Depot, drives: Drives, row: Metered) -> tuple[list[Left], list[Refusal]]:
    """Three transfers under one agreement, an hour apart: what left, and what was said otherwise."""
    depot.agree(Policy("Agreement", METERED, (Permission(Action(USE), (row.limit.constraint(),)),)))
    source = of_file(depot.folder, CONTENT) if row.plain else of_table(drives.slow)
    left: list[Left] = []
    refused: list[Refusal] = []
    for _ in range(3):
        try:
            left.append(Left(await depot.delivered(source, METERED), depot.now_ms))
        except Refusal as refusal:
            refused.append(refusal)
        depot.now_ms += HOUR_MS
    return left, refused


@limits
async def test_no_more_leaves_than_the_limit_allows(depot: Depot, drives: Drives, row: Metered) -> None:
    left, refused = await asked_for(depot, drives, row)
    assert len(left) == row.fit
    assert not left or row.within(left)
    assert [(one.status, one.code, (one.more or {})["term"]) for one in refused] == [(429, "limit-reached", row.iri)] * (
        3 - row.fit
    )


@limits
async def test_without_the_limit_more_leaves(depot: Depot, drives: Drives, monkeypatch: pytest.MonkeyPatch, row: Metered) -> None:
    take_away_limit(monkeypatch, row.iri)
    left, refused = await asked_for(depot, drives, row)
    assert not refused
    assert not row.within(left)


@limits
async def test_without_the_meter_more_leaves(depot: Depot, drives: Drives, monkeypatch: pytest.MonkeyPatch, row: Metered) -> None:
    if row.iri == REQUESTS_PER_VEHICLE_DAY:
        monkeypatch.setattr(desks, "per_vehicle_day", lambda terms: None)
    else:
        monkeypatch.setattr(meters, "_exceeded", lambda *_: None)
    left, refused = await asked_for(depot, drives, row)
    assert not refused
    assert not row.within(left)


async def test_vehicles_behind_aggregates_are_not_counted_and_so_nothing_leaves(depot: Depot, drives: Drives) -> None:
    limit = (Row("vdx:requestsPerVehicleDay", "lteq", "1"), Row("vdx:releaseLevel", "eq", "vdx:L3"))
    depot.agree(Policy("Agreement", METERED, (Permission(Action(USE), tuple(row.constraint() for row in limit)),)))
    with pytest.raises(Refusal, match="not-enforceable"):
        await depot.delivered(of_table(drives.slow), METERED)


# --- the decision on each request ------------------------------------------------------------------------------------


async def requested(shop: Shop, depot: Depot, iri: str) -> bytes:
    """A transfer runs since its term was satisfied, which it is not any more: what a request brings. Raises Refusal."""
    await shop.agreed(written(iri))
    with satisfied(iri):
        process = await shop.used()
    assert process.state is State.STARTED
    depot.client.decide = decided_by(shop)
    return await asked(depot, process.id)


async def asked(depot: Depot, transfer: str) -> bytes:
    """The first request, for a purpose that no policy here is about."""
    source = of_file(depot.folder, CONTENT, USER_REQUEST)
    path = await depot.delivered(source, AGREEMENT, flow=transfer, purpose=f"{CARNET}RoadSafety")
    return path.read_bytes()


async def again(depot: Depot, transfer: str) -> None:
    """Another request of a transfer that has had its file. Raises Refusal."""
    flow = await depot.records.flow(transfer)
    assert flow is not None
    outgoing = await depot.desk.open(flow, of_file(depot.folder, CONTENT), ())
    os.close(outgoing.descriptor)


def decided_by(shop: Shop) -> Any:
    """The control plane of the shop decides."""

    async def decide(transfer: str, purpose: str | None) -> Mapping[str, Any]:
        found: dict[str, Any] = msgspec.to_builtins(await data_requests.decide_request(shop.context, transfer, purpose))
        return found

    return decide


@gates
async def test_a_request_is_refused(shop: Shop, depot: Depot, iri: str) -> None:
    with pytest.raises(Refusal) as why:
        await requested(shop, depot, iri)
    assert (why.value.status, why.value.code) == (403, "policy-denied")
    assert str(why.value)


@pytest.mark.parametrize(("name", "good"), sorted(GOOD.items()))
async def test_what_becomes_of_a_buyer_counts(
    shop: Shop, depot: Depot, monkeypatch: pytest.MonkeyPatch, name: str, good: Any
) -> None:
    """A second request of the same transfer is refused, once the buyer is not any more what it was."""
    (iri,) = (row.iri for row in WEIGHED if row.left == name)
    known: dict[str, Any] = {**CLAIMS, **good}

    async def verified(*_: Any) -> Mapping[str, Any]:
        return known

    monkeypatch.setattr(data_requests, "claims_of", verified)
    assert await requested(shop, depot, iri) == CONTENT
    known |= CLAIMS
    with pytest.raises(Refusal, match="policy-denied"):
        await again(depot, depot.begun[-1])


@gates
async def test_without_the_term_its_data_leave(shop: Shop, depot: Depot, monkeypatch: pytest.MonkeyPatch, iri: str) -> None:
    take_away_term(monkeypatch, iri)
    assert await requested(shop, depot, iri) == CONTENT


@gates
async def test_without_the_decision_its_data_leave(shop: Shop, depot: Depot, monkeypatch: pytest.MonkeyPatch, iri: str) -> None:
    def nothing_said(document: dict[str, Any], *rest: Any) -> Any:
        bare = {name: value for name, value in document.items() if name != "prohibition"}
        return evaluate_document({**bare, "permission": [{"action": "use"}]}, *rest)

    monkeypatch.setattr(data_requests, "evaluate_document", nothing_said)
    assert await requested(shop, depot, iri) == CONTENT
