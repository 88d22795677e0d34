"""Requests at the resource with good tokens that are somebody else's, for something else, sent twice or in the wrong place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

from tests.attacks.cases import NEW, RESOURCE, Case, Outcome
from tests.attacks.forge import DROP, Key, Recipe, b64
from tests.attacks.stand import ALSO, BASE, ELSEWHERE, PARTIES, Headers, Party, Seen, Stand
from tests.conformance.peer import contract_request

Send = Callable[[Stand], Awaitable[Seen]]
CATALOG: Final = f"{BASE}/catalog/request"
CONSUMER, OTHER, BEARER = PARTIES["consumer"], PARTIES["other"], PARTIES["bearer"]
TAKEN, ISSUED, READ = (201, None), (200, None), (200, None)


def cases() -> Iterator[Case]:
    """All of them."""
    for rows in (_headers, _tokens, _proofs, _reads):
        yield from cases_of(RESOURCE, rows())


Row = tuple[str, Send, tuple[int, str | None]]


def cases_of(where: str, rows: Iterator[Row]) -> Iterator[Case]:
    for name, send, expected in rows:
        outcomes: frozenset[Outcome] = frozenset({expected})
        yield Case(where, name, outcomes, send, changes=expected in (TAKEN, ISSUED))


# -- the headers of a request ---------------------------------------------------------------------------------------------


def _pair(stand: Stand, party: Party = CONSUMER, path: str = NEW) -> tuple[str, str]:
    token = stand.access(party).good
    return token, stand.proof(party, "POST", path, token).good


def _with(make: Callable[[str, str], Headers], path: str = NEW) -> Send:
    """A first request with headers made of a good token and its proof."""

    async def send(stand: Stand) -> Seen:
        request = contract_request("ours", "urn:offer:ours", stand.target.liar.address)
        return await stand.call("POST", path, make(*_pair(stand)), request)

    return send


def _scheme(change: Callable[[str], str]) -> Send:
    return _with(lambda token, proof: [("Authorization", change(token)), ("DPoP", proof)])


def _headers() -> Iterator[Row]:
    refused = (401, "header-repeated")
    yield "no headers", _with(lambda _t, _p: []), (401, "token-missing")
    yield "no token", _with(lambda _t, proof: [("DPoP", proof)]), (401, "token-missing")
    yield "no proof", _with(lambda token, _p: [("Authorization", f"DPoP {token}")]), (401, "proof-missing")
    yield "an empty proof", _with(lambda token, _p: [("Authorization", f"DPoP {token}"), ("DPoP", "")]), (401, "token-form")
    for name, value in (("empty", ""), ("of an unknown scheme", "Token x"), ("of Basic", "Basic eDp5")):
        yield f"Authorization {name}", _scheme(lambda _, value=value: value), (401, "token-scheme")  # type: ignore[misc]  # bound
    yield "the scheme alone", _scheme(lambda _: "DPoP"), (401, "token-form")
    yield "a bound token as Bearer, with its proof", _scheme(lambda token: f"Bearer {token}"), (401, "proof-missing")
    bare = _with(lambda token, _: [("Authorization", f"Bearer {token}")])
    yield "a bound token as Bearer, without a proof", bare, (401, "proof-missing")
    yield "two spaces after the scheme", _scheme(lambda token: f"DPoP  {token}"), (401, "token-form")
    yield "a tab after the scheme", _scheme(lambda token: f"DPoP\t{token}"), (401, "token-scheme")
    yield "a comma after the scheme", _scheme(lambda token: f"DPoP,{token}"), (401, "token-scheme")
    yield "the token without a scheme", _scheme(str), (401, "token-scheme")
    yield "a parameter after the token", _scheme(lambda token: f"DPoP {token}, x=1"), (401, "token-form")
    yield "the scheme in small letters", _scheme(lambda token: f"dpop {token}"), TAKEN
    yield "the same Authorization twice", _with(lambda t, p: _shown_with(t, p, ("Authorization", f"DPoP {t}"))), refused
    yield "a second Authorization", _with(lambda t, p: _shown_with(t, p, ("authorization", "Bearer x"))), refused
    yield "a first Authorization", _with(lambda t, p: [("AUTHORIZATION", "Bearer x"), *_shown_with(t, p)]), refused
    yield "the same proof twice", _with(lambda t, p: _shown_with(t, p, ("dpop", p))), refused
    joined = _with(lambda t, p: [("Authorization", f"DPoP {t}"), ("DPoP", f"{p}, {p}")])
    yield "two proofs with a comma", joined, (401, "token-form")
    yield "the token in the query", _in_query, (401, "token-missing")
    yield "Host of the attacker, and a proof for it", _for_host, (401, "proof-url")
    yield "forwarded host of the attacker, and a proof for it", _for_forwarded, (401, "proof-url")
    yield "the whole address as target, of another host", _absolute, (401, "proof-url")
    yield "another method in a header", _overridden, (401, "proof-method")


def _shown_with(token: str, proof: str, *more: tuple[str, str]) -> Headers:
    return [("Authorization", f"DPoP {token}"), ("DPoP", proof), *more]


async def _in_query(stand: Stand) -> Seen:
    token, proof = _pair(stand)
    return await stand.call("POST", f"{NEW}?access_token={token}", [("DPoP", proof)], {})


def _proof_for(stand: Stand, token: str, url: str) -> str:
    return stand.proof(CONSUMER, "POST", NEW, token).but(htu=url).good


async def _for_host(stand: Stand) -> Seen:
    token = stand.access(CONSUMER).good
    proof = _proof_for(stand, token, f"http://attacker.example{NEW}")
    headers = [f"POST {NEW} HTTP/1.1", "Host: attacker.example", "Connection: close", "Content-Length: 2"]
    headers += [f"Authorization: DPoP {token}", f"DPoP: {proof}", "Content-Type: application/json"]
    return await stand.send_raw("\r\n".join(headers).encode() + b"\r\n\r\n{}")


async def _for_forwarded(stand: Stand) -> Seen:
    token = stand.access(CONSUMER).good
    proof = _proof_for(stand, token, f"https://attacker.example{NEW}")
    claimed = [("X-Forwarded-Host", "attacker.example"), ("X-Forwarded-Proto", "https"), ("Forwarded", "host=attacker.example")]
    return await stand.call("POST", NEW, [("Authorization", f"DPoP {token}"), ("DPoP", proof), *claimed], {})


async def _absolute(stand: Stand) -> Seen:
    token = stand.access(CONSUMER).good
    url = f"http://attacker.example{NEW}"
    proof = _proof_for(stand, token, url)
    return await stand.call("POST", url, [("Authorization", f"DPoP {token}"), ("DPoP", proof)], {})


async def _overridden(stand: Stand) -> Seen:
    token = stand.access(CONSUMER).good
    proof = stand.proof(CONSUMER, "GET", NEW, token).good
    headers = [("Authorization", f"DPoP {token}"), ("DPoP", proof), ("X-HTTP-Method-Override", "GET")]
    return await stand.call("POST", NEW, headers, {})


# -- whose token it is ----------------------------------------------------------------------------------------------------


def _token(make: Callable[[Stand], str], party: Party = CONSUMER) -> Send:
    """A first request with a token, and a good proof of the party's for it."""
    return lambda stand: stand.changed_by(party, make(stand))


