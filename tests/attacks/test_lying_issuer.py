"""A peer that lies about who issues its tokens, or issues what is none: what we show it is worth nothing to anybody else."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

import pytest
from aiohttp import web

from tests.attacks.conftest import Lines
from tests.attacks.stand import PARTIES, made_stand, standing
from tests.attacks.target import US, Liar, Target
from tests.conformance.peer import Answer
from tests.conformance.spoiling import CONTEXT, Json

PEER: Final = PARTIES["consumer"].id
RESOURCE_PATH, SERVER_PATH = "/.well-known/oauth-protected-resource/dsp", "/.well-known/oauth-authorization-server"
MOST_ATTEMPTS: Final = 4
TOKEN: Final = "a-token-that-the-liar-made-up"
CATALOG: Final = {"@context": [CONTEXT], "@type": "Catalog", "@id": "urn:c", "participantId": PEER}


@dataclass
class Shown:
    """What we have shown: path, headers, body."""

    path: str
    headers: Mapping[str, str]
    body: str

    @property
    def form(self) -> dict[str, str]:
        """A token request."""
        return {name: values[0] for name, values in parse_qs(self.body).items()}


def said(raw: str) -> Json:
    """The claims of a token."""
    part = raw.split(".")[1]
    found: Json = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


@dataclass
class Issuer:
    """The liar's other face: metadata and a token endpoint, all of which a test may change. ``shown`` is all that came."""

    url: str = ""
    resource: Json = field(default_factory=dict)
    server: Json = field(default_factory=dict)
    token: Any = TOKEN
    answer: Json = field(default_factory=dict)
    asked: Callable[[web.Request], web.StreamResponse | None] = lambda _: None
    served: Callable[[web.Request], web.StreamResponse | None] = lambda _: None
    shown: list[Shown] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Note what came, then answer as an honest peer, but for what the test has changed."""
        self.shown.append(Shown(request.path, request.headers.copy(), await request.text()))
        if request.path == RESOURCE_PATH:
            honest = {"resource": f"{self.url}/dsp", "authorization_servers": [self.url]}
            return web.json_response({**honest, **self.resource})
        if request.path == SERVER_PATH:
            return web.json_response({"issuer": self.url, "token_endpoint": f"{self.url}/token", **self.server})
        if request.path == "/token":
            issued = {"access_token": self.token, "token_type": "DPoP", "expires_in": 300, **self.answer}
            return self.asked(request) or web.json_response(issued)
        return self.served(request) or web.json_response(CATALOG)

    def at(self, path: str) -> list[Shown]:
        """What came there."""
        return [each for each in self.shown if each.path == path]


@asynccontextmanager
async def listening(issuer: Issuer) -> AsyncIterator[Issuer]:
    """On a free port of loopback."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", issuer.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        issuer.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield issuer
    finally:
        await runner.cleanup()


@dataclass
class Scene:
    """We, the liar, and somebody whom the liar would have us talk to."""

    us: Target
    liar: Issuer
    victim: Issuer

    async def browse(self) -> Answer:
        """Have us read the liar's catalogue."""
        return await self.us.own("POST", "/catalog", {"counterparty": PEER})

    async def refused(self, code: str) -> None:
        """It does not work out, for a stable reason; the victim hears nothing and the liar's endpoint sees no token."""
        answer = await self.browse()
        assert (answer.status >= 400, answer.json["code"]) == (True, code), answer.body
        assert self.victim.shown == []
        assert not self.liar.at("/dsp/catalog/request")


@pytest.fixture
async def scene(tmp_path: Path, lines: Lines) -> AsyncIterator[Scene]:
    """All three run."""
    async with listening(Issuer()) as liar, listening(Issuer()) as victim:
        allowed = json.dumps([each.url.removeprefix("http://") for each in (liar, victim)])
        settings = await made_stand(tmp_path / "us", Liar(liar.url), {"client.allow": allowed})
        async with standing(settings, Liar(liar.url)) as stand:
            yield Scene(stand.target, liar, victim)


