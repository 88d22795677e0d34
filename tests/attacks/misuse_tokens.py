"""Token requests that are somebody else's, for something else, sent twice or badly put."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import urlencode

from tests.attacks.cases import NEW, TOKENS, Case
from tests.attacks.forge import TYPES, Key, Kind, assertion, b64
from tests.attacks.misuse import BEARER, CONSUMER, ISSUED, OTHER, Row, Send, cases_of
from tests.attacks.stand import BASE, PARTIES, TOKEN_PATH, Headers, Party, Seen, Stand


def cases() -> Iterator[Case]:
    """All of them."""
    for rows in (_forms, _clients, _possession):
        yield from cases_of(TOKENS, rows())


# -- the form of a token request ------------------------------------------------------------------------------------------


def _asked(party: Party = CONSUMER, /, **changes: str | None) -> Send:
    return lambda stand: stand.ask(stand.form(stand.assertion(party).good, **changes), stand.token_proof(party).good)


def _form(change: Callable[[list[tuple[str, str]]], Headers], *headers: tuple[str, str]) -> Send:
    async def send(stand: Stand) -> Seen:
        form = stand.form(stand.assertion(CONSUMER).good)
        return await stand.ask(change(form), stand.token_proof(CONSUMER).good, headers)

    return send


def _body(make: Callable[[list[tuple[str, str]]], bytes], media_type: str, method: str = "POST", path: str = TOKEN_PATH) -> Send:
    async def send(stand: Stand) -> Seen:
        body = make(stand.form(stand.assertion(CONSUMER).good))
        proof = stand.token_proof(CONSUMER).good
        return await stand.send(method, path, [("Content-Type", media_type), ("DPoP", proof)], body)

    return send


def _forms() -> Iterator[Row]:
    form = "application/x-www-form-urlencoded"
    yield "good", _asked(), ISSUED
    yield "of a client without DPoP", _without_proof(BEARER), ISSUED
    for grant in ("authorization_code", "password", "refresh_token", "implicit", "urn:ietf:params:oauth:grant-type:jwt-bearer"):
        yield f"grant_type {grant}", _asked(grant_type=grant), (400, "unsupported-grant-type")
    for name in ("grant_type", "client_assertion", "client_assertion_type"):
        yield f"no {name}", _asked(**{name: None}), (400, "parameter-missing")
        twice = _form(lambda members, name=name: [*members, (name, dict(members)[name])])  # type: ignore[misc]  # bound now
        yield f"{name} twice", twice, (400, "parameter-twice")
    yield "no resource", _asked(resource=None), (400, "resource-unknown")
    yield "two resources", _form(lambda members: [*members, members[-1]]), (400, "resource-twice")
    for name, resource in (
        ("of somebody else", "https://other.example/dsp"),
        ("with a wildcard", "*"),
        ("of a file", "file:///"),
    ):
        yield f"resource {name}", _asked(resource=resource), (400, "resource-unknown")
    yield "resource with a slash more", lambda it: _asked(resource=f"{it.origin}{BASE}/")(it), (400, "resource-unknown")
    yield "resource of our origin", lambda it: _asked(resource=it.origin)(it), (400, "resource-unknown")
    for scope in ("admin", "catalog admin", "openid", "catalog\nadmin", "*"):
        yield f"scope {scope!r}", _asked(scope=scope), (400, "invalid-scope")
    yield "assertion type of SAML", _asked(client_assertion_type=_SAML), (401, "assertion-type")
    yield "a client_secret besides", _asked(client_secret="x"), (401, "client-method")
    basic = base64.b64encode(f"{CONSUMER.id}:x".encode()).decode()
    yield "Basic besides", _form(list, ("Authorization", f"Basic {basic}")), (401, "client-method")
    yield "client_id of another", _asked(client_id=OTHER.id), (401, "assertion-client")
    yield "33 parameters", _form(lambda it: [*it, *((f"p{n}", "x") for n in range(29))]), (400, "form-malformed")
    yield "a form of 33 KiB", _form(lambda it: [*it, ("x", "y" * 33_000)]), (413, "form-too-large")
    yield "a form in JSON", _body(lambda it: json.dumps(dict(it)).encode(), "application/json"), (415, "media-type")
    yield "a form that is no UTF-8", _body(lambda it: urlencode(it).encode() + b"&x=%ff", form), (400, "form-malformed")
    yield "an empty form", _body(lambda _: b"", form), (400, "parameter-missing")
    yield "a packed form", _form(list, ("Content-Encoding", "gzip")), (415, "media-type")
    yield "everything in the query", _in_the_query, (400, "parameter-missing")
    yield "a GET", _body(lambda _: b"", form, method="GET"), (405, "http")


_SAML: Final = "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"


def _without_proof(party: Party) -> Send:
    return lambda stand: stand.ask(stand.form(stand.assertion(party).good))


async def _in_the_query(stand: Stand) -> Seen:
    query = urlencode(stand.form(stand.assertion(CONSUMER).good))
    proof = ("DPoP", stand.token_proof(CONSUMER).good)
    return await stand.send("POST", f"{TOKEN_PATH}?{query}", [("Content-Type", "application/x-www-form-urlencoded"), proof])


# -- who the client is ----------------------------------------------------------------------------------------------------


def _signed(make: Callable[[Stand], str], proof_of: Party = CONSUMER) -> Send:
    return lambda stand: stand.ask(stand.form(make(stand)), stand.token_proof(proof_of).good)


def _clients() -> Iterator[Row]:
    def claim(**claims: Any) -> Send:
        return _signed(lambda stand: stand.assertion(CONSUMER).with_claims(**claims))

    yield "iss of another, sub of the client", claim(iss=OTHER.id), (401, "assertion-client")
    yield "sub of another, iss of the client", claim(sub=OTHER.id), (401, "assertion-client")
    yield "iss and sub of another, signed by the client", claim(iss=OTHER.id, sub=OTHER.id), (401, "token-signature")
    another = _signed(lambda it: it.assertion(CONSUMER).with_header(OTHER.client, kid=f"{OTHER.id}#client-1"))
    yield "signed with the key of another, by its name", another, (401, "client-key-unknown")
    for name, change in (
        ("the token endpoint", lambda it: it.origin + TOKEN_PATH),
        ("the resource", lambda it: it.origin + BASE),
        ("a list with the issuer", lambda it: [it.origin]),
        ("the issuer with a slash", lambda it: it.origin + "/"),
        ("the issuer of another connector", lambda _: "https://other.example"),
    ):
        made = _signed(lambda it, change=change: it.assertion(CONSUMER).with_claims(aud=change(it)))  # type: ignore[misc]  # bound
        yield f"assertion for {name}", made, (401, "token-claim-type" if "list" in name else "token-audience")
    yield "an assertion for six minutes", _signed(_six_minutes), (401, "token-lifetime")
    yield "an access token as assertion", _signed(lambda stand: stand.access(CONSUMER).good), (401, "token-type")
    as_assertion = _signed(lambda it: it.access(CONSUMER).with_header(typ=TYPES[Kind.ASSERTION], kid="client-1"))
    yield "an access token with the type of an assertion", as_assertion, (401, "assertion-client")
    yield "a proof as assertion", _signed(lambda stand: stand.token_proof(CONSUMER).good), (401, "token-header")
    yield "an assertion used before", _assertion_again(high=False), (401, "assertion-replayed")
    yield "an assertion used before, with the high s", _assertion_again(high=True), (401, "assertion-replayed")
    yield "the jti of another's assertion", _same_jti, ISSUED
    for name, code in (("suspended", "participant-suspended"), ("expelled", "participant-expelled")):
        yield f"a participant that is {name}", _asked(PARTIES[name]), (400, code)
    yield "a participant for whom another server speaks", _asked(PARTIES["foreign"]), (401, "client-elsewhere")
    yield "nobody that we know", _asked(PARTIES["nobody"]), (401, "client-unknown")
    for did, code in _DIDS.items():
        yield f"a client at {did}", _signed(_of_did(did)), (401, code)


_DIDS: Final = {
    "did:web:169.254.169.254": "did-address",
    "did:web:10.0.0.1": "did-address",
    "did:web:[::1]": "did-host",
    "did:web:localhost%2Fx": "did-host",
    "did:web:a..b": "did-host",
    "did:key:z6Mk": "client-unknown",
}


def _of_did(did: str) -> Callable[[Stand], str]:
    return lambda it: assertion(Key("k"), client=did, audience=it.origin, now_s=it.assertion(CONSUMER).now_s).good


def _six_minutes(stand: Stand) -> str:
    made = stand.assertion(CONSUMER)
    return made.with_claims(exp=made.now_s + 360)


def _assertion_again(*, high: bool) -> Send:
    async def send(stand: Stand) -> Seen:
        made = stand.assertion(CONSUMER)
        signed = made.signed()
        first, second = (f"{signed}.{b64(made.key.sign(signed.encode(), high=each))}" for each in (False, high))
        assert (await stand.ask(stand.form(first), stand.token_proof(CONSUMER).good)).status == 200
        stand.accepted = await stand.snapshot()
        return await stand.ask(stand.form(second), stand.token_proof(CONSUMER).good)

    return send


async def _same_jti(stand: Stand) -> Seen:
    made = stand.assertion(CONSUMER)
    assert (await stand.ask(stand.form(made.good), stand.token_proof(CONSUMER).good)).status == 200
    theirs = stand.assertion(OTHER, jti=made.claims["jti"]).good
    return await stand.ask(stand.form(theirs), stand.token_proof(OTHER).good)


def _possession() -> Iterator[Row]:
    yield "no proof", _without_proof(CONSUMER), (400, "proof-missing")
    yield "two proofs", _two_proofs, (400, "proof-twice")
    yield "a proof for the resource", _proof_of(lambda it: it.proof(CONSUMER, "POST", NEW, None).good), (400, "proof-url")
    yield (
        "a proof for reading the endpoint",
        _proof_of(lambda it: it.proof(CONSUMER, "GET", TOKEN_PATH, None).good),
        (
            400,
            "proof-method",
        ),
    )
    yield "an assertion as proof", _proof_of(lambda it: it.assertion(CONSUMER).good), (400, "token-header")
    yield "a proof used before", _proof_again, (400, "proof-replayed")


def _proof_of(make: Callable[[Stand], str]) -> Send:
    return lambda stand: stand.ask(stand.form(stand.assertion(CONSUMER).good), make(stand))


async def _two_proofs(stand: Stand) -> Seen:
    first, second = stand.token_proof(CONSUMER).good, stand.token_proof(CONSUMER).good
    return await stand.ask(stand.form(stand.assertion(CONSUMER).good), first, [("DPoP", second)])


async def _proof_again(stand: Stand) -> Seen:
    proof = stand.token_proof(CONSUMER).good
    assert (await stand.ask(stand.form(stand.assertion(CONSUMER).good), proof)).status == 200
    stand.accepted = await stand.snapshot()
    return await stand.ask(stand.form(stand.assertion(CONSUMER).good), proof)