def _claims(**claims: Any) -> Send:
    return _token(lambda stand: stand.access(CONSUMER).with_claims(**claims))


def _by(key: Key, **header: str) -> Callable[[Stand], str]:
    return lambda stand: stand.access(CONSUMER).with_header(key, **header)


def _tokens() -> Iterator[Row]:
    yield "good", _token(lambda stand: stand.access(CONSUMER).good), TAKEN
    yield "of the token endpoint", _issued_by(CONSUMER), TAKEN
    yield "a proof as token", _token(lambda stand: _pair(stand)[1]), (401, "token-header")
    yield "an assertion as token", _token(lambda stand: stand.assertion(CONSUMER).good), (401, "token-type")
    elsewhere = _token(lambda stand: stand.access(CONSUMER, path=ALSO).good)
    yield "for another resource of the same server", elsewhere, (401, "token-audience")
    yield "of this resource, at the other one", _at_the_other, (401, "token-audience")
    yield "for the issuer instead of the resource", _token(_for_issuer), (401, "token-audience")
    stranger = Key("stranger")
    foreign = lambda stand: stand.access(CONSUMER).with_claims(stranger, iss=ELSEWHERE)  # noqa: E731 - a row is a literal
    yield "of the attacker's own server", _token(foreign), (401, "issuer-unknown")
    yield "signed by the attacker with our key's name", _token(_by(stranger)), (401, "token-signature")
    yield "signed with the client's own key", _token(_by(CONSUMER.client, kid="client-1")), (401, "token-key-unknown")
    yield "for one participant, of another", _claims(participant_id=OTHER.id), (401, "participant-mismatch")
    yield (
        "for nobody that we know",
        _token(lambda it: it.access(PARTIES["nobody"]).good, PARTIES["nobody"]),
        (
            401,
            "participant-unknown",
        ),
    )
    for name, code in (
        ("suspended", "participant-suspended"),
        ("expelled", "participant-expelled"),
        ("foreign", "issuer-foreign"),
    ):
        party = PARTIES[name]
        make = lambda stand, party=party: stand.access(party).good  # noqa: E731 - bound now
        yield f"of a participant that is {name}", _token(make, party), (401, code)
    yield "bound to another key than the proof's", _stolen, (401, "proof-key")
    yield "bound to no key", _claims(cnf=DROP), (401, "proof-required")
    yield "bound to no key, as Bearer", _unbound(CONSUMER), (401, "proof-required")
    yield "bound to no key, as Bearer, of a client without DPoP", _unbound(BEARER), TAKEN
    yield "bound to no key, as DPoP, of a client without DPoP", _token(_loose, BEARER), (401, "proof-required")
    for odd in _NO_BINDINGS:
        yield f"cnf {odd}", _claims(cnf=odd), (401, "token-binding")
    yield "cnf with a certificate besides", _token(_doubly_bound), (401, "token-binding")
    for scope in ("catalog", "", "negotiations", "NEGOTIATION", "catalog,negotiation"):
        yield f"scope {scope!r}", _claims(scope=scope), (403, "scope-missing")
    yield "scope a list", _claims(scope=["negotiation"]), (401, "token-claim-type")
    yield "no scope", _claims(scope=DROP), (401, "token-claim-missing")


