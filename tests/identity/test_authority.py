"""Who gets a token, for what, how often; and that nobody else does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from connector.identity.authority import MAX_RACES, Answer
from connector.identity.gate import TokenRefused
from connector.identity.grant import GRANT_TYPE, Client, Refused
from connector.identity.participants import Admission, Participant, Profile
from connector.identity.signing import new_signing_key
from connector.protocol.record import Detail, Process
from connector.protocol.states import Kind, Role, State
from connector.settings.identity import OAuthSettings
from connector.store.engine import LostRace, Statement
from connector.store.registry import update_participant
from connector.store.writes import insert_process
from tests.identity.office import (
    CALLER,
    ISSUER,
    NOW_MS,
    NOW_S,
    RESOURCE,
    Caller,
    Office,
    office,
    public,
    refused,
    ring,
)

SCOPES = "catalog negotiation transfer messages"
EVERY_CLAIM = {"iss", "aud", "sub", "client_id", "participant_id", "scope", "jti", "iat", "exp", "cnf"}


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Office]:
    async with office(tmp_path / "control.db") as opened:
        yield opened


@pytest.fixture
def caller(here: Office) -> Caller:
    """A stranger whose DID document can be fetched."""
    stranger = Caller()
    here.publish(stranger)
    return stranger


def admitted(caller: Caller, **changes: Any) -> Participant:
    """An entry with the caller's key pinned."""
    profile = Profile(addresses=("https://caller.example/dsp",), keys=(public(caller.key),), **changes)
    return Participant(id=caller.id, state=Admission.ADMITTED, profile=profile)


# -- tokens ---------------------------------------------------------------------------------------------------------------


async def test_a_stranger_gets_a_token_by_its_did_and_is_entered_as_unverified(here: Office, caller: Caller) -> None:
    answer = await here.ask(caller.form(client_id=CALLER), caller.proof())
    token = here.read(answer)
    assert token.header == {"alg": "ES256", "typ": "at+jwt", "kid": here.key.kid}
    assert token.claims.keys() == EVERY_CLAIM
    assert token.claims["sub"] == token.claims["client_id"] == token.claims["participant_id"] == CALLER
    assert (token.claims["iat"], token.claims["exp"]) == (NOW_S, NOW_S + 300)
    assert token.claims["cnf"] == {"jkt": caller.key.thumbprint}
    assert {name: answer.body[name] for name in answer.body if name != "access_token"} == {
        "token_type": "DPoP",
        "expires_in": 300,
        "scope": SCOPES,
    }
    assert answer.headers == {"Cache-Control": "no-store", "Pragma": "no-cache"}
    entry = await here.store.participant(CALLER)
    assert entry is not None
    assert entry.state is Admission.UNVERIFIED
    assert entry.profile.announced == ("https://caller.example/dsp/2025-1",)
    assert entry.recognised is not None
    assert (entry.recognised.assurance, entry.recognised.key, entry.recognised.at) == ("oauth-did", caller.key.thumbprint, NOW_MS)


async def test_who_is_known_is_noted_each_time_and_its_entry_does_not_change(here: Office, caller: Caller) -> None:
    await here.enter(admitted(caller))
    first, second = [await here.ask(caller.form(), caller.proof()) for _ in range(2)]
    assert here.read(first).claims["jti"] != here.read(second).claims["jti"]
    entry = await here.store.participant(CALLER)
    assert entry is not None
    assert (entry.state, entry.revision) == (Admission.ADMITTED, 1)
    assert entry.recognised is not None
    assert entry.recognised.assurance == "oauth-pinned-key"
    assert not here.shelf.asked


