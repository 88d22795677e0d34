"""Statements: lines from meters and receipts, what is not settled marked, the same agreement seen from both sides."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from connector.flow import publish, statements
from connector.protocol.errors import CallerError, NotFound
from connector.protocol.messages import Document
from connector.store.evidence import Receipt
from policies import dsp, odrl, pricing
from tests.flow.house import DATASET, OFFER, Street
from tests.flow.witnesses import Witnesses, fetched

EURO = "https://www.wikidata.org/entity/Q4916"
VDX = "https://w3id.org/carnet/terms#"
TIERED = Path(__file__).parents[1] / "policies" / "offers" / "2-per-call-tiered.jsonld"


def priced(unit: str, price: str, interval: str | None = None) -> Document:
    amount = {"@value": price, "@type": "xsd:decimal"}
    constraints = [
        {"leftOperand": "odrl:payAmount", "operator": "eq", "rightOperand": amount, "unit": EURO},
        {"leftOperand": "odrl:unitOfCount", "operator": "eq", "rightOperand": f"{VDX}{unit}"},
    ]
    if interval is not None:
        length = {"@value": interval, "@type": "xsd:duration"}
        constraints.append({"leftOperand": "odrl:timeInterval", "operator": "eq", "rightOperand": length})
    duty = {"action": "odrl:compensate", "constraint": constraints}
    return {**OFFER, "permission": [{"action": "use", "duty": [duty]}]}


@pytest.fixture
async def witnesses(street: Street) -> Witnesses:
    found = Witnesses(street)
    await found.move_in()
    return found


def metered(witnesses: Witnesses, *transfers: str, permission: int = 0) -> Document:
    """What the provider's data plane has counted."""
    each = {"calls": 1, "rows": 120, "bytes": 4096, "vehicles": 3}
    same = {"firstByteAt": witnesses.street.now - 1, "meters": each, "permission": permission}
    deliveries = [{"transfer": name, **same} for name in transfers]
    total = {name: value * len(transfers) for name, value in each.items()}
    return {"periods": [{"period": "all", **total}], "deliveries": deliveries}


def serve_meters(witnesses: Witnesses, answer: Document | None, distinct: int | None = None) -> None:
    """Let the data planes answer this when they are asked for meters."""
    whole = witnesses._ask

    async def ask(method: str, path: str, body: Document | None = None) -> Document:
        if not path.startswith("/carnet/meters?"):
            return await whole(method, path, body)
        if answer is None:
            raise CallerError("route-unknown", "counts nothing")
        return {"vehicles": distinct} if "&from=" in path else answer

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


def test_a_buyer_owes_by_the_permission_that_it_was_served_under() -> None:
    """Free for some, priced for others: which of the two it was stands in the answer that the provider signed."""
    document = priced("Agreement", "4900.00")
    policy = dsp.read({**document, "permission": [{"action": "use"}, *document["permission"]]})
    receipt = Receipt("t", "r", "consumer", "p", "a", "countersigned", '{"rows": 7, "bytes": 70}', "a.b.c", 1, 1)
    for said, owed in ((0, {}), (1, {"EUR": 4900}), (None, {"EUR": 4900}), (True, {"EUR": 4900})):
        record = orjson.dumps({"record": {"meters": {"rows": 8}, "permission": said}})
        answer = urlsafe_b64encode(record).rstrip(b"=").decode()
        uses = statements.uses_of([replace(receipt, answer=f"a.{answer}.c")])
        assert [use.rows for use in uses] == [8]
        lines = pricing.statement(policy, statements.readings(policy, uses, 0, 10), statements.permissions_of(uses))
        assert pricing.totals(lines) == owed


async def test_a_price_makes_lines_and_totals(street: Street, witnesses: Witnesses) -> None:
    offer = priced("Row", "0.05")
    await publish.publish(street.provider.context, DATASET, title="Trips", source="trips.csv", offers=[offer])
    ours, _ = await fetched(street, witnesses, offer=offer)
    serve_meters(witnesses, metered(witnesses, ours.id))
    found = await statements.statement(street.provider.context, ours.subject)
    (line,) = found["lines"]
    assert (line["quantity"], line["amount"], line["currency"], line["settled"]) == ("120", "6.00", "EUR", True)
    assert found["totals"] == {"EUR": "6.00"}


@pytest.mark.parametrize("interval", [None, "P1M"])
async def test_vehicles_of_two_deliveries_are_paid_once(street: Street, witnesses: Witnesses, interval: str | None) -> None:
    offer = priced("Vehicle", "3.00", interval)
    await publish.publish(street.provider.context, DATASET, title="Trips", source="trips.csv", offers=[offer])
    ours, _ = await fetched(street, witnesses, offer=offer)
    serve_meters(witnesses, metered(witnesses, ours.id, "urn:other"), distinct=4)
    (line,) = (await statements.statement(street.provider.context, ours.subject))["lines"]
    assert (line["quantity"], line["amount"], line["note"]) == ("4", "12.00", None)
    serve_meters(witnesses, metered(witnesses, ours.id, "urn:other"))
    (line,) = (await statements.statement(street.provider.context, ours.subject))["lines"]
    assert (line["quantity"], line["note"]) == ("6", "vehicles of several deliveries; at most so many are distinct")


async def test_permissions_that_were_not_used_are_not_owed(street: Street, witnesses: Witnesses) -> None:
    small, large = priced("Agreement", "10.00")["permission"][0], priced("Agreement", "25.00")["permission"][0]
    offer = {**OFFER, "permission": [small, large]}
    await publish.publish(street.provider.context, DATASET, title="Trips", source="trips.csv", offers=[offer])
    ours, _ = await fetched(street, witnesses, offer=offer)
    serve_meters(witnesses, metered(witnesses, ours.id, permission=1))
    found = await statements.statement(street.provider.context, ours.subject)
    assert ([line["path"] for line in found["lines"]], found["totals"]) == (["/permission/1/duty/0"], {"EUR": "25.00"})


def test_the_tiers_of_the_offer_by_the_call_are_those_that_were_used() -> None:
    policy, calls = odrl.read(orjson.loads(TIERED.read_bytes())), 10_001
    assert pricing.counts(policy, pricing.CALL)
    assert not pricing.counts(policy, pricing.VEHICLE)
    uses = [statements.Use("urn:many", 5, calls, 1, 1, 0, "countersigned", 0)]
    whole = statements.readings(policy, uses, 0, 10)
    first, beyond = pricing.statement(policy, whole, statements.permissions_of(uses))
    assert (str(first.amount), str(beyond.quantity), beyond.amount) == ("500.00", "1", None)
    uses.append(statements.Use("urn:one", 6, 1, 1, 1, 0, "countersigned", 1))
    lines = pricing.statement(policy, statements.readings(policy, uses, 0, 10), statements.permissions_of(uses))
    assert [(str(line.quantity), str(line.amount)) for line in lines] == [("10000", "500.00"), ("2", "0.04")]


def test_which_permissions_were_used_is_known_of_all_or_of_none() -> None:
    use = statements.Use("urn:1", 5, 1, 1, 1, 0, "countersigned", 1)
    assert statements.permissions_of([use, replace(use, permission=0)]) == frozenset({0, 1})
    assert statements.permissions_of([use, replace(use, permission=None)]) is None
    assert statements.permissions_of([]) is None
