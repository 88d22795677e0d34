"""Tokens for our own people and programs: those that we give for an API key, and those of external issuers of the settings.

Ours (RFC 6749, 4.4, and RFC 9068) point to the key that they were given for: what that may do now, narrowed to the scopes that
were asked for, is what they may do; when it is revoked they are worth nothing. An external issuer says who somebody is and which
roles he has, by the mapping of its settings. Both pass the gate of `connector.identity`, whose ceremony is the same for peers;
audience and issuer are others, so that no peer's token opens anything here, nor one of these anything there.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final

from connector.access.caller import EVERY, Caller, Role, scopes_of
from connector.access.keys import ApiKeys
from connector.identity import gate
from connector.identity.fetcher import Fetcher, FetchRefused
from connector.identity.gate import Expected, KeyRefused, PublicKey, TokenRefused, public_key
from connector.identity.issuers import ExternalIssuers
from connector.identity.keys import KeyRing, Use
from connector.identity.signing import sign
from connector.protocol.errors import InvariantBroken, Unavailable
from connector.settings.identity import IssuerSettings
from connector.settings.management import ManagementIssuerSettings

TOKEN_TYPES: Final = frozenset({"at+jwt"})
ALGORITHMS: Final = frozenset({"ES256", "EdDSA"})
MAX_KNOWN: Final = 1024
"""Tokens that are not verified anew on each request."""
MAX_CLAIM_ROLES: Final = 256
"""Roles that a token of an external issuer may list."""
_SUBJECT: Final = "key:"


class ManagementTokens:
    """What tokens open the management interface. ``issuer`` is its origin, ``audience`` its address."""

    def __init__(
        self,
        issuer: str,
        audience: str,
        ring: KeyRing,
        keys: ApiKeys,
        externals: Externals,
        *,
        life_s: int,
        leeway_s: int,
        now_ms: Callable[[], int],
        new_id: Callable[[], str],
    ) -> None:
        self.issuer = issuer
        self.audience = audience
        self.keys = keys
        self.life_s = life_s
        self._ring = ring
        self._externals = externals
        self._now_ms = now_ms
        self._new_id = new_id
        self._expected = Expected(
            types=TOKEN_TYPES,
            algorithms=ALGORITHMS,
            max_lifetime_s=life_s,
            leeway_s=leeway_s,
            issuer=issuer,
            audience=audience,
        )
        self._anybody = externals.widened(self._expected)
        # Tokens of ours whose signature held, by their SHA-256; all that can change is judged on every request.
        self._known: OrderedDict[bytes, _Known] = OrderedDict()

    def issue(self, caller: Caller, scopes: Sequence[str]) -> str:
        """A token for the holder of an API key, for these of its scopes."""
        now_s = self._now_ms() // 1000
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": caller.id,
            "client_id": caller.id.removeprefix(_SUBJECT),
            "scope": " ".join(scopes),
            "roles": sorted(caller.roles),
            "jti": self._new_id(),
            "iat": now_s,
            "exp": now_s + self.life_s,
        }
        return sign(self._ring.signing(Use.OAUTH), "at+jwt", claims)

    async def caller(self, raw: str) -> Caller:
        """Whose token this is. Raises TokenRefused and NotAuthenticated; Unavailable where its issuer does not answer now."""
        now_s = self._now_ms() // 1000
        name = sha256(raw.encode("utf-8", "surrogateescape")).digest()
        known = self._known.get(name)
        if known is None:
            # 1. Everything before cryptography: the gate's first steps.
            sighted = gate.sight(raw, self._anybody)
            issuer = sighted.unverified_claims.get("iss")
            # 2. Whose it is decides by which rules, and which key, it is judged from here on.
            if issuer != self.issuer:
                return await self._externals.caller(raw, issuer if isinstance(issuer, str) else "", now_s)
            # 3. Signature, audience and time.
            known = self._verified(raw, now_s)
            self._known[name] = known
            if len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)
        else:
            # 3. What has changed since it was verified: the time, and which keys of ours are believed.
            self._own_jwk(known.kid)
            if now_s >= known.ends_s:
                raise TokenRefused("token-expired", "the token has expired; get a new one")
        # 4. The key that it was given for, as it stands now.
        holder = await self.keys.now(known.key_id)
        return replace(holder, scopes=holder.scopes & known.scopes)

    def _verified(self, raw: str, now_s: int) -> _Known:
        sighted = gate.sight(raw, self._expected)
        kid = sighted.header.get("kid")
        token = gate.verify(sighted, self._own_key(kid), self._expected, now_s)
        scopes = frozenset(str(token.claims.get("scope", "")).split())
        ends_s = int(token.claims["exp"]) + self._expected.leeway_s
        return _Known(str(token.claims["sub"]).removeprefix(_SUBJECT), scopes, kid, ends_s)

    def _own_key(self, kid: object) -> PublicKey:
        jwk = self._own_jwk(kid)
        try:
            return public_key(jwk)
        except KeyRefused as error:
            raise InvariantBroken("own-key", "a key of ours that is published is none") from error

    def _own_jwk(self, kid: object) -> Mapping[str, Any]:
        """The public part of a key of ours that is still believed. Raises TokenRefused."""
        for use, jwk in self._ring.published(self._now_ms()):
            if use is Use.OAUTH and jwk.get("kid") == kid:
                return jwk
        raise TokenRefused("token-key-unknown", "the key that signed this token is not valid any more; ask for a new token")


@dataclass(frozen=True, slots=True)
class _Known:
    """A token of ours that holds until ``ends_s`` (seconds since the epoch), for the API key ``key_id``."""

    key_id: str
    scopes: frozenset[str]
    kid: object
    ends_s: int


class Externals:
    """Issuers of others, who say which roles somebody has here. ``audience`` is that of tokens where the settings name none."""

    def __init__(self, settings: Sequence[ManagementIssuerSettings], fetcher: Fetcher, audience: str, leeway_s: int) -> None:
        self._settings = {each.issuer: each for each in settings}
        self._mapping = {each.issuer: _mapping(each) for each in settings}
        self._issuers = ExternalIssuers([_as_issuer(each) for each in settings], fetcher, audience, leeway_s)

    def widened(self, own: Expected) -> Expected:
        """What any token must be before it is known whose it is."""
        chosen = self._settings.values()
        return Expected(
            types=own.types.union(*(each.token_types for each in chosen)),
            algorithms=own.algorithms.union(*(each.algorithms for each in chosen)),
            max_lifetime_s=max([own.max_lifetime_s, *(each.max_lifetime_s for each in chosen)]),
            leeway_s=own.leeway_s,
            issuer=None,
            audience=None,
        )

    async def caller(self, raw: str, issuer: str, now_s: int) -> Caller:
        """Whose token of this issuer it is. Raises TokenRefused, and Unavailable."""
        expected = self._issuers.expected(issuer)
        if expected is None:
            raise TokenRefused("token-issuer", "tokens of this issuer are not taken here")
        sighted = gate.sight(raw, expected)
        try:
            key = await self._issuers.key(issuer, sighted.header.get("kid"))
        except FetchRefused as error:
            raise Unavailable(
                "issuer-unavailable", f"the issuer of this token does not say its keys now: {error.reason}"
            ) from error
        claims = gate.verify(sighted, key, expected, now_s).claims
        if "cnf" in claims:
            # To take it without proof would make a stolen one good for something.
            raise TokenRefused(
                "token-bound", "this token is bound to a key; have the issuer give a bearer token for this interface"
            )
        settings = self._settings[issuer]
        mapping = self._mapping[issuer]
        roles = frozenset(mapping[name] for name in _named(claims, settings.roles_claim) if name in mapping)
        if not roles:
            raise TokenRefused("token-roles", f"the token's {settings.roles_claim} names no role that counts here")
        vehicle = claims.get(settings.vehicle_claim) if settings.vehicle_claim else None
        if Role.DRIVER in roles and (type(vehicle) is not int or vehicle < 0):
            # A driver of no vehicle that we know is nobody's driver.
            roles -= {Role.DRIVER}
            if not roles:
                raise TokenRefused("token-vehicle", "the token of a driver must have the number of the vehicle")
        return Caller(
            _person(issuer, str(claims["sub"])), roles, _allowed(roles, claims), vehicle if Role.DRIVER in roles else None
        )


def _allowed(roles: frozenset[Role], claims: Mapping[str, Any]) -> frozenset[str]:
    """What the roles may do; where the token's scope names scopes of ours, no more than those."""
    scopes = scopes_of(roles)
    named = frozenset(str(claims.get("scope", "")).split()) & EVERY
    return scopes & named if named else scopes


