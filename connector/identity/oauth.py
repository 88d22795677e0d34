"""OAuth 2 at the resource: who sends this request? Access tokens (RFC 9068) bound to a key (DPoP, RFC 9449).

Verification is the numbered ceremony of :meth:`OAuthResource.inbound`. A token is verified once and then known by its SHA-256;
the proof is verified on every request. Nothing is fetched here except the key set of a configured issuer. Imports the gate,
the registry and the error tree; writes nothing.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec

from connector.identity import gate
from connector.identity.door import unwelcome
from connector.identity.gate import Expected, PublicKey, TokenRefused
from connector.identity.interface import Incoming, Principal, Scope, Standing
from connector.identity.participants import Admission, Claims, Participant
from connector.identity.proof import Proof, bound_to, check_proof
from connector.protocol.errors import NotAuthenticated, PolicyDenied, TooMany

MAX_KNOWN_TOKENS: Final = 4096
MAX_REMEMBERED_PROOFS: Final = 100_000
PROOF_LIFE_S: Final = 60
ALGORITHMS: Final = frozenset({"ES256", "EdDSA"})
TOKEN_TYPES: Final = frozenset({"at+jwt"})


class _Registry(Protocol):
    async def find(self, participant_id: str) -> Participant | None: ...


class _Issuers(Protocol):
    def expected(self, issuer: str) -> Expected | None: ...

    async def key(self, issuer: str, kid: str | None) -> PublicKey: ...

    def participant(self, issuer: str, claims: Mapping[str, Any]) -> tuple[str, Claims]: ...


class ProofRefused(TokenRefused):
    """The token may be good, the proof that goes with it is not."""


class NonceMissing(ProofRefused):
    """The proof of a read needs this worker's nonce (RFC 9449, section 9)."""


@dataclass(frozen=True, slots=True)
class OwnIssuer:
    """The embedded authorization server, as the resource sees it. ``key`` gives a published key by its id."""

    issuer: str
    key: Callable[[str | None], PublicKey]


@dataclass(frozen=True, slots=True)
class _Known:
    """A token that was verified. ``thumbprint`` is the key that it is bound to. ``claims`` are those that an external issuer
    vouches for, None for our own tokens; ``scopes`` None: its issuer does not know ours."""

    participant_id: str
    issuer: str
    claims: Claims | None
    scopes: frozenset[str] | None
    thumbprint: str | None
    expires_at: int


