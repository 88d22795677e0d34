"""The parts of identity put together from settings: what they advertise, and that they understand each other."""

from __future__ import annotations

import itertools
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import web
from msgspec.structs import replace

from connector.app import MIGRATIONS
from connector.http.client import EgressPolicy, GuardedClient
from connector.identity.assembly import OAUTH_AUTH, PINNED_AUTH, Recognition, recognition
from connector.identity.interface import Call, Incoming, Principal, Scope
from connector.identity.keyfiles import load_keys, revoke, rotate
from connector.identity.keys import Use
from connector.identity.participants import Admission
from connector.identity.signing import sign
from connector.protocol.errors import NotAuthenticated, NotFound, PeerError
from connector.settings.identity import IssuerSettings, KeysSettings, OAuthSettings
from connector.settings.model import DevelopmentSettings, PathSettings, PeerSettings, ProtocolSettings, Settings
from connector.settings.secret import Secret, SettingsError
from connector.store.control import ControlStore
from connector.store.engine import Statement
from connector.store.migrate import migrate
from connector.store.registry import update_participant
from connector.store.sqlite import SqliteEngine
from tests.identity.gatehouse import CITY, INSURER, SSO

KIT: Final = "did:web:kit.example"
BASE, ALSO = "/dsp/2025-1", "/dsp/kit"
RESOURCE_AT: Final = "/.well-known/oauth-protected-resource"
SERVER_AT: Final = "/.well-known/oauth-authorization-server"
ISSUER: Final = IssuerSettings(issuer=SSO, participants=(CITY, INSURER), token_types=("JWT",), algorithms=("RS256",))
_ids = itertools.count()


@dataclass
class Clock:
    """The time of a house, which stands."""

    now_ms: int


@dataclass
class House:
    """The identity of one connector, listening. It has itself for a peer, so that it can meet itself."""

    who: Recognition
    settings: Settings
    origin: str
    client: GuardedClient
    clock: Clock

    @property
    def us(self) -> str:
        """Who we are."""
        return self.settings.participant_id

    async def published(self, path: str) -> Any:
        """The document at a path; None where nothing is."""
        answer = await self.client.request("GET", self.origin + path, headers={})
        return json.loads(answer.body) if answer.status == 200 else None

    async def shown(self) -> Incoming:
        """A request as our own client would send it to us."""
        call = Call("POST", f"{self.origin}{BASE}/catalog/request", Scope.CATALOG)
        headers = await self.who.outbound.outbound(self.us, call)
        return Incoming(call.method, call.url, headers, call.scope, changes=True)

    async def recognised(self, request: Incoming, entrance: int = 0) -> Principal:
        """Who an entrance says that sends it."""
        return await self.who.entrances[entrance].identity.inbound(request)


