"""The catalogue as a participant sees it: only what its policy permits, decided once, as long as time lets it hold."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import orjson
import pytest

from connector.flow import legacy, publish, shelf, sight
from connector.flow.filters import first_page
from connector.identity.interface import Principal
from connector.protocol.errors import BadMessage, NotFound
from connector.store.engine import Statement
from connector.store.rows import Visibility
from connector.store.shelf import Wanted
from policies.terms.party import CONSUMER_KIND, PUBLIC_BODY
from policies.terms.time import DATE_TIME
from tests.flow.house import DATASET, OFFER, Street

CITY = Principal("did:web:city", {"kind": "public-body"})
SHOP = Principal("did:web:shop", {"kind": "company"})
STRANGER = Principal("did:web:stranger", admitted=False)
FLOWS = "urn:dataset:flows"
Json = dict[str, Any]


def when(left: str, operator: str, right: Any) -> Json:
    return {"permission": [{"action": "use", "constraint": [{"leftOperand": left, "operator": operator, "rightOperand": right}]}]}


FOR_BODIES = {"@id": "urn:offer:bodies"} | when(CONSUMER_KIND, "eq", PUBLIC_BODY)


@pytest.fixture
async def context(street: Street) -> Any:
    """A provider with a dataset for all who are admitted, and one for public bodies."""
    await publish.publish(street.provider.context, FLOWS, title="Traffic flows", source="f.csv", offers=[FOR_BODIES])
    return street.provider.context


async def shown(context: Any, who: Principal, **filters: Any) -> list[Json]:
    request = {"filter": [filters]} if filters else {}
    page = await shelf.catalog_page(context, who, request, None, 10)
    document = orjson.loads(page.body)
    assert document["participantId"] == context.participant_id
    return list(document.get("dataset", []))


def ids(datasets: list[Json]) -> list[str]:
    return [dataset["@id"] for dataset in datasets]


async def test_an_offer_is_shown_to_those_whom_its_policy_permits(context: Any) -> None:
    assert ids(await shown(context, CITY)) == [FLOWS, DATASET]
    assert ids(await shown(context, SHOP)) == [DATASET]
    assert await shown(context, STRANGER) == []
    assert orjson.loads(await shelf.dataset_document(context, CITY, FLOWS))["hasPolicy"][0]["@id"] == "urn:offer:bodies"
    with pytest.raises(NotFound):
        await shelf.dataset_document(context, SHOP, FLOWS)


async def test_of_several_offers_each_sees_its_own(context: Any) -> None:
    await publish.publish(context, FLOWS, source="f.csv", offers=[FOR_BODIES, OFFER | {"@id": "urn:offer:all"}])
    for who, expected in ((CITY, ["urn:offer:bodies", "urn:offer:all"]), (SHOP, ["urn:offer:all"])):
        paged = next(each for each in await shown(context, who) if each["@id"] == FLOWS)
        alone = orjson.loads(await shelf.dataset_document(context, who, FLOWS))
        assert ids(paged["hasPolicy"]) == ids(alone["hasPolicy"]) == expected


async def test_what_is_withdrawn_is_gone(context: Any) -> None:
    await publish.withdraw(context, FLOWS)
    assert ids(await shown(context, CITY)) == [DATASET]
    for read in (shelf.dataset_document, shelf.why_not):
        with pytest.raises(NotFound):
            await read(context, CITY, FLOWS)


async def test_why_somebody_does_not_see_a_dataset(context: Any) -> None:
    (looked,) = await shelf.why_not(context, SHOP, FLOWS)
    assert (looked.offer_id, looked.shown, looked.open_to) == ("urn:offer:bodies", False, "admitted")
    assert [(reason.code, reason.path) for reason in looked.decision.reasons] == [("not-satisfied", "/permission/0/constraint/0")]
    (looked,) = await shelf.why_not(context, CITY, FLOWS)
    assert looked.shown
    (looked,) = await shelf.why_not(context, STRANGER, FLOWS)
    assert [reason.code for reason in looked.decision.reasons] == ["not-open", "not-known"]
    (looked,) = await shelf.why_not(context, STRANGER, DATASET)
    assert [reason.code for reason in looked.decision.reasons] == ["not-open"]


async def test_a_decision_is_made_once_until_time_changes_it(
    street: Street, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    def counting(*args: Any) -> Any:
        nonlocal asked
        asked += 1
        return decide(*args)

    decide = sight.decide
    monkeypatch.setattr(sight, "decide", counting)
    end = "2023-11-14T22:15:00Z"
    until = {"@id": "urn:offer:until"} | when(DATE_TIME, "lt", {"@value": end, "@type": "xsd:dateTime"})
    await publish.publish(context, "urn:dataset:soon", source="s.csv", offers=[until])
    for _ in range(3):
        assert len(await shown(context, CITY)) == 3
    assert asked == 3
    street.now = 1_700_000_100_000
    assert len(await shown(context, CITY)) == 2
    assert asked == 4
    assert len(await shown(context, replace(CITY, claims={"kind": "company"}))) == 1
    assert asked == 7
    street.now += sight.HOLDS_MOST_MS
    await shown(context, CITY)
    assert asked == 10


async def test_the_memory_is_bounded(context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sight, "DECISIONS_MOST", 5)
    for number in range(9):
        await shown(context, Principal(f"did:web:p{number}"))
    memory = context.sight
    assert len(memory._views) == 2
    assert memory._decisions == sum(len(view.looked) for view in memory._views.values())


async def test_many_policies_leave_the_others_their_turn(context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sight, "AT_A_TIME", 1)
    assert ids(await shown(context, CITY)) == [FLOWS, DATASET]


async def test_a_policy_that_cannot_be_read_shows_nothing(context: Any) -> None:
    await context.store.commit(
        [
            Statement("UPDATE visibility SET policy = '{}'", (), None),
            Statement("UPDATE ledger SET version = version + 1", (), None),
        ]
    )
    context.sight._known.clear()
    assert await shown(context, CITY) == []


async def test_relative_times_are_looked_at_again_soon(street: Street, context: Any) -> None:
    clause = when("https://w3id.org/edc/v0.0.1/ns/inForceDate", "lteq", "contractAgreement+7d")
    await publish.publish(context, "urn:dataset:week", source="w.csv", offers=[{"@id": "urn:offer:week"} | clause])
    assert len(await shown(context, CITY)) == 3
    view = next(iter(context.sight._views.values()))
    assert view.until_ms <= street.now + sight.TIMED_MOST_MS


async def test_the_catalogue_is_narrowed_by_text_and_theme(context: Any) -> None:
    assert ids(await shown(context, CITY, text="FLOWS traffic")) == [FLOWS]
    assert ids(await shown(context, CITY, text="flows", theme="other")) == []
    assert ids(await shown(context, CITY, offset=1)) == [DATASET]


async def test_pages_lead_to_the_next_with_what_they_were_narrowed_to(context: Any) -> None:
    for number in range(5):
        offer = {"permission": [{"action": "use"}]}
        await publish.publish(context, f"urn:bike:{number}", title="Bikes", source="b.csv", offers=[offer])
    request, token, found = {"filter": {"text": "bikes", "limit": 2}}, None, list[str]()
    while True:
        page = await shelf.catalog_page(context, CITY, request, token, 10)
        found += ids(orjson.loads(page.body)["dataset"])
        if page.next_token is None:
            break
        request, token = {}, page.next_token
    assert found == [f"urn:bike:{number}" for number in range(5)]


@pytest.mark.parametrize(
    "filters",
    [
        [7],
        [{"text": 7}],
        [{"text": "a " * 9}],
        [{"text": "a\0"}],
        [{"theme": 7}],
        [{"limit": 0}],
        [{"offset": -1}],
        [{}, {}],
        "x",
    ],
    ids=repr,
)
def test_a_filter_that_is_not_understood_is_refused(filters: Any) -> None:
    with pytest.raises(BadMessage, match="filter-unsupported"):
        first_page(filters, 10)


def test_filters_in_any_spelling_of_json_ld() -> None:
    full = {
        "https://w3id.org/carnet/terms#text": [{"@value": "Two words"}],
        "vdx:limit": {"@value": "3"},
        "@type": ["edc:QuerySpec"],
    }
    window = first_page([full], 10)
    assert (window.wanted, window.limit) == (Wanted(("two", "words")), 3)
    assert first_page([{"theme": {"@id": "urn:theme:x"}, "limit": 99}], 10).wanted.theme == "urn:theme:x"
    assert first_page(None, 10).limit == first_page([{"limit": 99}], 10).limit == 10


async def test_what_an_earlier_release_published_is_shown_as_it_was(context: Any) -> None:
    plain = {"@id": "urn:offer:old", "@type": "Offer", "permission": [{"action": "use"}]}
    odd = {"@id": "urn:offer:odd", "@type": "Offer", "permission": [{"action": "frobnicate"}]}
    document = {"@id": "urn:old", "@type": "Dataset", "http://purl.org/dc/terms/title": "Old", "hasPolicy": [plain, odd]}
    insert = "INSERT INTO dataset (id, document, source, published_at) VALUES ('urn:old', ?, 'o.csv', 1)"
    await context.store.commit([Statement(insert, (orjson.dumps(document).decode(),))])
    for offer in (plain, odd):
        await context.store.commit([Statement("INSERT INTO offer (id, dataset) VALUES (?, 'urn:old')", (str(offer["@id"]),))])

    assert await legacy.complete(context) == 1
    assert await legacy.complete(context) == 0
    (found,) = await shown(context, SHOP, text="old")
    assert ids(found["hasPolicy"]) == ["urn:offer:old"]
    looked = await shelf.why_not(context, SHOP, "urn:old")
    assert [(each.shown, each.open_to) for each in looked] == [(True, "admitted"), (False, "nobody")]
    assert looked[1].decision.reasons[0].remedy == "publish it again"


async def test_others_have_their_turn_while_many_policies_are_read(street: Street) -> None:
    many = [sight.visibility(when(DATE_TIME, "lt", f"{year}-01-01T00:00:00Z"), "all") for year in range(2100, 2600)]
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    class Unasked(sight.Sight):
        """It reads, and decides nothing."""

        async def _look(self, *_: Any) -> dict[str, sight.Looked]:
            return {}

    class Told:
        """A shelf that answers at once."""

        async def version(self) -> int:
            return 1

        async def digests(self) -> list[str]:
            return [each.digest for each in many]

        async def visibilities(self, _: Any) -> list[Visibility]:
            return many

    told: Any = Told()
    running = asyncio.create_task(others())
    await Unasked().seen(told, CITY, street.now_ms(), frozenset())
    running.cancel()
    assert turns >= len(many) // sight.AT_A_TIME - 1
