"""What is on offer, page by page, on both engines: the same however it is looked for."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from connector.app import MIGRATIONS
from connector.store import shelf, writes
from connector.store.control import ControlStore
from connector.store.engine import LostRace, Statement
from connector.store.migrate import migrate
from connector.store.rows import Agreement, Offered, Published, Visibility
from connector.store.shelf import MERGED_MOST, Wanted
from tests.store.conftest import open_engine

FEW, ALL = {"v3"}, {f"v{number}" for number in range(MERGED_MOST + 9)}


@pytest.fixture
async def store(database: str) -> AsyncIterator[ControlStore]:
    engine = await open_engine(database)
    await migrate(engine, MIGRATIONS, 1)
    yield ControlStore(engine)
    await engine.close()


async def put(store: ControlStore, name: str, *digests: str, words: str = "", theme: str = "") -> None:
    """A dataset with an offer for each digest."""
    row = Published(name, "{}", "f", 1, brief=f'{{"@id":"{name}"}}', words=words, theme=theme)
    offers = [
        Offered(f"{name}#{position}", name, position, f'{{"n":{position}}}', "", digest)
        for position, digest in enumerate(digests)
    ]
    await store.commit(shelf.publish_dataset(row, offers, [Visibility(digest, "{}", "all") for digest in digests]))


@pytest.mark.parametrize("others", [0, MERGED_MOST], ids=["merged", "looked through"])
async def test_pages_hold_what_is_seen_in_order_once(store: ControlStore, others: int) -> None:
    seen = {"seen", "too", *(f"nothing{number}" for number in range(others))}
    for number in range(90):
        digests = ("hidden",) if number % 3 else ("seen", "hidden", "too", "seen")
        await put(store, f"d{number:02}", *digests)
    await store.commit([writes.withdraw_dataset("d03", 2)])
    expected = [f"d{number:02}" for number in range(0, 90, 3) if number != 3]

    found: list[str] = []
    while page := await store.shelf.visible(seen, found[-1] if found else "", 7):
        found += page
    assert found == expected
    assert await store.shelf.visible(set(), "", 7) == []


async def test_a_page_shows_the_offers_that_are_seen_in_the_order_of_the_owner(store: ControlStore) -> None:
    await put(store, "b", "seen", "hidden", "too")
    await put(store, "a", "too")
    shown = await store.shelf.shown(["b", "a", "none"], {"seen", "too"})
    assert [(each.id, each.brief, each.offers) for each in shown] == [
        ("b", '{"@id":"b"}', ('{"n":0}', '{"n":2}')),
        ("a", '{"@id":"a"}', ('{"n":0}',)),
    ]


async def test_more_offers_than_are_looked_through_at_a_time(store: ControlStore) -> None:
    await put(store, "a", *["hidden"] * 40)
    await put(store, "b", *sorted(ALL))
    assert await store.shelf.visible(ALL, "", 5) == ["b"]


async def test_a_dataset_is_not_passed_over_for_the_offers_before_the_one_that_is_seen(store: ControlStore) -> None:
    await put(store, "a", *["hidden"] * 40, "v3")
    await put(store, "b", "v3")
    assert await store.shelf.visible(ALL, "", 1) == ["a"]
    assert await store.shelf.visible(ALL, "", 5) == ["a", "b"]


@pytest.mark.parametrize("seen", [FEW, ALL], ids=["merged", "looked through"])
async def test_words_and_themes_narrow(store: ControlStore, seen: set[str]) -> None:
    await put(store, "a", "v3", words="trips of 100% fleet_7", theme="\nurn:theme:x\nurn:theme:y\n")
    await put(store, "b", "v3", words="trips of 100 fleets17", theme="\nurn:theme:xy\n")

    async def found(*words: str, theme: str | None = None) -> list[str]:
        return await store.shelf.visible(seen, "", 9, Wanted(words, theme))

    assert await found("trips", "of") == ["a", "b"]
    assert await found("100%") == await found("fleet_7") == ["a"]
    assert await found("trips", "bikes") == []
    assert await found(theme="urn:theme:x") == await found("trips", theme="urn:theme:y") == ["a"]


async def test_the_version_grows_with_what_is_new_only(store: ControlStore) -> None:
    before = await store.shelf.version()
    await put(store, "a", "one", "two")
    grown = await store.shelf.version()
    assert grown > before
    await put(store, "b", "two", "one")
    assert await store.shelf.version() == grown
    await put(store, "b", "three")
    assert await store.shelf.version() > grown
    assert await store.shelf.digests() == ["one", "three", "two"]
    assert [each.open_to for each in await store.shelf.visibilities(["two", "none"])] == ["all"]


async def test_an_offer_id_belongs_to_one_dataset(store: ControlStore) -> None:
    await put(store, "a", "one")
    taken = Offered("a#0", "b", 0, "{}", "", "one")
    with pytest.raises(LostRace):
        await store.commit(shelf.publish_dataset(Published("b", "{}", "f", 1), [taken]))
    assert await store.dataset("b") is None
    offer = await store.shelf.offer("a#0")
    assert offer is not None
    assert offer.dataset == "a"
    assert await store.shelf.offer("b#0") is None


async def test_promises_are_those_of_ours_that_are_not_void(store: ControlStore) -> None:
    def made(name: str, role: str, state: str) -> list[Statement]:
        agreement = Agreement(name, "did:web:b", role, f"n-{name}", "a", f'"{name}"', state, 1, 1)
        columns = "agreement_id, counterparty, dataset, exclusive, bounds, created_at"
        values = f"'{name}', 'did:web:b', 'a', {int('exclusive' in name)}, '{{}}', 1"
        ground = f"INSERT INTO exclusivity ({columns}) VALUES ({values})"  # noqa: S608 - words of this test
        return [writes.insert_agreement(agreement), Statement(ground, ())]

    for name, role, state in (
        ("exclusive", "provider", "binding"),
        ("plain", "provider", "pending"),
        ("exclusive-void", "provider", "void"),
        ("exclusive-theirs", "consumer", "binding"),
    ):
        await store.commit(made(name, role, state))
    assert await store.shelf.promised("a", exclusively=True) == ['"exclusive"']
    assert await store.shelf.promised("a", exclusively=False) == ['"exclusive"', '"plain"']
    assert await store.shelf.promised("b", exclusively=False) == []


async def test_what_an_earlier_release_published_is_completed_once(store: ControlStore) -> None:
    sql = "INSERT INTO dataset (id, document, source, published_at) VALUES (?, '{}', 'f', 1)"
    await store.commit([Statement(sql, (name,)) for name in ("a", "b")])
    await store.commit([Statement("INSERT INTO offer (id, dataset) VALUES ('o', 'a')", ())])
    assert [row.id for row in await store.shelf.incomplete("", 9)] == ["a", "b"]
    complete = shelf.complete_dataset("a", "{}", "words", [Offered("o", "a", 0, "{}", "", "one")])
    await store.commit(complete)
    assert [row.id for row in await store.shelf.incomplete("", 9)] == ["b"]
    with pytest.raises(LostRace):
        await store.commit(complete)