@asynccontextmanager
async def house(folder: Path, **changes: Any) -> AsyncIterator[House]:
    """A house with these settings; the participant id is that of the listener unless one is given."""
    engine = await SqliteEngine.open(folder / "control.db")
    await migrate(engine, MIGRATIONS, 1)
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    origin, us = f"http://127.0.0.1:{port}", f"did:web:127.0.0.1%3A{port}"
    chosen: dict[str, Any] = {
        "participant_id": us,
        "protocol": ProtocolSettings(also=(PathSettings(path=ALSO, auth="pinned-token"),)),
        "keys": KeysSettings(dir=folder / "keys"),
        "peers": (
            PeerSettings(id=us, addresses=(origin + BASE,)),
            PeerSettings(id=KIT, inbound_token=Secret("kit-calls-us"), outbound_token=Secret("we-call-kit")),
        ),
        "development": DevelopmentSettings(http_dids=True),
        **changes,
    }
    settings, clock = Settings(**chosen), Clock(time.time_ns() // 1_000_000)
    async with GuardedClient(EgressPolicy(allow=frozenset({f"127.0.0.1:{port}"}))) as client:
        made = (settings, origin, ControlStore(engine), client, lambda: clock.now_ms, lambda: f"urn:test:{next(_ids)}")
        try:
            who = await recognition(*made)
            await who.settle(_nothing_more)
            app = web.Application()
            app.add_routes(who.routes)
            runner = web.AppRunner(app)
            await runner.setup()
            await web.SockSite(runner, listening).start()
            try:
                yield House(who, settings, origin, client, clock)
            finally:
                await who.close()
                await runner.cleanup()
        finally:
            listening.close()
            await engine.close()


async def _nothing_more(*_: object) -> list[Statement]:
    return []


# -- what is advertised -----------------------------------------------------------------------------------------------------


async def test_each_entrance_says_how_to_identify_there(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        assert [(each.base_path, each.auth) for each in here.who.entrances] == [(BASE, OAUTH_AUTH), (ALSO, PINNED_AUTH)]
        assert await here.published(RESOURCE_AT + BASE) == {
            "resource": here.origin + BASE,
            "authorization_servers": [here.origin],
            "scopes_supported": ["catalog", "negotiation", "transfer", "messages"],
            "bearer_methods_supported": ["header"],
            "dpop_signing_alg_values_supported": ["ES256", "EdDSA"],
            "dpop_bound_access_tokens_required": True,
        }
        assert await here.published(RESOURCE_AT + ALSO) is None
        assert (await here.published(SERVER_AT))["issuer"] == here.origin
        with pytest.raises(NotAuthenticated) as refused:
            await here.recognised(Incoming("POST", here.origin + BASE, {}, Scope.CATALOG, changes=True))
        challenge = here.who.entrances[0].identity.challenge(refused.value)
        assert f'resource_metadata="{here.origin}{RESOURCE_AT}{BASE}"' in challenge["WWW-Authenticate"]


async def test_only_keys_that_are_for_it_are_published(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        ring = load_keys(tmp_path / "keys", {}, 48)
        (jwk,) = (await here.published("/oauth/jwks"))["keys"]
        assert (jwk["kid"], "d" in jwk) == (ring.current(Use.OAUTH).kid, False)
        document = await here.published("/.well-known/did.json")
        assert document["id"] == here.us
        assert document["authentication"] == [f"{here.us}#{jwk['kid']}"]


async def test_issuers_of_the_settings_are_named_and_vouch_for_their_participants(tmp_path: Path) -> None:
    lax = IssuerSettings(issuer="https://lax.example", participants=(CITY,), sender_constraint="bearer")
    async with house(tmp_path, issuers=(ISSUER, lax)) as here:
        document = await here.published(RESOURCE_AT + BASE)
        assert document["authorization_servers"] == [here.origin, SSO, "https://lax.example"]
        assert document["dpop_bound_access_tokens_required"] is False
        for each in (CITY, INSURER):
            entry = await here.who.registry.find(each)
            assert entry is not None
            assert (entry.state, entry.vouched_by) == (Admission.ADMITTED, "settings")


async def test_without_a_server_of_our_own_nobody_gets_a_token_here(tmp_path: Path) -> None:
    async with house(tmp_path, oauth=OAuthSettings(embedded=False), issuers=(ISSUER,)) as here:
        assert (await here.published(RESOURCE_AT + BASE))["authorization_servers"] == [SSO]
        assert await here.published(SERVER_AT) is None
        assert len((await here.published("/oauth/jwks"))["keys"]) == 1
        headers = {"Authorization": f"DPoP {_own_token(here)}", "DPoP": "x"}
        with pytest.raises(NotAuthenticated, match="issuer-unknown"):
            await here.recognised(Incoming("POST", here.origin + BASE, headers, Scope.CATALOG, changes=True))


async def test_without_an_entrance_for_it_there_is_no_server_either(tmp_path: Path) -> None:
    async with house(tmp_path, protocol=ProtocolSettings(auth="pinned-token")) as here:
        assert await here.published(SERVER_AT) is None
        assert await here.published(RESOURCE_AT + BASE) is None


async def test_who_has_no_did_publishes_no_document_and_names_keys_plainly(tmp_path: Path) -> None:
    us = "urn:us"
    async with house(tmp_path, participant_id=us) as here:
        assert await here.published("/.well-known/did.json") is None
        peer = PeerSettings(id=us, addresses=(here.origin + BASE,))
        await here.who.registry.settle([peer])
        pinned = dict(load_keys(tmp_path / "keys", {}, 48).signing(Use.OAUTH).public_jwk)
        entry = await here.who.registry.store.participant(us)
        assert entry is not None
        profile = replace(entry.profile, keys=(pinned,))
        await here.who.registry.store.engine.commit([update_participant(replace(entry, profile=profile))])
        here.who.registry.forget(us)
        assert (await here.recognised(await here.shown())).assurance == "oauth-pinned-key"
        kept = await here.who.snapshots.take(us, here.who.sign_with()[1])
        assert (kept["from"], kept["thumbprint"]) == ("own", here.who.sign_with()[0].thumbprint)


async def test_a_connector_without_a_key_for_agreements_has_no_certificate(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        assert here.who.certificate().startswith("-----BEGIN CERTIFICATE-----")


# -- that the parts understand each other -----------------------------------------------------------------------------------


async def test_two_that_only_know_where_the_other_is_meet(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        found = await here.recognised(await here.shown())
        assert (found.participant_id, found.admitted, found.assurance) == (here.us, True, "oauth-did")
        entry = await here.who.registry.store.participant(here.us)
        assert entry is not None
        assert entry.recognised is not None
        assert entry.recognised.key == load_keys(tmp_path / "keys", {}, 48).current(Use.OAUTH).thumbprint


async def test_a_token_is_good_at_the_entrance_that_it_is_for(tmp_path: Path) -> None:
    protocol = ProtocolSettings(also=(PathSettings(path=ALSO, auth="oauth"),))
    async with house(tmp_path, protocol=protocol) as here:
        request = await here.shown()
        await here.recognised(request)
        with pytest.raises(NotAuthenticated, match="token-audience"):
            await here.recognised(request, entrance=1)


async def test_a_revoked_key_ends_our_tokens_and_those_that_it_signed(tmp_path: Path) -> None:
    async with house(tmp_path, oauth=OAuthSettings(document_min_refresh_s=300)) as here:
        before = await here.shown()
        await here.recognised(before)
        ring = load_keys(tmp_path / "keys", {}, 48)
        revoke(tmp_path / "keys", ring.current(Use.OAUTH).kid, here.clock.now_ms, "lost")
        await here.who.reload_keys()
        with pytest.raises(NotAuthenticated, match="token-key-unknown"):
            await here.recognised(before)
        # Our client shows a new token for a new key, once its document may be read anew.
        with pytest.raises(PeerError, match="token-refused"):
            await here.shown()


async def test_a_rotated_key_ends_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        before = await here.shown()
        await here.recognised(before)
        rotate(tmp_path / "keys", Use.OAUTH, here.clock.now_ms)
        await here.who.reload_keys()
        await here.recognised(before)
        # It ends with the overlap.
        here.clock.now_ms += 48 * 3_600_000
        with pytest.raises(NotAuthenticated, match="token-key-unknown"):
            await here.recognised(before)


async def test_pinned_tokens_go_to_those_that_have_them(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        call = Call("POST", "https://kit.example/dsp/catalog/request", Scope.CATALOG)
        assert await here.who.outbound.outbound(KIT, call) == {"Authorization": "Bearer we-call-kit"}
        assert not here.who.outbound.challenged(KIT, call, {"WWW-Authenticate": 'DPoP error="invalid_token"'})
        challenge = {"WWW-Authenticate": 'DPoP error="use_dpop_nonce"', "DPoP-Nonce": "n"}
        assert here.who.outbound.challenged(here.us, call, challenge)
        headers = {"Authorization": "Bearer kit-calls-us"}
        request = Incoming("POST", here.origin + ALSO, headers, Scope.CATALOG, changes=True)
        assert (await here.recognised(request, entrance=1)).participant_id == KIT
        with pytest.raises(NotAuthenticated, match="token-form"):
            await here.recognised(request)
        # Each is called back where it can identify.
        assert [here.who.callback_for(each) for each in (KIT, CITY)] == [here.origin + ALSO, here.origin + BASE]


@pytest.mark.parametrize("meet", [True, False])
async def test_whether_strangers_are_looked_for_is_for_the_settings_to_say(tmp_path: Path, meet: bool) -> None:
    async with house(tmp_path, oauth=OAuthSettings(meet_by_did=meet), peers=()) as here:
        # Its version document is served by another part: its DID document says who it is, and no address that can be used.
        with pytest.raises(NotFound) as found:
            await here.who.directory.address(here.us)
        assert ("its DID document" in found.value.reason) == meet


async def test_keys_of_somebody_else_stop_the_start(tmp_path: Path) -> None:
    async with house(tmp_path):
        pass
    with pytest.raises(SettingsError, match="keys-foreign"):
        async with house(tmp_path, participant_id=CITY):
            pass


def _own_token(here: House) -> str:
    key = load_keys(here.settings.keys.dir, {}, 48).signing(Use.OAUTH)
    return sign(key, "at+jwt", {"iss": here.origin, "aud": here.origin + BASE, "sub": here.us})