async def test_what_an_honest_peer_is_shown_is_for_it_alone(scene: Scene, lines: Lines) -> None:
    assert (await scene.browse()).status == 200
    url = scene.liar.url
    (asked,) = scene.liar.at("/token")
    claims = said(asked.form["client_assertion"])
    assert (claims["aud"], claims["iss"], claims["sub"]) == (url, US, US)
    assert claims["exp"] - claims["iat"] <= 60
    assert asked.form["resource"] == f"{url}/dsp"
    assert said(asked.headers["DPoP"])["htu"] == f"{url}/token"
    (called,) = scene.liar.at("/dsp/catalog/request")
    proof = said(called.headers["DPoP"])
    assert (proof["htm"], proof["htu"]) == ("POST", f"{url}/dsp/catalog/request")
    assert called.headers["Authorization"] == f"DPoP {TOKEN}"
    assert len({claims["jti"], proof["jti"], said(asked.headers["DPoP"])["jti"]}) == 3
    assert TOKEN not in repr(lines)
    assert "eyJ" not in repr(lines)


# -- whose token it would be ----------------------------------------------------------------------------------------------


async def test_another_resource_in_the_metadata_is_refused(scene: Scene) -> None:
    scene.liar.resource = {"resource": f"{scene.victim.url}/dsp"}
    await scene.refused("metadata-unavailable")
    assert not scene.liar.at("/token")


async def test_an_issuer_of_the_liars_choice_is_not_asked(scene: Scene) -> None:
    scene.liar.resource = {"authorization_servers": [scene.victim.url]}
    await scene.refused("issuer-foreign")
    assert not scene.liar.at("/token")


@pytest.mark.parametrize("issuer", ["", "/", "x", "https://", "http://[", "http://127.0.0.1:1@x/", "file:///etc/passwd", "\0"])
async def test_an_issuer_that_is_no_address_is_refused(scene: Scene, issuer: str) -> None:
    scene.liar.resource = {"authorization_servers": [issuer]}
    answer = await scene.browse()
    assert answer.json["code"] in ("issuer-foreign", "metadata-unavailable"), answer.body
    assert not scene.liar.at("/token")


async def test_a_server_that_speaks_for_another_issuer_is_refused(scene: Scene) -> None:
    scene.liar.server = {"issuer": scene.victim.url}
    await scene.refused("metadata-unavailable")
    assert not scene.liar.at("/token")


async def test_what_is_shown_at_a_token_endpoint_elsewhere_is_worth_nothing_there(scene: Scene) -> None:
    """An issuer may have its token endpoint elsewhere. What is sent there says for whom it is."""
    scene.liar.server = {"token_endpoint": f"{scene.victim.url}/token"}
    assert (await scene.browse()).status == 200
    (asked,) = scene.victim.at("/token")
    assert said(asked.form["client_assertion"])["aud"] == scene.liar.url
    assert asked.form["resource"] == f"{scene.liar.url}/dsp"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_token_endpoint_that_sends_us_on_is_not_followed(scene: Scene, status: int) -> None:
    scene.liar.asked = lambda _: web.Response(status=status, headers={"Location": f"{scene.victim.url}/token"})
    await scene.refused("token-refused")


async def test_a_resource_that_sends_us_on_is_not_followed(scene: Scene) -> None:
    scene.liar.served = lambda _: web.Response(status=307, headers={"Location": f"{scene.victim.url}/dsp/catalog/request"})
    assert (await scene.browse()).status >= 400
    assert scene.victim.shown == []


async def test_a_challenge_leads_to_no_other_metadata(scene: Scene) -> None:
    about = f'DPoP error="invalid_token", resource_metadata="{scene.victim.url}{RESOURCE_PATH}"'
    scene.liar.served = lambda _: web.Response(status=401, headers={"WWW-Authenticate": about})
    assert (await scene.browse()).status >= 400
    assert scene.victim.shown == []


async def test_a_page_of_the_catalogue_elsewhere_is_shown_no_token(scene: Scene) -> None:
    link = {"Link": f'<{scene.victim.url}/dsp/catalog/request?continuationToken=1>; rel="next"'}
    scene.liar.served = lambda _: web.json_response(CATALOG, headers=link)
    await scene.browse()
    assert scene.victim.shown == []


# -- what is no token -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "token", [None, "", 7, ["x"], {"a": 1}, "a\r\nX-Evil: 1", "a\nb", "a\0b", "é", "x" * 20_000, " ", "a b\x7f"], ids=repr
)
async def test_what_is_no_token_is_sent_nowhere(scene: Scene, token: object) -> None:
    scene.liar.token = token
    answer = await scene.browse()
    assert answer.status >= 400
    assert not scene.liar.at("/dsp/catalog/request"), answer.body


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "MAC", "", None, 7])
async def test_a_token_that_is_not_bound_to_our_key_is_not_used(scene: Scene, scheme: object) -> None:
    scene.liar.answer = {"token_type": scheme}
    await scene.refused("token-unbound")


