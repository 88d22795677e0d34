"""What a real connector answers fits the types of the client, each of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from connector.client import Agreement, Refused, sync
from tests.demo.test_twins import free_places


@dataclass(frozen=True)
class Pair:
    """Two connectors with a contract, under which data have come."""

    provider: sync.Carnet
    consumer: sync.Carnet
    provider_id: str
    consumer_id: str
    contract: Agreement
    transfer: str
    folder: Path


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder, ports = tmp_path_factory.mktemp("answers"), free_places()
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        for name in [name for name in os.environ if name.startswith("CARNET_")]:
            patch.delenv(name)
        made = [sync.init(folder / str(port), loopback=port, beside=[other]) for port, other in (ports, ports[::-1])]
        provider, consumer = (stack.enter_context(sync.serving(each)) for each in made)
        ids = [f"did:web:localhost%3A{port}" for port in ports]
        source = made[0].with_name("trips.csv")
        source.write_text("trip,speed\na,1\nb,2\n")
        provider.publish("trips", source, title="Trips")
        consumer.browse(ids[0])
        provider.admit(ids[1], "a test", claims={"kind": "company"})
        consumer.admit(ids[0], "a test")
        contract = consumer.contract(ids[0], "trips")
        landed = consumer.fetch(contract, "came.csv")
        yield Pair(provider, consumer, ids[0], ids[1], contract, landed.transfer, made[1].parent)


def test_who_is_known_and_what_is_on_offer(pair: Pair) -> None:
    (peer,) = pair.provider.peers("admitted")
    assert (peer, peer.claims) == (pair.provider.peer(pair.consumer_id), {"kind": "company"})
    assert (pair.consumer.hello(pair.provider_id) or {})["participantId"] == pair.provider_id
    assert [each.title for each in pair.provider.datasets()] == ["Trips"]
    (seen,) = pair.consumer.browse(pair.provider_id)
    (ours,) = pair.provider.offers("trips")
    assert seen.offers == pair.consumer.dataset(pair.provider_id, "trips").offers
    assert (ours.id, ours.dataset, ours.terms["@id"]) == (seen.offers[0].id, "trips", ours.id)
    assert {each.name for each in pair.provider.templates()[0].questions} >= {"price", "place"}
    assert set(pair.provider.whoami().roles) >= {"operator"}


@pytest.mark.parametrize("role", ["provider", "consumer"])
def test_what_was_agreed_and_what_came_of_it(pair: Pair, role: str) -> None:
    side = pair.provider if role == "provider" else pair.consumer
    (agreement,) = side.agreements()
    assert (agreement.id, agreement.role, agreement.state) == (pair.contract.id, role, "binding")
    (negotiation,) = side.negotiations("FINALIZED")
    assert (negotiation.over, negotiation.agreement_id) == (True, agreement.id)
    assert [each.what for each in side.timeline(negotiation)]
    transfer = side.until(lambda: next(side.transfers()), lambda now: now.over)
    assert transfer.state == "COMPLETED"
    (receipt,) = side.until(lambda: list(side.receipts(agreement)), bool)
    assert receipt.content["bytes"] == 19
    assert (side.statement(agreement).deliveries, list(side.duties(overdue=True)), side.letters()) == (1, [], [])
    if role == "provider":
        assert len(side.meters(agreement).deliveries) == 1


def test_what_terms_mean(pair: Pair) -> None:
    told = pair.consumer.explain(pair.contract.id, language="de")
    assert "Erlaubt: die Daten nutzen." in [each.sentence for each in told.sentences]
    assert pair.provider.explain("trips").id == next(pair.provider.offers("trips")).id
    (simulated,) = pair.provider.simulate("trips", participant="did:web:stranger.example")
    assert simulated.hidden is not None
    assert (simulated.permitted, simulated.hidden.code) == (False, "not-open")
    assert list(pair.provider.approvals()) == []


def test_data_and_evidence_are_taken_away(pair: Pair, tmp_path: Path) -> None:
    came = pair.consumer.download(pair.contract, tmp_path / "here.csv")
    assert (came.bytes, (tmp_path / "here.csv").read_text()) == (19, "trip,speed\na,1\nb,2\n")
    with duckdb.connect() as connection:
        assert pair.consumer.duckdb(pair.contract, connection, "trips") == 2
    assert pair.consumer.evidence(pair.contract, tmp_path / "evidence.zip") == (tmp_path / "evidence.zip").stat().st_size


def test_what_a_peer_says_of_what_it_does_not_have_is_a_sentence(pair: Pair) -> None:
    with pytest.raises(Refused, match=r"the peer answered 404 \(dataset-unknown\): no such dataset is on offer here"):
        pair.consumer.dataset(pair.provider_id, "nothing")


def test_a_dataset_with_several_offers_is_not_explained_as_one(pair: Pair) -> None:
    (source,) = pair.folder.parent.glob("*/trips.csv")
    uses = [{"permission": [{"action": "use"}]}, {"permission": [{"action": "read"}]}]
    pair.provider.publish("twice", str(source), title="Twice", offers=uses)
    with pytest.raises(Refused) as caught:
        pair.provider.explain("twice")
    assert (caught.value.status, caught.value.code, bool(caught.value.remedy)) == (409, "offer-several", True)
    pair.provider.withdraw("twice")


def test_what_is_not_there_is_refused_by_its_code(pair: Pair) -> None:
    for code, ask in (
        ("agreement-unknown", lambda: pair.consumer.agreement("urn:uuid:none")),
        ("process-unknown", lambda: pair.consumer.process("urn:uuid:none")),
        ("letter-unknown", lambda: pair.consumer.retry("urn:uuid:none")),
        ("terms-unknown", lambda: pair.provider.explain("urn:uuid:none")),
        ("nothing-pending", lambda: pair.consumer.approve(pair.transfer)),
    ):
        with pytest.raises(Refused) as caught:
            ask()
        assert (caught.value.code, bool(caught.value.remedy)) == (code, True)


def test_a_participant_is_shut_out_at_the_end(pair: Pair) -> None:
    assert pair.provider.shut_out(pair.consumer_id, "a key was stolen").state == "suspended"
    pair.provider.withdraw("trips")
    assert list(pair.provider.datasets()) == []