async def test_a_known_participant_without_addresses_gets_those_it_announces(here: Office, caller: Caller) -> None:
    await here.enter(Participant(id=CALLER, state=Admission.ADMITTED, vouched_by="ann"))
    here.read(await here.ask(caller.form(), caller.proof()))
    entry = await here.store.participant(CALLER)
    assert entry is not None
    assert (entry.profile.announced, entry.vouched_by, entry.revision) == (("https://caller.example/dsp/2025-1",), "ann", 2)
    asked = len(here.shelf.asked)
    here.read(await here.ask(caller.form(), caller.proof()))
    assert len(here.shelf.asked) == asked


async def test_a_participant_without_a_did_signs_with_its_pinned_key(here: Office) -> None:
    caller = Caller("BPNL00000001")
    await here.enter(admitted(caller))
    for kid in ("one", "BPNL00000001#one"):
        token = here.read(await here.ask(caller.form(caller.assertion(kid=kid)), caller.proof()))
        assert token.claims["sub"] == "BPNL00000001"


async def test_a_token_is_bound_to_the_key_of_the_proof_not_of_the_assertion(here: Office, caller: Caller) -> None:
    other = new_signing_key("EdDSA")
    assert here.read(await here.ask(caller.form(), caller.proof(other))).claims["cnf"] == {"jkt": other.thumbprint}


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        (None, SCOPES),
        ("", SCOPES),
        ("transfer", "transfer"),
        ("messages  catalog messages", "catalog messages"),
    ],
)
async def test_scopes(here: Office, caller: Caller, asked: str | None, given: str) -> None:
    answer = await here.ask(caller.form(scope=asked), caller.proof())
    assert answer.body["scope"] == here.read(answer).claims["scope"] == given


async def test_a_scope_that_we_do_not_have_uses_nothing_up(here: Office, caller: Caller) -> None:
    assertion, proof = caller.assertion(), caller.proof()
    for scope in ("catalog admin", "Catalog", "  "):
        refused(await here.ask(caller.form(assertion, scope=scope), proof), "invalid_scope", "invalid-scope")
    assert await here.store.participant(CALLER) is None
    here.read(await here.ask(caller.form(assertion), proof))


async def test_each_resource_has_its_own_token(here: Office, caller: Caller) -> None:
    answer = await here.ask(caller.form(resource=ISSUER + "/other"), caller.proof())
    assert here.read(answer, ISSUER + "/other").claims["aud"] == ISSUER + "/other"
    with pytest.raises(TokenRefused, match="token-audience"):
        here.read(answer)


async def test_bearer_tokens_only_where_the_profile_says_so(here: Office, caller: Caller) -> None:
    refused(await here.ask(caller.form()), "invalid_dpop_proof", "proof-missing")
    await here.enter(admitted(caller))
    refused(await here.ask(caller.form()), "invalid_dpop_proof", "proof-missing")
    entry = await here.store.participant(CALLER)
    assert entry is not None
    await here.commit(update_participant(replace(entry, profile=replace(entry.profile, tokens="bearer"))))
    here.registry.forget(CALLER)
    answer = await here.ask(caller.form())
    assert answer.body["token_type"] == "Bearer"
    assert "cnf" not in here.read(answer).claims
    assert (await here.ask(caller.form(), caller.proof())).body["token_type"] == "DPoP"


async def test_the_token_is_in_no_log(here: Office, caller: Caller, caplog: pytest.LogCaptureFixture, capsys: Any) -> None:
    with caplog.at_level(logging.DEBUG):
        answer = await here.ask(caller.form(), caller.proof())
    here.read(answer)
    written = caplog.text + "".join(capsys.readouterr())
    assert answer.body["access_token"] not in written
    assert answer.body["access_token"].split(".")[2] not in written


# -- single use -----------------------------------------------------------------------------------------------------------


async def test_an_assertion_is_good_once(here: Office, caller: Caller) -> None:
    assertion = caller.assertion()
    here.read(await here.ask(caller.form(assertion), caller.proof()))
    refused(await here.ask(caller.form(assertion), caller.proof()), "invalid_client", "assertion-replayed", 401)


