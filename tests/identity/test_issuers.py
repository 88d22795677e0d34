"""Tokens of external issuers: the keys they are checked with, and the participants that an issuer may speak for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from connector.http.client import PeerUnreachable
from connector.identity import gate
from connector.identity.fetcher import Fetcher, FetchRefused
from connector.identity.gate import TokenRefused
from connector.identity.issuers import ExternalIssuers
from connector.identity.participants import Claims
from connector.identity.signing import SigningKey, new_signing_key, sign
from connector.settings.identity import IssuerSettings
from tests.identity.shelf import Shelf, page

RESOURCE = "https://us.example/dsp/2025-1"
SSO, OTHER = "https://sso.example/realms/cars", "https://other.example"
SSO_AT = "https://sso.example/.well-known/oauth-authorization-server/realms/cars"
OTHER_AT = "https://other.example/.well-known/oauth-authorization-server"
SSO_KEYS, OTHER_KEYS = "https://sso.example/realms/cars/keys", "https://other.example/keys"
CITY, INSURER = "did:web:city.example", "did:web:insurer.example"
NOW_S = 1_800_000_000
ONE, TWO = (new_signing_key("ES256", kid) for kid in ("one", "two"))
SETTINGS = (
    IssuerSettings(
        issuer=SSO,
        participants=(CITY,),
        claims=("kind=org_kind", "membership=groups", "country=c", "gatekeeper=gk", "sector=s"),
    ),
    IssuerSettings(
        issuer=OTHER,
        participants=(INSURER,),
        participant_claim="azp",
        audience="urn:cars",
        token_types=("JWT", "at+jwt"),
        algorithms=("ES256", "RS256"),
        max_lifetime_s=600,
    ),
)
Json = dict[str, Any]


def about(issuer: str, keys: str) -> Json:
    return {"issuer": issuer, "token_endpoint": issuer + "/token", "jwks_uri": keys}


def jwks(*keys: SigningKey) -> Json:
    return {"keys": [dict(key.public_jwk) for key in keys]}


@pytest.fixture
def shelf() -> Shelf:
    return Shelf(
        {
            SSO_AT: page(about(SSO, SSO_KEYS)),
            SSO_KEYS: page(jwks(ONE), media_type="application/jwk-set+json"),
            OTHER_AT: page(about(OTHER, OTHER_KEYS)),
            OTHER_KEYS: page(jwks(TWO)),
        }
    )


@pytest.fixture
async def fetcher(shelf: Shelf) -> AsyncIterator[Fetcher]:
    fetcher = shelf.fetcher()
    yield fetcher
    await fetcher.close()


@pytest.fixture
def issuers(fetcher: Fetcher) -> ExternalIssuers:
    return ExternalIssuers(SETTINGS, fetcher, RESOURCE, 20)


def test_what_a_token_of_an_issuer_must_be(issuers: ExternalIssuers) -> None:
    assert issuers.expected(SSO) == gate.Expected(
        types=frozenset({"at+jwt"}),
        algorithms=frozenset({"ES256"}),
        max_lifetime_s=3600,
        leeway_s=20,
        issuer=SSO,
        audience=RESOURCE,
    )
    assert issuers.expected(OTHER) == gate.Expected(
        types=frozenset({"JWT", "at+jwt"}),
        algorithms=frozenset({"ES256", "RS256"}),
        max_lifetime_s=600,
        leeway_s=20,
        issuer=OTHER,
        audience="urn:cars",
    )
    assert issuers.expected("https://nobody.example") is None


async def test_a_token_is_checked_with_the_key_that_it_names(issuers: ExternalIssuers) -> None:
    claims = {"iss": SSO, "sub": "c", "aud": RESOURCE, "jti": "1", "iat": NOW_S, "exp": NOW_S + 60, "participant_id": CITY}
    expected = issuers.expected(SSO)
    assert expected is not None
    sighted = gate.sight(sign(ONE, "at+jwt", claims), expected)
    token = gate.verify(sighted, await issuers.key(SSO, sighted.header["kid"]), expected, NOW_S)
    assert issuers.participant(SSO, token.claims) == (CITY, Claims())


async def test_documents_are_read_once_for_many_tokens(issuers: ExternalIssuers, shelf: Shelf) -> None:
    first = await issuers.key(SSO, "one")
    for _ in range(50):
        assert await issuers.key(SSO, "one") is first
    assert shelf.asked == [SSO_AT, SSO_KEYS]


async def test_a_key_that_is_new_is_found(issuers: ExternalIssuers, shelf: Shelf) -> None:
    await issuers.key(SSO, "one")
    shelf.pages[SSO_KEYS] = page(jwks(ONE, TWO))
    shelf.now += 10
    assert (await issuers.key(SSO, "two")).thumbprint == TWO.thumbprint
    assert shelf.asked == [SSO_AT, SSO_KEYS, SSO_KEYS]


async def test_kids_that_nobody_knows_force_one_look_in_a_while(issuers: ExternalIssuers, shelf: Shelf) -> None:
    for second in range(31):
        for number in range(20):
            with pytest.raises(TokenRefused, match="token-key-unknown"):
                await issuers.key(SSO, f"made-up-{second}-{number}")
        shelf.now += 1
    assert shelf.asked == [SSO_AT, *[SSO_KEYS] * 4]
    assert (await issuers.key(SSO, "one")).thumbprint == ONE.thumbprint


async def test_kids_that_nobody_knows_do_no_harm_while_the_issuer_is_away(issuers: ExternalIssuers, shelf: Shelf) -> None:
    await issuers.key(SSO, "one")
    shelf.pages[SSO_KEYS] = PeerUnreachable("connect", "no connection")
    shelf.now += 10
    with pytest.raises(FetchRefused, match="fetch-connect"):
        await issuers.key(SSO, "made-up")
    for _ in range(20):
        with pytest.raises(TokenRefused, match="token-key-unknown"):
            await issuers.key(SSO, "made-up")
        assert (await issuers.key(SSO, "one")).thumbprint == ONE.thumbprint
    assert shelf.asked == [SSO_AT, SSO_KEYS, SSO_KEYS]


async def test_a_token_without_kid_is_of_the_only_key(issuers: ExternalIssuers, shelf: Shelf) -> None:
    assert (await issuers.key(SSO, None)).thumbprint == ONE.thumbprint
    shelf.pages[OTHER_KEYS] = page(jwks(ONE, TWO))
    with pytest.raises(TokenRefused, match="token-key-unknown"):
        await issuers.key(OTHER, None)
    assert shelf.asked == [SSO_AT, SSO_KEYS, OTHER_AT, OTHER_KEYS]


async def test_the_key_of_one_issuer_is_not_the_key_of_another(issuers: ExternalIssuers) -> None:
    with pytest.raises(TokenRefused, match="token-key-unknown"):
        await issuers.key(OTHER, "one")


async def test_nobody_else_is_asked_for_keys(issuers: ExternalIssuers, shelf: Shelf) -> None:
    for issuer in ("https://nobody.example", SSO + "/", "None"):
        with pytest.raises(TokenRefused, match="token-issuer"):
            await issuers.key(issuer, "one")
        with pytest.raises(TokenRefused, match="token-issuer"):
            issuers.participant(issuer, {"participant_id": CITY})
    assert shelf.asked == []


async def test_an_issuer_that_is_dead_delays_no_other(issuers: ExternalIssuers, shelf: Shelf) -> None:
    shelf.gates[SSO_AT] = asyncio.Event()
    waiting = [asyncio.create_task(issuers.key(SSO, f"any-{number}")) for number in range(500)]
    await shelf.until_asked(1)
    assert (await issuers.key(OTHER, "two")).thumbprint == TWO.thumbprint
    assert shelf.asked == [SSO_AT, OTHER_AT, OTHER_KEYS]
    shelf.pages[SSO_AT] = PeerUnreachable("timeout", "no answer in time")
    shelf.gates[SSO_AT].set()
    for outcome in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(outcome, FetchRefused)
        assert outcome.retry


@pytest.mark.parametrize(
    ("at", "document", "code"),
    [
        (SSO_AT, {"issuer": SSO, "token_endpoint": SSO + "/token"}, "metadata-member"),
        (SSO_AT, about(OTHER, OTHER_KEYS), "metadata-issuer"),
        (SSO_KEYS, {"keys": "none"}, "metadata-keys"),
        (SSO_KEYS, jwks(ONE, ONE), "metadata-keys"),
        (SSO_KEYS, [], "fetch-not-json"),
    ],
)
async def test_an_issuer_that_does_not_say_its_keys(
    issuers: ExternalIssuers, shelf: Shelf, at: str, document: object, code: str
) -> None:
    shelf.pages[at] = page(document)
    with pytest.raises(FetchRefused) as refusal:
        await issuers.key(SSO, "one")
    assert refusal.value.code == code


async def test_keys_that_are_not_for_signatures_are_passed_over(issuers: ExternalIssuers, shelf: Shelf) -> None:
    shelf.pages[SSO_KEYS] = page({"keys": [*jwks(ONE)["keys"], {**TWO.public_jwk, "use": "enc"}]})
    with pytest.raises(TokenRefused, match="token-key-unknown"):
        await issuers.key(SSO, "two")
    assert (await issuers.key(SSO, None)).thumbprint == ONE.thumbprint


@pytest.mark.parametrize(
    ("issuer", "claims"),
    [
        (SSO, {}),
        (SSO, {"participant_id": INSURER}),
        (SSO, {"participant_id": [CITY]}),
        (SSO, {"participant_id": None}),
        (SSO, {"azp": CITY}),
        (OTHER, {"azp": CITY}),
        (OTHER, {"participant_id": INSURER}),
    ],
)
def test_an_issuer_speaks_for_its_own_participants_alone(issuers: ExternalIssuers, issuer: str, claims: Json) -> None:
    with pytest.raises(TokenRefused) as refusal:
        issuers.participant(issuer, claims)
    assert refusal.value.code == "token-participant"
    assert "did:web" not in refusal.value.reason


def test_an_issuer_vouches_for_what_the_settings_name(issuers: ExternalIssuers) -> None:
    said = {"org_kind": "sme", "groups": ["space-a", "space-b"], "c": "DE", "gk": True, "s": "fleet", "kind": "research"}
    assert issuers.participant(SSO, {"participant_id": CITY, **said}) == (
        CITY,
        Claims(kind="sme", membership=("space-a", "space-b"), country="DE", gatekeeper=True, sector="fleet"),
    )
    one = issuers.participant(SSO, {"participant_id": CITY, "groups": "space-a", "c": None, "country": "FR"})
    assert one == (CITY, Claims(membership=("space-a",)))
    assert issuers.participant(OTHER, {"azp": INSURER, **said}) == (INSURER, Claims())


@pytest.mark.parametrize(
    "said", [{"org_kind": "king"}, {"groups": [1]}, {"groups": {"a": 1}}, {"c": "Germany"}, {"gk": "yes"}, {"gk": 1}, {"s": ""}]
)
def test_what_an_issuer_says_must_be_of_its_kind(issuers: ExternalIssuers, said: Json) -> None:
    with pytest.raises(TokenRefused) as refusal:
        issuers.participant(SSO, {"participant_id": CITY, **said})
    assert refusal.value.code == "token-claims"
