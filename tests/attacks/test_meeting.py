"""Strangers who meet us by their `did:web`: documents that are not theirs, or not what they seem, and very many of them."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from tests.attacks.conftest import Lines
from tests.attacks.forge import Key, assertion, proof
from tests.attacks.stand import PARTIES, TOKEN_PATH, Seen, Stand, made_stand, standing
from tests.attacks.target import Liar
from tests.conformance.spoiling import Json

FRAGMENT: Final = "key-1"
KEY, OTHER = Key(FRAGMENT), Key("key-2")
Change = Callable[[Json, str], None]


@dataclass
class Documents:
    """A host of DID documents. ``change`` spoils each before it is served; ``asked`` are the paths that came."""

    port: int = 0
    change: Change = lambda _document, _did: None
    answer: Callable[[web.Request], web.StreamResponse | None] = lambda _: None
    asked: list[str] = field(default_factory=list)

    def did(self, *path: str) -> str:
        """A DID of this host."""
        return ":".join((f"did:web:localhost%3A{self.port}", *path))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """The document that belongs to the path."""
        self.asked.append(request.path)
        folders = request.path.split("/")[1:-1]
        did = self.did(*([] if folders == [".well-known"] else folders))
        document = honest(did)
        self.change(document, did)
        return self.answer(request) or web.json_response(document)


def honest(did: str) -> Json:
    """A document with one key for all that a client needs."""
    method = {"id": f"{did}#{FRAGMENT}", "type": "JsonWebKey2020", "controller": did, "publicKeyJwk": KEY.jwk}
    return {
        "@context": ["https://www.w3.org/ns/did/v1"],
        "id": did,
        "verificationMethod": [method],
        "authentication": [f"{did}#{FRAGMENT}"],
    }


@asynccontextmanager
async def hosting(documents: Documents) -> AsyncIterator[Documents]:
    """On a free port of loopback."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", documents.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        documents.port = runner.addresses[0][1]
        yield documents
    finally:
        await runner.cleanup()


@dataclass
class Scene:
    """We, and the host of the strangers."""

    us: Stand
    host: Documents

    async def meet(self, did: str, key: Key = KEY, *, kid: str | None = None, signed_by: Key | None = None) -> Seen:
        """A stranger asks for a token."""
        now_s, holder = int(time.time()), Key("holder")
        made = assertion(key, client=did, audience=self.us.origin, now_s=now_s, kid=kid or f"{did}#{key.kid}")
        shown = proof(holder, "POST", self.us.origin + TOKEN_PATH, now_s=now_s).good
        return await self.us.ask(self.us.form(made.compact(key=signed_by)), shown)

    async def known(self) -> set[str]:
        """Who has come into the registry."""
        rows = await self.us.target.running.context.registry.store.participants(limit=1000)
        return {row.id for row in rows} - {party.id for party in PARTIES.values()}


@pytest.fixture
async def scene(tmp_path: Path, lines: Lines, liar: Liar) -> AsyncIterator[Scene]:
    """Both run."""
    async with hosting(Documents()) as host:
        allowed = [f"localhost:{host.port}", urlsplit(liar.url).netloc]
        chosen = {"client.allow": json.dumps(allowed), "oauth.max_unverified": "4", "oauth.document_min_refresh_s": "300"}
        async with standing(await made_stand(tmp_path / "us", liar, chosen), liar) as us:
            yield Scene(us, host)


async def test_a_stranger_with_a_good_document_is_recognised_as_no_more(scene: Scene) -> None:
    did = scene.host.did()
    answer = await scene.meet(did)
    assert answer.status == 200, answer.body
    entry = await scene.us.target.running.context.registry.store.participant(did)
    assert entry is not None
    assert (entry.state.value, entry.vouched_by, entry.profile.keys) == ("unverified", None, ())


# -- documents ------------------------------------------------------------------------------------------------------------


def _set(name: str, value: Any) -> Change:
    def change(document: Json, did: str) -> None:
        document[name] = value(did) if callable(value) else value

    return change


def _method(**members: Any) -> Change:
    def change(document: Json, did: str) -> None:
        document["verificationMethod"][0] |= {name: value(did) if callable(value) else value for name, value in members.items()}

    return change


def _also(document: Json, did: str) -> None:
    document["verificationMethod"].append({**document["verificationMethod"][0], "publicKeyJwk": OTHER.jwk})


def _moved(document: Json, did: str) -> None:
    document["assertionMethod"] = document.pop("authentication")


