"""OAuth 2 at the resource: who sends this request? Access tokens (RFC 9068) bound to a key (DPoP, RFC 9449).

Verification is the numbered ceremony of :meth:`OAuthResource.inbound`. A token is verified once and then known by its SHA-256;
that the key that signed it is still believed, its time and its proof are judged on every request. Nothing is fetched here except
the key set of a configured issuer. Imports the gate, the registry and the error tree; writes nothing.
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
from connector.identity.interface import Incoming, Principal, Standing
from connector.identity.participants import Admission, Claims, Participant
from connector.identity.proof import Proof, bound_to, check_proof
from connector.protocol.errors import NotAuthenticated, PolicyDenied

MAX_KNOWN_TOKENS: Final = 4096
MAX_REMEMBERED_PROOFS: Final = 32_768
"""Proofs of reads that are remembered with one nonce; then there is a new nonce, and none of them is worth anything."""
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
    """The token may be good, the proof that goes with it is not (RFC 9449, section 4.3)."""


class NonceMissing(ProofRefused):
    """The proof of a read needs this worker's nonce (RFC 9449, section 9)."""


@dataclass(frozen=True, slots=True)
class OwnIssuer:
    """The embedded authorization server, as the resource sees it. ``key`` gives a published key by its id."""

    issuer: str
    key: Callable[[str | None], PublicKey]


@dataclass(frozen=True, slots=True)
class _Known:
    """A token that was verified, with ``key``, which its header calls ``kid``; good from ``begins`` to ``ends`` (seconds).

    ``thumbprint`` is the key that it is bound to. ``claims`` are those that an external issuer vouches for, None for our own
    tokens; ``scopes`` None: its issuer does not know ours.
    """

    issuer: str
    kid: str | None
    key: PublicKey
    participant_id: str
    claims: Claims | None
    scopes: frozenset[str] | None
    thumbprint: str | None
    begins: int
    ends: int


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
        self._registry = registry
        self._own = own
        self._own_tokens = None if own is None else _expected(own.issuer, resource, lifetime_s, leeway_s)
        self._issuers = issuers
        self._anybody = anybody
        self._bearer_issuers = bearer_issuers
        self._metadata_url = metadata_url
        self._leeway_s = leeway_s
        self._now_ms = now_ms
        self._shared = shared
        self._nonce = secrets.token_urlsafe(16)
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._seen: set[str] = set()

    # -- the ceremony -------------------------------------------------------------------------------------------------

    async def inbound(self, request: Incoming) -> Principal:
        """The caller of a request. Raises NotAuthenticated, PolicyDenied (scope), or Unavailable when an external issuer does not
        say which keys are its own."""
        # 1. One token in the Authorization header, of one of our two schemes.
        scheme, raw = _authorization(request.headers)
        # 2. The token: gate, key by issuer, signature, claims; or known from an earlier request, and its key still believed.
        now_s = self._now_ms() // 1000
        known = await self._token(raw, now_s)
        # 3. Its time: a token that is known was judged some time ago, and clocks are set back, too.
        self._check_time(known, now_s)
        # 4. Its participant is in the registry and welcome, and the token is of who speaks for it now.
        entry = await self._registry.find(known.participant_id)
        if entry is None or not entry.state.welcome:
            raise unwelcome(entry)
        _check_speaker(known, entry)
        # 5. Bound to a key: a fresh proof of it for exactly this request. Unbound: only where the profile says so.
        standing = self._possession(scheme, raw, known, entry, request, now_s)
        # 6. The scope covers what is asked.
        if known.scopes is not None and request.scope.value not in known.scopes:
            raise PolicyDenied("scope-missing", f"the token lacks the scope {request.scope.value}; ask for it at the issuer")
        # 7. Single use: a read is remembered here; a message that changes state commits it with what it causes.
        if standing.once is not None and self._remembers(request):
            self._use(standing.once)
            standing = Standing(entry.revision)
        return self._principal(known, entry, standing)

    async def _token(self, raw: str, now_s: int) -> _Known:
        digest = hashlib.sha256(raw.encode("utf-8", "surrogatepass")).digest()
        known = self._known.get(digest)
        # A key that was revoked, or that its issuer has taken back, takes its tokens along.
        if known is not None and await self._key(known.issuer, known.kid) == known.key:
            return known
        known = await self._verified(raw, now_s)
        self._known[digest] = known
        if len(self._known) > MAX_KNOWN_TOKENS:
            self._known.popitem(last=False)
        return known

    async def _verified(self, raw: str, now_s: int) -> _Known:
        # Who claims to have issued it only chooses what to expect; the gate judges everything again.
        issuer = str(gate.sight(raw, self._anybody).unverified_claims.get("iss"))
        expected = self._own_tokens if self._is_own(issuer) else self._issuers.expected(issuer)
        if expected is None:
            raise TokenRefused("issuer-unknown", "this issuer is not trusted here; see our protected resource metadata")
        sighted = gate.sight(raw, expected)
        kid = sighted.header.get("kid")
        key = await self._key(issuer, kid)
        claims = gate.verify(sighted, key, expected, now_s).claims
        vouched: Claims | None = None
        scopes: frozenset[str] | None = None
        if self._is_own(issuer):
            participant_id, scopes = _ours(claims)
        else:
            participant_id, vouched = self._issuers.participant(issuer, claims)
        begins = max(claims["iat"], claims.get("nbf", 0))
        return _Known(issuer, kid, key, participant_id, vouched, scopes, bound_to(claims), begins, claims["exp"])

    def _is_own(self, issuer: str) -> bool:
        return self._own is not None and issuer == self._own.issuer

    async def _key(self, issuer: str, kid: str | None) -> PublicKey:
        """The key of that name, if its issuer stands by it now."""
        if self._own is not None and issuer == self._own.issuer:
            return self._own.key(kid)
        return await self._issuers.key(issuer, kid)

    def _check_time(self, known: _Known, now_s: int) -> None:
        if known.ends + self._leeway_s <= now_s:
            raise TokenRefused("token-expired", "the access token is over; ask the authorization server for a new one")
        if known.begins > now_s + self._leeway_s:
            raise TokenRefused("token-not-yet", "the access token is not valid yet; check the clocks")

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
            # RFC 9449, 7.1, has this for a fault of the token: whoever has changed keys needs another one.
            raise TokenRefused("proof-key", "the proof was made with another key than the token is bound to")
        if self._remembers(request) and found.nonce != self._nonce:
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

    def _use(self, once: str) -> None:
        if once in self._seen:
            raise ProofRefused("proof-replayed", "this proof was used before; make a new one for each request")
        self._seen.add(once)
        if len(self._seen) >= MAX_REMEMBERED_PROOFS:
            # All of them were made with this nonce. By the clock nothing is forgotten: it may be set back.
            self._seen, self._nonce = set(), secrets.token_urlsafe(16)

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
        # A proof that a transaction finds used comes from the door.
        proof = isinstance(error, ProofRefused) or error.code == "proof-replayed"
        name = "invalid_dpop_proof" if proof else "invalid_token"
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


