"""Who renews a token of a transfer: made for us as consumer, checked for what our data plane was shown as provider.

Data Plane Signaling 1.0-RC3, token renewal of http-pull: a JWT with ``iss`` = ``sub`` = the client's DID, ``aud`` the provider's
and ``token`` the access token that is renewed, signed with a key of the client's DID document. It comes in as every other token
does: the gate, the keys of that participant, and an id that is good once. Imports the gate, keys of clients and the registry.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from connector.identity import gate
from connector.identity.clients import ClientKeys
from connector.identity.door import unwelcome
from connector.identity.gate import Expected, TokenRefused
from connector.identity.registry import Registry
from connector.identity.signing import SigningKey, sign
from connector.protocol.errors import NotAuthenticated
from connector.store.engine import LostRace
from connector.store.registry import use_once

LIFE_S: Final = 60
"""How long an assertion of ours holds (seconds)."""
MAX_LIFE_S: Final = 300
"""Longest life of one that we take (seconds)."""
ALGORITHMS: Final = frozenset({"ES256", "EdDSA"})
# The specification names no type: JWT, or nothing. What the token is for is bound by its audience and its claim `token`.
TYPES: Final = frozenset({"JWT", ""})
CLAIMS: Final = frozenset({"iss", "sub", "aud", "exp", "iat", "jti", "token"})


def key_of(participant_id: str, jti: str) -> str:
    """The key of an assertion in ``used_once``; neither part is stored."""
    return "renewal:" + hashlib.sha256(f"{len(participant_id)}:{participant_id}{jti}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Assertions:
    """``sign_with`` gives our key for tokens and its full name; ``leeway_s`` is how far another clock may be off."""

    participant_id: str
    sign_with: Callable[[], tuple[SigningKey, str]]
    clients: ClientKeys
    registry: Registry
    leeway_s: int
    now_ms: Callable[[], int]
    new_id: Callable[[], str]

    def make(self, provider: str, token: str) -> str:
        """That it is us who renew ``token`` at ``provider``; good once, for ``LIFE_S`` seconds."""
        key, kid = self.sign_with()
        now_s = self.now_ms() // 1000
        claims = {"iss": self.participant_id, "sub": self.participant_id, "aud": provider, "token": token}
        return sign(key, "JWT", {**claims, "jti": self.new_id(), "iat": now_s, "exp": now_s + LIFE_S}, kid=kid)

    async def check(self, consumer: str, assertion: str, token_sha256: str) -> None:
        """That ``consumer`` made it, for us, now, for the first time, about the token with this digest (hex).

        Uses it up. Raises TokenRefused or NotAuthenticated with the reason, Unavailable or TooMany if keys cannot be had now.
        """
        expected = Expected(
            types=TYPES,
            algorithms=ALGORITHMS,
            max_lifetime_s=MAX_LIFE_S,
            leeway_s=self.leeway_s,
            issuer=consumer,
            audience=self.participant_id,
            required=CLAIMS,
        )
        # 1. All that is asked before there is a key.
        sighted = gate.sight(assertion, expected)
        # 2. A client: issuer and subject are the same (RFC 7523, 3), and it is the one that the transfer is with. Before its key
        #    is looked up: nothing is fetched for anybody else.
        claims = sighted.unverified_claims
        if claims.get("iss") != consumer or claims.get("sub") != consumer:
            raise TokenRefused("token-issuer", "iss and sub must be the participant that the transfer is with")
        # 3. Its standing with us.
        entry = await self.registry.find(consumer)
        if entry is not None and not entry.state.welcome:
            why = unwelcome(entry)
            raise NotAuthenticated(why.code, why.reason)
        # 4. Key and signature, audience, time.
        client = await self.clients.key(consumer, sighted.header.get("kid"), None, elsewhere=True)
        token = gate.verify(sighted, client.key, expected, self.now_ms() // 1000)
        # 5. The token that it renews, and no other.
        named = token.claims["token"]
        digest = hashlib.sha256(named.encode("utf-8", "surrogateescape")).hexdigest() if isinstance(named, str) else ""
        if not hmac.compare_digest(digest, token_sha256):
            raise TokenRefused("token-other", "the claim token must be the access token that came with the refresh token")
        # 6. Single use.
        await self._use(consumer, str(token.claims["jti"]), token.claims["exp"])

    async def _use(self, consumer: str, jti: str, expires_s: int) -> None:
        """As long as some worker's clock may still take it: how far a clock may be off counts for its and for ours."""
        try:
            await self.registry.store.engine.commit([use_once(key_of(consumer, jti), (expires_s + 2 * self.leeway_s) * 1000)])
        except LostRace as error:
            raise TokenRefused("assertion-replayed", "this assertion was used before; make a new one for each renewal") from error