_NO_BINDINGS: Final[tuple[object, ...]] = ({}, "x", [], {"jkt": 1}, {"jkt": None}, {"x5t#S256": "x"})


def _for_issuer(stand: Stand) -> str:
    return stand.access(CONSUMER).with_claims(aud=stand.origin)


def _loose(stand: Stand) -> str:
    return stand.access(BEARER).with_claims(cnf=DROP)


def _doubly_bound(stand: Stand) -> str:
    return stand.access(CONSUMER).with_claims(cnf={"jkt": CONSUMER.holder.thumbprint, "x5t#S256": "x"})


def _issued_by(party: Party) -> Send:
    async def send(stand: Stand) -> Seen:
        return await stand.changed_by(party, await stand.issued(party))

    return send


def _unbound(party: Party) -> Send:
    return lambda stand: stand.change(stand.access(party).with_claims(cnf=DROP), scheme="Bearer")


async def _at_the_other(stand: Stand) -> Seen:
    token = stand.access(CONSUMER).good
    proof = stand.proof(CONSUMER, "POST", f"{ALSO}/negotiations/request", token).good
    return await stand.change(token, proof, path=ALSO)


async def _stolen(stand: Stand) -> Seen:
    token = stand.access(CONSUMER).good
    return await stand.change(token, stand.proof(OTHER, "POST", NEW, token).good)


# -- what the proof is for ------------------------------------------------------------------------------------------------


