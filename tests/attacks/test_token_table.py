"""Every hostile token at the gate itself: each is refused, and by the step that is there for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import pytest

from connector.identity.gate import Expected, TokenRefused, public_key, sight, verify
from connector.identity.proof import check_proof
from tests.attacks.forge import Key, Kind, Recipe, access_token, assertion, b64, proof
from tests.attacks.hostile import attacks
from tests.attacks.rows import CODES, Attack, Step

ISSUER: Final = "https://provider.example"
RESOURCE: Final = f"{ISSUER}/dsp/2025-1"
CLIENT: Final = "did:web:consumer.example"
URL: Final = f"{RESOURCE}/catalog/request"
NOW_S: Final = int(time.time())
SERVER, HOLDER, CLIENT_KEY = Key("as-1"), Key("holder"), Key("client-1")
ALGORITHMS: Final = frozenset({"ES256", "EdDSA"})


def _expected(typ: str, audience: str, issuer: str, *more: str) -> Expected:
    required = frozenset({"iss", "sub", "aud", "exp", "iat", "jti", *more})
    return Expected(
        types=frozenset({typ}), algorithms=ALGORITHMS, max_lifetime_s=300, issuer=issuer, audience=audience, required=required
    )


def judge_access(raw: str) -> None:
    """As the resource does."""
    expected = _expected("at+jwt", RESOURCE, ISSUER, "client_id", "scope")
    verify(sight(raw, expected), public_key({**SERVER.jwk, "kid": SERVER.kid}), expected, NOW_S)


def judge_assertion(raw: str) -> None:
    """As the token endpoint does."""
    expected = _expected("client-authentication+jwt", ISSUER, CLIENT)
    verify(sight(raw, expected), public_key({**CLIENT_KEY.jwk, "kid": CLIENT_KEY.kid}), expected, NOW_S)


def judge_proof(raw: str) -> None:
    """As both do."""
    check_proof(raw, method="POST", url=URL, token="the token", now_s=NOW_S, leeway_s=30)


JUDGES: Final[dict[Kind, Callable[[str], None]]] = {
    Kind.ACCESS: judge_access,
    Kind.PROOF: judge_proof,
    Kind.ASSERTION: judge_assertion,
}


def recipe(kind: Kind) -> Recipe:
    """What would be taken."""
    if kind is Kind.ACCESS:
        return access_token(SERVER, HOLDER, issuer=ISSUER, audience=RESOURCE, participant=CLIENT, now_s=NOW_S)
    if kind is Kind.PROOF:
        return proof(HOLDER, "POST", URL, now_s=NOW_S, token="the token")
    return assertion(CLIENT_KEY, client=CLIENT, audience=ISSUER, now_s=NOW_S)


ROWS: Final = [(kind, attack) for kind in Kind for attack in attacks(kind)]


@pytest.mark.parametrize("kind", Kind)
def test_what_the_attacks_begin_with_is_taken(kind: Kind) -> None:
    JUDGES[kind](recipe(kind).good)


@pytest.mark.parametrize(("kind", "attack"), ROWS, ids=[f"{kind}: {attack.name}" for kind, attack in ROWS])
def test_a_hostile_token_is_refused_by_the_step_that_is_there_for_it(kind: Kind, attack: Attack) -> None:
    raw = attack.make(recipe(kind))
    if attack.steps == {Step.TAKEN}:
        JUDGES[kind](raw)
        return
    with pytest.raises(TokenRefused) as refused:
        JUDGES[kind](raw)
    assert refused.value.code in frozenset().union(*(CODES[step] for step in attack.steps))
    assert len(refused.value.reason) < 200
    assert raw[:200] not in str(refused.value) or not raw


@pytest.mark.parametrize("kind", Kind)
def test_no_two_rows_have_one_name(kind: Kind) -> None:
    names = [attack.name for attack in attacks(kind)]
    assert len(names) == len(set(names))


def test_a_proof_with_the_high_s_is_the_same_as_with_the_low() -> None:
    """What is single-use about a proof does not hang on the bytes of its signature."""
    made = recipe(Kind.PROOF)
    signed = made.signed()
    both = {f"{signed}.{b64(made.key.sign(signed.encode(), high=high))}" for high in (False, True)}
    assert len(both) == 2
    found = {check_proof(raw, method="POST", url=URL, token="the token", now_s=NOW_S, leeway_s=30).once for raw in both}
    assert len(found) == 1