async def test_a_proof_is_good_once(here: Office, caller: Caller) -> None:
    proof = caller.proof()
    here.read(await here.ask(caller.form(), proof))
    refused(await here.ask(caller.form(), proof), "invalid_dpop_proof", "proof-replayed")


async def test_of_two_uses_at_once_exactly_one_gets_a_token(here: Office, caller: Caller) -> None:
    form = caller.form()
    answers = await asyncio.gather(*(here.ask(form, caller.proof()) for _ in range(8)))
    assert sorted(answer.status for answer in answers) == [200, *[401] * 7]


async def test_of_many_first_meetings_at_once_each_gets_a_token_and_there_is_one_entry(here: Office, caller: Caller) -> None:
    answers = await asyncio.gather(*(here.ask(caller.form(), caller.proof()) for _ in range(8)))
    assert [answer.status for answer in answers] == [200] * 8
    assert await here.store.count(Admission.UNVERIFIED) == 1


@pytest.mark.postgres
async def test_on_postgresql_requests_at_once_do_not_wait_for_each_other_for_ever(postgres_dsn: str) -> None:
    async with office(postgres_dsn) as here:
        caller = Caller()
        here.publish(caller)
        used = caller.form()
        first = await asyncio.gather(*(here.ask(caller.form(), caller.proof()) for _ in range(4)))
        again = await asyncio.gather(*(here.ask(caller.form(), caller.proof()) for _ in range(8)))
        assert [answer.status for answer in (*first, *again)] == [200] * 12
        twice = await asyncio.gather(*(here.ask(used, caller.proof()) for _ in range(4)))
        assert sorted(answer.status for answer in twice) == [200, 401, 401, 401]
        assert await here.store.count(Admission.UNVERIFIED) == 1


async def test_a_jti_belongs_to_its_client(here: Office, caller: Caller) -> None:
    other = Caller("did:web:other.example")
    here.publish(other)
    for each in (caller, other):
        here.read(await here.ask(each.form(each.assertion(jti="the same")), each.proof()))


async def test_after_a_restart_an_old_assertion_is_still_used(tmp_path: Path) -> None:
    caller = Caller()
    form = caller.form()
    for first in (True, False):
        async with office(tmp_path / "control.db") as here:
            here.publish(caller)
            answer = await here.ask(form, caller.proof())
        if first:
            assert answer.status == 200
        else:
            refused(answer, "invalid_client", "assertion-replayed", 401)


# -- standing -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [Admission.SUSPENDED, Admission.EXPELLED])
async def test_who_is_not_welcome_is_told_why_once_it_has_shown_who_it_is(here: Office, caller: Caller, state: Admission) -> None:
    await here.enter(replace(admitted(caller), state=state, reason='"an invoice" is open'))
    answer = await here.ask(caller.form(), caller.proof())
    refused(answer, "access_denied", f"participant-{state.value}")
    assert "?an invoice? is open" in answer.body["error_description"]
    stranger = Caller()
    told = await here.ask(stranger.form(), stranger.proof())
    refused(told, "invalid_client", "token-signature", 401)


async def test_a_suspension_that_the_memory_does_not_know_yet_counts(here: Office, caller: Caller) -> None:
    await here.enter(admitted(caller))
    entry = await here.registry.find(CALLER)
    assert entry is not None
    await here.commit(update_participant(replace(entry, state=Admission.SUSPENDED)))
    form = caller.form()
    refused(await here.ask(form, caller.proof()), "access_denied", "participant-suspended")


