"""What one side of the demo shows the other: access tokens and proofs, made with that side's own keys.

It is the code with which a connector itself shows who it is; here somebody can look at what goes over the wire, steal it and
send it again.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from connector.demo.houses import House
from connector.http.client import EgressPolicy, GuardedClient
from connector.identity.fetcher import Fetcher
from connector.identity.gate import Expected, sight
from connector.identity.interface import Call, Scope
from connector.identity.keyfiles import load_keys
from connector.identity.keys import Use
from connector.identity.oauth import ALGORITHMS, TOKEN_TYPES
from connector.identity.participants import Admission, Participant, Profile
from connector.identity.tokens import OAuthClient
from connector.settings.identity import KeysSettings, OAuthSettings

_LONGEST_S: Final = 3600
_ANY: Final = Expected(types=TOKEN_TYPES, algorithms=ALGORITHMS, max_lifetime_s=_LONGEST_S, issuer=None, audience=None)


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What a token says: who issued it, to whom, the thumbprint of the key that it is bound to (None: it is not), its life."""

    raw: str
    issuer: str
    participant_id: str
    bound_to: str | None
    life_s: int


@dataclass(frozen=True, slots=True)
class Badge:
    """How ``house`` shows ``other`` who it is. ``key`` is the thumbprint of its OAuth key."""

    other: House
    oauth: OAuthClient
    key: str

    async def headers(self, call: Call) -> Mapping[str, str]:
        """Authorization and DPoP for one request. Raises CarnetError if the other side gives no token."""
        return await self.oauth.outbound(self.other.participant_id, call)

    def challenged(self, call: Call, headers: Mapping[str, str]) -> bool:
        """Take in the nonce that a refusal names; whether asking again may help."""
        return self.oauth.challenged(self.other.participant_id, call, headers)

    async def token(self) -> AccessToken:
        """The token that goes with requests now, read and not judged: judging it is the other side's matter."""
        shown = await self.headers(catalog_call(self.other))
        raw = shown["Authorization"].partition(" ")[2]
        claims = sight(raw, _ANY).unverified_claims
        bound_to = claims.get("cnf", {}).get("jkt")
        return AccessToken(raw, claims["iss"], claims["sub"], bound_to, claims["exp"] - claims["iat"])


def catalog_call(of: House) -> Call:
    """A request for the catalogue of a house."""
    return Call("POST", f"{of.address}/catalog/request", Scope.CATALOG)


@asynccontextmanager
async def badge(house: House, other: House) -> AsyncIterator[Badge]:
    """The badge of ``house`` at ``other``, with the keys in the folder of ``house``. Raises SettingsError without them."""
    ring = await asyncio.to_thread(load_keys, house.folder / KeysSettings().dir, {}, KeysSettings().overlap_h)
    key = ring.signing(Use.OAUTH)
    async with GuardedClient(EgressPolicy(allow=frozenset(other.reached_at))) as client:
        fetcher = Fetcher(client, OAuthSettings(), time.monotonic)
        oauth = OAuthClient(
            house.participant_id,
            lambda: (key, f"{house.participant_id}#{key.kid}"),
            _Only(other),
            fetcher,
            client,
            (),
            now_ms=lambda: time.time_ns() // 1_000_000,
            new_id=lambda: f"urn:uuid:{uuid.uuid4()}",
        )
        try:
            yield Badge(other, oauth, key.thumbprint)
        finally:
            await oauth.close()
            await fetcher.close()


@dataclass(frozen=True, slots=True)
class _Only:
    """A registry of one: our secrets are shown to nobody else."""

    other: House

    async def find(self, participant_id: str) -> Participant | None:
        if participant_id != self.other.participant_id:
            return None
        return Participant(id=participant_id, state=Admission.UNVERIFIED, profile=Profile(announced=(self.other.address,)))