DOCUMENTS: Final[dict[str, tuple[Change, str]]] = {
    "of another": (_set("id", "did:web:other.example"), "did-mismatch"),
    "without an id": (_set("id", None), "did-mismatch"),
    "with a list of ids": (_set("id", lambda did: [did]), "did-mismatch"),
    "with its id in capitals": (_set("id", lambda did: did.upper()), "did-mismatch"),
    "whose key is for statements only": (_moved, "did-key-unknown"),
    "that names the key of another": (_set("authentication", ["did:web:other.example#key-1"]), "did-key-unknown"),
    "with the private key": (_method(publicKeyJwk=KEY.private_jwk), "did-key-unknown"),
    "with a key for encryption": (_method(publicKeyJwk={**KEY.jwk, "use": "enc"}), "did-key-unknown"),
    "with a symmetric key": (_method(publicKeyJwk={"kty": "oct", "k": "AAAA"}), "did-key-unknown"),
    "whose key is another's": (_method(controller="did:web:other.example"), "did-key-unknown"),
    "with one id for two keys": (_also, "did-method-twice"),
    "with a key at no id": (_method(id=7), "did-key-unknown"),
    "with methods that are no list": (_set("verificationMethod", {"a": 1}), "did-document"),
    "with 1,000 methods": (_set("verificationMethod", [{"id": f"#{n}"} for n in range(1000)]), "did-document"),
}


@pytest.mark.parametrize("name", DOCUMENTS)
async def test_a_document_that_does_not_hold_lets_nobody_in(scene: Scene, name: str) -> None:
    scene.host.change, code = DOCUMENTS[name]
    answer = await scene.meet(scene.host.did())
    assert (answer.status, answer.code) == (401, code)
    assert await scene.known() == set()


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: web.Response(status=302, headers={"Location": "http://localhost:1/"}),
        lambda _: web.Response(status=404),
        lambda _: web.json_response([]),
        lambda _: web.Response(body=b"{", content_type="application/json"),
        lambda _: web.Response(body=b'{"id":1,"id":2}', content_type="application/json"),
        lambda _: web.Response(body=b"x" * 200_000, content_type="application/json"),
        lambda _: web.Response(body=b"[" * 50_000, content_type="application/json"),
        lambda _: web.Response(body=b"{}", content_type="text/html"),
    ],
    ids=["redirect", "missing", "list", "broken", "doubled", "large", "deep", "html"],
)
async def test_an_answer_that_is_no_document_lets_nobody_in(
    scene: Scene, answer: Callable[[web.Request], web.StreamResponse]
) -> None:
    scene.host.answer = answer
    refused = await scene.meet(scene.host.did())
    assert (refused.status, refused.code) == (401, "client-document")
    assert await scene.known() == set()
    await scene.meet(scene.host.did())
    assert len(scene.host.asked) == 1  # a refusal is remembered for a while


async def test_a_host_that_fails_is_no_fault_of_its_client(scene: Scene) -> None:
    scene.host.answer = lambda _: web.Response(status=503)
    refused = await scene.meet(scene.host.did())
    assert (refused.status, refused.code) == (503, "client-document-unavailable")
    assert "retry-after" in refused.headers


# -- signatures -----------------------------------------------------------------------------------------------------------


async def test_a_signature_of_another_key_lets_nobody_in(scene: Scene) -> None:
    did = scene.host.did()
    assert (await scene.meet(did, signed_by=OTHER)).code == "token-signature"
    assert (await scene.meet(did, OTHER)).code == "did-key-unknown"
    assert await scene.known() == set()


async def test_a_key_of_one_tenant_of_a_host_opens_nothing_of_another(scene: Scene) -> None:
    """A document speaks for its own DID alone, although the host, and here even the key, is the same."""
    mine, theirs = scene.host.did("mine"), scene.host.did("theirs")
    assert (await scene.meet(theirs, kid=f"{mine}#{FRAGMENT}")).code == "did-key-unknown"
    assert await scene.known() == set()
    assert scene.host.asked == ["/theirs/did.json"]


async def test_unknown_key_ids_do_not_have_us_fetch_without_end(scene: Scene) -> None:
    did = scene.host.did()
    answers = [await scene.meet(did, kid=f"{did}#{n}") for n in range(30)]
    assert {answer.status for answer in answers} <= {401, 429, 503}
    assert len(scene.host.asked) <= 4


# -- many -----------------------------------------------------------------------------------------------------------------


async def test_twenty_first_meetings_at_once_are_one_entry(scene: Scene) -> None:
    did = scene.host.did()
    answers = await asyncio.gather(*(scene.meet(did) for _ in range(20)))
    assert {answer.status for answer in answers} == {200}
    assert await scene.known() == {did}
    assert len(scene.host.asked) <= 2


async def test_more_strangers_than_may_come_find_the_door_shut(scene: Scene) -> None:
    """At once, so that what one of them counts is not what another has just written."""
    answers = await asyncio.gather(*(scene.meet(scene.host.did(f"n{n}")) for n in range(12)))
    counted = Counter((answer.status, answer.code) for answer in answers)
    assert set(counted) <= {
        (200, None),
        (503, "newcomers-full"),
        (429, "too-many-documents"),
        (503, "client-document-unavailable"),
    }
    # One place of the four is taken by a party of the stand.
    assert len(await scene.known()) <= 3
    assert (await scene.us.changed_by(PARTIES["consumer"])).status == 201


async def test_strangers_of_one_address_are_fetched_a_few_at_a_time(scene: Scene) -> None:
    for n in range(40):
        await scene.meet(scene.host.did(f"n{n}"), OTHER)
    assert len(scene.host.asked) < 40
    assert (await scene.us.changed_by(PARTIES["consumer"])).status == 201