def _expected(issuer: str, resource: str, lifetime_s: int, leeway_s: int) -> Expected:
    return Expected(
        types=TOKEN_TYPES,
        algorithms=ALGORITHMS,
        max_lifetime_s=lifetime_s,
        leeway_s=leeway_s,
        issuer=issuer,
        audience=resource,
        required=frozenset({"iss", "sub", "aud", "exp", "iat", "jti", "client_id", "participant_id", "scope"}),
    )


def _ours(claims: Mapping[str, Any]) -> tuple[str, frozenset[str]]:
    """Participant and scopes of a token of our own, all of which have both."""
    participant_id = claims["participant_id"]
    if participant_id != claims["sub"]:
        raise TokenRefused("participant-mismatch", "sub and participant_id of the token must be the same participant")
    return participant_id, frozenset(claims["scope"].split())


def _check_speaker(known: _Known, entry: Participant) -> None:
    """The token is of who speaks for the participant, and was made after the operator last said so."""
    named, keys = entry.profile.issuer, entry.profile.keys
    if named is not None and named != known.issuer:
        raise TokenRefused("issuer-foreign", "another issuer speaks for this participant; get the token there")
    # Where keys are pinned: it may have been got with another key. A token knows its second only, so that second is let pass.
    if keys and known.claims is None and (known.begins + 1) * 1000 <= entry.updated_at:
        raise TokenRefused("token-superseded", "your entry in the registry was changed since; ask for a new token")


def _assurance(entry: Participant) -> str:
    return "oauth-pinned-key" if entry.profile.keys else "oauth-did"