def _proofs() -> Iterator[Row]:
    yield "the token as proof", _shown(lambda _, token: token), (401, "token-header")
    yield "an assertion as proof", _shown(lambda stand, _: stand.assertion(CONSUMER).good), (401, "token-header")
    yield "a proof for reading", _shown(lambda it, token: it.proof(CONSUMER, "GET", NEW, token).good), (401, "proof-method")
    yield "a proof for the catalogue", _shown(lambda it, token: _pair(it, path=CATALOG)[1]), (401, "proof-url")
    yield "a proof for the token endpoint", _shown(lambda it, _: it.token_proof(CONSUMER).good), (401, "proof-url")
    yield "a proof without a token", _shown(lambda it, _: it.proof(CONSUMER, "POST", NEW, None).good), (401, "proof-token")
    yield "a proof for another token of ours", _shown(lambda it, _: _pair(it)[1]), (401, "proof-token")
    yield "a proof for a token of another", _shown(lambda it, _: _pair(it, OTHER)[1]), (401, "proof-token")
    yield "a proof used before", _replayed(lambda proof, _: proof), (401, "proof-replayed")
    yield "a proof used before, with the high s", _replayed(_high), (401, "proof-replayed")
    yield "a proof used before, signed again with another iat", _replayed(_again), (401, "proof-replayed")
    yield "a proof used before, with a nonce now", _replayed(lambda _, made: made.with_claims(nonce="n")), (401, "proof-replayed")


def _shown(make: Callable[[Stand, str], str]) -> Send:
    async def send(stand: Stand) -> Seen:
        token = stand.access(CONSUMER).good
        return await stand.change(token, make(stand, token))

    return send


def _replayed(again: Callable[[str, Recipe], str]) -> Send:
    """The proof is used for what its holder means to do; then somebody sends it, or its twin, again."""

    async def send(stand: Stand) -> Seen:
        token = stand.access(CONSUMER).good
        made = stand.proof(CONSUMER, "POST", NEW, token)
        first = made.good
        assert (await stand.change(token, first)).status == 201
        stand.accepted = await stand.snapshot()
        return await stand.change(token, again(first, made))

    return send


def _high(_: str, made: Recipe) -> str:
    signed = made.signed()
    return f"{signed}.{b64(made.key.sign(signed.encode(), high=True))}"


def _again(_: str, made: Recipe) -> str:
    return made.with_claims(iat=made.now_s + 1)


def _reads() -> Iterator[Row]:
    yield "a read without a nonce", _reading(lambda _: DROP), (401, "proof-nonce")
    yield "a read with a nonce of another time", _reading(lambda _: "AAAAAAAAAAAAAAAAAAAAAA"), (401, "proof-nonce")
    yield "a read with half the nonce", _reading(lambda nonce: nonce[:-1]), (401, "proof-nonce")
    yield "a read with a nonce that is a number", _reading(lambda _: 7), (401, "token-claim-type")
    yield "a read with a nonce that is not ASCII", _reading(lambda nonce: f"{nonce}é"), (401, "proof-nonce")
    yield "a read with the nonce", _reading(lambda nonce: nonce), READ
    yield "a read that is sent again", _read_twice, (401, "proof-replayed")
    yield "a read's proof for another dataset", _other_dataset, (401, "proof-url")


def _reading(nonce: Callable[[str], object]) -> Send:
    async def send(stand: Stand) -> Seen:
        known = await stand.fresh_nonce()
        token = stand.access(CONSUMER).good
        return await stand.read(token, stand.proof(CONSUMER, "POST", CATALOG, token).with_claims(nonce=nonce(known)))

    return send


async def _read_twice(stand: Stand) -> Seen:
    nonce = await stand.fresh_nonce()
    token = stand.access(CONSUMER).good
    proof = stand.proof(CONSUMER, "POST", CATALOG, token, nonce=nonce).good
    assert (await stand.read(token, proof)).status == 200
    return await stand.read(token, proof)


async def _other_dataset(stand: Stand) -> Seen:
    nonce = await stand.fresh_nonce()
    token = stand.access(CONSUMER).good
    proof = stand.proof(CONSUMER, "GET", f"{BASE}/catalog/datasets/theirs", token, nonce=nonce).good
    return await stand.read(token, proof, path=f"{BASE}/catalog/datasets/ours")
