"""What the fetcher judges, remembers, shares and rations; the addresses it refuses are in tests/attacks/test_addresses.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.http.client import EgressRefused, PeerUnreachable
from connector.identity import fetcher as module
from connector.identity.fetcher import Fetcher, FetchRefused
from connector.protocol.errors import TooMany, Unavailable
from connector.settings.identity import OAuthSettings
from tests.identity.shelf import Shelf, page

URL = "https://peer.example/.well-known/did.json"
SETTINGS = OAuthSettings(document_timeout_s=1, document_cache_s=300, document_min_refresh_s=10)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf({URL: page({"id": "did:web:peer.example"})})


@pytest.fixture
async def fetcher(shelf: Shelf) -> AsyncIterator[Fetcher]:
    fetcher = shelf.fetcher(SETTINGS)
    yield fetcher
    await fetcher.close()


async def refused(fetcher: Fetcher, url: str = URL, *, fresh: bool = False) -> FetchRefused:
    with pytest.raises(FetchRefused) as caught:
        await fetcher.document(url, fresh=fresh)
    assert "well-known" not in str(caught.value)
    return caught.value


async def test_a_document_is_read_once_and_believed_for_its_time(shelf: Shelf, fetcher: Fetcher) -> None:
    first = await fetcher.document(URL)
    assert first == {"id": "did:web:peer.example"}
    shelf.now += 299.9
    assert await fetcher.document("HTTPS://Peer.Example:443/.well-known/did.json") is first
    assert shelf.asked == [URL]
    assert shelf.bounds == [(1, SETTINGS.document_max_bytes)]
    shelf.now += 0.1
    assert await fetcher.document(URL) is not first
    assert len(shelf.asked) == 2


@pytest.mark.parametrize(
    "media_type",
    ["application/json", "Application/JSON; charset=utf-8", "application/did+json", "application/jwk-set+json ;a=b"],
)
async def test_every_kind_of_json_is_taken(shelf: Shelf, fetcher: Fetcher, media_type: str) -> None:
    shelf.pages[URL] = page({"a": 1}, media_type=media_type)
    assert await fetcher.document(URL) == {"a": 1}


@pytest.mark.parametrize(
    ("answer", "code", "retry"),
    [
        (page({}, 404), "fetch-status", False),
        (page({}, 204), "fetch-status", False),
        (page({}, 429), "fetch-status", True),
        (page({}, 500), "fetch-status", True),
        (page({}, 302), "fetch-redirect", False),
        (page({}, media_type="text/html"), "fetch-content-type", False),
        (page({}, media_type="application/jsonp"), "fetch-content-type", False),
        (page({}, media_type="application/+json"), "fetch-content-type", False),
        (page({}, media_type=""), "fetch-content-type", False),
        (page(b"<html>"), "fetch-not-json", False),
        (page([{}]), "fetch-not-json", False),
        (page(b'{"a":NaN}'), "fetch-not-json", False),
        (page(b'{"id":"a","id":"b"}'), "fetch-duplicate-member", False),
        (page(b'{"a":' + b"[" * 32 + b"]" * 32 + b"}"), "fetch-too-deep", False),
        (page(b"[" * 60_000), "fetch-too-deep", False),
        (page(b'{"a":1e400}'), "fetch-not-json", False),
        (page(b'{"a":9007199254740993}'), "fetch-member-invalid", False),
        (PeerUnreachable("too_large", "larger", retry=False), "fetch-too-large", False),
        (PeerUnreachable("protocol", "garbage"), "fetch-protocol", True),
        (EgressRefused("address", "not public"), "fetch-address", False),
        (EgressRefused("scheme", "https is required"), "fetch-scheme", False),
        (EgressRefused("port", "not a port of a web server"), "fetch-port", False),
    ],
)
async def test_what_is_no_document_is_refused_for_a_while(
    shelf: Shelf, fetcher: Fetcher, answer: object, code: str, retry: bool
) -> None:
    assert isinstance(answer, type(page({})) | Exception)
    shelf.pages[URL] = answer
    first = await refused(fetcher)
    assert (first.code, first.retry, first.status) == (code, retry, 503)
    shelf.pages[URL] = page({"a": 1})
    shelf.now += 29.9
    again = await refused(fetcher, fresh=True)
    assert (again.code, again.reason, again.retry) == (first.code, first.reason, first.retry)
    assert again is not first
    assert len(shelf.asked) == 1
    shelf.now += 0.1
    assert await fetcher.document(URL) == {"a": 1}


@pytest.mark.parametrize("code", ["dns", "connect", "tls", "reset", "timeout"])
async def test_a_connection_that_failed_is_never_remembered(shelf: Shelf, fetcher: Fetcher, code: str) -> None:
    shelf.pages[URL] = PeerUnreachable(code, "no connection")
    error = await refused(fetcher)
    assert (error.code, error.retry) == (f"fetch-{code}", True)
    shelf.pages[URL] = page({"a": 1})
    assert await fetcher.document(URL) == {"a": 1}
    assert len(shelf.asked) == 2


@pytest.mark.parametrize(
    "url",
    [
        "",
        "peer.example/did.json",
        "ftp://peer.example/did.json",
        "https://user@peer.example/did.json",
        "https://peer.example/did.json#key-1",
        "https://peer.example/../did.json",
        "https://peer.example/a/./did.json",
        "https://peer.example/%2e%2e/did.json",
        "https://peer.example/.%2E/did.json",
        "https://peer.example/a//did.json",
        "https://peer.example//did.json",
        "https://peer.example/a%2fdid.json",
        "https://peer.example/a%5Cdid.json",
        "https://peer.example/" + "a" * 2048,
    ],
)
async def test_a_url_that_leads_elsewhere_is_never_asked(shelf: Shelf, fetcher: Fetcher, url: str) -> None:
    error = await refused(fetcher, url)
    assert (error.code, error.retry) == ("fetch-url", False)
    assert shelf.asked == []


async def test_a_query_and_a_slash_at_the_end_are_plain(shelf: Shelf, fetcher: Fetcher) -> None:
    for url in ("https://peer.example/keys?policy=a%2Fb", "https://peer.example/keys/", "https://peer.example/"):
        shelf.pages[url] = page({"keys": []})
        assert await fetcher.document(url) == {"keys": []}


async def test_a_fresh_look_is_not_taken_more_often_than_agreed(shelf: Shelf, fetcher: Fetcher) -> None:
    old = await fetcher.document(URL)
    shelf.pages[URL] = page({"id": "new"})
    shelf.now += 9.9
    assert await fetcher.document(URL, fresh=True) is old
    shelf.now += 0.1
    assert await fetcher.document(URL) is old
    assert await fetcher.document(URL, fresh=True) == {"id": "new"}
    assert await fetcher.document(URL) == {"id": "new"}
    assert len(shelf.asked) == 2


async def test_a_fresh_look_that_fails_counts_as_one_and_takes_nothing_away(shelf: Shelf, fetcher: Fetcher) -> None:
    old = await fetcher.document(URL)
    shelf.pages[URL] = PeerUnreachable("connect", "no connection")
    shelf.now += 10
    assert (await refused(fetcher, fresh=True)).code == "fetch-connect"
    for _ in range(100):
        assert await fetcher.document(URL, fresh=True) is old
    assert len(shelf.asked) == 2
    shelf.now += 10
    assert (await refused(fetcher, fresh=True)).code == "fetch-connect"
    assert await fetcher.document(URL) is old


async def test_a_document_that_was_withdrawn_is_no_longer_believed(shelf: Shelf, fetcher: Fetcher) -> None:
    await fetcher.document(URL)
    shelf.pages[URL] = page({}, 410)
    shelf.now += 10
    assert (await refused(fetcher, fresh=True)).code == "fetch-status"
    assert (await refused(fetcher)).code == "fetch-status"
    assert len(shelf.asked) == 2


async def test_all_who_ask_at_the_same_time_share_one_fetch(shelf: Shelf, fetcher: Fetcher) -> None:
    shelf.gates[URL] = asyncio.Event()
    asking = [asyncio.create_task(fetcher.document(URL, fresh=bool(number % 2))) for number in range(20)]
    await shelf.until_asked(1)
    shelf.gates[URL].set()
    documents = await asyncio.gather(*asking)
    assert all(document is documents[0] for document in documents)
    assert len(shelf.asked) == 1


async def test_all_who_share_a_refusal_get_one_of_their_own(shelf: Shelf, fetcher: Fetcher) -> None:
    shelf.pages[URL] = PeerUnreachable("timeout", "no answer in time")
    refusals = await asyncio.gather(*(refused(fetcher) for _ in range(5)))
    assert len(set(map(id, refusals))) == 5
    assert len(shelf.asked) == 1


async def test_who_stops_waiting_leaves_the_fetch_to_the_others(shelf: Shelf, fetcher: Fetcher) -> None:
    gate = shelf.gates[URL] = asyncio.Event()
    first, second = (asyncio.create_task(fetcher.document(URL)) for _ in range(2))
    await shelf.until_asked(1)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    gate.set()
    assert await second == {"id": "did:web:peer.example"}
    assert len(shelf.asked) == 1


async def test_a_fetch_that_nobody_waits_for_is_not_wasted(shelf: Shelf, fetcher: Fetcher) -> None:
    gate = shelf.gates[URL] = asyncio.Event()
    only = asyncio.create_task(fetcher.document(URL))
    await shelf.until_asked(1)
    only.cancel()
    with pytest.raises(asyncio.CancelledError):
        await only
    gate.set()
    assert await fetcher.document(URL) == {"id": "did:web:peer.example"}
    assert len(shelf.asked) == 1


async def test_closing_ends_every_fetch_and_cancels_nobody_else(shelf: Shelf) -> None:
    fetcher = shelf.fetcher(SETTINGS)
    shelf.gates[URL] = asyncio.Event()
    waiting = [asyncio.create_task(refused(fetcher)) for _ in range(3)]
    await shelf.until_asked(1)
    await fetcher.close()
    assert [error.code for error in await asyncio.gather(*waiting)] == ["fetch-closed"] * 3
    await fetcher.close()
    assert (await refused(fetcher)).code == "fetch-closed"
    assert len(asyncio.all_tasks()) == 1


def urls(count: int, host: str = "peer{}.example") -> list[str]:
    return [f"https://{host.format(number)}/{number}" for number in range(count)]


async def test_few_fetches_run_at_once_and_anonymous_callers_leave_some(shelf: Shelf, fetcher: Fetcher) -> None:
    gate = asyncio.Event()
    mine = urls(6, "own{}.example")
    shelf.gates = dict.fromkeys([*urls(30), *mine, URL], gate)
    strangers = [asyncio.create_task(fetcher.document(url, asked_by=f"192.0.2.{i}")) for i, url in enumerate(urls(30))]
    await shelf.until_asked(module.MAX_AT_ONCE_ANONYMOUS)
    own = [asyncio.create_task(fetcher.document(url)) for url in [URL, *mine]]
    await shelf.until_asked(module.MAX_AT_ONCE)
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(shelf.asked) == module.MAX_AT_ONCE
    assert URL in shelf.asked
    gate.set()
    await asyncio.gather(*strangers, *own, return_exceptions=True)
    assert len(shelf.asked) == 37


async def test_nobody_waits_for_a_slot_longer_than_a_fetch_may_take(shelf: Shelf, fetcher: Fetcher) -> None:
    others = urls(module.MAX_AT_ONCE)
    shelf.gates = {url: asyncio.Event() for url in others}
    holding = [asyncio.create_task(fetcher.document(url)) for url in others]
    await shelf.until_asked(module.MAX_AT_ONCE)
    error = await refused(fetcher)
    assert (error.code, error.retry) == ("fetch-busy", True)
    for gate in shelf.gates.values():
        gate.set()
    await asyncio.gather(*holding, return_exceptions=True)
    assert await fetcher.document(URL)


async def test_what_waits_is_bounded(shelf: Shelf) -> None:
    fetcher = shelf.fetcher(SETTINGS)
    gate = asyncio.Event()
    many = urls(module.MAX_PENDING)
    shelf.gates = dict.fromkeys([*many, URL], gate)
    half = module.MAX_PENDING // 2
    waiting = [asyncio.create_task(fetcher.document(url, asked_by=f"192.0.2.{i}")) for i, url in enumerate(many[:half])]
    await shelf.until_asked(module.MAX_AT_ONCE_ANONYMOUS)
    with pytest.raises(FetchRefused) as busy:
        await fetcher.document(URL, asked_by="192.0.2.200")
    assert busy.value.code == "fetch-busy"
    waiting += [asyncio.create_task(fetcher.document(url)) for url in many[half:]]
    await shelf.until_asked(module.MAX_AT_ONCE)
    assert (await refused(fetcher)).code == "fetch-busy"
    await fetcher.close()
    assert all(isinstance(outcome, FetchRefused) for outcome in await asyncio.gather(*waiting, return_exceptions=True))


async def test_a_host_is_not_flooded(shelf: Shelf, fetcher: Fetcher) -> None:
    many = urls(module.HOST_BURST + 1, "peer.example:1{:04}")
    shelf.pages.update({url: page({}) for url in many})
    for url in many[:-1]:
        await fetcher.document(url)
    error = await refused(fetcher, many[-1])
    assert (error.code, error.retry) == ("fetch-host-rate", True)
    assert await fetcher.document(many[0]) == {}
    assert await fetcher.document(many[-1], asked_by="192.0.2.1") == {}, "anonymous callers have a budget of their own"
    shelf.now += 1 / module.HOST_PER_S
    assert await fetcher.document(URL)


async def test_an_anonymous_caller_has_a_small_budget(shelf: Shelf, fetcher: Fetcher) -> None:
    many = urls(module.ASKED_BURST + 2)
    shelf.pages.update({url: page({}) for url in many})
    for url in many[: module.ASKED_BURST]:
        await fetcher.document(url, asked_by="192.0.2.1")
    with pytest.raises(TooMany) as slow_down:
        await fetcher.document(many[-2], asked_by="::ffff:192.0.2.1")
    assert (slow_down.value.code, slow_down.value.retry_after_s) == ("too-many-documents", 2)
    await fetcher.document(many[0], asked_by="192.0.2.1")
    await fetcher.document(many[-2], asked_by="192.0.2.2")
    shelf.now += 2
    await fetcher.document(many[-1], asked_by="192.0.2.1")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:0:0:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("a socket", "a socket", True),
        ("a socket", "another", False),
    ],
)
async def test_whose_budget_it_is(shelf: Shelf, fetcher: Fetcher, one: str, other: str, same: bool) -> None:
    many = urls(module.ASKED_BURST + 1)
    shelf.pages.update({url: page({}) for url in many})
    for url in many[:-1]:
        await fetcher.document(url, asked_by=one)
    if same:
        with pytest.raises(TooMany):
            await fetcher.document(many[-1], asked_by=other)
    else:
        await fetcher.document(many[-1], asked_by=other)


async def test_what_is_remembered_is_bounded(shelf: Shelf, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KEPT", 3)
    monkeypatch.setattr(module, "MAX_BUCKETS", 3)
    good, bad = urls(4), urls(4, "bad{}.example")
    shelf.pages.update({url: page({}) for url in good})
    for url in good[:3]:
        await fetcher.document(url)
    await fetcher.document(good[0])
    await fetcher.document(good[3])
    for url in bad:
        await refused(fetcher, url)
    assert len(shelf.asked) == 8
    await fetcher.document(good[0])
    await refused(fetcher, bad[3])
    assert len(shelf.asked) == 8
    await fetcher.document(good[1])
    await refused(fetcher, bad[0])
    assert shelf.asked[8:] == [good[1], bad[0]]


async def test_what_is_remembered_is_bounded_in_bytes(shelf: Shelf, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KEPT_BYTES", 2500)
    large = urls(3)
    shelf.pages.update({url: page({"a": "x" * 1000}) for url in large})
    for url in [*large, large[2], large[1], large[0]]:
        await fetcher.document(url)
    assert shelf.asked == [*large, large[0]]


async def test_a_fault_of_ours_is_not_hidden(shelf: Shelf, fetcher: Fetcher) -> None:
    shelf.pages[URL] = RuntimeError("a bug")
    with pytest.raises(RuntimeError, match="a bug"):
        await fetcher.document(URL)
    shelf.pages[URL] = page({"a": 1})
    assert await fetcher.document(URL) == {"a": 1}


@given(st.text() | st.from_regex(r"https://[a-z.%0-9]+(/[!-~]*)*", fullmatch=True))
def test_any_text_is_a_plain_url_or_refused(text: str) -> None:
    async def ask() -> None:
        shelf = Shelf()
        fetcher = shelf.fetcher(SETTINGS)
        with pytest.raises(FetchRefused) as caught:
            await fetcher.document(text)
        assert isinstance(caught.value, Unavailable)
        assert caught.value.code in ("fetch-url", "fetch-status")
        assert not any(".." in url.split("?")[0].split("/") for url in shelf.asked)

    asyncio.run(ask())
