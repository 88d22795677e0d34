"""The embedded authorization server: who shows by a signature who it is gets a token for one of our resources (RFC 6749, 4.4).

Client credentials with ``private_key_jwt`` (RFC 7523 as RFC 10070 narrows it), resource indicators (RFC 8707), DPoP (RFC 9449),
access tokens of RFC 9068. The ceremony is :meth:`Authority._issue`. What is single-use is committed together with the recognition
of the client, before there is a token: after a crash between the two the client asks again with a new assertion.

Imports the grant (Authlib's server core), the gate, the signer, the keys of clients and the registry; knows no web framework.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, TypeGuard

from connector.identity import gate
from connector.identity.clients import ClientKey, ClientKeys, Newcomers, with_announced
from connector.identity.door import unwelcome
from connector.identity.gate import Expected, PublicKey, Sighted, TokenRefused, public_key
from connector.identity.grant import METHOD, Client, Grants, Refused
from connector.identity.interface import Standing
from connector.identity.keys import KeyRing, Use
from connector.identity.metadata import ALGORITHMS, TOKEN_PATH
from connector.identity.participants import Recognised
from connector.identity.proof import Proof, check_proof
from connector.identity.registry import Registry
from connector.identity.signing import sign
from connector.protocol.errors import TooMany, Unavailable
from connector.settings.identity import OAuthSettings
from connector.store.engine import LostRace, Statement
from connector.store.registry import note_recognised, recheck, update_participant, use_once
from connector.telemetry import logger

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_TYPES: Final = frozenset({"client-authentication+jwt"})
ASSERTION_LIFE_S: Final = 300
PROOF_LIFE_S: Final = 60
MAX_ID_CHARS: Final = 2048
MAX_RACES: Final = 5
MAX_PARSED: Final = 64
RETRY_AFTER_S: Final = 5
NO_STORE: Final[Mapping[str, str]] = {"Cache-Control": "no-store", "Pragma": "no-cache"}
log = logger("authority")


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """An answer of the token endpoint; the body is a JSON object, and may hold a token."""

    status: int
    headers: Mapping[str, str]
    body: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request whose form holds, while nobody is known. ``participant_id`` is what the assertion says, ``once`` its key."""

    participant_id: str
    assertion: Sighted
    expected: Expected
    once: str
    resource: str
    proof: Proof | None
    source: str
    now_ms: int


