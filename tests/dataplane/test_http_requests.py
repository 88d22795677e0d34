"""From a buyer's request to the one that is made for it: no path leads out, no header slips through, no query hides a purpose."""

from __future__ import annotations

import posixpath
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.dataplane.http_requests import Credential, HttpWish, Wanted, checked, compose, kept_headers
from connector.dataplane.problems import Refusal
from connector.dataplane.screening import screened
from connector.http.client import PeerUnreachable, parse_target

BASE = "https://api.example/v1/cars"
RESEARCH = "https://w3id.org/carnet/terms#Research"
SEGMENT = st.sampled_from(["..", ".", "a", "../..", "%2e", "..;a", "a/../.."]) | st.text(max_size=12)


def source(base: str = BASE, **more: Any) -> HttpWish:
    return checked(HttpWish(base_url=base, **more))


def url(wish: HttpWish, tail: str = "", query: str = "") -> str:
    return compose(wish, Wanted("GET", tail, query), None).url


@pytest.mark.parametrize(
    ("base", "path", "tail", "expected"),
    [
        ("https://api.example", "", "", "https://api.example/"),
        ("https://api.example", "", "a/b", "https://api.example/a/b"),
        ("https://api.example/v1/", "", "a", "https://api.example/v1/a"),
        ("https://api.example/v1/", "", "", "https://api.example/v1/"),
        ("https://api.example/v1", "/cars", "", "https://api.example/v1/cars"),
        ("https://api.example/v1", "cars", "a%2Fb/", "https://api.example/v1/cars/a%2Fb/"),
        ("https://api.example:8443/v1?key=1", "", "a", "https://api.example:8443/v1/a?key=1"),
    ],
)
def test_the_address_is_the_base_and_what_is_below_it(base: str, path: str, tail: str, expected: str) -> None:
    assert url(source(base, path=path, proxy_path=True), tail) == expected


@pytest.mark.parametrize(
    "tail",
    [
        "..",
        "../x",
        "a/../../x",
        "a/..",
        "./x",
        "%2e%2e/x",
        "%2E./x",
        "a%2f..%2f..%2fx",
        "%252e%252e/x",
        "%25252e%25252e/x",
        "%2525252525252e",
        "..%3bv=1/x",
        "..;v=1/x",
        "%5c..%5cx",
        "a%5cb",
        ".%20/x",
        "%c0%ae%c0%ae/x",
        "%ef%bc%8e%ef%bc%8e/x",
        "%00",
        "a%0d%0aHost:%20x",
        "//other.example/x",
        "a//b",
        "a b",
        "a#b",
        "é",
        "a%zz",
    ],
)
def test_no_path_leads_anywhere_else(tail: str) -> None:
    with pytest.raises(Refusal, match="http-path"):
        url(source(proxy_path=True), tail)


def encoded(text: str, times: int) -> str:
    for _ in range(times):
        text = quote(text, safe="")
    return text


@given(st.lists(SEGMENT, max_size=5), st.integers(1, 3))
def test_what_is_asked_stays_below_the_base_however_often_it_is_decoded(segments: list[str], times: int) -> None:
    try:
        found = url(source(proxy_path=True), "/".join(encoded(each, times) for each in segments))
    except Refusal:
        return
    path = parse_target(found).url.raw_path
    for _ in range(times + 1):
        assert f"{posixpath.normpath(path)}/".startswith("/v1/cars/")
        path = unquote(path)


def test_an_id_with_slashes_in_it_is_no_path() -> None:
    assert url(source(proxy_path=True), "https%3A%2F%2Fex.example%2Fa").endswith("/v1/cars/https%3A%2F%2Fex.example%2Fa")


def test_queries_are_joined_and_only_passed_on_where_that_is_offered() -> None:
    wish = source(BASE + "?a=1", query_params="b=2", proxy_query_params=True)
    assert url(wish, query="c=%20x&c=3") == BASE + "?a=1&b=2&c=%20x&c=3"
    assert url(source(query_params="b=2")) == BASE + "?b=2"
    for query in ("c=3", "from=2026-01-01T00:00:00Z", "&".join(f"p{number}=1" for number in range(99))):
        with pytest.raises(Refusal):
            url(source(), query=query)
    with pytest.raises(Refusal, match="http-query"):
        url(source(proxy_query_params=True), query="a=b c")
    with pytest.raises(Refusal) as long:
        url(source(proxy_query_params=True), query="a=" + "b" * 8200)
    assert long.value.status == 414


OVERRIDING = ("tenant=8", "x=1&Tenant=8", "%74enant=8", "+tenant=8", "tenant[]=8", "tenant%5B0%5D=8", "x;tenant=8", "a.b=1")


@pytest.mark.parametrize("query", OVERRIDING)
def test_no_query_says_anew_what_the_publisher_has_said(query: str) -> None:
    fixed = "tenant=7&a_b=1"
    for wish in (source(f"{BASE}?{fixed}", proxy_query_params=True), source(query_params=fixed, proxy_query_params=True)):
        with pytest.raises(Refusal, match="http-query"):
            url(wish, query=query)
        assert url(wish, query="tenants=8&my-tenant=1").endswith(f"{fixed}&tenants=8&my-tenant=1")


def test_what_opens_a_source_is_looked_for_without_its_scheme() -> None:
    headers = {"X-Api-Key": "sesame-open", "X-Tenant": "tenant-of-long-name", "Cookie": "short"}
    assert source(headers=headers, credential=Credential(value="Bearer  abcdefgh")).opening == (b"abcdefgh", b"sesame-open")
    kept = kept_headers({"ETag": '"abcdefgh"', "Allow": "GET"}, (b"abcdefgh",))
    assert kept == {"Allow": "GET"}


