"""The resource side of OAuth: which tokens and proofs are taken, for how long, and what whoever is refused is told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connector.identity import oauth
from connector.identity.fetcher import FetchRefused
from connector.identity.gate import TokenRefused
from connector.identity.interface import Principal, Scope, Standing
from connector.identity.oauth import NonceMissing
from connector.identity.participants import Admission, Claims, Participant, Profile
from connector.identity.signing import new_signing_key
from connector.protocol.errors import NotAuthenticated, PolicyDenied
from tests.identity.entries import PUBLIC_JWKS
from tests.identity.gatehouse import (
    CITY,
    INSURER,
    ISSUING,
    LAX,
    LEEWAY_S,
    LIFE_S,
    METADATA,
    NOW_S,
    PROOFS,
    SSO,
    SSO_KEYS,
    STRANGER,
    SUCCESSOR,
    TOKENS,
    Gatehouse,
    jwks,
)
from tests.identity.shelf import page


@pytest.fixture
def here() -> Gatehouse:
    return Gatehouse()


# -- who is let in ----------------------------------------------------------------------------------------------------------


async def test_a_message_that_changes_state_brings_what_its_transaction_uses_up(here: Gatehouse) -> None:
    here.become(revision=7, claims=Claims(kind="public-body"))
    principal = await here.ask(here.token())
    assert (principal.participant_id, principal.admitted, principal.assurance) == (CITY, True, "oauth-did")
    assert principal.claims == {"kind": "public-body"}
    assert principal.standing is not None
    assert principal.standing.revision == 7
    assert (principal.standing.once or "").startswith("dpop:")
    assert principal.standing.expires_at == (NOW_S + oauth.PROOF_LIFE_S + 2 * LEEWAY_S) * 1000


async def test_a_read_is_judged_at_once(here: Gatehouse) -> None:
    assert (await here.ask(here.token(), changes=False)).standing == Standing(1)


async def test_where_workers_share_a_database_the_proof_of_a_read_is_committed_too() -> None:
    here = Gatehouse(shared=True)
    token = here.token()
    standing = (await here.ask(token, here.proof(token, nonce=None), changes=False)).standing
    assert standing is not None
    assert standing.once is not None


async def test_a_newcomer_has_no_claims(here: Gatehouse) -> None:
    here.become(state=Admission.UNVERIFIED)
    principal = await here.ask(here.token())
    assert (principal.admitted, principal.claims) == (False, {})


async def test_pinned_keys_are_told_from_a_did_document(here: Gatehouse) -> None:
    here.become(profile=Profile(keys=PUBLIC_JWKS[:1]))
    assert (await here.ask(here.token())).assurance == "oauth-pinned-key"


@pytest.mark.parametrize("state", [Admission.SUSPENDED, Admission.EXPELLED])
async def test_who_is_not_welcome_is_refused_with_a_good_token(here: Gatehouse, state: Admission) -> None:
    token = here.token()
    await here.ask(token)
    here.become(state=state)
    assert await here.refusal(token) == f"participant-{state.value}"


async def test_who_has_left_the_registry_is_refused(here: Gatehouse) -> None:
    token = here.token()
    here.entries.entries.clear()
    assert await here.refusal(token) == "participant-unknown"


async def test_the_scope_must_cover_the_request(here: Gatehouse) -> None:
    await here.ask(here.token(), scope=Scope.NEGOTIATION)
    with pytest.raises(PolicyDenied, match="scope-missing"):
        await here.ask(here.token(), scope=Scope.TRANSFER)
    with pytest.raises(PolicyDenied, match="scope-missing"):
        await here.ask(here.token(scope=""), scope=Scope.CATALOG)


# -- no other token and no other proof --------------------------------------------------------------------------------------


@given(st.sets(st.sampled_from(sorted(TOKENS)), max_size=2), st.sets(st.sampled_from(sorted(PROOFS)), max_size=2))
@settings(max_examples=150, deadline=None)
async def test_one_fault_is_enough(token_faults: set[str], proof_faults: set[str]) -> None:
    here = Gatehouse()
    token = here.token(**{name: value for fault in sorted(token_faults) for name, value in TOKENS[fault].items()})
    shown = {name: value for fault in sorted(proof_faults) for name, value in PROOFS[fault].items()}
    request = here.ask(token, here.proof(**{"token": token, **shown}))
    if not token_faults and not proof_faults:
        assert (await request).participant_id == CITY
        return
    with pytest.raises(NotAuthenticated):
        await request


@pytest.mark.parametrize("fault", sorted(TOKENS))
async def test_each_fault_of_a_token_is_one(here: Gatehouse, fault: str) -> None:
    token = here.token(**TOKENS[fault])
    for _ in range(2):
        await here.refusal(token)


@pytest.mark.parametrize("fault", sorted(PROOFS))
async def test_each_fault_of_a_proof_is_one_for_a_known_token(here: Gatehouse, fault: str) -> None:
    token = here.token()
    await here.ask(token)
    await here.refusal(token, here.proof(**{"token": token, **PROOFS[fault]}))
    await here.ask(token)


@given(st.lists(st.integers(-400, 400), min_size=1, max_size=6))
@example([-LEEWAY_S, LIFE_S + LEEWAY_S - 1, LIFE_S + LEEWAY_S, -LEEWAY_S, -LEEWAY_S - 1])
@settings(max_examples=60, deadline=None)
async def test_a_token_is_good_in_its_time_alone_however_the_clock_is_set(moments: list[int]) -> None:
    here = Gatehouse()
    token = here.token()
    for moment in moments:
        here.now_s = NOW_S + moment
        if -LEEWAY_S <= moment < LIFE_S + LEEWAY_S:
            assert (await here.ask(token)).participant_id == CITY
        else:
            assert await here.refusal(token) in ("token-expired", "token-not-yet")


@given(st.text(st.characters(codec=None), max_size=40))
@settings(max_examples=200, deadline=None)
async def test_no_header_breaks_anything(text: str) -> None:
    """Whatever stands there, half a surrogate pair too."""
    here = Gatehouse()
    for headers in (
        {"Authorization": text},
        {"Authorization": f"DPoP {text}"},
        {"Authorization": f"bearer {text}", "DPoP": text},
    ):
        with pytest.raises(TokenRefused):
            await here.bare(headers)
    token = here.token()
    with pytest.raises(TokenRefused):
        await here.ask(token, text)
    proof = here.proof(token, nonce=text) if text.encode("utf-8", "replace").decode() == text else text
    with pytest.raises(TokenRefused):
        await here.ask(token, proof, changes=False)


async def test_without_an_issuer_of_our_own_nobody_has_a_token_of_it() -> None:
    here = Gatehouse(embedded=False)
    assert await here.refusal(here.token()) == "issuer-unknown"


# -- bound and unbound ------------------------------------------------------------------------------------------------------


async def test_a_bound_token_is_worth_nothing_without_its_proof(here: Gatehouse) -> None:
    token = here.token()
    for scheme in ("DPoP", "Bearer"):
        with pytest.raises(NotAuthenticated, match="proof-missing"):
            await here.bare({"Authorization": f"{scheme} {token}"})
    assert await here.refusal(token, scheme="Bearer") == "proof-missing"
    # Not even where unbound tokens were agreed on.
    here.become(profile=Profile(tokens="bearer"))
    with pytest.raises(NotAuthenticated, match="proof-missing"):
        await here.bare({"Authorization": f"Bearer {token}"})


async def test_an_unbound_token_is_taken_where_the_profile_says_so(here: Gatehouse) -> None:
    token = here.token(cnf=None)
    shown = {"Authorization": f"Bearer {token}"}
    with pytest.raises(NotAuthenticated, match="proof-required"):
        await here.bare(shown)
    here.become(profile=Profile(tokens="bearer"))
    assert (await here.bare(shown)).standing == Standing(1)
    assert (await here.bare(shown, changes=False)).standing == Standing(1)
    # As what it is: a proof that nobody would look at is none.
    assert await here.refusal(token, scheme="Bearer") == "proof-required"
    with pytest.raises(NotAuthenticated, match="proof-required"):
        await here.bare({"Authorization": f"DPoP {token}"})


# -- keys that are not believed any more ------------------------------------------------------------------------------------


async def test_a_known_token_ends_with_the_key_that_signed_it(here: Gatehouse) -> None:
    token = here.token()
    await here.ask(token)
    here.published = [SUCCESSOR, ISSUING]
    await here.ask(token)
    here.published = [SUCCESSOR]
    assert await here.refusal(token) == "token-key-unknown"
    assert (await here.ask(here.token(by=SUCCESSOR))).participant_id == CITY


async def test_another_key_of_the_same_name_does_not_keep_a_token_alive(here: Gatehouse) -> None:
    token = here.token()
    await here.ask(token)
    here.published = [new_signing_key("ES256", "issuing")]
    assert await here.refusal(token) == "token-signature"


async def test_a_token_from_before_a_change_of_pinned_keys_is_superseded(here: Gatehouse) -> None:
    token = here.token()
    await here.ask(token)
    # Within the same second nobody can say which was first.
    here.become(profile=Profile(keys=PUBLIC_JWKS[:1]), updated_at=NOW_S * 1000 + 999)
    await here.ask(token)
    here.become(updated_at=(NOW_S + 1) * 1000)
    assert await here.refusal(token) == "token-superseded"
    here.now_s += 1
    await here.ask(here.token(iat=NOW_S + 1))
    # What another issuer vouches for is not about keys of the participant.
    await here.ask(here.token(iss=SSO))
    # Where no key is pinned, the entry says nothing of keys.
    here.become(profile=Profile())
    await here.ask(token)


async def test_who_has_an_issuer_is_spoken_for_by_that_one_alone(here: Gatehouse) -> None:
    token = here.token()
    await here.ask(token)
    here.become(profile=Profile(issuer=SSO))
    assert await here.refusal(token) == "issuer-foreign"
    await here.ask(here.token(iss=SSO))


# -- tokens of others -------------------------------------------------------------------------------------------------------


async def test_an_issuer_of_the_settings_vouches_for_its_participants(here: Gatehouse) -> None:
    here.become(claims=Claims(kind="company", country="FR"))
    token = here.token(iss=SSO, org_kind="research", scope=None, nbf=NOW_S)
    # It knows none of our scopes, so that it gives them all.
    principal = await here.ask(token, scope=Scope.TRANSFER)
    assert principal.claims == {"kind": "research", "country": "FR"}
    assert principal.assurance == f"oauth-issuer:{SSO}"


async def test_an_issuer_vouches_for_nobody_whom_we_have_not_admitted(here: Gatehouse) -> None:
    here.become(state=Admission.UNVERIFIED)
    assert (await here.ask(here.token(iss=SSO, org_kind="research"))).claims == {}


async def test_an_issuer_speaks_for_nobody_else(here: Gatehouse) -> None:
    here.entries.entries[INSURER] = Participant(id=INSURER, state=Admission.ADMITTED)
    assert await here.refusal(here.token(iss=SSO, participant_id=INSURER)) == "token-participant"


async def test_unbound_tokens_of_an_issuer_are_for_the_settings_to_allow(here: Gatehouse) -> None:
    # What was agreed on with the participant is about our own tokens.
    here.become(profile=Profile(tokens="bearer"))
    with pytest.raises(NotAuthenticated, match="proof-required"):
        await here.bare({"Authorization": f"Bearer {here.token(iss=SSO, cnf=None)}"})
    assert (await here.bare({"Authorization": f"Bearer {here.token(iss=LAX, cnf=None)}"})).participant_id == CITY
    # One that is bound stays bound.
    with pytest.raises(NotAuthenticated, match="proof-missing"):
        await here.bare({"Authorization": f"Bearer {here.token(iss=LAX)}"})


async def test_a_token_of_an_issuer_begins_when_it_says(here: Gatehouse) -> None:
    token = here.token(iss=SSO, nbf=NOW_S + 60)
    assert await here.refusal(token) == "token-not-yet"
    here.now_s += 60
    await here.ask(token)
    here.now_s -= 60
    assert await here.refusal(token) == "token-not-yet"


async def test_a_known_token_ends_when_its_issuer_takes_the_key_back(here: Gatehouse) -> None:
    token = here.token(iss=SSO)
    await here.ask(token)
    asked = len(here.shelf.asked)
    here.shelf.pages[SSO_KEYS] = page(jwks(SUCCESSOR))
    await here.ask(token)
    assert len(here.shelf.asked) == asked
    here.shelf.now += 300
    assert await here.refusal(token) == "token-key-unknown"


async def test_a_known_token_waits_for_an_issuer_that_does_not_say_its_keys(here: Gatehouse) -> None:
    token = here.token(iss=SSO)
    await here.ask(token)
    here.shelf.pages[SSO_KEYS] = page({}, 503)
    here.shelf.now += 300
    with pytest.raises(FetchRefused):
        await here.ask(token)


# -- single use -------------------------------------------------------------------------------------------------------------


async def test_a_read_needs_the_nonce_of_now_and_is_answered_once(here: Gatehouse) -> None:
    token = here.token()
    for nonce in (None, "of another worker", "ünlike"):
        with pytest.raises(NonceMissing) as missing:
            await here.ask(token, here.proof(token, nonce=nonce), changes=False)
        assert here.challenged(missing.value)["DPoP-Nonce"] == here.resource._nonce
    proof = here.proof(token)
    await here.ask(token, proof, changes=False)
    assert await here.refusal(token, proof, changes=False) == "proof-replayed"
    assert Gatehouse().resource._nonce != here.resource._nonce


async def test_of_many_uses_at_once_of_one_proof_one_is_taken(here: Gatehouse) -> None:
    token = here.token()
    proof = here.proof(token)
    found = await asyncio.gather(*(here.ask(token, proof, changes=False) for _ in range(10)), return_exceptions=True)
    assert [type(each) for each in found].count(Principal) == 1


@given(st.lists(st.one_of(st.just("new"), st.integers(0, 30), st.integers(-400, 400).map(float)), max_size=40))
@settings(max_examples=60, deadline=None)
async def test_no_proof_of_a_read_is_taken_twice_and_few_are_remembered(steps: list[str | int | float]) -> None:
    """``new``: another proof; a number: one of the proofs before, again; a fraction: the clock is set, back too."""
    here, most = Gatehouse(), 4
    proofs: list[str] = []
    taken: set[str] = set()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(oauth, "MAX_REMEMBERED_PROOFS", most)
        for step in steps:
            if isinstance(step, float):
                here.now_s = NOW_S + int(step)
                continue
            token = here.token(iat=here.now_s, exp=here.now_s + LIFE_S, jti="same")
            if step == "new" or not proofs:
                proofs.append(here.proof(token))
                proof = proofs[-1]
            else:
                proof = proofs[int(step) % len(proofs)]
            try:
                await here.ask(token, proof, changes=False)
            except TokenRefused:
                assert step != "new"
            else:
                assert proof not in taken
                taken.add(proof)
            assert len(here.resource._seen) < most


async def test_with_a_full_memory_there_is_a_new_nonce_and_nobody_is_turned_away(
    here: Gatehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oauth, "MAX_REMEMBERED_PROOFS", 3)
    token = here.token()
    for _ in range(3):
        early = [here.proof(token) for _ in range(3)]
        for proof in early:
            await here.ask(token, proof, changes=False)
        for proof in early:
            assert await here.refusal(token, proof, changes=False) == "proof-nonce"


async def test_the_memory_of_tokens_is_bounded(here: Gatehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oauth, "MAX_KNOWN_TOKENS", 3)
    tokens = [here.token() for _ in range(5)]
    for token in (*tokens, *tokens):
        await here.ask(token)
        assert len(here.resource._known) <= 3


async def test_what_is_refused_is_not_remembered(here: Gatehouse) -> None:
    await here.refusal(here.token(by=STRANGER, kid="issuing"))
    assert not here.resource._known


# -- what whoever is refused is told ----------------------------------------------------------------------------------------


async def told(here: Gatehouse, headers: Mapping[str, str], *, changes: bool = True) -> tuple[str, Mapping[str, str]]:
    with pytest.raises(NotAuthenticated) as refused:
        await here.bare(headers, changes=changes)
    challenge = here.challenged(refused.value)
    assert f'resource_metadata="{METADATA}"' in challenge["WWW-Authenticate"]
    assert 'algs="ES256 EdDSA"' in challenge["WWW-Authenticate"]
    assert ("DPoP-Nonce" in challenge) == ("use_dpop_nonce" in challenge["WWW-Authenticate"])
    return refused.value.code, challenge


async def test_a_challenge_says_what_is_wrong(here: Gatehouse) -> None:
    """RFC 9449, 7.1 and 9; RFC 6750, 3.1: who sent nothing is told of no error."""
    code, challenge = await told(here, {})
    assert (code, "error" in challenge["WWW-Authenticate"]) == ("token-missing", False)
    token = here.token()
    bound = {"Authorization": f"DPoP {token}"}
    rows = [
        ({"Authorization": "Basic eDp5"}, "invalid_token"),
        ({"Authorization": f"DPoP {here.token(aud='x')}"}, "invalid_token"),
        (bound, "invalid_dpop_proof"),
        ({**bound, "DPoP": here.proof(token, method="GET")}, "invalid_dpop_proof"),
        ({**bound, "DPoP": "no proof"}, "invalid_dpop_proof"),
        ({**bound, "DPoP": here.proof(token, by=STRANGER)}, "invalid_token"),
    ]
    for headers, name in rows:
        _, challenge = await told(here, headers)
        assert f'error="{name}"' in challenge["WWW-Authenticate"]
    _, challenge = await told(here, {**bound, "DPoP": here.proof(token, nonce=None)}, changes=False)
    assert 'error="use_dpop_nonce"' in challenge["WWW-Authenticate"]


def test_a_proof_that_a_transaction_finds_used_is_a_fault_of_the_proof(here: Gatehouse) -> None:
    challenge = here.challenged(NotAuthenticated("proof-replayed", "again"))
    assert 'error="invalid_dpop_proof"' in challenge["WWW-Authenticate"]


async def test_no_refusal_repeats_a_token(here: Gatehouse) -> None:
    token = here.token(aud="x")
    with pytest.raises(NotAuthenticated) as refused:
        await here.ask(token)
    assert token not in str(refused.value)
    assert token.split(".")[1] not in repr(here.challenged(refused.value))
