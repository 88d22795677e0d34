"""Requests of users beside the ledger: what may stand on record, for whom it holds, whose rows it lets through, and its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector.dataplane.consent.ledger import Ledger
from connector.dataplane.consent.model import CATEGORIES, Withdrawn
from connector.dataplane.consent.requesting import UserRequests
from connector.dataplane.consent.requests import Asked
from connector.dataplane.plan.model import Consent
from connector.dataplane.problems import Refusal
from connector.dataplane.query.population import allowed
from connector.dataplane.query.population import test as may_be_in
from policies.purposes import line
from tests.dataplane.consent.ledgers import CITY, CONSENT, DPV, INSURER, NOW, TEXT, VDX, VIN, entry, ledger_in

AGREED = f"{VDX}AgreedWithUser"
SERVICE = f"{VDX}RequestedService"
REPAIR = f"{DPV}RepairImpairments"
GARAGE = CITY


def asked(vehicle: str = VIN, **more: Any) -> Asked:
    """A request for the garage, but for what is said."""
    about: dict[str, Any] = {"recipient": GARAGE, "purpose": "vdx:AgreedWithUser", "text_sha256": TEXT}
    return Asked(vehicle=vehicle, **{**about, **more})


def ground(*ids: str, categories: tuple[str, ...] = ("diagnostics",), purpose: str = AGREED, **more: Any) -> Consent:
    """What a plan says of who may be in it."""
    return Consent(categories, line(purpose), **{"recipient": GARAGE, "bases": (), "requests": ids, **more})


@pytest.fixture
def told() -> list[Withdrawn]:
    return []


@pytest.fixture
async def ledger(tmp_path: Path, told: list[Withdrawn]) -> AsyncIterator[Ledger]:
    async with ledger_in(tmp_path, told) as opened:
        yield opened


@pytest.fixture
def requests(ledger: Ledger) -> UserRequests:
    return UserRequests(ledger)


async def inside(ledger: Ledger, consent: Consent, number: int | None = None) -> set[str]:
    """The vehicles that a population lets through."""
    people = await ledger.population(consent, number)
    known = dict(people.recent)
    names = await ledger.vehicles(known.values())
    found = await asyncio.to_thread(allowed, people)
    ordinals = sorted(names)
    return {names[ordinal] for ordinal, ok in zip(ordinals, may_be_in(found, numpy.array(ordinals, int)), strict=True) if ok}


async def test_a_request_is_on_record_under_its_own_id_or_one_that_was_made(requests: UserRequests) -> None:
    assert await requests.add(asked(id="urn:request:42", categories=("diagnostics", "mileage"), at_ms=7)) == ("urn:request:42", 1)
    made, number = await requests.add(asked("other", decided_by="renter", text_sha256=None))
    assert (made.startswith("urn:uuid:"), number) == (True, 2)
    found, vehicle = await requests.one("urn:request:42")
    assert vehicle == VIN
    assert (found.recipient, found.purpose, found.categories) == (GARAGE, AGREED, ("diagnostics", "mileage"))
    assert (found.decided_by, found.text_sha256, found.at, found.ended) == ("owner", TEXT, 7, None)
    assert [(each.id, each.at) for each in await requests.all()] == [(made, NOW), ("urn:request:42", 7)]
    assert (await requests.all())[0].categories == tuple(sorted(CATEGORIES))
    assert [each.id for each in await requests.of_vehicle(VIN)] == ["urn:request:42"]


@pytest.mark.parametrize(
    ("member", "wrong"),
    [
        ("id", "no iri"),
        ("id", "42"),
        ("id", "urn:request:<42>"),
        ("id", "urn:" + "4" * 600),
        ("vehicle", ""),
        ("vehicle", "\ud800"),
        ("recipient", "two words"),
        ("purpose", "vdx:Anything"),
        ("categories", ("fuel",)),
        ("categories", ("mileage", "mileage")),
        ("decided_by", "dealer"),
        ("text_sha256", "A" * 64),
        ("at_ms", NOW + 1_000_000),
        ("at_ms", -1),
    ],
)
async def test_what_cannot_be_a_request_is_refused_naming_the_member(requests: UserRequests, member: str, wrong: Any) -> None:
    with pytest.raises(Refusal, match=member) as why:
        await requests.add(asked(**{"vehicle": VIN} | {member: wrong}))
    assert (why.value.status, why.value.code) == (400, "request-invalid")
    assert VIN not in str(why.value)
    assert await requests.all() == []


@pytest.mark.parametrize("given_away", [VIN, VIN.lower(), "%" + f"{ord(VIN[0]):x}" + VIN[1:]])
async def test_an_id_that_every_reader_of_an_offer_sees_does_not_name_the_vehicle(
    requests: UserRequests, given_away: str
) -> None:
    with pytest.raises(Refusal, match="does not name the vehicle") as why:
        await requests.add(asked(id=f"urn:request:{given_away}:1"))
    assert VIN not in str(why.value)
    assert await requests.all() == []
    assert await requests.add(asked("7", id="urn:request:7")) == ("urn:request:7", 1)


async def test_vehicles_of_requests_go_into_files_as_those_of_consents_do(tmp_path: Path) -> None:
    async with ledger_in(tmp_path / "small", recent=2) as ledger:
        requests = UserRequests(ledger)
        for nth in range(7):
            await requests.add(asked(f"vehicle {nth}", id=f"urn:request:{nth}"))
            assert len((await ledger.population(None)).recent) <= 2
        every = tuple(f"urn:request:{nth}" for nth in range(7))
        assert [(await requests.one(each))[1] for each in every] == [f"vehicle {nth}" for nth in range(7)]
        granted = (await ledger.population(ground(*every))).granted
        assert granted is not None
        assert [len(one.added) for (one,) in granted] == [7]


async def test_an_id_is_given_once_and_for_ever(requests: UserRequests) -> None:
    await requests.add(asked(id="urn:request:1"))
    await requests.withdraw("urn:request:1")
    with pytest.raises(Refusal, match="on record") as why:
        await requests.add(asked("other", id="urn:request:1"))
    assert why.value.status == 409
    for call in (requests.one, requests.withdraw):
        with pytest.raises(Refusal, match="no request") as why:
            await call("urn:request:2")
        assert why.value.status == 404


async def test_it_holds_for_its_recipient_its_purpose_and_until_it_is_withdrawn(requests: UserRequests) -> None:
    await requests.add(asked(id="urn:request:1"))
    named = ("urn:request:1", "urn:request:unknown")
    for purpose in (None, AGREED, SERVICE):
        assert await requests.held(named, GARAGE, purpose) == ["urn:request:1"]
    for recipient, purpose in ((INSURER, AGREED), (GARAGE, REPAIR), (GARAGE, f"{DPV}ServiceProvision"), (GARAGE, "urn:nothing")):
        assert await requests.held(named, recipient, purpose) == []
    await requests.withdraw("urn:request:1")
    assert await requests.held(named, GARAGE, AGREED) == []
    assert await requests.held((), GARAGE, AGREED) == []


@pytest.mark.parametrize(
    "alike",
    [
        "urn:request:1 ",
        " urn:request:1",
        "URN:request:1",
        "urn:request:\uff11",
        "urn:request:1\x00",
        "urn:request:%31",
        "",
        "1" * 10**6,
    ],
)
async def test_no_other_way_to_write_an_id_is_that_id(ledger: Ledger, requests: UserRequests, alike: str) -> None:
    await requests.add(asked(id="urn:request:1"))
    assert await requests.held((alike,), GARAGE, AGREED) == []
    assert await inside(ledger, ground(alike)) == set()
    for call in (requests.one, requests.withdraw, requests.of_vehicle):
        with pytest.raises(Refusal) as why:
            await call(alike)
        assert why.value.status == 404


async def test_the_rows_of_its_vehicle_leave_and_of_no_other(ledger: Ledger, requests: UserRequests) -> None:
    await requests.add(asked("one", id="urn:request:1"))
    await requests.add(asked("two", id="urn:request:2", categories=("mileage",)))
    await requests.add(asked("three", id="urn:request:3", recipient=INSURER))
    every = tuple(f"urn:request:{number}" for number in range(1, 5))
    assert await inside(ledger, ground(*every)) == {"one"}
    assert await inside(ledger, ground(*every, categories=("mileage",))) == {"one", "two"}
    assert await inside(ledger, ground("urn:request:2", categories=("mileage",))) == {"two"}
    assert await inside(ledger, ground("urn:request:2", categories=("mileage", "diagnostics"))) == set()
    assert await inside(ledger, ground(*every, purpose=SERVICE)) == {"one"}
    assert await inside(ledger, ground(*every, purpose=REPAIR)) == set()
    assert await inside(ledger, ground("urn:request:3")) == set()


async def test_where_consent_is_asked_beside_it_both_are_needed(ledger: Ledger, requests: UserRequests) -> None:
    both = ground("urn:request:1", "urn:request:2", bases=(CONSENT,))
    await requests.add(asked("one", id="urn:request:1"))
    await requests.add(asked("two", id="urn:request:2"))
    assert await inside(ledger, both) == set()
    await ledger.decide([entry(each, category="diagnostics", purpose=AGREED, recipient=GARAGE) for each in ("two", "three")])
    assert await inside(ledger, both) == {"two"}
    assert await inside(ledger, without_requests(both)) == {"two", "three"}


def without_requests(consent: Consent) -> Consent:
    """The same without requests."""
    return Consent(consent.categories, consent.purposes, consent.recipient, consent.bases)


async def test_a_withdrawal_is_told_once_and_found_by_who_missed_it(
    ledger: Ledger, requests: UserRequests, told: list[Withdrawn]
) -> None:
    await requests.add(asked("one", id="urn:request:1"))
    await requests.add(asked("two", id="urn:request:2"))
    ordinal = await ledger.ordinal("two")
    number = await requests.withdraw("urn:request:2")
    assert number == 3
    assert [(each.number, set(each.ordinals)) for each in told] == [(3, {ordinal})]
    assert await ledger.withdrawn_since(2) == [(3, ordinal)]
    assert await ledger.withdrawn_since(3) == []
    # At the number before, it held; once more changes nothing.
    every = ground("urn:request:1", "urn:request:2")
    assert await inside(ledger, every, 2) == {"one", "two"}
    assert await inside(ledger, every, 3) == {"one"}
    assert await requests.withdraw("urn:request:2") == 3
    assert await ledger.number() == 3
    assert (await requests.all())[0].ended_at == NOW


async def test_many_at_once_get_a_number_each(requests: UserRequests, ledger: Ledger) -> None:
    done = await asyncio.gather(*(requests.add(asked(f"vehicle {nth}", id=f"urn:request:{nth}")) for nth in range(120)))
    assert sorted(number for _, number in done) == list(range(1, 121))
    named = [f"urn:request:{nth}" for nth in range(120)]
    assert len(await requests.held(named, GARAGE, AGREED)) == 120
    assert len(await inside(ledger, ground(*named))) == 120


_REQUESTS = st.lists(
    st.tuples(
        st.sampled_from(("a", "b", "c")),
        st.sampled_from((GARAGE, INSURER)),
        st.sampled_from((AGREED, SERVICE, REPAIR)),
        st.sets(st.sampled_from(CATEGORIES[:3]), min_size=1),
        st.booleans(),
    ),
    max_size=6,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    _REQUESTS,
    st.sets(st.integers(0, 6)),
    st.sets(st.sampled_from(CATEGORIES[:3]), min_size=1),
    st.sampled_from((AGREED, SERVICE, REPAIR)),
)
async def test_whoever_is_in_has_asked_for_all_of_it(
    tmp_path_factory: pytest.TempPathFactory, made: list[Any], named: set[int], wanted: set[str], purpose: str
) -> None:
    """Against the rule in one line: of each category some named request that stands, to this buyer, for what covers it."""
    async with ledger_in(tmp_path_factory.mktemp("drawn")) as ledger:
        requests = UserRequests(ledger)
        for number, (vehicle, recipient, what_for, categories, withdrawn) in enumerate(made):
            about = {"recipient": recipient, "purpose": what_for, "categories": tuple(categories)}
            await requests.add(asked(vehicle, id=f"urn:request:{number}", **about))
            if withdrawn:
                await requests.withdraw(f"urn:request:{number}")
        expected = {
            vehicle
            for vehicle in {each[0] for each in made}
            if all(
                any(
                    each[0] == vehicle
                    and number in named
                    and each[1] == GARAGE
                    and each[2] in line(purpose)
                    and category in each[3]
                    and not each[4]
                    for number, each in enumerate(made)
                )
                for category in wanted
            )
        }
        ids = tuple(f"urn:request:{number}" for number in sorted(named))
        if ids:
            assert await inside(ledger, ground(*ids, categories=tuple(sorted(wanted)), purpose=purpose)) == expected
