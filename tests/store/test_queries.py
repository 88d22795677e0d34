"""Lists of negotiations, transfers, agreements and endpoint data references by criteria, on both engines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from connector.app import MIGRATIONS
from connector.management.invalid import InvalidQuery
from connector.management.model import EDC, QuerySpec
from connector.management.queryspec import parse
from connector.management.states import IN_FLIGHT, NUMBERS, edc_state
from connector.protocol.record import Detail, Process
from connector.protocol.states import TABLES, Kind, Message, Role, State
from connector.store import writes
from connector.store.engine import LostRace
from connector.store.migrate import migrate
from connector.store.queries import PROTOCOL, QueryStore, drop_reference
from connector.store.rows import Agreement
from tests.store.conftest import open_engine

OWN, PEER, OTHER = "did:web:own", "did:web:peer", "did:web:other"


@pytest.fixture
async def store(database: str) -> AsyncIterator[QueryStore]:
    engine = await open_engine(database)
    await migrate(engine, MIGRATIONS, 1)
    yield QueryStore(engine, OWN)
    await engine.close()


def process(name: str, kind: Kind = Kind.NEGOTIATION, role: Role = Role.CONSUMER, at: int = 1, **given: Any) -> Process:
    values: dict[str, Any] = {
        "state": State.REQUESTED,
        "counterparty": PEER,
        "peer_address": f"https://{name}.example",
        "correlation_id": f"c-{name}",
        "subject": f"subject-{name}",
        "updated_at": at + 10,
        "detail": Detail(),
        "peer_pid": f"peer-{name}",
    }
    return Process(id=name, kind=kind, role=role, created_at=at, **{**values, **given})


def agreement(name: str, negotiation: str, *, role: str = "consumer", at: int = 1, **given: Any) -> Agreement:
    values = {"counterparty": PEER, "dataset": f"data-{name}", "state": "binding", **given}
    return Agreement(id=name, role=role, negotiation_id=negotiation, document="{}", created_at=at, updated_at=at, **values)


def said(left: str, operator: str = "=", right: Any = "x", **more: Any) -> QuerySpec:
    return parse({"filterExpression": [{"operandLeft": left, "operator": operator, "operandRight": right}], **more})


async def keep(store: QueryStore, *rows: Process | Agreement) -> None:
    await store.engine.commit(
        [writes.insert_process(row) if isinstance(row, Process) else writes.insert_agreement(row) for row in rows]
    )


async def negotiations(store: QueryStore, spec: QuerySpec) -> list[str]:
    found = [each.id for each in await store.processes("negotiation", spec)]
    if not spec.offset and len(found) < spec.limit:
        assert await store.count_processes("negotiation", spec) == len(found)
    return found


async def test_negotiations_are_listed_in_the_order_of_their_beginning(store: QueryStore) -> None:
    rows = [process("b", at=1), process("a", at=2), process("c", at=2), process("t", Kind.TRANSFER, at=1)]
    await keep(store, *rows)
    assert await store.processes("negotiation", QuerySpec()) == rows[:3]
    assert await negotiations(store, parse({"sortOrder": "DESC"})) == ["c", "a", "b"]
    assert await negotiations(store, parse({"offset": 1, "limit": 1})) == ["a"]
    assert await negotiations(store, parse({"sortField": "stateTimestamp", "sortOrder": "DESC", "limit": 2})) == ["c", "a"]
    assert await negotiations(store, parse({"sortField": "counterPartyAddress"})) == ["a", "b", "c"]
    assert await store.count_processes("negotiation", QuerySpec(limit=1)) == 3


@pytest.mark.parametrize(
    ("left", "operator", "right", "found"),
    [
        ("id", "=", "a", "a"),
        ("@id", "in", ["a", "z"], "a"),
        (f"{EDC}id", "=", "a", "a"),
        ("type", "=", "PROVIDER", "b"),
        ("protocol", "=", PROTOCOL, "ab"),
        ("protocol", "!=", PROTOCOL, ""),
        ("state", "=", "FINALIZED", "a"),
        ("state", "=", 1200, "a"),
        ("state", "=", "1200", "a"),
        ("state", "in", ["AGREEING", 200], "b"),
        ("state", "like", "%ING", "b"),
        ("stateTimestamp", ">", 11, "b"),
        ("createdAt", "<", 1.5, "a"),
        ("createdAt", "=", "2", "b"),
        ("createdAt", "in", [2, 3], "b"),
        ("counterPartyId", "=", OTHER, "b"),
        ("counterPartyId", "ilike", "DID:%:OTHER", "b"),
        ("counterPartyAddress", "like", "https://a%", "a"),
        ("correlationId", "=", "peer-b", "b"),
        ("correlationId", "!=", "peer-b", "a"),
        ("assetId", "=", "subject-a", "a"),
        ("assetId", "<", "subject-b", "a"),
        ("contractOffers.assetId", "=", "subject-a", "a"),
        ("contractAgreementId", "=", "g", "a"),
        ("contractAgreement.id", "contains", "g", "a"),
        ("contractAgreement.@id", "=", "g", "a"),
        ("contractAgreement.assetId", "=", "data-g", "a"),
        ("contractAgreement.providerId", "=", PEER, "a"),
        ("contractAgreement.consumerId", "=", OWN, "a"),
        ("contractAgreement.contractSigningDate", "=", 7, "a"),
        ("contractAgreementId", "notIn", ["g"], ""),
    ],
)
async def test_negotiations_are_narrowed_by_each_field(
    store: QueryStore, left: str, operator: str, right: Any, found: str
) -> None:
    await keep(
        store,
        process("a", at=1, state=State.FINALIZED),
        process("b", at=2, role=Role.PROVIDER, awaiting=Message.AGREEMENT, counterparty=OTHER),
        agreement("g", "a", at=7999),
    )
    assert await negotiations(store, said(left, operator, right)) == list(found)


async def test_transfers_are_found_by_what_they_are_about(store: QueryStore) -> None:
    pull = Detail(format="HttpData-PULL", dataset="data-g")
    await keep(
        store,
        agreement("g", "n"),
        process("t", Kind.TRANSFER, subject="g", state=State.STARTED, detail=pull),
        process("u", Kind.TRANSFER, at=2, subject="g", state=State.SUSPENDED, awaiting=Message.START, role=Role.PROVIDER),
    )
    for left, right, found in [
        ("assetId", "data-g", ["t"]),
        ("contractId", "g", ["t", "u"]),
        ("contractAgreementId", "g", ["t", "u"]),
        ("agreementId", "none", []),
        ("contractNegotiationId", "n", ["t"]),
        ("transferType", "HttpData-PULL", ["t", "u"]),  # what is meant where nothing is said
        ("transferType", "HttpData-PUSH", []),
        ("state", "STARTED", ["t"]),
        ("state", 690, ["u"]),
        ("providerId", OWN, ["u"]),
        ("consumerId", OWN, ["t"]),
    ]:
        spec = said(left, "=", right)
        assert [each.id for each in await store.processes("transfer", spec)] == found, left
        assert await store.count_processes("transfer", spec) == len(found)
    newest = said("contractId", "=", "g", sortField="createdAt", sortOrder="DESC", limit=1)
    assert [each.id for each in await store.processes("transfer", newest)] == ["u"]


async def test_agreements_are_found_by_parties_and_time(store: QueryStore) -> None:
    rows = [
        agreement("g", "n1", at=5000),
        agreement("g", "n2", role="provider", at=5000, dataset="data-g2"),
        agreement("h", "n3", role="provider", at=4000, counterparty=OTHER),
    ]
    await keep(store, *rows, agreement("v", "n4", state="void"))
    assert await store.agreements(QuerySpec()) == [rows[2], *rows[:2]]
    assert await store.agreements(parse({"sortOrder": "DESC", "limit": 2, "offset": 1})) == [rows[0], rows[2]]
    assert await store.count_agreements(QuerySpec()) == 3
    for left, right, found in [
        ("id", "g", rows[:2]),
        ("agreementId", "h", rows[2:]),
        ("assetId", "data-g", rows[:1]),
        ("policy.target", "data-g2", rows[1:2]),
        ("providerId", PEER, rows[:1]),
        ("consumerId", PEER, rows[1:2]),
        ("policy.assigner", OWN, [rows[2], rows[1]]),
        ("policy.assignee", OWN, rows[:1]),
        ("counterPartyId", OTHER, rows[2:]),
        ("contractSigningDate", 4, rows[2:]),
        ("negotiationId", "n2", rows[1:2]),
        ("type", "PROVIDER", [rows[2], rows[1]]),
    ]:
        spec = said(left, "=", right)
        assert await store.agreements(spec) == found, left
        assert await store.count_agreements(spec) == len(found)
    parties = parse({"sortField": "providerId"})
    assert [each.negotiation_id for each in await store.agreements(parties)] == ["n2", "n3", "n1"]


async def test_references_are_of_transfers_that_run_and_were_not_put_away(store: QueryStore) -> None:
    held = Detail(format="HttpData-PULL", dataset="data-g", data_address={"endpoint": "https://x.example"})

    def transfer(name: str, at: int = 1, **given: Any) -> Process:
        return process(name, Kind.TRANSFER, at=at, **{"subject": "g", "state": State.STARTED, "detail": held, **given})

    first, second = transfer("t1"), transfer("t2", 2, subject="unknown")
    into_file = Detail(data_address={"endpoint": "https://x.example"}, sink="file")
    await keep(
        store,
        first,
        second,
        agreement("g", "n"),
        transfer("t3", state=State.SUSPENDED),
        transfer("t4", role=Role.PROVIDER),
        transfer("t5", detail=Detail()),
        transfer("t6", state=State.RESUMED),
        transfer("t7", detail=into_file),
    )
    found = await store.references(QuerySpec())
    assert [(each.transfer, each.agreement, each.negotiation, each.dataset) for each in found] == [
        (first, "g", "n", "data-g"),
        (second, "unknown", "", "data-g"),
    ]
    for left, right in [
        ("transferProcessId", "t1"),
        ("agreementId", "g"),
        ("assetId", "data-g"),
        ("contractNegotiationId", "n"),
        ("createdAt", 1),
    ]:
        assert [each.transfer.id for each in await store.references(said(left, "=", right))] == ["t1"], left
    assert await store.count_references(said("providerId", "=", PEER)) == 2
    await store.engine.commit([drop_reference("t1", 5)])
    assert await store.reference("t1") is None
    assert (await store.reference("t2")) == found[1]
    with pytest.raises(LostRace):
        await store.engine.commit([drop_reference("t1", 6)])


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        (said("assetID"), "filterExpression[0].operandLeft"),
        (said("contractAgreement"), "filterExpression[0].operandLeft"),
        (said("contractAgreement.policy.target"), "filterExpression[0].operandLeft"),
        (said("state", "<", 600), "filterExpression[0].operator"),
        (said("createdAt", "like", "1%"), "filterExpression[0].operator"),
        (said("createdAt", "=", "soon"), "filterExpression[0].operandRight"),
        (said("createdAt", "=", True), "filterExpression[0].operandRight"),
        (parse({"sortField": "name"}), "sortField"),
    ],
)
async def test_an_unknown_field_is_refused_and_never_an_empty_list(store: QueryStore, spec: QuerySpec, path: str) -> None:
    for ask in (store.processes, store.count_processes):
        with pytest.raises(InvalidQuery) as refused:
            await ask("negotiation", spec)
        assert refused.value.path == path


async def test_states_are_edcs_in_code_and_in_sql(store: QueryStore) -> None:
    names: dict[str, str] = {}
    for kind in Kind:
        reached = {row for role in Role for row in TABLES[kind, role]} | {(State.TERMINATED, None)}
        for number, (state, awaiting) in enumerate(sorted(reached, key=str)):
            row = process(f"{kind.value}{number}", kind, state=state, awaiting=awaiting)
            await keep(store, row)
            names[row.id] = edc_state(state, awaiting)
            assert names[row.id] in NUMBERS[kind].values()
    for name in set(names.values()):
        found = [
            *(each.id for each in await store.processes("negotiation", said("state", "=", name))),
            *(each.id for each in await store.processes("transfer", said("state", "=", name))),
        ]
        assert sorted(found) == sorted(each for each, its in names.items() if its == name)
    assert set(IN_FLIGHT) == set(Message)
