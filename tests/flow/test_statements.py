"""Statements: lines from meters and receipts, what is not settled marked, the same agreement seen from both sides."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connector.flow import publish, statements
from connector.protocol.errors import CallerError, NotFound
from connector.protocol.messages import Document
from connector.store.evidence import Receipt
from tests.flow.house import DATASET, OFFER, Street
from tests.flow.witnesses import Witnesses, fetched

EURO = "https://www.wikidata.org/entity/Q4916"
VDX = "https://w3id.org/carnet/terms#"


def priced(unit: str, price: str) -> Document:
    amount = {"@value": price, "@type": "xsd:decimal"}
    constraints = [
        {"leftOperand": "odrl:payAmount", "operator": "eq", "rightOperand": amount, "unit": EURO},
        {"leftOperand": "odrl:unitOfCount", "operator": "eq", "rightOperand": f"{VDX}{unit}"},
    ]
    duty = {"action": "odrl:compensate", "constraint": constraints}
    return {**OFFER, "permission": [{"action": "use", "duty": [duty]}]}


@pytest.fixture
async def witnesses(street: Street) -> Witnesses:
    found = Witnesses(street)
    await found.move_in()
    return found


def metered(witnesses: Witnesses, *transfers: str) -> Document:
    """What the provider's data plane has counted."""
    each = {"calls": 1, "rows": 120, "bytes": 4096, "vehicles": 3}
    deliveries = [{"transfer": name, "firstByteAt": witnesses.street.now - 1, "meters": each} for name in transfers]
    total = {name: value * len(transfers) for name, value in each.items()}
    return {"periods": [{"period": "all", **total}], "deliveries": deliveries}


def serve_meters(witnesses: Witnesses, answer: Document | None) -> None:
    """Let the data planes answer this when they are asked for meters."""
    whole = witnesses._ask

    async def ask(method: str, path: str, body: Document | None = None) -> Document:
        if not path.startswith("/carnet/meters?"):
            return await whole(method, path, body)
        if answer is None:
            raise CallerError("route-unknown", "counts nothing")
        return answer

    for house in witnesses.street.houses.values():
        house.context = replace(house.context, seals=replace(house.seals, ask=ask))


async def test_what_is_owed_comes_from_meters_and_is_settled_by_receipts(street: Street, witnesses: Witnesses) -> None:
    ours, theirs = await fetched(street, witnesses)
    serve_meters(witnesses, metered(witnesses, ours.id))
    found = await statements.statement(street.provider.context, ours.subject)
    assert (found["deliveries"], found["unsettled"], found["totals"]) == (1, [], {})
    seen = await statements.statement(street.consumer.context, theirs.subject)
    assert (seen["role"], seen["deliveries"], seen["unsettled"]) == ("consumer", 1, [])


async def test_a_delivery_without_a_receipt_is_marked(street: Street, witnesses: Witnesses) -> None:
    ours, _ = await fetched(street, witnesses, rows=119)
    serve_meters(witnesses, metered(witnesses, ours.id, "urn:other"))
    found = await statements.statement(street.provider.context, ours.subject)
    marks = [{"transfer": ours.id, "receipt": "disputed"}, {"transfer": "urn:other", "receipt": "missing"}]
    assert found["unsettled"] == marks


async def test_a_data_plane_that_counts_nothing_owes_nothing(street: Street, witnesses: Witnesses) -> None:
    ours, _ = await fetched(street, witnesses)
    serve_meters(witnesses, None)
    assert (await statements.statement(street.provider.context, ours.subject))["deliveries"] == 0


async def test_an_agreement_that_is_not_there_has_no_statement(street: Street) -> None:
    with pytest.raises(NotFound):
        await statements.statement(street.provider.context, "urn:nothing")


def test_what_was_used_is_summed_by_interval_and_read_from_receipts() -> None:
    uses = [statements.Use(f"urn:{at}", at, 1, 10, 100, 2, "countersigned") for at in (5, 15, 25)]
    whole = statements._sum(uses, 0, 20)
    assert (whole.calls, whole.rows, whole.bytes, whole.vehicles) == (2, 20, 200, 4)
    receipt = Receipt("t", "r", "consumer", "p", "a", "sent", '{"rows": 7, "bytes": -1}', "a.b.c", 1, 1)
    assert statements.uses_of([receipt]) == [statements.Use("t", 1, 1, 7, 0, 0, "unverified")]


async def test_a_price_makes_lines_and_totals(street: Street, witnesses: Witnesses) -> None:
    offer = priced("Row", "0.05")
    await publish.publish(street.provider.context, DATASET, title="Trips", source="trips.csv", offers=[offer])
    ours, _ = await fetched(street, witnesses, offer=offer)
    serve_meters(witnesses, metered(witnesses, ours.id))
    found = await statements.statement(street.provider.context, ours.subject)
    (line,) = found["lines"]
    assert (line["quantity"], line["amount"], line["currency"], line["settled"]) == ("120", "6.00", "EUR", True)
    assert found["totals"] == {"EUR": "6.00"}