class Authority:
    """The authorization server of one connector. ``issuer`` is its origin, ``resources`` are the base addresses it issues for."""

    def __init__(
        self,
        issuer: str,
        resources: Sequence[str],
        keyring: KeyRing,
        clients: ClientKeys,
        newcomers: Newcomers,
        registry: Registry,
        settings: OAuthSettings,
        *,
        now_ms: Callable[[], int],
        new_id: Callable[[], str],
    ) -> None:
        self._issuer = issuer
        self._resources = tuple(resources)
        self._keyring = keyring
        self._clients = clients
        self._newcomers = newcomers
        self._registry = registry
        self._settings = settings
        self._now_ms = now_ms
        self._new_id = new_id
        self._grants = Grants(self._token_for)

    def verify_key(self, kid: str | None) -> PublicKey:
        """The key of ours that an access token names, if it may still be believed. Raises TokenRefused."""
        for use, jwk in self._keyring.published(self._now_ms()):
            if use is Use.OAUTH and jwk.get("kid") == kid:
                return _parsed(frozenset(jwk.items()))
        raise TokenRefused("token-key-unknown", "the key that signed this token is not valid any more; ask for a new token")

    async def token(self, form: Sequence[tuple[str, str]], dpop: Sequence[str], authorization: str | None, source: str) -> Answer:
        """Answer a token request: its form as sent, its DPoP headers, its Authorization header and the address it came from.

        Raises StoreUnavailable, and nothing for what a client may send.
        """
        try:
            body = await self._issue(form, dpop, authorization, source)
        except Refused as refused:
            return refusal(refused, self._issuer)
        except TooMany as refused:
            return refusal(later(refused.code, refused.reason, 429, refused.retry_after_s), self._issuer)
        except Unavailable as refused:
            return refusal(later(refused.code, refused.reason), self._issuer)
        return Answer(200, NO_STORE, body)

    async def _issue(
        self, form: Sequence[tuple[str, str]], dpop: Sequence[str], authorization: str | None, source: str
    ) -> Mapping[str, Any]:
        now_ms = self._now_ms()
        # 1. Parameters: each once, one way to authenticate, and all that is needed (RFC 6749, 2.3 and 3.2).
        parameters = _parameters(form, authorization)
        # 2. Grant: the only one that is served.
        grant = self._grants.find(parameters)
        # 3. Resource: one of ours, as the token is good for one alone (RFC 8707, 2).
        resource = self._resource(parameters)
        # 4. Possession: the proof of this very request, where there is one (RFC 9449, 5).
        proof = self._proof(dpop, now_ms // 1000)
        # 5. The assertion before cryptography: the gate; who it says it is, iss and sub the same (RFC 7523, 3).
        asked = self._asked(parameters, resource, proof, source, now_ms)
        for _ in range(MAX_RACES):
            # 6. Key, signature, audience (our issuer alone: RFC 10070), lifetime.
            client, expires_s = await self._authenticated(asked)
            # 7. Standing, and whether its tokens may go without a key. Only whom we have recognised is told.
            self._check_standing(client, asked)
            # 8. This client, this way to authenticate, this scope.
            grant.validate(Client(asked.participant_id, resource, proof and proof.thumbprint, now_ms // 1000))
            # 9. Single use and recognition, in one transaction that fails when anything of this has changed meanwhile.
            try:
                await self._recognise(client, asked, expires_s)
            except LostRace:
                await self._explain(asked)
                continue
            # 10. Only then the token.
            log.info("token issued", participant=asked.participant_id, assurance=client.assurance, bound=proof is not None)
            return grant.body()
        raise later("contended", "the entry of this participant is changing right now; ask again with a new assertion")

    # -- before anybody is known --------------------------------------------------------------------------------------

    def _resource(self, parameters: Mapping[str, str]) -> str:
        resource = parameters.get("resource")
        if resource is None or resource not in self._resources:
            raise Refused("invalid_target", "resource-unknown", f"send resource={' or resource='.join(self._resources)}")
        return resource

    def _proof(self, dpop: Sequence[str], now_s: int) -> Proof | None:
        if not dpop:
            return None
        if len(dpop) > 1:
            raise Refused("invalid_dpop_proof", "proof-twice", "send one DPoP header")
        with _refusing("invalid_dpop_proof"):
            return check_proof(
                dpop[0],
                method="POST",
                url=self._issuer + TOKEN_PATH,
                token=None,
                now_s=now_s,
                leeway_s=self._settings.leeway_s,
                max_age_s=PROOF_LIFE_S,
            )

    def _asked(self, parameters: Mapping[str, str], resource: str, proof: Proof | None, source: str, now_ms: int) -> _Asked:
        if parameters["client_assertion_type"] != ASSERTION_TYPE:
            raise Refused("invalid_client", "assertion-type", f"send client_assertion_type={ASSERTION_TYPE}", status=401)
        expected = Expected(
            types=ASSERTION_TYPES,
            algorithms=frozenset(ALGORITHMS),
            max_lifetime_s=ASSERTION_LIFE_S,
            leeway_s=self._settings.leeway_s,
            issuer=None,
            audience=self._issuer,
        )
        with _refusing("invalid_client", 401):
            assertion = gate.sight(parameters["client_assertion"], expected)
        claims = assertion.unverified_claims
        issuer, jti = claims.get("iss"), claims.get("jti")
        # Before anything is looked up by it; the gate judges the claims again once there is a signature.
        same = issuer == claims.get("sub") == parameters.get("client_id", issuer)
        if not same or not _is_id(issuer) or not _is_id(jti):
            reason = "iss and sub of the assertion are your participant id, as client_id is if you send it, and jti is a text"
            raise Refused("invalid_client", "assertion-client", reason, status=401)
        return _Asked(issuer, assertion, expected, _once(issuer, jti), resource, proof, source, now_ms)

    # -- the client ---------------------------------------------------------------------------------------------------

    async def _authenticated(self, asked: _Asked) -> tuple[ClientKey, int]:
        """The key that the assertion holds with, and when the assertion ends (seconds since the epoch)."""
        with _refusing("invalid_client", 401):
            client = await self._clients.key(asked.participant_id, asked.assertion.header.get("kid"), asked.source)
            token = gate.verify(asked.assertion, client.key, asked.expected, asked.now_ms // 1000)
        return client, token.claims["exp"]

    def _check_standing(self, client: ClientKey, asked: _Asked) -> None:
        entry = client.participant
        if entry is not None and not entry.state.welcome:
            why = unwelcome(entry)
            log.info("a participant that is not welcome asked for a token", participant=entry.id, code=why.code)
            raise Refused("access_denied", why.code, why.reason)
        if asked.proof is None and (entry is None or entry.profile.tokens != "bearer"):
            reason = "send a DPoP header: tokens are bound to a key here, unless the operator agrees to others (carnet peers)"
            raise Refused("invalid_dpop_proof", "proof-missing", reason)

    async def _recognise(self, client: ClientKey, asked: _Asked, expires_s: int) -> None:
        """One transaction: the assertion and the proof are used up, the client is noted. Raises LostRace."""
        entry, leeway_s = client.participant, self._settings.leeway_s
        recognised = Recognised(assurance=client.assurance, key=client.key.thumbprint, at=asked.now_ms)
        # As long as some worker's clock may still take it: how far a clock may be off counts for its and for ours.
        statements = [use_once(asked.once, (expires_s + 2 * leeway_s) * 1000)]
        if asked.proof is not None:
            statements.append(use_once(asked.proof.once, (asked.proof.iat + PROOF_LIFE_S + 2 * leeway_s) * 1000))
        announced: tuple[str, ...] = ()
        if client.unreached and client.document is not None:
            announced = await self._clients.announced(client.document, asked.source)
        if entry is None:
            await self._newcomers.enter(asked.participant_id, announced, recognised=recognised, together_with=statements)
            return
        # The note locks the row first: two checks that share it and then both want to write would wait for each other.
        statements.append(note_recognised(entry.id, recognised))
        guard: Statement = recheck(entry.id, Standing(entry.revision), shared=self._registry.store.shared)
        if announced:
            guard = update_participant(with_announced(entry, announced, asked.now_ms))
        await self._registry.store.engine.commit([*statements, guard])
        self._registry.forget(entry.id)

    async def _explain(self, asked: _Asked) -> None:
        """After a lost race: return if deciding again may help."""
        self._registry.forget(asked.participant_id)
        if await self._registry.store.used(asked.once):
            reason = "this assertion was used before; make a new one for each request"
            raise Refused("invalid_client", "assertion-replayed", reason, status=401)
        if asked.proof is not None and await self._registry.store.used(asked.proof.once):
            raise Refused("invalid_dpop_proof", "proof-replayed", "this proof was used before; make a new one for each request")

    # -- answers ------------------------------------------------------------------------------------------------------

    def _token_for(self, client: Client, scopes: str) -> dict[str, Any]:
        """An access token (RFC 9068, 2.2), bound to the client's key where it has shown one (RFC 9449, 6)."""
        lifetime_s = self._settings.token_lifetime_s
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "aud": client.resource,
            "sub": client.participant_id,
            "client_id": client.participant_id,
            "participant_id": client.participant_id,
            "scope": scopes,
            "jti": self._new_id(),
            "iat": client.now_s,
            "exp": client.now_s + lifetime_s,
        }
        if client.thumbprint is not None:
            claims["cnf"] = {"jkt": client.thumbprint}
        return {
            "access_token": sign(self._keyring.signing(Use.OAUTH), "at+jwt", claims),
            "token_type": "Bearer" if client.thumbprint is None else "DPoP",
            "expires_in": lifetime_s,
            "scope": scopes,
        }


@lru_cache(maxsize=MAX_PARSED)
def _parsed(members: frozenset[tuple[str, str]]) -> PublicKey:
    # Each request asks for the key of its token again, as that may have been revoked; what the key is does not change.
    return public_key(dict(members))


def refusal(refused: Refused, issuer: str) -> Answer:
    """An error of RFC 6749, 5.2, as an answer. The member ``code`` is ours."""
    headers = dict(NO_STORE)
    if refused.status_code == 401:
        headers["WWW-Authenticate"] = f'{METHOD} realm="{issuer}"'
    if refused.retry_after_s is not None:
        headers["Retry-After"] = str(refused.retry_after_s)
    log.info("token request refused", error=refused.error, code=refused.code)
    body = {"error": refused.error, "error_description": refused.description, "code": refused.code}
    return Answer(refused.status_code, headers, body)


def _parameters(form: Sequence[tuple[str, str]], authorization: str | None) -> dict[str, str]:
    """The parameters that have a value (RFC 6749, 3.2); what is not known is passed over."""
    names = [name for name, _ in form]
    if names.count("resource") > 1:
        raise Refused("invalid_target", "resource-twice", "send one resource: a token is good for one")
    if len(names) != len(set(names)):
        raise Refused("invalid_request", "parameter-twice", "send each parameter once")
    found = {name: value for name, value in form if value}
    if authorization is not None or "client_secret" in found:
        reason = f"authenticate with {METHOD} alone: no Authorization header and no client_secret"
        raise Refused("invalid_client", "client-method", reason, status=401)
    missing = [name for name in ("grant_type", "client_assertion_type", "client_assertion") if name not in found]
    if missing:
        raise Refused("invalid_request", "parameter-missing", f"send {', '.join(missing)}")
    return found


def _is_id(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= MAX_ID_CHARS and value.isprintable()


def _once(participant_id: str, jti: str) -> str:
    """The key of an assertion in ``used_once``: an id is unique for its issuer only, and neither is stored."""
    return "assertion:" + hashlib.sha256(f"{len(participant_id)}:{participant_id}{jti}".encode()).hexdigest()


def later(code: str, reason: str, status: int = 503, retry_after_s: int = RETRY_AFTER_S) -> Refused:
    """What may be served another time."""
    return Refused("temporarily_unavailable", code, reason, status=status, retry_after_s=retry_after_s)


@contextmanager
def _refusing(error: str, status: int = 400) -> Iterator[None]:
    """A token that does not hold, in the words of OAuth."""
    try:
        yield
    except TokenRefused as refused:
        raise Refused(error, refused.code, refused.reason, status=status) from refused
