"""Business with others as the management interface does it: what is asked, what is refused, and whose fault it was."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from connector.access.caller import OWNER
from connector.flow import acts, standing
from connector.flow.browse import PeerRefused
from connector.identity.directory import Directory
from connector.identity.roster import ProfileChange
from connector.management import business
from connector.management.business import Counterparty, RemoteFailed, TransferWish
from connector.management.model import EDC, QuerySpec
from connector.management.odrl_forms import OfferedTerms
from connector.management.queryspec import parse
from connector.protocol.errors import CallerError, Conflict, NotFound, PeerError, Unavailable
from connector.protocol.messages import PULL
from connector.protocol.states import Kind, State
from tests.flow.house import DATASET, OFFER
from tests.management.scene import OFFERED, PROVIDER, RULES, Scene, opened


def edc_id(*parts: str) -> str:
    """An offer id as EDC makes them."""
    return ":".join(base64.b64encode(part.encode()).decode() for part in parts)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """The beginning."""
    async with opened(tmp_path) as found:
        yield found


def equals(left: str, right: str) -> QuerySpec:
    """A query of one criterion."""
    return parse({"filterExpression": [{"operandLeft": left, "operator": "=", "operandRight": right}]})


# -- catalogues -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("left", ["id", "@id", f"{EDC}id", f"'{EDC}id'"])
async def test_one_dataset_is_read_instead_of_a_catalogue(scene: Scene, left: str) -> None:
    assert [each["@id"] for each in await business.catalog(scene.b, PROVIDER, equals(left, "zones"))] == ["zones"]
    assert await business.catalog(scene.b, PROVIDER, equals(left, "nothing")) == []
    assert not scene.shelf.read


async def test_a_catalogue_is_narrowed_and_paged(scene: Scene) -> None:
    assert [each["@id"] for each in await business.catalog(scene.b, PROVIDER, QuerySpec(offset=1, limit=1))] == ["zones"]
    assert [each["@id"] for each in await business.catalog(scene.b, PROVIDER, equals("'dct:title'", "Zones"))] == ["zones"]
    # What has neither criteria nor an order of its own is read as far as it is shown.
    assert scene.shelf.read == [2, None]


@pytest.mark.parametrize(("order", "expected"), [("ASC", [DATASET, "zones"]), ("DESC", ["zones", DATASET])])
async def test_a_catalogue_is_sorted_by_what_its_datasets_say(scene: Scene, order: str, expected: list[str]) -> None:
    found = await business.catalog(scene.b, PROVIDER, parse({"sortField": "id", "sortOrder": order}))
    assert [each["@id"] for each in found] == expected
    untold = await business.catalog(scene.b, PROVIDER, parse({"sortField": "target", "sortOrder": order}))
    assert [each["@id"] for each in untold] == [DATASET, "zones"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PeerRefused(500, b"404"), RemoteFailed),
        (PeerError("peer-invalid", "not readable"), RemoteFailed),
        (Unavailable("peer-unreachable", "nobody there"), RemoteFailed),
        (Unavailable("catalog-too-slow", "50 seconds"), RemoteFailed),
        (Unavailable("peer-document-unavailable", "no such name"), RemoteFailed),
        (Unavailable("store-unavailable", "our own fault"), Unavailable),
        (CallerError("address-foreign", "not theirs"), CallerError),
    ],
)
async def test_it_is_said_whose_fault_it_was(scene: Scene, error: Exception, expected: type[Exception]) -> None:
    scene.shelf.fails = error
    for work in (
        lambda: business.catalog(scene.b, PROVIDER, QuerySpec()),
        lambda: business.dataset(scene.b, PROVIDER, "zones"),
    ):
        with pytest.raises(expected) as refused:
            await work()
        assert type(refused.value) is expected
    assert RemoteFailed.status == 502


async def test_who_cannot_be_found_is_at_fault_himself(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nowhere(*_: object) -> str:
        raise Unavailable("peer-document-unavailable", "the DID document: the name cannot be resolved")

    monkeypatch.setattr(Directory, "address", nowhere)
    monkeypatch.setattr(Directory, "owns", nowhere)
    named = Counterparty("did:web:provider", "https://elsewhere.example/dsp")
    for work in (
        business.catalog(scene.b, named, QuerySpec()),
        business.dataset(scene.b, named, "zones"),
        business.negotiate(scene.b, named, OFFERED, OWNER),
        business.negotiate(scene.b, PROVIDER, OFFERED, OWNER),
    ):
        with pytest.raises(RemoteFailed):
            await work


# -- negotiations ---------------------------------------------------------------------------------------------------------


async def test_an_offer_by_its_id_is_taken_as_it_is_published(scene: Scene) -> None:
    begun = await business.negotiate(scene.b, PROVIDER, OfferedTerms(OFFER["@id"], None, DATASET, {}), OWNER)
    await scene.pump()
    process = await business.process(scene.b, Kind.NEGOTIATION, begun.id)
    assert process.state is State.FINALIZED
    assert (process.detail.offer or {})["permission"] == OFFER["permission"]


async def test_an_offer_that_has_another_id_every_time_is_found_by_what_made_it(scene: Scene) -> None:
    seen, now = edc_id("definition", "trips", "1"), edc_id("definition", "trips", "2")
    other = edc_id("another", "trips", "3")
    scene.shelf.datasets = [{"@id": "trips", "hasPolicy": [{"@id": other, "prohibition": []}, {"@id": now, **RULES}]}]
    begun = await business.negotiate(scene.b, PROVIDER, OfferedTerms(seen, None, "trips", {}), OWNER)
    offer = begun.detail.offer or {}
    assert (offer["@id"], offer["permission"]) == (seen, RULES["permission"])


@pytest.mark.parametrize("offer_id", ["unknown", "a:b:c", edc_id("definition", "other", "1"), "::"])
async def test_an_offer_that_nobody_makes_is_refused(scene: Scene, offer_id: str) -> None:
    scene.shelf.datasets = [{"@id": "trips", "hasPolicy": [{"@id": edc_id("definition", "trips", "2"), **RULES}]}]
    with pytest.raises(CallerError) as refused:
        await business.negotiate(scene.b, PROVIDER, OfferedTerms(offer_id, None, "trips", {}), OWNER)
    assert refused.value.code == "offer-unknown"


@pytest.mark.parametrize(
    ("offer", "code"),
    [
        (OfferedTerms("o", None, None, RULES), "target-missing"),
        (OfferedTerms("o", "did:web:another", DATASET, RULES), "assigner-other"),
        (OfferedTerms("o", None, "unknown", {}), "target-unknown"),
    ],
)
async def test_what_cannot_be_asked_for_is_refused_before_anything_begins(scene: Scene, offer: OfferedTerms, code: str) -> None:
    with pytest.raises(CallerError) as refused:
        await business.negotiate(scene.b, PROVIDER, offer, OWNER)
    assert refused.value.code == code
    assert await scene.street.consumer.only(Kind.NEGOTIATION) is None


@pytest.mark.parametrize("name", [None, *sorted(business.PROTOCOLS)])
def test_the_protocol_has_these_names(name: str | None) -> None:
    business.check_protocol(name)
    with pytest.raises(CallerError):
        business.check_protocol("dataspace-protocol-http:2024/1")


async def test_a_negotiation_is_forgotten_once_it_was_terminated_without_an_agreement(scene: Scene) -> None:
    begun = await business.negotiate(scene.b, PROVIDER, OFFERED, OWNER)
    with pytest.raises(Conflict):
        await business.forget_negotiation(scene.b, begun.id)
    await business.terminate(scene.b, Kind.NEGOTIATION, begun.id, "not any more", OWNER)
    await scene.pump()
    with pytest.raises(Conflict):
        await business.terminate(scene.b, Kind.NEGOTIATION, begun.id, None, OWNER)
    await business.forget_negotiation(scene.b, begun.id)
    assert await scene.b.m.context.store.timeline(begun.id) == []
    with pytest.raises(NotFound):
        await business.process(scene.b, Kind.NEGOTIATION, begun.id)
    with pytest.raises(NotFound):
        await business.forget_negotiation(scene.b, begun.id)


async def test_what_has_brought_an_agreement_is_kept(scene: Scene) -> None:
    negotiation = await scene.agreed()
    with pytest.raises(Conflict):
        await business.forget_negotiation(scene.b, negotiation)
    agreed = await business.agreement_of(scene.b, negotiation)
    assert (await business.agreement(scene.b, agreed.id)).negotiation_id == negotiation


async def test_nothing_is_found_under_another_kind_or_name(scene: Scene) -> None:
    negotiation = await business.negotiate(scene.b, PROVIDER, OFFERED, OWNER)
    works: list[Callable[[], Any]] = [
        lambda: business.process(scene.b, Kind.TRANSFER, negotiation.id),
        lambda: business.terminate(scene.b, Kind.TRANSFER, negotiation.id, None, OWNER),
        lambda: business.move(scene.b, negotiation.id, "suspend", None, OWNER),
        lambda: business.agreement(scene.b, "nothing"),
        lambda: business.agreement_of(scene.b, negotiation.id),
        lambda: business.reference(scene.b, negotiation.id),
        lambda: business.forget_reference(scene.b, negotiation.id),
    ]
    for work in works:
        with pytest.raises(NotFound):
            await work()


# -- transfers ------------------------------------------------------------------------------------------------------------


async def test_a_transfer_goes_on_and_its_reference_can_be_put_away(scene: Scene) -> None:
    agreed = await business.agreement_of(scene.b, await scene.agreed())
    wish = TransferWish(agreed.id, PULL, private={f"{EDC}desk": "7"})
    transfer = await business.transfer(scene.b, wish, OWNER)
    await scene.pump()
    found = await business.process(scene.b, Kind.TRANSFER, transfer.id)
    assert found.detail.private == {f"{EDC}desk": "7"}
    assert (await business.reference(scene.b, transfer.id)).authorization == "token"
    assert [each.transfer.id for each in await scene.b.queries.references(QuerySpec())] == [transfer.id]
    await business.forget_reference(scene.b, transfer.id)
    assert await scene.b.queries.references(QuerySpec()) == []
    for work in (business.reference, business.forget_reference):
        with pytest.raises(NotFound):
            await work(scene.b, transfer.id)
    assert (await acts.load(scene.b.m.context, transfer.id)).state is State.STARTED
    for act, state in (("suspend", State.SUSPENDED), ("resume", State.STARTED)):
        await business.move(scene.b, transfer.id, cast("Any", act), "a moment", OWNER)
        await scene.pump()
        assert (await acts.load(scene.b.m.context, transfer.id)).state is state
    await business.terminate(scene.b, Kind.TRANSFER, transfer.id, "enough", OWNER)
    await scene.pump()
    with pytest.raises(Conflict):
        await business.move(scene.b, transfer.id, "resume", None, OWNER)


@pytest.mark.parametrize(
    ("named", "used"),
    [
        ("https://provider.example", True),
        ("https://provider.example/", True),
        ("https://other.example", False),
        ("https://prov", False),
    ],
)
async def test_the_path_of_the_version_may_be_left_out_of_an_address(scene: Scene, named: str, used: bool) -> None:
    context = scene.b.m.context
    change = ProfileChange(addresses=("https://provider.example/dsp/2025-1",))
    await standing.update(context, "did:web:provider", profile=change)
    of = Counterparty("did:web:provider", named)
    if not used:
        with pytest.raises(CallerError, match="address"):
            await business.negotiate(scene.b, of, OFFERED, OWNER)
        return
    begun = await business.negotiate(scene.b, of, OFFERED, OWNER)
    assert begun.peer_address == "https://provider.example/dsp/2025-1"


async def test_data_come_by_pulling_alone(scene: Scene) -> None:
    agreed = await business.agreement_of(scene.b, await scene.agreed())
    with pytest.raises(CallerError, match="HttpData-PULL"):
        await business.transfer(scene.b, TransferWish(agreed.id, "HttpData-PUSH"), OWNER)
    with pytest.raises(NotFound):
        await business.transfer(scene.b, TransferWish("nothing", PULL), OWNER)