def _person(issuer: str, subject: str) -> str:
    """The id of a caller: it says nothing about who that is to whoever has not the two."""
    return "token:" + sha256(f"{len(issuer)}:{issuer}{subject}".encode()).hexdigest()[:32]


def _mapping(settings: ManagementIssuerSettings) -> Mapping[str, Role]:
    if not settings.roles:
        return {role.value: role for role in Role}
    pairs = [pair.partition("=") for pair in settings.roles]
    return {theirs: Role(ours) for ours, _, theirs in pairs}


def _named(claims: Mapping[str, Any], claim: str) -> list[str]:
    """The roles in a claim: of that very name, or inside others along the dots of it."""
    found: Any = claims.get(claim)
    if claim not in claims:
        found = claims
        for part in claim.split("."):
            found = found.get(part) if isinstance(found, dict) else None
    listed = found.split() if isinstance(found, str) else found
    return [each for each in listed[:MAX_CLAIM_ROLES] if isinstance(each, str)] if isinstance(listed, list) else []


def _as_issuer(settings: ManagementIssuerSettings) -> IssuerSettings:
    """As the readers of keys know issuers; it speaks for no participant."""
    return IssuerSettings(
        issuer=settings.issuer,
        participants=(),
        audience=settings.audience,
        token_types=settings.token_types,
        algorithms=settings.algorithms,
        max_lifetime_s=settings.max_lifetime_s,
    )
