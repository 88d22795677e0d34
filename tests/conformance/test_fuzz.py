"""Tens of thousands of messages, right, odd and broken: at the core beside a walk of the state tables, and over HTTP.

Each run has some thousands; the tens of thousands are marked slow, so that they run where nothing is traced.
`CARNET_TEST_SEED` is the seed, or `random` for another one at each run; it is in the output of a failure.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import pytest

from connector.protocol.states import Kind, Message
from connector.store.rows import Outgoing
from tests.conformance import peer, spoiling
from tests.conformance.conftest import DATASETS, FLEET, INSURER, INSURER_ADDRESS
from tests.conformance.peer import Answer, Caller
from tests.conformance.spoiling import Json
from tests.conformance.walk import Walker, surroundings

AT_THE_CORE = pytest.mark.parametrize("count", [2_000, pytest.param(20_000, marks=pytest.mark.slow)])
OVER_HTTP = pytest.mark.parametrize("count", [500, pytest.param(5_000, marks=pytest.mark.slow)])


@pytest.fixture
def chance() -> random.Random:
    """A generator whose seed is printed."""
    wanted = os.environ.get("CARNET_TEST_SEED", "1")
    seed = random.SystemRandom().getrandbits(32) if wanted == "random" else int(wanted)
    sys.stdout.write(f"CARNET_TEST_SEED={seed}\n")
    return random.Random(seed)  # noqa: S311 - reproducible test data


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty database is, on each engine in turn: they do not take the same texts."""
    return str(tmp_path / "control.db") if request.param == "sqlite" else str(request.getfixturevalue("postgres_dsn"))


@AT_THE_CORE
@pytest.mark.timeout(300)
async def test_every_state_is_the_one_that_the_tables_lead_to(database: str, chance: random.Random, count: int) -> None:
    leaving: list[Outgoing] = []
    async with surroundings(database, leaving) as context:
        walker = Walker(context, leaving, chance)
        while walker.messages < count:
            await walker.step()
    sys.stdout.write(f"{walker.counts}\n{len(walker.seen)} states seen\n")
    assert {"accepted", "repeated", "illegal-transition", "not-now", "wish", "answer"} <= walker.counts.keys()


COLLECTIONS = {Kind.NEGOTIATION: "/negotiations", Kind.TRANSFER: "/transfers"}
ERRORS = {"/negotiations": "ContractNegotiationError", "/transfers": "TransferError", "/catalog": "CatalogError"}
STATUSES = {200, 201, 400, 401, 404, 405, 409, 413}


def first_message(chance: random.Random) -> tuple[str, Json]:
    """(path, message) of a new process, or a catalogue request."""
    dataset = chance.choice(DATASETS)
    return chance.choice(
        [
            ("/negotiations/request", peer.contract_request(dataset, f"offer-{dataset}", INSURER_ADDRESS)),
            ("/negotiations/offers", peer.contract_offer(dataset, INSURER_ADDRESS)),
            ("/transfers/request", peer.transfer_request("agreement-1", INSURER_ADDRESS)),
            ("/catalog/request", peer.message("CatalogRequestMessage", filter=[{"@type": "QuerySpec", "limit": 2}])),
        ]
    )


def later_message(chance: random.Random, known: list[tuple[Kind, Json]]) -> tuple[str, Json]:
    """(path, message) in a process that was begun, or was not."""
    kind, named = chance.choice(known)
    own = "providerPid" if named.get("providerPid", "").startswith("urn:uuid:") and chance.random() < 0.5 else "consumerPid"
    terms: Json = {"target": "d1", "permission": spoiling.USE, "assigner": INSURER, "assignee": FLEET}
    meaning: Message = chance.choice(spoiling.MEANINGS[kind])
    below, message = spoiling.right(chance, kind, meaning, named["providerPid"], named["consumerPid"], terms)
    pid = chance.choice([named[own]] * 20 + ["%00", "..", "%2e%2e", "x" * 3000, "%f0%9f%9a%97", "a%2Fb", "%"])
    return f"{COLLECTIONS[kind]}/{pid}/{below}", message


def odd_headers(chance: random.Random) -> dict[str, str]:
    """Mostly none."""
    return chance.choice(
        [
            *([{}] * 30),
            {"Content_Type": "application/ld+json; profile=x"},
            {"Content_Type": "application/json; charset=utf-7"},
            {"Content_Type": ";;;"},
            {"Content_Encoding": "gzip"},
            {"Content_Encoding": "deflate"},
            {"Accept_Encoding": "gzip, br;q=1"},
            {"Accept": "text/html"},
            {"Authorization": "Bearer " + "x" * 5000},
            {"X_Correlation_ID": "\u00e9" * 200},
            {"Expect": "100-continue"},
            {"traceparent": "00-nonsense"},
        ]
    )


def check_answer(path: str, answer: Answer) -> None:
    """Never a failure of ours; every refusal in the protocol's form."""
    assert answer.status in STATUSES, (path, answer)
    if answer.status >= 400 and answer.headers["Content-Type"].startswith("application/json"):
        error = answer.json
        assert error["@type"] in ERRORS.values()
        assert error["code"]
        assert error["reason"][0]


@OVER_HTTP
@pytest.mark.timeout(300)
async def test_no_message_makes_the_server_fail(insurer: Caller, chance: random.Random, count: int) -> None:
    known: list[tuple[Kind, Json]] = [(Kind.NEGOTIATION, {"providerPid": "urn:none", "consumerPid": "urn:none"})]
    statuses: dict[int, int] = {}
    for _ in range(count):
        path, message = first_message(chance) if chance.random() < 0.3 else later_message(chance, known[-200:])
        clean = chance.random() < 0.3
        body = message if clean else spoiling.spoiled(chance, message)
        answer = await insurer.post(path, body, **({} if clean else odd_headers(chance)))
        check_answer(path, answer)
        statuses[answer.status] = statuses.get(answer.status, 0) + 1
        if answer.status == 201:
            kind = Kind.NEGOTIATION if path.startswith("/negotiations") else Kind.TRANSFER
            known.append((kind, peer.pids(answer)))
    sys.stdout.write(f"{statuses}\n")
    assert {200, 201, 400, 404} <= statuses.keys()
    assert (await insurer.get("/catalog/datasets/d1")).status == 200