@pytest.mark.parametrize("life", [0, -1, True, 1.5, "300", None, [], 2**60])
async def test_a_life_that_is_none_makes_no_difference(scene: Scene, life: object) -> None:
    scene.liar.answer = {"expires_in": life}
    assert (await scene.browse()).status == 200
    assert len(scene.liar.at("/token")) == 1


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"token"', b"\xff", b"[" * 5000 + b"]" * 5000, b"<html>", b"x" * 3_000_000], ids=len
)
async def test_an_answer_that_is_none_is_refused(scene: Scene, body: bytes) -> None:
    scene.liar.asked = lambda _: web.Response(body=body, content_type="application/json")
    answer = await scene.browse()
    assert 400 <= answer.status < 600
    assert answer.json["code"] != "internal"
    assert not scene.liar.at("/dsp/catalog/request")


# -- without end ----------------------------------------------------------------------------------------------------------


async def test_a_token_endpoint_that_always_wants_another_nonce_gets_two_requests(scene: Scene) -> None:
    def another(_: web.Request) -> web.Response:
        nonce = {"DPoP-Nonce": f"nonce-{len(scene.liar.shown)}"}
        return web.json_response({"error": "use_dpop_nonce"}, status=400, headers=nonce)

    scene.liar.asked = another
    await scene.refused("token-refused")
    asked = scene.liar.at("/token")
    assert len(asked) == 2
    assert len({said(each.form["client_assertion"])["jti"] for each in asked}) == 2


@pytest.mark.parametrize("challenge", ['DPoP error="use_dpop_nonce"', 'DPoP error="invalid_token"', "DPoP", ""])
async def test_a_resource_that_is_never_content_is_asked_a_few_times(scene: Scene, challenge: str) -> None:
    def never(_: web.Request) -> web.Response:
        headers = {"WWW-Authenticate": challenge, "DPoP-Nonce": f"nonce-{len(scene.liar.shown)}"}
        return web.json_response({}, status=401, headers=headers)

    scene.liar.served = never
    assert (await scene.browse()).status >= 400
    called = scene.liar.at("/dsp/catalog/request")
    assert 1 <= len(called) <= MOST_ATTEMPTS
    assert len(scene.liar.at("/token")) <= MOST_ATTEMPTS
    assert len({said(each.headers["DPoP"])["jti"] for each in called}) == len(called)


@pytest.mark.parametrize("nonce", ["", " ", 'a"b', "a\\b", "é", "x" * 8000, "\x7f"], ids=lambda it: repr(it)[:12])
async def test_a_nonce_that_is_none_does_no_harm(scene: Scene, nonce: str) -> None:
    """It goes into no proof, or into one that is a token all the same."""

    def once(request: web.Request) -> web.Response | None:
        if len(scene.liar.at("/dsp/catalog/request")) > 1:
            return None
        headers = {"WWW-Authenticate": 'DPoP error="use_dpop_nonce"', "DPoP-Nonce": nonce}
        return web.json_response({}, status=401, headers=headers)

    scene.liar.served = once
    answer = await scene.browse()
    assert answer.status < 500 or answer.json["code"] != "internal"
    for each in scene.liar.at("/dsp/catalog/request"):
        assert len(each.headers["DPoP"]) < 2000
        said(each.headers["DPoP"])


_MEMBERS: Final = {
    "resource": ("resource", "authorization_servers", "dpop_bound_access_tokens_required"),
    "server": ("issuer", "token_endpoint", "token_endpoint_auth_methods_supported"),
}


@pytest.mark.parametrize(("face", "member"), [(face, member) for face, members in _MEMBERS.items() for member in members])
@pytest.mark.parametrize("odd", [None, 7, [], {"a": []}, "x" * 5000, [[]], ["http://["], 10**30], ids=lambda it: repr(it)[:12])
async def test_metadata_of_any_kind_are_no_failure_of_ours(scene: Scene, face: str, member: str, odd: object) -> None:
    setattr(scene.liar, face, {member: odd})
    answer = await scene.browse()
    assert answer.status == 200 or answer.json["code"] in ("metadata-unavailable", "issuer-foreign"), answer.body
    assert scene.victim.shown == []