@given(st.lists(st.binary(max_size=4), max_size=8), st.lists(st.binary(min_size=1, max_size=4), max_size=2))
async def test_no_byte_of_a_secret_leaves_however_it_is_cut(pieces: list[bytes], opening: list[bytes]) -> None:
    async def come() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    whole, passed = b"".join(pieces), b""
    shown = [whole.find(secret) for secret in opening if secret in whole]
    try:
        async for piece in screened(come(), opening):
            passed += piece
    except PeerUnreachable:
        assert whole.startswith(passed)
        assert len(passed) <= min(shown)
        return
    assert (passed, shown) == (whole, [])


def test_a_purpose_is_named_in_a_header_or_in_a_query_that_is_ours() -> None:
    named = {"Carnet-Purpose": "vdx:Research"}
    own, passing = source(), source(proxy_query_params=True)
    assert compose(own, Wanted("GET", query="purpose=vdx:Research"), None).purpose == RESEARCH
    assert compose(own, Wanted("GET", headers=named), None).purpose == RESEARCH
    assert compose(own, Wanted("GET", query="purpose=vdx:Research", headers=named), None).url == BASE
    both = compose(passing, Wanted("GET", query="purpose=vdx%3AResearch&q=1", headers=named), None)
    assert (both.purpose, both.url) == (RESEARCH, BASE + "?q=1")
    theirs = compose(passing, Wanted("GET", query="purpose=shopping"), None)
    assert (theirs.purpose, theirs.url) == (None, BASE + "?purpose=shopping")
    for wanted in (
        Wanted("GET", headers={"Carnet-Purpose": "no purpose"}),
        Wanted("GET", query="purpose=vdx:Research", headers={"Carnet-Purpose": "vdx:Other"}),
    ):
        with pytest.raises(Refusal, match="ask-purpose"):
            compose(own, wanted, None)


def test_headers_are_passed_on_only_by_name_and_the_publishers_win() -> None:
    wish = source(headers={"Accept": "text/csv", "X-Tenant": "7"}, credential=Credential(header="X-Key", value="sesame"))
    asked = {"Authorization": "Bearer transfer", "Cookie": "a=b", "Accept": "*/*", "X-Key": "mine", "X-Other": "1"}
    asked |= {"Accept-Language": "fr", "Connection": "close", "Range": "bytes=0-1", "If-None-Match": '"v\u00e9"'}
    made = compose(wish, Wanted("GET", headers=asked), None)
    assert made.headers == {"Accept-Language": "fr", "Accept": "text/csv", "X-Tenant": "7", "X-Key": "sesame"}
    answered = {"Content-Type": "text/csv", "Set-Cookie": "a", "Server": "x", "WWW-Authenticate": "Basic", "Connection": "close"}
    assert kept_headers(answered | {"ETag": '"1"', "Location": "http://10.0.0.1/"}) == {"Content-Type": "text/csv", "ETag": '"1"'}


def test_methods_and_bodies_are_the_publishers_unless_they_are_offered() -> None:
    fixed = source(method="POST", body="select", content_type="text/plain")
    assert fixed.methods == ("GET", "POST")
    made = compose(fixed, Wanted("GET"), None)
    assert (made.method, made.body, made.headers) == ("POST", b"select", {"Content-Type": "text/plain"})
    with pytest.raises(Refusal, match="http-body"):
        compose(fixed, Wanted("POST"), b"drop")
    free = source(proxy_method=True, proxy_body=True)
    assert "DELETE" in free.methods
    made = compose(free, Wanted("PATCH", headers={"Content-Type": "application/json"}), b"{}")
    assert (made.method, made.body, made.headers) == ("PATCH", b"{}", {"Content-Type": "application/json"})
    assert (compose(free, Wanted("DELETE"), b"").body, compose(source(), Wanted("HEAD"), None).method) == (None, "HEAD")


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"base_url": "ftp://api.example"}, "http-baseUrl"),
        ({"base_url": "https://user:pass@api.example"}, "http-baseUrl"),
        ({"base_url": "https://api.example/a/../b"}, "http-baseUrl"),
        ({"base_url": "https://api.example/" + "a" * 4000, "query_params": "b" * 4000}, "http-baseUrl"),
        ({"path": "../secret"}, "http-path"),
        ({"path": "a?b"}, "http-path"),
        ({"query_params": "a b"}, "http-queryParams"),
        ({"method": "TRACE"}, "http-method"),
        ({"headers": {"Host": "other"}}, "http-headers"),
        ({"headers": {"A:B": "1"}}, "http-headers"),
        ({"headers": {"A": "1\r\nB: 2"}}, "http-headers"),
        ({"credential": Credential(header="transfer-encoding", value="chunked")}, "http-headers"),
        ({"content_type": "a\nb"}, "http-contentType"),
        ({"body": "x"}, "http-body"),
    ],
)
def test_what_no_request_can_be_made_of_is_not_published(wrong: dict[str, Any], code: str) -> None:
    with pytest.raises(Refusal) as refused:
        checked(HttpWish(**({"base_url": BASE} | wrong)))
    assert (refused.value.status, refused.value.code) == (400, code)


def test_what_opens_a_source_is_not_printed() -> None:
    wish = source(BASE + "?key=sesame", credential=Credential(value="sesame"))
    made = compose(wish, Wanted("GET"), None)
    assert "sesame" not in f"{wish!r} {wish.credential!r} {made!r} {wish.base}"
