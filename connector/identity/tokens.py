"""OAuth 2 at the client: access tokens of our peers' authorization servers, bound to our key, and a proof for each request.

What is shown to a peer is worthless elsewhere: the assertion is for its issuer alone, the token for its resource alone, the
proof for one request. A token is kept until shortly before its end; several requests that need one share one acquisition.
What an authorization server or a peer answers is of bounded size and checked before it goes into a request or a log.
Imports the guarded client, the readers of metadata and the signer.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import urlencode, urlsplit

import orjson

from connector.http.client import Answer, EgressRefused, GuardedClient, PeerUnreachable
from connector.identity import metadata
from connector.identity.fetcher import Fetcher, FetchRefused
from connector.identity.interface import Call, Scope
from connector.identity.participants import Participant
from connector.identity.proof import make_proof
from connector.identity.signing import SigningKey, sign
from connector.protocol.errors import CallerError, PeerError, Unavailable
from connector.settings.identity import IssuerSettings
from connector.telemetry import logger

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_LIFE_S: Final = 60
EARLY_MS: Final = 20_000
ACQUISITION_S: Final = 15.0
MAX_HELD: Final = 4096
MAX_TOKEN_CHARS: Final = 16_384
MAX_ANSWER_BYTES: Final = 65_536
MAX_TEXT_CHARS: Final = 300
DEFAULT_LIFE_S: Final = 60
MAX_LIFE_S: Final = 86_400
YOUNG_MS: Final = 5_000
"""A token that is refused at this age is not dropped: another one would be refused, too."""
_SCOPE: Final = " ".join(scope.value for scope in Scope)
# RFC 6750, 2.1, and RFC 9449, 8.1: what may stand in a header, and so in a proof.
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_NONCE: Final = re.compile(r"[!#-\[\]-~]{1,512}")
log = logger("tokens")
_Name = tuple[str, str]
_K = TypeVar("_K")
_V = TypeVar("_V")


class _Registry(Protocol):
    async def find(self, participant_id: str) -> Participant | None: ...


@dataclass(frozen=True, slots=True)
class _Held:
    """A token for one resource, good from ``since`` to ``until`` (ms). ``bound``: it goes with proofs by ``key``, with which it
    was asked for."""

    token: str = field(repr=False, compare=False)
    bound: bool
    key: SigningKey
    since: int
    until: int


class OAuthClient:
    """Shows peers who we are. Made in a running loop; ``close`` ends what is under way."""

    def __init__(
        self,
        participant_id: str,
        signing: Callable[[], tuple[SigningKey, str]],
        registry: _Registry,
        fetcher: Fetcher,
        client: GuardedClient,
        issuers: Sequence[IssuerSettings],
        *,
        now_ms: Callable[[], int],
        new_id: Callable[[], str],
    ) -> None:
        """``signing`` gives our OAuth key of now and the key id by which others find it."""
        self._participant_id = participant_id
        self._signing = signing
        self._registry = registry
        self._fetcher = fetcher
        self._client = client
        self._issuers = {issuer.issuer: issuer for issuer in issuers}
        self._now_ms = now_ms
        self._new_id = new_id
        # By participant and resource; nonces by participant.
        self._held: OrderedDict[_Name, _Held] = OrderedDict()
        self._nonces: OrderedDict[str, str] = OrderedDict()
        self._under_way: dict[_Name, asyncio.Task[_Held]] = {}

    async def close(self) -> None:
        """End acquisitions that are under way; who waits for one gets Unavailable."""
        running = list(self._under_way.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    # -- for each request ---------------------------------------------------------------------------------------------

    async def outbound(self, counterparty: str, call: Call) -> Mapping[str, str]:
        """Authorization, and a DPoP proof for exactly this call. Raises CallerError, PeerError or Unavailable."""
        resource = await self._resource(counterparty, call.url)
        held = await self._token(counterparty, resource)
        if not held.bound:
            return {"Authorization": f"Bearer {held.token}"}
        jti, nonce, now_s = self._new_id(), self._nonces.get(counterparty), self._now_ms() // 1000
        proof = make_proof(held.key, call.method, call.url, jti=jti, now_s=now_s, token=held.token, nonce=nonce)
        return {"Authorization": f"DPoP {held.token}", "DPoP": proof}

    def challenged(self, counterparty: str, call: Call, headers: Mapping[str, str]) -> bool:
        """A nonce is remembered; a token that is not taken any more is dropped; a proof that was not taken is made anew: an HTTP
        library repeats a read by itself when its connection breaks, and the first copy may have arrived."""
        challenge, nonce = headers.get("WWW-Authenticate", ""), headers.get("DPoP-Nonce", "")
        if "use_dpop_nonce" in challenge:
            # One that cannot stand in a proof helps nobody.
            known = _NONCE.fullmatch(nonce) is not None
            if known:
                _keep(self._nonces, counterparty, nonce)
            return known
        if "invalid_dpop_proof" in challenge:
            return True
        now = self._now_ms()
        for name, held in list(self._held.items()):
            if name[0] == counterparty and _below(call.url, name[1]) and not 0 <= now - held.since < YOUNG_MS:
                del self._held[name]
        # Also where nothing was dropped: another request may have brought a new token meanwhile.
        return "invalid_token" in challenge

    async def _resource(self, counterparty: str, url: str) -> str:
        """The protected resource that a URL belongs to: an address of the participant's, or nobody gets anything."""
        entry = await self._registry.find(counterparty)
        addresses = () if entry is None else entry.profile.reached_at
        found = [address for address in addresses if _below(url, address)]
        if not found:
            raise CallerError(
                "address-foreign", "only addresses of the participant are shown who we are; see `carnet peers show`"
            )
        return max(found, key=len)

    async def _token(self, counterparty: str, resource: str) -> _Held:
        name = counterparty, resource
        held, (key, _) = self._held.get(name), self._signing()
        # Not one of a key that was rotated or revoked, nor of a time that our clock was set back from.
        if held is not None and held.key == key and held.since <= self._now_ms() < held.until:
            return held
        task = self._under_way.get(name)
        if task is None:
            task = asyncio.create_task(self._acquire(counterparty, resource), name="token")
            self._under_way[name] = task
            task.add_done_callback(lambda done: self._acquired(name, done))
        # No plain await: who is cancelled leaves the acquisition to the others, and `close` cancels nobody who waits.
        await asyncio.wait({task})
        if task.cancelled():
            raise Unavailable("token-closed", "the connector is stopping")
        return task.result()

    def _acquired(self, name: _Name, done: asyncio.Task[_Held]) -> None:
        del self._under_way[name]
        if not done.cancelled() and done.exception() is None:
            _keep(self._held, name, done.result())

    # -- acquisition --------------------------------------------------------------------------------------------------

    async def _acquire(self, counterparty: str, resource: str) -> _Held:
        try:
            async with asyncio.timeout(ACQUISITION_S):
                entry = await self._registry.find(counterparty)
                unbound = entry is not None and entry.profile.tokens == "bearer"
                return await self._exchange(counterparty, resource, unbound=unbound)
        except TimeoutError as error:
            raise Unavailable("token-too-slow", f"no token for {resource} within {ACQUISITION_S:g} seconds") from error
        except FetchRefused as error:
            raise Unavailable("metadata-unavailable", f"the OAuth metadata of {resource}: {error.reason}") from error
        except (EgressRefused, PeerUnreachable) as error:
            raise Unavailable("issuer-unreachable", f"the authorization server of {resource}: {error.reason}") from error

    async def _exchange(self, counterparty: str, resource: str, *, unbound: bool) -> _Held:
        # 1. Who issues tokens for this resource? Only the peer itself, or an issuer of our own settings that speaks for it.
        protected = await metadata.protected_resource(self._fetcher, resource)
        issuer = self._chosen(counterparty, resource, protected.authorization_servers)
        server = await metadata.authorization_server(self._fetcher, issuer)
        # 2. Ask, signed with our key for this issuer alone; once more if it wants a nonce of its own in the proof.
        key, kid = self._signing()
        answer = await self._ask(resource, issuer, server.token_endpoint, key, kid, nonce=None)
        nonce = answer.headers.get("DPoP-Nonce", "")
        if answer.status in (400, 401) and _NONCE.fullmatch(nonce) and b"use_dpop_nonce" in answer.body:
            answer = await self._ask(resource, issuer, server.token_endpoint, key, kid, nonce=nonce)
        # 3. Judge the answer.
        ours = self._issuers.get(issuer)
        unbound = unbound or (ours is not None and ours.sender_constraint == "bearer")
        held = self._read(resource, answer, key, unbound=unbound)
        log.info("token acquired", resource=resource, issuer=issuer, bound=held.bound)
        return held

    def _chosen(self, counterparty: str, resource: str, offered: Sequence[str]) -> str:
        """A peer that names an issuer of its choice must not have us talk to it: it could be anybody's. Nor do we get a token of
        an issuer of ours for whoever is none of its participants: it may be good for theirs."""
        for issuer in offered:
            ours = self._issuers.get(issuer)
            if counterparty in ours.participants if ours is not None else issuer.rstrip("/") == _origin(resource):
                return issuer
        raise PeerError(
            "issuer-foreign", f"{resource} names no authorization server that we know for {counterparty}; add it to [[issuers]]"
        )

    async def _ask(self, resource: str, issuer: str, endpoint: str, key: SigningKey, kid: str, *, nonce: str | None) -> Answer:
        ours = self._issuers.get(issuer)
        now_s = self._now_ms() // 1000
        client_id = ours.client_id if ours is not None and ours.client_id else self._participant_id
        form = {"grant_type": "client_credentials", "resource": resource, "client_id": client_id}
        if ours is None or ours.scope:
            form["scope"] = _SCOPE if ours is None else ours.scope
        if ours is not None and ours.client_secret is not None:
            form["client_secret"] = ours.client_secret.reveal()
        else:
            claims = {"iss": client_id, "sub": client_id, "aud": issuer, "jti": self._new_id()}
            lifetime = {"iat": now_s, "exp": now_s + ASSERTION_LIFE_S}
            form["client_assertion_type"] = ASSERTION_TYPE
            form["client_assertion"] = sign(key, "client-authentication+jwt", {**claims, **lifetime}, kid=kid)
        proof = make_proof(key, "POST", endpoint, jti=self._new_id(), now_s=now_s, nonce=nonce)
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json", "DPoP": proof}
        body = urlencode(form).encode()
        return await self._client.request("POST", endpoint, headers=headers, body=body, max_bytes=MAX_ANSWER_BYTES)

    def _read(self, resource: str, answer: Answer, key: SigningKey, *, unbound: bool) -> _Held:
        document = _object(answer.body)
        if answer.status != 200:
            why = f"{_text(document, 'error') or answer.status} {_text(document, 'error_description')}".strip()
            kind = Unavailable if answer.status == 429 or answer.status >= 500 else PeerError
            raise kind("token-refused", f"the authorization server of {resource} gives us no token: {why}")
        token, scheme = document.get("access_token"), _text(document, "token_type").lower()
        if not isinstance(token, str) or len(token) > MAX_TOKEN_CHARS or _TOKEN.fullmatch(token) is None:
            raise PeerError("token-invalid", f"what the authorization server of {resource} gives is no token")
        if scheme != "dpop" and (scheme != "bearer" or not unbound):
            raise PeerError("token-unbound", f"the token for {resource} is not bound to our key; see the issuer's settings")
        life_s = document.get("expires_in")
        if type(life_s) is not int or not 0 < life_s <= MAX_LIFE_S:
            life_s = DEFAULT_LIFE_S
        life_ms = life_s * 1000
        now = self._now_ms()
        return _Held(token, scheme == "dpop", key, now, now + max(life_ms - EARLY_MS, life_ms // 2))


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _text(document: Mapping[str, Any], member: str) -> str:
    """The printable characters of a member of an answer, for a sentence of ours; nothing for what is no string."""
    found = document.get(member)
    return "".join(filter(str.isprintable, found[:MAX_TEXT_CHARS])) if isinstance(found, str) else ""


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _below(url: str, address: str) -> bool:
    return url == address or url.startswith(f"{address}/")


def _keep(kept: OrderedDict[_K, _V], name: _K, value: _V) -> None:
    kept[name] = value
    kept.move_to_end(name)
    if len(kept) > MAX_HELD:
        kept.popitem(last=False)
