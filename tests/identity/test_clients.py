"""Whose key it is, and who becomes known by what its DID document says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from connector.http.client import PeerUnreachable
from connector.identity.did import document_url
from connector.identity.gate import TokenRefused
from connector.identity.participants import Admission, Participant, Profile
from connector.identity.signing import new_signing_key
from connector.protocol.errors import Unavailable
from connector.settings.identity import OAuthSettings
from connector.store.engine import Statement
from connector.store.registry import update_participant
from tests.identity.office import CALLER, NOW_MS, SOURCE, VERSIONS, Caller, Office, office, public
from tests.identity.shelf import page

KID = f"{CALLER}#one"
VERSIONS_AT = "https://caller.example/.well-known/dspace-version"
BASE = "https://caller.example/dsp/2025-1"


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Office]:
    async with office(tmp_path / "control.db") as opened:
        yield opened


@pytest.fixture
def caller(here: Office) -> Caller:
    stranger = Caller()
    here.publish(stranger)
    return stranger


def entry(*keys: dict[str, Any], **changes: Any) -> Participant:
    return Participant(id=CALLER, state=Admission.ADMITTED, profile=Profile(keys=keys, **changes))


def serving(here: Office, *endpoints: str, caller: Caller) -> None:
    """A DID document with these services, each given as its endpoint."""
    services = [{"id": f"#{place}", "type": "DataService", "serviceEndpoint": each} for place, each in enumerate(endpoints)]
    here.shelf.pages[document_url(caller.id)] = page({**caller.document, "service": services})


# -- keys -----------------------------------------------------------------------------------------------------------------


async def test_the_key_of_a_did_document(here: Office, caller: Caller) -> None:
    for kid in (KID, None):
        found = await here.clients.key(CALLER, kid, SOURCE)
        assert (found.key.thumbprint, found.assurance, found.participant) == (caller.key.thumbprint, "oauth-did", None)
        assert found.unreached
    assert len(here.shelf.asked) == 1


async def test_a_new_key_is_found_and_a_wrong_one_is_not_looked_for_without_end(here: Office, caller: Caller) -> None:
    await here.clients.key(CALLER, KID, SOURCE)
    caller.key = new_signing_key("ES256", "two")
    here.publish(caller)
    here.shelf.now += 60
    found = await here.clients.key(CALLER, f"{CALLER}#two", SOURCE)
    assert found.key.thumbprint == caller.key.thumbprint
    for _ in range(3):
        with pytest.raises(TokenRefused, match="did-key-unknown"):
            await here.clients.key(CALLER, f"{CALLER}#three", SOURCE)
    assert len(here.shelf.asked) == 2


async def test_a_pinned_key_is_the_only_one(here: Office, caller: Caller) -> None:
    pinned = new_signing_key("ES256", "pinned")
    await here.enter(entry(public(pinned)))
    for kid in ("pinned", f"{CALLER}#pinned", None):
        found = await here.clients.key(CALLER, kid, SOURCE)
        assert (found.key.thumbprint, found.assurance) == (pinned.thumbprint, "oauth-pinned-key")
        assert not found.unreached
    for kid in (KID, "did:web:other.example#pinned", f"{CALLER}#None"):
        with pytest.raises(TokenRefused, match="client-key-unknown"):
            await here.clients.key(CALLER, kid, SOURCE)
    assert not here.shelf.asked


async def test_of_several_pinned_keys_one_must_be_named(here: Office) -> None:
    keys = [new_signing_key("ES256", name) for name in ("first", "second")]
    await here.enter(entry(*(public(key) for key in keys)))
    assert (await here.clients.key(CALLER, "second", SOURCE)).key.thumbprint == keys[1].thumbprint
    with pytest.raises(TokenRefused, match="client-key-unknown"):
        await here.clients.key(CALLER, None, SOURCE)


async def test_a_key_that_was_pinned_without_a_name_goes_by_any(here: Office) -> None:
    key = new_signing_key("ES256")
    await here.enter(entry({name: value for name, value in key.public_jwk.items() if name != "kid"}))
    assert (await here.clients.key(CALLER, KID, SOURCE)).key.thumbprint == key.thumbprint


async def test_a_pinned_key_that_is_none(here: Office) -> None:
    await here.enter(entry({"kty": "oct", "k": "c2VjcmV0", "kid": "one"}))
    with pytest.raises(TokenRefused, match="client-key-unusable") as refused:
        await here.clients.key(CALLER, "one", SOURCE)
    assert "c2VjcmV0" not in str(refused.value)


async def test_an_entry_without_keys_is_known_by_its_did_document(here: Office, caller: Caller) -> None:
    await here.enter(entry(addresses=(BASE,)))
    found = await here.clients.key(CALLER, KID, SOURCE)
    assert found.participant is not None
    assert not found.unreached


@pytest.mark.parametrize("participant", ["BPNL00000001", "did:key:z6Mk", ""])
async def test_nobody_we_know(here: Office, participant: str) -> None:
    with pytest.raises(TokenRefused, match=f"client-unknown: no key of {participant} is known"):
        await here.clients.key(participant, None, SOURCE)
    assert not here.shelf.asked


async def test_strangers_are_not_met_where_the_settings_say_no(tmp_path: Path) -> None:
    async with office(tmp_path / "control.db", OAuthSettings(meet_by_did=False)) as here:
        caller = Caller()
        here.publish(caller)
        with pytest.raises(TokenRefused, match="client-unknown"):
            await here.clients.key(CALLER, KID, SOURCE)
        assert await here.clients.resolve(CALLER) is None
        assert not here.shelf.asked
        await here.enter(entry())
        assert (await here.clients.key(CALLER, KID, SOURCE)).assurance == "oauth-did"


async def test_another_issuer_speaks_for_it(here: Office, caller: Caller) -> None:
    await here.enter(entry(public(caller.key), issuer="https://sso.example"))
    with pytest.raises(TokenRefused, match="client-elsewhere"):
        await here.clients.key(CALLER, KID, SOURCE)


@pytest.mark.parametrize(
    ("participant", "code"), [("did:web:user@caller.example", "did-host"), ("did:web:10.0.0.1", "did-address")]
)
async def test_a_did_that_leads_nowhere(here: Office, participant: str, code: str) -> None:
    with pytest.raises(TokenRefused, match=code):
        await here.clients.key(participant, None, SOURCE)
    assert not here.shelf.asked


async def test_a_document_that_is_not_about_it(here: Office, caller: Caller) -> None:
    here.shelf.pages[document_url(CALLER)] = page({**caller.document, "id": "did:web:other.example"})
    with pytest.raises(TokenRefused, match="did-mismatch"):
        await here.clients.key(CALLER, KID, SOURCE)


async def test_a_key_that_cannot_be_had(here: Office, caller: Caller) -> None:
    here.shelf.pages[document_url(CALLER)] = PeerUnreachable("timeout", "no answer in time")
    with pytest.raises(Unavailable, match="client-document-unavailable"):
        await here.clients.key(CALLER, KID, SOURCE)
    here.shelf.pages[document_url(CALLER)] = page(b"{")
    with pytest.raises(TokenRefused, match="client-document: the DID document of"):
        await here.clients.key(CALLER, KID, SOURCE)


# -- addresses ------------------------------------------------------------------------------------------------------------


async def announced(here: Office, caller: Caller) -> tuple[str, ...]:
    document = (await here.clients.key(caller.id, None, SOURCE)).document
    assert document is not None
    return await here.clients.announced(document, SOURCE)


async def test_announced_addresses_lie_below_the_root_of_their_version_document(here: Office, caller: Caller) -> None:
    below = "https://gateway.example/a/.well-known/dspace-version"
    here.shelf.pages[below] = page({"protocolVersions": [{"version": "2025-1", "path": "/"}]})
    serving(here, VERSIONS_AT, below, VERSIONS_AT, caller=caller)
    assert await announced(here, caller) == (BASE, "https://gateway.example/a")


@pytest.mark.parametrize(
    "path", ["dsp", "/a/../b", "/a/%2E%2e/b", "/a?b", "/a#b", "/a b", "/a\\b", "/a@b", "//é", "/" + "a" * 2048]
)
async def test_a_path_that_could_lead_elsewhere_is_left_out(here: Office, caller: Caller, path: str) -> None:
    here.shelf.pages[VERSIONS_AT] = page({"protocolVersions": [{"version": "2025-1", "path": path}]})
    assert await announced(here, caller) == ()


@pytest.mark.parametrize(
    ("endpoint", "document"),
    [
        ("https://caller.example/catalog", VERSIONS),
        ("http://caller.example/.well-known/dspace-version", VERSIONS),
        ("https://caller.example:99999/.well-known/dspace-version", VERSIONS),
        (VERSIONS_AT, {"protocolVersions": [{"version": "2024-1", "path": "/old"}]}),
        (VERSIONS_AT, []),
    ],
)
async def test_an_endpoint_that_cannot_be_used_is_left_out(here: Office, caller: Caller, endpoint: str, document: Any) -> None:
    here.shelf.pages[endpoint] = page(document)
    serving(here, endpoint, caller=caller)
    assert await announced(here, caller) == ()


async def test_plain_http_under_the_flag_of_development(tmp_path: Path) -> None:
    async with office(tmp_path / "control.db", http_loopback=True) as here:
        caller = Caller("did:web:localhost%3A9000")
        url = "http://localhost:9000/.well-known/"
        document = {**caller.document, "service": []}
        document["service"] = [{"id": "#dsp", "type": "DataService", "serviceEndpoint": url + "dspace-version"}]
        here.shelf.pages |= {url + "did.json": page(document), url + "dspace-version": page(VERSIONS)}
        found = await here.clients.resolve(caller.id)
        assert found is not None
        assert found.profile.announced == ("http://localhost:9000/dsp/2025-1",)


async def test_no_document_has_us_call_all_the_world(here: Office, caller: Caller) -> None:
    serving(here, *(f"https://victim.example/{place}/.well-known/dspace-version" for place in range(9)), caller=caller)
    assert await announced(here, caller) == ()
    assert len(here.shelf.asked) == 5


# -- participants that we want to call ------------------------------------------------------------------------------------


async def test_whom_we_want_to_call_is_entered_as_unverified(here: Office, caller: Caller) -> None:
    found = await here.clients.resolve(CALLER)
    assert found is not None
    assert (found.state, found.profile.announced, found.created_at) == (Admission.UNVERIFIED, (BASE,), NOW_MS)
    assert found.recognised is None
    assert await here.store.participant(CALLER) == found
    assert (await here.clients.key(CALLER, KID, SOURCE)).participant == found


async def test_an_entry_without_addresses_gets_them_and_stays_what_it_is(here: Office, caller: Caller) -> None:
    await here.enter(entry(tokens="bearer"))
    found = await here.clients.resolve(CALLER)
    assert found is not None
    assert (found.state, found.profile.announced, found.profile.tokens) == (Admission.ADMITTED, (BASE,), "bearer")
    assert found.revision == 2


async def test_who_has_no_did_is_what_the_registry_says(here: Office) -> None:
    assert await here.clients.resolve("BPNL00000001") is None
    known = Participant(id="BPNL00000001", state=Admission.ADMITTED)
    await here.enter(known)
    assert await here.clients.resolve("BPNL00000001") == known


@pytest.mark.parametrize("document", [{"id": "did:web:other.example"}, b"{", {"id": CALLER}])
async def test_a_document_that_does_not_help(here: Office, document: Any) -> None:
    here.shelf.pages[document_url(CALLER)] = page(document)
    assert await here.clients.resolve(CALLER) is None
    known = entry()
    await here.enter(known)
    assert await here.clients.resolve(CALLER) == known


async def test_a_document_that_cannot_be_had_now(here: Office) -> None:
    here.shelf.pages[document_url(CALLER)] = PeerUnreachable("connect", "no connection")
    with pytest.raises(Unavailable, match="peer-document-unavailable"):
        await here.clients.resolve(CALLER)


async def test_there_is_no_room_for_more(tmp_path: Path) -> None:
    async with office(tmp_path / "control.db", OAuthSettings(max_unverified=0)) as here:
        here.publish(Caller())
        with pytest.raises(Unavailable, match="newcomers-full"):
            await here.clients.resolve(CALLER)


async def test_who_was_entered_or_changed_meanwhile_is_taken_as_it_is_now(
    here: Office, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = here.store.engine.commit

    async def another_first(statements: Sequence[Statement]) -> None:
        known = await here.store.participant(CALLER)
        if known is None:
            await here.enter(entry(addresses=(BASE,)))
        else:
            await commit([update_participant(replace(known, state=Admission.SUSPENDED))])
        await commit(statements)

    for meanwhile in (Admission.ADMITTED, Admission.SUSPENDED):
        with monkeypatch.context() as patched:
            patched.setattr(here.store.engine, "commit", Once(commit, another_first))
            found = await here.clients.resolve(CALLER)
        assert found is not None
        assert found.state is meanwhile


class Once:
    """A commit before which, the first time, something else happens."""

    def __init__(self, commit: Any, first: Any) -> None:
        self._commits = [commit, first]

    async def __call__(self, statements: Sequence[Statement]) -> None:
        commit = self._commits.pop() if len(self._commits) > 1 else self._commits[0]
        await commit(statements)
