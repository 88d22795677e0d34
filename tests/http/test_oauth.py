"""The doors of identity over real sockets: what anybody can read, and what the token endpoint takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import aiohttp
import pytest
from aiohttp import web
from aiohttp.streams import StreamReader
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request
from multidict import CIMultiDict

from connector.http.addresses import MAX_ADDRESSES
from connector.http.oauth import DOCUMENT_AGE_S, FORM, MAX_FORM_BYTES, Addresses, TokenEndpoint, routes
from connector.identity.keys import Use
from connector.identity.metadata import resource_document, server_document
from connector.protocol.errors import TooMany
from connector.settings.identity import OAuthSettings
from connector.store.engine import StoreUnavailable
from tests.identity.office import ENDPOINT, ISSUER, NOW_MS, RESOURCE, Caller, Office, office, ring

PROTECTED = resource_document(RESOURCE, [ISSUER], ["catalog"], dpop_required=True)
DID_PATH = "/.well-known/did.json"
TOKEN = "/oauth/token"
Client = TestClient[web.Request, web.Application]


@dataclass
class Doors:
    """A listener in front of an office."""

    client: Client
    office: Office
    caller: Caller
    now: float = 100.0

    async def post(self, data: Any, headers: dict[str, str] | None = None) -> tuple[aiohttp.ClientResponse, dict[str, Any]]:
        answer = await self.client.post(TOKEN, data=data, headers={"Content-Type": FORM, **(headers or {})})
        return answer, await answer.json()

    async def refused(self, data: Any, code: str, status: int, headers: dict[str, str] | None = None) -> None:
        answer, body = await self.post(data, headers)
        assert (answer.status, body["code"]) == (status, code), body
        assert body.keys() == {"error", "error_description", "code"}
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.fixture
async def doors(tmp_path: Path) -> AsyncIterator[Doors]:
    async with office(tmp_path / "control.db") as opened:
        keys = ring(opened.key)
        application = web.Application()
        here: list[Doors] = []
        application.add_routes(
            routes(
                issuer=ISSUER,
                authority=opened.authority,
                keys=lambda: {"keys": [dict(jwk) for use, jwk in keys.published(NOW_MS) if use is Use.OAUTH]},
                resources={"/dsp/2025-1": PROTECTED, "": {**PROTECTED, "resource": ISSUER}},
                did=(DID_PATH, lambda: {"id": "did:web:provider.example"}),
                settings=OAuthSettings(token_requests_per_s=1, token_burst=20),
                request_timeout_s=5,
                monotonic=lambda: here[0].now,
            )
        )
        caller = Caller()
        opened.publish(caller)
        async with TestClient(TestServer(application)) as client:
            here.append(Doors(client, opened, caller))
            yield here[0]


# -- documents ------------------------------------------------------------------------------------------------------------


async def test_what_anybody_can_read(doors: Doors) -> None:
    expected = {
        "/.well-known/oauth-authorization-server": server_document(ISSUER),
        "/.well-known/oauth-protected-resource/dsp/2025-1": PROTECTED,
        "/.well-known/oauth-protected-resource": {**PROTECTED, "resource": ISSUER},
        "/oauth/jwks": {"keys": [dict(doors.office.key.public_jwk)]},
        DID_PATH: {"id": "did:web:provider.example"},
    }
    for path, document in expected.items():
        answer = await doors.client.get(path)
        assert (answer.status, answer.content_type) == (200, "application/json")
        assert answer.headers["Cache-Control"] == f"public, max-age={DOCUMENT_AGE_S}"
        assert await answer.json() == document
        assert all("d" not in key for key in document.get("keys", []))


def test_without_an_authority_there_is_no_token_endpoint() -> None:
    found = routes(
        issuer=ISSUER,
        authority=None,
        keys=dict,
        resources={},
        did=None,
        settings=OAuthSettings(),
        request_timeout_s=5,
        monotonic=lambda: 0.0,
    )
    assert [route.path for route in found] == ["/oauth/jwks"]


async def test_a_document_that_cannot_be_made_is_an_incident_without_words(capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> dict[str, Any]:
        raise RuntimeError("a secret detail")

    application = web.Application()
    made = routes(
        issuer=ISSUER,
        authority=None,
        keys=broken,
        resources={},
        did=None,
        settings=OAuthSettings(),
        request_timeout_s=5,
        monotonic=lambda: 0.0,
    )
    application.add_routes(made)
    async with TestClient(TestServer(application)) as client:
        answer = await client.get("/oauth/jwks")
        assert answer.status == 500
        assert "secret" not in await answer.text()
    assert "a secret detail" in capsys.readouterr().out


# -- tokens ---------------------------------------------------------------------------------------------------------------


async def test_a_token(doors: Doors) -> None:
    answer, body = await doors.post(doors.caller.form(), {"DPoP": doors.caller.proof()})
    assert answer.status == 200
    assert (answer.headers["Cache-Control"], answer.headers["Pragma"], answer.content_type) == (
        "no-store",
        "no-cache",
        "application/json",
    )
    assert body["token_type"] == "DPoP"


async def test_what_a_refused_client_is_told(doors: Doors) -> None:
    answer, body = await doors.post(doors.caller.form(), {"DPoP": doors.caller.proof(), "Authorization": "Basic Og=="})
    assert (answer.status, body["error"], body["code"]) == (401, "invalid_client", "client-method")
    assert answer.headers["WWW-Authenticate"] == f'private_key_jwt realm="{ISSUER}"'
    await doors.refused(doors.caller.form(resource=ENDPOINT), "resource-unknown", 400)


async def test_two_proofs(doors: Doors) -> None:
    headers = [("Content-Type", FORM), ("DPoP", doors.caller.proof()), ("DPoP", doors.caller.proof())]
    answer = await doors.client.post(TOKEN, data=doors.caller.form(), headers=headers)
    assert (await answer.json())["code"] == "proof-twice"


@pytest.mark.parametrize(
    ("headers", "code", "status"),
    [
        ({"Content-Type": "application/json"}, "media-type", 415),
        ({"Content-Type": "multipart/form-data; boundary=x"}, "media-type", 415),
        ({"Content-Encoding": "gzip"}, "media-type", 415),
    ],
)
async def test_only_plain_forms(doors: Doors, headers: dict[str, str], code: str, status: int) -> None:
    await doors.refused(b"grant_type=client_credentials", code, status, headers)


@pytest.mark.parametrize(
    ("body", "code", "status"),
    [
        (b"", "parameter-missing", 400),
        (b"grant_type", "form-malformed", 400),
        (b"grant_type=%ff", "form-malformed", 400),
        ("grant_type=\u00e9".encode(), "form-malformed", 400),
        (b"&".join(b"p%d=1" % number for number in range(33)), "form-malformed", 400),
        (b"a=" + b"b" * MAX_FORM_BYTES, "form-too-large", 413),
        (b"a=1&a=2", "parameter-twice", 400),
        (b"grant_type=client_credentials", "parameter-missing", 400),
    ],
)
async def test_the_form(doors: Doors, body: bytes, code: str, status: int) -> None:
    await doors.refused(body, code, status)


async def test_a_form_without_an_announced_length_is_bounded_too(doors: Doors) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b"a" * 1024

    await doors.refused(endless(), "form-too-large", 413)


async def talk(doors: Doors, *sent: bytes) -> bytes:
    """Raw bytes after the request line, each once the one before has been taken."""
    server = doors.client.server
    reader, writer = await asyncio.open_connection(str(server.host), server.port)
    try:
        writer.write(f"POST {TOKEN} HTTP/1.1\r\nHost: h\r\nContent-Type: {FORM}\r\nExpect: 100-continue\r\n".encode() + sent[0])
        await reader.readuntil(b"100 Continue\r\n\r\n")
        for piece in sent[1:]:
            writer.write(piece)
        return await reader.readuntil(b"}")
    finally:
        writer.close()


@pytest.mark.parametrize("broken", [web.RequestPayloadError("not a chunk"), ConnectionResetError()])
async def test_a_body_that_breaks_off(doors: Doors, broken: Exception) -> None:
    stream = StreamReader(Mock(), 1024, loop=asyncio.get_running_loop())
    stream.set_exception(broken)
    request = make_mocked_request("POST", TOKEN, headers=CIMultiDict({"Content-Type": FORM}), payload=stream)
    endpoint = TokenEndpoint(doors.office.authority, ISSUER, Addresses(OAuthSettings(), lambda: 0.0), 5)
    answer = await endpoint.handle(request)
    assert answer.status == 400
    assert b"body-broken" in (answer.body if isinstance(answer.body, bytes) else b"")


async def test_a_form_that_does_not_come(tmp_path: Path) -> None:
    async with office(tmp_path / "control.db") as opened:
        application = web.Application()
        made = routes(
            issuer=ISSUER,
            authority=opened.authority,
            keys=dict,
            resources={},
            did=None,
            settings=OAuthSettings(),
            request_timeout_s=0.05,
            monotonic=lambda: 0.0,
        )
        application.add_routes(made)
        async with TestClient(TestServer(application)) as client:
            answer = await talk(Doors(client, opened, Caller()), b"Content-Length: 100\r\n\r\n", b"grant")
        assert b"408" in answer.splitlines()[0]
        assert b"body-too-slow" in answer


async def test_a_store_that_is_away(doors: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> None:
        raise StoreUnavailable("disk full at 42")

    monkeypatch.setattr(doors.office.registry.store.engine, "commit", away)
    answer, body = await doors.post(doors.caller.form(), {"DPoP": doors.caller.proof()})
    assert (answer.status, body["error"], body["code"]) == (503, "temporarily_unavailable", "store-unavailable")
    assert answer.headers["Retry-After"] == "5"
    assert "42" not in body["error_description"]


async def test_what_nobody_expects_is_an_incident_without_words(doors: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr(doors.office.authority, "_issue", broken)
    answer, body = await doors.post(doors.caller.form(), {"DPoP": doors.caller.proof()})
    assert (answer.status, body["error"], body["code"]) == (500, "server_error", "internal")
    assert "secret" not in str(body)


# -- one address ----------------------------------------------------------------------------------------------------------


async def test_one_address_may_ask_so_often(doors: Doors) -> None:
    for _ in range(20):
        await doors.refused(b"a=1", "parameter-missing", 400)
    await doors.refused(b"a=1", "too-many-token-requests", 429)
    answer, _ = await doors.post(b"a=1", {"X-Forwarded-For": "192.0.2.99", "Forwarded": "for=192.0.2.99"})
    assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
    doors.now += 1
    await doors.refused(b"a=1", "parameter-missing", 400)


@pytest.mark.parametrize(
    ("headers", "source"),
    [
        ([], "127.0.0.1"),
        (["198.51.100.7"], "198.51.100.7"),
        (["192.0.2.99, 198.51.100.7"], "198.51.100.7"),
        (["192.0.2.99", "198.51.100.7"], "198.51.100.7"),
        ([""], "127.0.0.1"),
    ],
)
async def test_behind_a_proxy_the_last_address_it_wrote_is_the_callers(doors: Doors, headers: list[str], source: str) -> None:
    """What stands before it was sent by the caller, who would choose another bucket each time."""
    addresses = Addresses(OAuthSettings(token_burst=1), lambda: 0.0)
    endpoint = TokenEndpoint(doors.office.authority, ISSUER, addresses, 5, forwarded_for=True)
    application = web.Application()
    application.router.add_post(TOKEN, endpoint.handle)
    async with TestClient(TestServer(application)) as client:
        sent = CIMultiDict([("Content-Type", FORM), *(("X-Forwarded-For", each) for each in headers)])
        assert (await client.post(TOKEN, data=b"a=1", headers=sent)).status == 400
    with pytest.raises(TooMany):
        addresses.admit(source)


def allowed(addresses: Addresses, *names: str) -> list[bool]:
    found = []
    for name in names:
        try:
            addresses.admit(name)
        except TooMany:
            found.append(False)
        else:
            found.append(True)
    return found


def test_a_host_of_ipv6_is_its_network() -> None:
    addresses = Addresses(OAuthSettings(token_burst=1), lambda: 0.0)
    asked = ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "192.0.2.1", "192.0.2.2", "::ffff:192.0.2.3", "", ""]
    assert allowed(addresses, *asked) == [True, False, True, True, True, True, True, False]


def test_addresses_are_bounded_and_the_oldest_is_forgotten() -> None:
    addresses = Addresses(OAuthSettings(token_burst=1), lambda: 0.0)
    assert all(allowed(addresses, "first", *(str(number) for number in range(MAX_ADDRESSES - 1))))
    assert allowed(addresses, "first", "one more", "0") == [False, True, True]
    assert len(addresses._buckets) == MAX_ADDRESSES