class OAuthResource:
    """Recognises the callers of one protected resource. ``resource`` is its address, the only audience that is taken."""

    def __init__(
        self,
        resource: str,
        registry: _Registry,
        own: OwnIssuer | None,
        issuers: _Issuers,
        *,
        anybody: Expected,
        bearer_issuers: frozenset[str],
        metadata_url: str,
        lifetime_s: int,
        leeway_s: int,
        now_ms: Callable[[], int],
        shared: bool = False,
    ) -> None:
        """``anybody``: what a token of any issuer may look like; ``bearer_issuers``: whose tokens need no binding to a key.

        ``shared``: other workers may answer here with the same database. Then no proof is single-use by the memory of one of
        them, and a nonce would send a caller from one to the next: the proof of a read is committed like any other.
        """
        self._resource = resource
        self._registry = registry
        self._own = own
        self._issuers = issuers
        self._anybody = anybody
        self._bearer_issuers = bearer_issuers
        self._metadata_url = metadata_url
        self._lifetime_s = lifetime_s
        self._leeway_s = leeway_s
        self._now_ms = now_ms
        self._shared = shared
        self._nonce = secrets.token_urlsafe(16)
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._seen: OrderedDict[str, int] = OrderedDict()

    # -- the ceremony -------------------------------------------------------------------------------------------------

    async def inbound(self, request: Incoming) -> Principal:
        """The caller of a request. Raises NotAuthenticated, PolicyDenied (scope) or TooMany."""
        # 1. One token in the Authorization header, of one of our two schemes.
        scheme, raw = _authorization(request.headers)
        # 2. The token: gate, key by issuer, signature, claims; or known from an earlier request.
        now_ms = self._now_ms()
        now_s = now_ms // 1000
        known = await self._token(raw, now_s)
        # 3. Not over: a token that is known was judged some time ago.
        if known.expires_at + self._leeway_s <= now_s:
            raise TokenRefused("token-expired", "the access token is over; ask the authorization server for a new one")
        # 4. Its participant is in the registry and welcome; who was admitted by the issuer alone has the issuer's claims.
        entry = await self._registry.find(known.participant_id)
        if entry is None or not entry.state.welcome:
            raise unwelcome(entry)
        self._check_speaker(known, entry)
        # 5. Bound to a key: a fresh proof of it for exactly this request. Unbound: only where the profile says so.
        standing = self._possession(scheme, raw, known, entry, request, now_s)
        # 6. The scope covers what is asked.
        if known.scopes is not None and request.scope.value not in known.scopes:
            raise PolicyDenied("scope-missing", f"the token lacks the scope {request.scope.value}; ask for it at the issuer")
        # 7. Single use: a read is remembered here; a message that changes state commits it with what it causes.
        if standing.once is not None and self._remembers(request):
            self._use(standing.once, standing.expires_at, now_ms)
            standing = Standing(entry.revision)
        return self._principal(known, entry, standing)

    async def _token(self, raw: str, now_s: int) -> _Known:
        digest = hashlib.sha256(raw.encode("utf-8", "surrogateescape")).digest()
        known = self._known.get(digest)
        if known is None:
            known = await self._verified(raw, now_s)
            self._known[digest] = known
            if len(self._known) > MAX_KNOWN_TOKENS:
                self._known.popitem(last=False)
        return known

    async def _verified(self, raw: str, now_s: int) -> _Known:
        # Who claims to have issued it only chooses what to expect; the gate judges everything again.
        issuer = str(gate.sight(raw, self._anybody).unverified_claims.get("iss"))
        if self._own is not None and issuer == self._own.issuer:
            expected = self._expected(issuer)
            sighted = gate.sight(raw, expected)
            token = gate.verify(sighted, self._own.key(sighted.header.get("kid")), expected, now_s)
            return self._own_token(token.claims)
        theirs = self._issuers.expected(issuer)
        if theirs is None:
            raise TokenRefused("issuer-unknown", "this issuer is not trusted here; see our protected resource metadata")
        sighted = gate.sight(raw, theirs)
        key = await self._issuers.key(issuer, sighted.header.get("kid"))
        token = gate.verify(sighted, key, theirs, now_s)
        participant_id, claims = self._issuers.participant(issuer, token.claims)
        return _Known(participant_id, issuer, claims, None, bound_to(token.claims), token.claims["exp"])

    def _expected(self, issuer: str) -> Expected:
        return Expected(
            types=TOKEN_TYPES,
            algorithms=ALGORITHMS,
            max_lifetime_s=self._lifetime_s,
            leeway_s=self._leeway_s,
            issuer=issuer,
            audience=self._resource,
            required=frozenset({"iss", "sub", "aud", "exp", "iat", "jti", "client_id", "participant_id", "scope"}),
        )

    def _own_token(self, claims: Mapping[str, Any]) -> _Known:
        participant_id, scope = claims["participant_id"], claims["scope"]
        if not isinstance(participant_id, str) or participant_id != claims["sub"] or not isinstance(scope, str):
            raise TokenRefused("participant-mismatch", "sub and participant_id of the token must be the same participant")
        scopes = frozenset(scope.split())
        return _Known(participant_id, claims["iss"], None, scopes, bound_to(claims), claims["exp"])

    def _check_speaker(self, known: _Known, entry: Participant) -> None:
        """A participant with an issuer of its own is spoken for by that one alone."""
        named = entry.profile.issuer
        if named is not None and named != known.issuer:
            raise TokenRefused("issuer-foreign", "another issuer speaks for this participant; get the token there")

    def _possession(self, scheme: str, raw: str, known: _Known, entry: Participant, request: Incoming, now_s: int) -> Standing:
        shown = request.headers.get("DPoP")
        if known.thumbprint is None:
            allowed = known.issuer in self._bearer_issuers if known.claims is not None else entry.profile.tokens == "bearer"
            if not allowed or scheme != "bearer" or shown is not None:
                raise TokenRefused("proof-required", "tokens must be bound to a key here (DPoP); ask for a bound one")
            return Standing(entry.revision)
        if scheme != "dpop" or shown is None:
            raise ProofRefused("proof-missing", "this token is bound to a key: send it as DPoP, with a proof in the DPoP header")
        found = self._proof(shown, raw, request, now_s)
        if found.thumbprint != known.thumbprint:
            raise ProofRefused("proof-key", "the proof was made with another key than the token is bound to")
        if self._remembers(request) and not secrets.compare_digest((found.nonce or "").encode(), self._nonce.encode()):
            raise NonceMissing("proof-nonce", "put the nonce of the DPoP-Nonce header into the proof and send the request again")
        return Standing(entry.revision, found.once, (found.iat + PROOF_LIFE_S + 2 * self._leeway_s) * 1000)

    def _remembers(self, request: Incoming) -> bool:
        """Whether this worker alone, from its start on, sees to it that the proof of a request is used once."""
        return not request.changes and not self._shared

    def _proof(self, shown: str, raw: str, request: Incoming, now_s: int) -> Proof:
        times = {"now_s": now_s, "leeway_s": self._leeway_s, "max_age_s": PROOF_LIFE_S}
        try:
            return check_proof(shown, method=request.method, url=request.url, token=raw, **times)
        except TokenRefused as refused:
            raise ProofRefused(refused.code, refused.reason) from refused

    def _use(self, once: str, expires_at: int, now_ms: int) -> None:
        seen = self._seen
        while seen and next(iter(seen.values())) < now_ms:
            seen.popitem(last=False)
        if once in seen:
            raise ProofRefused("proof-replayed", "this proof was used before; make a new one for each request")
        if len(seen) >= MAX_REMEMBERED_PROOFS:
            raise TooMany("too-many-proofs", "more requests than can be remembered came in the last minutes; slow down", 5)
        seen[once] = expires_at

    def _principal(self, known: _Known, entry: Participant, standing: Standing) -> Principal:
        admitted = entry.state is Admission.ADMITTED
        claims = msgspec.to_builtins(entry.claims) if admitted else {}
        if known.claims is not None and admitted:
            claims |= msgspec.to_builtins(known.claims)
        how = f"oauth-issuer:{known.issuer}" if known.claims is not None else _assurance(entry)
        return Principal(entry.id, claims, how, admitted, standing)

    # -- what a refused caller is told --------------------------------------------------------------------------------

    def challenge(self, error: NotAuthenticated) -> Mapping[str, str]:
        """RFC 9449 section 7.1, RFC 9728 section 5.1; for a missing nonce RFC 9449 section 9."""
        about = f'resource_metadata="{self._metadata_url}"'
        if error.code == "token-missing":
            return {"WWW-Authenticate": f'DPoP algs="ES256 EdDSA", {about}'}
        name = "invalid_dpop_proof" if isinstance(error, ProofRefused) else "invalid_token"
        headers = {}
        if isinstance(error, NonceMissing):
            name, headers = "use_dpop_nonce", {"DPoP-Nonce": self._nonce}
        return {**headers, "WWW-Authenticate": f'DPoP error="{name}", algs="ES256 EdDSA", {about}'}


def _authorization(headers: Mapping[str, str]) -> tuple[str, str]:
    header = headers.get("Authorization")
    if header is None:
        raise TokenRefused("token-missing", "send an access token in the Authorization header; the metadata names who issues it")
    scheme, _, raw = header.partition(" ")
    scheme = scheme.lower()
    if scheme not in ("dpop", "bearer"):
        raise TokenRefused(
            "token-scheme", "the Authorization header must have the scheme DPoP (or Bearer, where it was agreed on)"
        )
    return scheme, raw


def _assurance(entry: Participant) -> str:
    if entry.profile.keys:
        return "oauth-pinned-key"
    return "oauth-did"


SCOPES: Final = tuple(scope.value for scope in Scope)
