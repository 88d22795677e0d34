"""What is single-use is used once: by many at once, at another replica, after a kill. Who is suspended is so everywhere."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from msgspec.structs import replace as with_fields

from connector.identity.participants import Admission
from connector.identity.registry import FRESH_S
from connector.store.registry import update_participant
from tests.attacks.cases import NEW
from tests.attacks.conftest import Lines
from tests.attacks.forge import DROP
from tests.attacks.misuse import CATALOG
from tests.attacks.stand import BASE, PARTIES, Party, Seen, Stand, made_stand, stand_at, standing
from tests.attacks.target import DEADLINE_S, Liar, attacked
from tests.conformance.peer import contract_request, message
from tests.faults.world import SERVE, Program
from tests.ports import free_port

CONSUMER, OTHER = PARTIES["consumer"], PARTIES["other"]
SUSPENDED = (401, "participant-suspended")
REPLAYED = (401, "proof-replayed")


@pytest.fixture
async def stand(tmp_path: Path, lines: Lines, liar: Liar) -> AsyncIterator[Stand]:
    """A connector on SQLite."""
    async with standing(await made_stand(tmp_path / "us", liar), liar) as running:
        yield running


def outcome(seen: Seen) -> tuple[int, str | None]:
    """Status and code."""
    return seen.status, seen.code


async def processes(stand: Stand) -> int:
    """How many there are."""
    return await stand.target.count("process")


# -- at one worker --------------------------------------------------------------------------------------------------------


async def test_one_proof_on_twenty_requests_at_once_lets_one_in(stand: Stand) -> None:
    token = stand.access(CONSUMER).good
    proof = stand.proof(CONSUMER, "POST", NEW, token).good
    answers = await asyncio.gather(*(stand.change(token, proof) for _ in range(20)))
    assert Counter(map(outcome, answers)) == {(201, None): 1, REPLAYED: 19}
    assert await processes(stand) == 1


async def test_one_assertion_on_twenty_requests_at_once_gives_one_token(stand: Stand) -> None:
    assertion = stand.assertion(CONSUMER).good
    asked = (stand.ask(stand.form(assertion), stand.token_proof(CONSUMER).good) for _ in range(20))
    answers = await asyncio.gather(*asked)
    assert Counter(map(outcome, answers)) == {(200, None): 1, (401, "assertion-replayed"): 19}


async def test_one_proof_on_twenty_reads_at_once_lets_one_in(stand: Stand) -> None:
    token = stand.access(CONSUMER).good
    proof = stand.proof(CONSUMER, "POST", CATALOG, token, nonce=await stand.fresh_nonce()).good
    answers = await asyncio.gather(*(stand.read(token, proof) for _ in range(20)))
    assert Counter(map(outcome, answers)) == {(200, None): 1, REPLAYED: 19}


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        (b"{}", (400, "context-missing")),
        (b"not JSON", (400, "document-not-json")),
        (b" " * 300_000, (413, "document-too-large")),
        (json.dumps(contract_request("unknown", "urn:offer:ours", "http://127.0.0.1:1/")).encode(), (400, "callback-foreign")),
    ],
    ids=["type", "json", "size", "callback"],
)
async def test_a_proof_is_used_up_by_a_request_that_is_refused(stand: Stand, body: bytes, refused: tuple[int, str]) -> None:
    """Otherwise who saw a refused request could send another in its place."""
    token = stand.access(CONSUMER).good
    proof = stand.proof(CONSUMER, "POST", NEW, token).good
    headers = [("Authorization", f"DPoP {token}"), ("DPoP", proof), ("Content-Type", "application/json")]
    assert outcome(await stand.send("POST", NEW, headers, body)) == refused
    assert outcome(await stand.change(token, proof)) == REPLAYED
    assert await processes(stand) == 0


async def begun(stand: Stand) -> str:
    """A negotiation of the consumer with us; gives our process id."""
    answer = await stand.changed_by(CONSUMER)
    assert answer.status == 201, answer.body
    return str(answer.json["providerPid"])


async def test_a_good_token_opens_no_process_of_another(stand: Stand) -> None:
    pid = await begun(stand)
    consumer_pid = (await stand.target.process(pid))["consumerPid"]
    path = f"{BASE}/negotiations/{pid}"
    token = stand.access(OTHER).good
    proof = stand.proof(OTHER, "GET", path, token, nonce=await stand.fresh_nonce()).good
    assert (await stand.read(token, proof, path=path)).status == 404
    ended = message("ContractNegotiationTerminationMessage", providerPid=pid, consumerPid=consumer_pid)
    for name, document in (("termination", ended), ("request", contract_request("ours", "urn:offer:ours", "http://x/"))):
        proof = stand.proof(OTHER, "POST", f"{path}/{name}", token).good
        headers = [("Authorization", f"DPoP {token}"), ("DPoP", proof)]
        assert (await stand.call("POST", f"{path}/{name}", headers, document)).status == 404
    assert (await stand.target.process(pid))["state"] == "REQUESTED"


async def test_a_repeated_message_needs_a_proof_of_its_own(stand: Stand) -> None:
    """The stored answer to a message is for its sender, not for who has seen it pass by."""
    pid = await begun(stand)
    consumer_pid = (await stand.target.process(pid))["consumerPid"]
    path = f"{BASE}/negotiations/{pid}/termination"
    ended = message("ContractNegotiationTerminationMessage", providerPid=pid, consumerPid=consumer_pid)
    token = stand.access(CONSUMER).good
    first, second = (stand.proof(CONSUMER, "POST", path, token).good for _ in range(2))
    shown = [("Authorization", f"DPoP {token}")]
    assert (await stand.call("POST", path, [*shown, ("DPoP", first)], ended)).status == 200
    assert outcome(await stand.call("POST", path, [*shown, ("DPoP", first)], ended)) == REPLAYED
    assert (await stand.call("POST", path, [*shown, ("DPoP", second)], ended)).status == 200


# -- at two replicas ------------------------------------------------------------------------------------------------------


@dataclass
class Pair:
    """Two replicas on one database behind one address; ``stand`` calls the first of them, ``second`` the other."""

    stand: Stand
    second: Stand


@pytest.fixture
async def pair(tmp_path: Path, lines: Lines, liar: Liar, postgres_dsn: str) -> AsyncIterator[Pair]:
    """Both in this process."""
    ports = free_port(), free_port()
    public = f"http://127.0.0.1:{ports[0]}"
    async with AsyncExitStack() as stack:
        stands: list[Stand] = []
        for number, port in enumerate(ports):
            chosen = {
                "protocol.port": str(port),
                "protocol.public_url": json.dumps(public),
                "store.url": json.dumps(postgres_dsn),
                "store.pool_size": "4",
                "log.folder": json.dumps(str(tmp_path / "log")),
            }
            settings = await made_stand(tmp_path / f"replica-{number}", liar, chosen)
            if not stands:
                stands.append(await stack.enter_async_context(standing(settings, liar)))
                continue
            settings = with_fields(settings, keys=stands[0].settings.keys)
            target = await stack.enter_async_context(attacked(settings, liar))
            stands.append(replace(await stand_at(settings, target), origin=public, address=f"http://127.0.0.1:{port}"))
        yield Pair(*stands)


async def test_what_was_used_at_one_replica_is_used_at_the_other(pair: Pair) -> None:
    stand, second = pair.stand, pair.second
    token = stand.access(CONSUMER).good
    proof = stand.proof(CONSUMER, "POST", NEW, token).good
    assert outcome(await stand.change(token, proof)) == (201, None)
    assert outcome(await second.change(token, proof)) == REPLAYED
    assertion = stand.assertion(CONSUMER).good
    assert (await stand.ask(stand.form(assertion), stand.token_proof(CONSUMER).good)).status == 200
    again = await second.ask(second.form(assertion), second.token_proof(CONSUMER).good)
    assert outcome(again) == (401, "assertion-replayed")


async def test_one_proof_at_both_replicas_at_once_lets_one_in(pair: Pair) -> None:
    token = pair.stand.access(CONSUMER).good
    proof = pair.stand.proof(CONSUMER, "POST", NEW, token).good
    answers = await asyncio.gather(*(each.change(token, proof) for _ in range(5) for each in (pair.stand, pair.second)))
    assert Counter(map(outcome, answers)) == {(201, None): 1, REPLAYED: 9}


async def test_a_read_at_one_replica_is_used_at_the_other(pair: Pair) -> None:
    token = pair.stand.access(CONSUMER).good
    proof = pair.stand.proof(CONSUMER, "POST", CATALOG, token).good
    assert outcome(await pair.stand.read(token, proof)) == (200, None)
    assert outcome(await pair.second.read(token, proof)) == REPLAYED


async def test_a_suspension_at_one_replica_holds_at_the_other(pair: Pair) -> None:
    """At once, although the other still remembers the participant as it was: whatever is single-use is committed."""
    stand, second = pair.stand, pair.second
    token, clock = stand.access(CONSUMER).good, time.monotonic()
    second.target.running.context.registry._monotonic = lambda: clock  # its memory does not age
    assert outcome(await read(second, token)) == (200, None)
    await suspend(stand)
    assert outcome(await stand.changed_by(CONSUMER)) == SUSPENDED
    assert outcome(await second.changed_by(CONSUMER)) == SUSPENDED
    assert outcome(await read(second, token)) == SUSPENDED
    refused = await second.ask(second.form(second.assertion(CONSUMER).good), second.token_proof(CONSUMER).good)
    assert outcome(refused) == (400, "participant-suspended")
    assert await processes(stand) == 0


async def test_a_client_without_proofs_is_suspended_within_a_second(pair: Pair) -> None:
    """Its reads bring nothing that is committed, so that they are judged by what the replica remembers."""
    stand, second = pair.stand, pair.second
    bearer = PARTIES["bearer"]
    token, clock = stand.access(bearer).with_claims(cnf=DROP), time.monotonic()
    second.target.running.context.registry._monotonic = lambda: clock
    assert outcome(await second.read(token, None, scheme="Bearer")) == (200, None)
    await suspend(stand, bearer)
    assert outcome(await second.change(token, scheme="Bearer")) == SUSPENDED
    clock += FRESH_S
    assert outcome(await second.read(token, None, scheme="Bearer")) == SUSPENDED


async def read(stand: Stand, token: str) -> Seen:
    """The catalogue."""
    return await stand.read(token, stand.proof(CONSUMER, "POST", CATALOG, token).good)


async def suspend(stand: Stand, party: Party = CONSUMER) -> None:
    """As the operator of this replica does."""
    registry = stand.target.running.context.registry
    entry = await registry.store.participant(party.id)
    assert entry is not None
    await registry.store.engine.commit([update_participant(with_fields(entry, state=Admission.SUSPENDED))])
    registry.forget(party.id)


# -- after a kill ---------------------------------------------------------------------------------------------------------


async def test_what_was_used_stays_used_after_a_kill(tmp_path: Path, lines: Lines, liar: Liar) -> None:
    port = free_port()
    settings = await made_stand(tmp_path / "us", liar, {"protocol.port": str(port)})
    async with standing(settings, liar) as stand:
        pass
    config = str(tmp_path / "us" / "carnet.toml")
    program = Program((sys.executable, "-c", SERVE, "serve", "--config", config), tmp_path / "log")
    try:
        await served(program, stand)
        token = await stand.issued(CONSUMER)
        proof, assertion = stand.proof(CONSUMER, "POST", NEW, token).good, stand.assertion(CONSUMER).good
        read = stand.proof(CONSUMER, "POST", CATALOG, token, nonce=await stand.fresh_nonce()).good
        assert outcome(await stand.change(token, proof)) == (201, None)
        assert outcome(await stand.read(token, read)) == (200, None)
        assert (await stand.ask(stand.form(assertion), stand.token_proof(CONSUMER).good)).status == 200
        await program.end(signal.SIGKILL)
        await served(program, stand)
        assert outcome(await stand.change(token, proof)) == REPLAYED
        assert outcome(await stand.read(token, read)) == (401, "proof-nonce")
        again = await stand.ask(stand.form(assertion), stand.token_proof(CONSUMER).good)
        assert outcome(again) == (401, "assertion-replayed")
        # The token itself outlives the process that issued it.
        assert outcome(await stand.changed_by(CONSUMER, token)) == (201, None)
    finally:
        await program.end(signal.SIGTERM)


async def served(program: Program, stand: Stand) -> None:
    """Start it, and wait until it answers."""
    await program.start()
    async with asyncio.timeout(DEADLINE_S):
        while not program.ended:
            try:
                if (await stand.send("GET", "/health")).status == 200:
                    return
            except OSError:
                await asyncio.sleep(0.05)
    raise AssertionError("it does not start; see its log")