async def test_an_entry_that_changes_all_the_time_is_left_alone(
    here: Office, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    await here.enter(admitted(caller))
    tries = 0

    async def lost(_: Sequence[Statement]) -> None:
        nonlocal tries
        tries += 1
        raise LostRace

    monkeypatch.setattr(here.store.engine, "commit", lost)
    answer = await here.ask(caller.form(), caller.proof())
    refused(answer, "temporarily_unavailable", "contended", 503)
    assert tries == MAX_RACES
    assert answer.headers["Retry-After"] == "5"


async def test_a_bearer_client_whose_entry_changes_is_judged_again(
    here: Office, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    await here.enter(admitted(caller, tokens="bearer"))
    commit, outcomes = here.store.engine.commit, [LostRace()]

    async def lose_first(statements: Sequence[Statement]) -> None:
        if outcomes:
            raise outcomes.pop()
        await commit(statements)

    monkeypatch.setattr(here.store.engine, "commit", lose_first)
    assert (await here.ask(caller.form())).body["token_type"] == "Bearer"


async def test_the_number_of_unverified_participants_is_bounded_and_the_first_idle_one_makes_room(tmp_path: Path) -> None:
    """Neither minting identities nor being many shuts others out; who has begun something stays."""
    async with office(tmp_path / "control.db", OAuthSettings(max_unverified=2)) as here:
        strangers = [Caller(f"did:web:s{number}.example") for number in range(4)]
        for each in strangers:
            here.publish(each)

        async def ask(number: int) -> Answer:
            return await here.ask(strangers[number].form(), strangers[number].proof(), source=strangers[number].id)

        assert [(await ask(number)).status for number in (0, 1)] == [200, 200]
        await here.store.engine.commit([begun_with(strangers[0].id)])
        assert (await ask(2)).status == 200
        known = await here.store.participants()
        assert {each.id for each in known} == {strangers[0].id, strangers[2].id}
        assert (await ask(1)).status == 200
        await here.store.engine.commit([begun_with(strangers[1].id)])
        refused(await ask(3), "temporarily_unavailable", "newcomers-full", 503)
        assert await here.store.count(Admission.UNVERIFIED) == 2


def begun_with(participant: str) -> Statement:
    process = Process(
        id=f"of {participant}",
        kind=Kind.NEGOTIATION,
        role=Role.PROVIDER,
        state=State.REQUESTED,
        counterparty=participant,
        peer_address="https://peer.example",
        correlation_id="c",
        subject="s",
        created_at=0,
        updated_at=0,
        detail=Detail(),
    )
    return insert_process(process)


async def test_an_issuer_of_its_own_speaks_for_a_participant_alone(here: Office, caller: Caller) -> None:
    await here.enter(admitted(caller, issuer="https://sso.example"))
    refused(await here.ask(caller.form(), caller.proof()), "invalid_client", "client-elsewhere", 401)


# -- our own keys ---------------------------------------------------------------------------------------------------------


def test_tokens_are_believed_by_published_keys_alone(here: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = new_signing_key("ES256"), new_signing_key("ES256")
    monkeypatch.setattr(here.authority, "_keyring", ring(*keys))
    assert [here.authority.verify_key(key.kid).thumbprint for key in keys] == [key.thumbprint for key in keys]
    monkeypatch.setattr(here.authority, "_keyring", ring(*keys, revoked_at=NOW_MS))
    for kid in (keys[1].kid, "another", None):
        with pytest.raises(TokenRefused, match="token-key-unknown"):
            here.authority.verify_key(kid)


# -- Authlib --------------------------------------------------------------------------------------------------------------


class _Weak(Client):
    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return False


def test_what_authlib_decides(here: Office) -> None:
    form = {"grant_type": GRANT_TYPE}
    client = Client(CALLER, RESOURCE, None, NOW_S)
    grants = here.authority._grants
    assert not client.check_grant_type("password")
    assert not client.check_endpoint_auth_method("none", "token")
    with pytest.raises(Refused) as found:
        grants.find(form).validate(_Weak(CALLER, RESOURCE, None, NOW_S))
    assert (found.value.error, found.value.code) == ("invalid_client", "invalid-client")
    for weak in ({"client_id": CALLER}, {"client_id": CALLER, "client_secret": ""}):
        with pytest.raises(Refused, match="invalid_client"):
            grants.find(form | weak).validate(None)  # type: ignore[arg-type]
