"""Assertions that renew tokens of transfers: what holds, and what is refused with which code."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from connector.identity.assertions import Assertions
from connector.identity.participants import Admission, Participant, Profile
from connector.identity.signing import new_signing_key, sign
from connector.protocol.errors import NotAuthenticated
from tests.identity.office import NOW_MS, NOW_S, Caller, Office, office

US = "did:web:provider.example"
TOKEN = "the-old-access-token"
DIGEST = hashlib.sha256(TOKEN.encode()).hexdigest()
_jtis = itertools.count()


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Office]:
    async with office(tmp_path / "control.db") as opened:
        yield opened


def assertions(here: Office, participant_id: str = US, key: Any = None) -> Assertions:
    chosen = key or new_signing_key("ES256", "ours")
    return Assertions(
        participant_id,
        lambda: (chosen, f"{participant_id}#{chosen.kid}"),
        here.clients,
        here.registry,
        30,
        lambda: NOW_MS,
        lambda: f"urn:test:renewal:{next(_jtis)}",
    )


def shown(caller: Caller, **changes: Any) -> str:
    """An assertion of the caller about TOKEN; a claim that is None is left out."""
    typ, kid = changes.pop("typ", "JWT"), changes.pop("kid", f"{caller.id}#{caller.key.kid}")
    claims = {"iss": caller.id, "sub": caller.id, "aud": US, "token": TOKEN, "jti": f"r{next(_jtis)}", "iat": NOW_S}
    claims |= {"exp": NOW_S + 60, **changes}
    return sign(caller.key, typ, {name: value for name, value in claims.items() if value is not None}, kid=kid)


async def refused(here: Office, caller: Caller, assertion: str, code: str, digest: str = DIGEST) -> None:
    with pytest.raises(NotAuthenticated) as caught:
        await assertions(here).check(caller.id, assertion, digest)
    assert caught.value.code == code
    assert TOKEN not in str(caught.value)


async def test_what_one_side_makes_the_other_takes_once(here: Office) -> None:
    caller = Caller()
    here.publish(caller)
    made = assertions(here, caller.id, caller.key).make(US, TOKEN)
    await assertions(here).check(caller.id, made, DIGEST)
    await refused(here, caller, made, "assertion-replayed")


async def test_a_pinned_key_will_do_and_no_other(here: Office) -> None:
    caller, other = Caller(), Caller(key=new_signing_key("EdDSA", "one"))
    pinned = Profile(keys=(dict(caller.key.public_jwk),), issuer="https://elsewhere.example")
    await here.enter(Participant(id=caller.id, state=Admission.ADMITTED, profile=pinned))
    await assertions(here).check(caller.id, shown(caller), DIGEST)
    await refused(here, caller, shown(other), "token-key")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aud": "did:web:somebody.example"}, "token-audience"),
        ({"aud": None}, "token-claim-missing"),
        ({"iss": "did:web:somebody.example"}, "token-issuer"),
        ({"sub": "did:web:somebody.example"}, "token-issuer"),
        ({"token": "another-token"}, "token-other"),
        ({"token": None}, "token-claim-missing"),
        ({"token": 7}, "token-other"),
        ({"jti": None}, "token-claim-missing"),
        ({"exp": NOW_S - 60, "iat": NOW_S - 120}, "token-expired"),
        ({"iat": NOW_S + 300, "exp": NOW_S + 360}, "token-not-yet"),
        ({"exp": NOW_S + 3600}, "token-lifetime"),
        ({"typ": "client-authentication+jwt"}, "token-type"),
        ({"kid": "did:web:caller.example#none"}, "did-key-unknown"),
    ],
)
async def test_what_is_refused(here: Office, changes: dict[str, Any], code: str) -> None:
    caller = Caller()
    here.publish(caller)
    await refused(here, caller, shown(caller, **changes), code)


async def test_somebody_elses_key_is_refused_and_nothing_is_fetched_for_others(here: Office) -> None:
    caller, thief = Caller(), Caller(id="did:web:thief.example")
    here.publish(caller)
    here.publish(thief)
    await refused(here, caller, shown(thief), "token-issuer")
    assert here.shelf.asked == []
    forged = Caller(key=new_signing_key("ES256", "one"))
    await refused(here, caller, shown(forged), "token-signature")


async def test_who_is_not_welcome_renews_nothing(here: Office) -> None:
    caller = Caller()
    here.publish(caller)
    await here.enter(Participant(id=caller.id, state=Admission.SUSPENDED))
    with pytest.raises(NotAuthenticated):
        await assertions(here).check(caller.id, shown(caller), DIGEST)


async def test_what_was_refused_is_not_used_up(here: Office) -> None:
    caller = Caller()
    here.publish(caller)
    one = shown(caller)
    await refused(here, caller, one, "token-other", "0" * 64)
    await assertions(here).check(caller.id, one, DIGEST)
