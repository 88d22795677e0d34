"""What the doctor asks over the network: whether others can know us by our DID, and what peers publish of themselves.

Everything is fetched as the connector fetches it, without a token, and nothing is changed anywhere.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

from catalog.errors import DocumentError
from catalog.wire import parse
from connector.cli.findings import Finding
from connector.client.local import Away, Document, LocalClient, once
from connector.http.client import Answer, EgressPolicy, EgressRefused, GuardedClient, PeerUnreachable, parse_target
from connector.http.tls import client_context
from connector.identity.did import METHOD, VERSIONS, DidDocument, DidRefused, document_url, read_document
from connector.identity.fetcher import Fetcher, FetchRefused
from connector.identity.keys import KeyRing, Use
from connector.identity.metadata import authorization_server, protected_resource
from connector.identity.participants import Admission
from connector.protocol import versions
from connector.protocol.errors import CarnetError
from connector.settings import Settings

_ANSWER_TIMEOUT_S: Final = 10.0
_AT_ONCE: Final = 16
_CLOCK_WARNING_S: Final = 5
_CLOCK_PROBLEM_S: Final = 30
_ALLOW: Final = "name its host:port in client.allow if it may be called"
_SET_CLOCK: Final = "have both machines set their clocks by NTP, first the one that is wrong: see `timedatectl`"


@dataclass(frozen=True, slots=True)
class Acquaintance:
    """A peer as the doctor knows it. ``by_token``: a pinned token says who is who; ``pinned``: its keys or issuer are known."""

    id: str
    addresses: tuple[str, ...]
    by_token: bool = False
    pinned: bool = False


def listed(settings: Settings) -> list[Acquaintance]:
    """The peers of the settings."""
    by_token = _by_token(settings)
    return [Acquaintance(peer.id, peer.addresses, peer.id in by_token) for peer in settings.peers]


def vouched_for(settings: Settings) -> list[Acquaintance]:
    """The admitted participants of the connector that runs. Raises CarnetError when it does not answer."""

    async def ask(client: LocalClient) -> list[Document]:
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                return await client.peers(Admission.ADMITTED.value)
        except TimeoutError:
            raise Away("connector-silent", f"it does not answer within {_ANSWER_TIMEOUT_S:.0f} s") from None

    by_token = _by_token(settings)
    return [
        Acquaintance(
            entry["id"],
            tuple(entry["addresses"] or entry["announced"]),
            by_token=entry["id"] in by_token,
            pinned=bool(entry["keys"] or entry["issuer"]),
        )
        for entry in once(settings, ask)
    ]


def _by_token(settings: Settings) -> set[str]:
    return {peer.id for peer in settings.peers if peer.outbound_token is not None or peer.inbound_token is not None}


def own_document(settings: Settings, ring: KeyRing | None) -> list[Finding]:
    """Whether peers that do not have our key find it in our DID document."""
    if all(auth == "pinned-token" for _, auth in settings.protocol.paths):
        return []
    return asyncio.run(_own_document(settings, ring))


def examined(settings: Settings, peers: Sequence[Acquaintance]) -> list[Finding]:
    """Each address of each peer: does it answer, with which version, clock and metadata; and the peer's DID document."""
    return asyncio.run(_examined(settings, peers))


@dataclass(frozen=True, slots=True)
class _Asker:
    """What calls others under the connector's own bounds."""

    settings: Settings
    client: GuardedClient
    fetcher: Fetcher
    turns: asyncio.Semaphore

    async def did_document(self, did: str) -> DidDocument:
        """Raises DidRefused, FetchRefused."""
        url = document_url(did, http_loopback=self.settings.development.http_dids)
        return read_document(did, await self.fetcher.document(url))


@asynccontextmanager
async def _asking(settings: Settings, *also: str) -> AsyncIterator[_Asker]:
    """``also``: what may be called besides, as host:port."""
    bounds = settings.client
    policy = EgressPolicy(allow=frozenset((*bounds.allow, *also)), connect_timeout_s=bounds.connect_timeout_s)
    trust = await asyncio.to_thread(client_context, bounds.ca_file)
    async with GuardedClient(policy, tls=trust) as client:
        fetcher = Fetcher(client, settings.oauth, time.monotonic)
        try:
            yield _Asker(settings, client, fetcher, asyncio.Semaphore(_AT_ONCE))
        finally:
            await fetcher.close()


async def _own_document(settings: Settings, ring: KeyRing | None) -> list[Finding]:
    about, did = "own DID", settings.participant_id
    if not did.startswith(METHOD):
        return [Finding("fine", about, "participant_id is no did:web, so peers recognise us where our key is pinned")]
    try:
        url = document_url(did, http_loopback=settings.development.http_dids)
    except DidRefused as error:
        return [Finding("problem", about, f"{error.reason} [{error.code}]", "correct participant_id")]
    try:
        # Our own name may lead to a private address, which is none of the peers that client.allow is for.
        async with _asking(settings, parse_target(url).authority) as asker:
            document = read_document(did, await asker.fetcher.document(url))
    except DidRefused as error:
        what = f"the document at {url} cannot be used: {error.reason} [{error.code}]"
        return [Finding("problem", about, what, "publish there what `carnet keys did` prints")]
    except FetchRefused as error:
        remedy = (
            "start the connector and lead that address to it (DNS, port, proxy), or publish there what `carnet keys did` prints"
        )
        return [Finding("warning", about, f"no document at {url}: {error.reason} [{error.code}]", remedy)]
    return [_holds(document, url, ring), *_leads_here(document, settings)]


def _holds(document: DidDocument, url: str, ring: KeyRing | None) -> Finding:
    if ring is None:
        return Finding("fine", "own DID", f"there is a document at {url}")
    current = ring.current(Use.OAUTH)
    try:
        published = document.key(f"{document.id}#{current.kid}", "authentication").thumbprint
    except DidRefused:
        published = ""
    if published != current.thumbprint:
        what = f"the document at {url} lacks our OAuth key {current.kid}, so peers that ask for it refuse us"
        return Finding("problem", "own DID", what, "publish there what `carnet keys did` prints")
    return Finding("fine", "own DID", f"{url} has our OAuth key {current.kid}")


def _leads_here(document: DidDocument, settings: Settings) -> list[Finding]:
    origin = settings.protocol.public_url
    if not origin or f"{origin}{VERSIONS}" in document.version_documents:
        return []
    what = f"the document names no DataService at {origin}{VERSIONS}, so peers do not find us by our DID"
    return [Finding("warning", "own DID's service", what, "publish what `carnet keys did` prints")]


async def _examined(settings: Settings, peers: Sequence[Acquaintance]) -> list[Finding]:
    async with _asking(settings) as asker:
        calls = [_address(asker, peer, address.rstrip("/")) for peer in peers for address in peer.addresses]
        calls += [_did(asker, peer) for peer in peers if peer.id.startswith(METHOD) and not peer.by_token and not peer.pinned]
        return [finding for found in await asyncio.gather(*calls) for finding in found]


async def _address(asker: _Asker, peer: Acquaintance, address: str) -> list[Finding]:
    """The version document stands at the root of the address, and needs no token."""
    about, parts = f"peer {peer.id}", urlsplit(address)
    origin = f"{parts.scheme}://{parts.netloc}"
    try:
        async with asker.turns:
            answer = await asker.client.request("GET", origin + VERSIONS, headers={}, timeout_s=_ANSWER_TIMEOUT_S)
            now_s = time.time()
    except EgressRefused as error:
        return [Finding("problem", about, f"{address} may not be called: {error.reason}", _ALLOW)]
    except PeerUnreachable as error:
        remedy = "have its authority in client.ca_file" if error.code == "tls" else "ask its operator, or correct the address"
        return [Finding("problem", about, f"{address} cannot be reached: {error.reason}", remedy)]
    found = [_versions(about, address, answer), *_clock(peer.id, answer.headers, now_s)]
    if not peer.by_token:
        async with asker.turns:
            found.append(await _metadata(asker, peer.id, origin, address))
    return found


def _versions(about: str, address: str, answer: Answer) -> Finding:
    if answer.status != 200:
        return Finding("warning", about, f"{address} answers HTTP {answer.status} on {VERSIONS}", "check the address")
    try:
        document = parse(answer.body)
    except DocumentError as error:
        return Finding("warning", about, f"{address} has no version document: {error.reason}", "check the address")
    path = versions.choose(document)
    if path is None:
        what = f"{address} does not speak version {versions.VERSION}, the only one of ours"
        return Finding("problem", about, what, "ask its operator for an address that does")
    spoken = [entry["path"] for entry in document["protocolVersions"] if versions.choose({"protocolVersions": [entry]})]
    if not any(address.endswith(each.rstrip("/")) for each in spoken):
        what = f"{address} answers, but its version document says {path:.200}"
        return Finding("warning", about, what, "correct the address, unless its operator gave you that one")
    return Finding("fine", about, f"{address} answers")


def _clock(peer: str, headers: Mapping[str, str], now_s: float) -> list[Finding]:
    """Tokens carry times. An answer without a `Date` (RFC 9110, 6.6.1) says nothing, and has the precision of a second."""
    about = f"clock of {peer}"
    try:
        theirs = parsedate_to_datetime(headers.get("Date", "")).timestamp()
    except (ValueError, TypeError, OverflowError):
        return []
    off = round(now_s - theirs)
    what = f"it is {abs(off)} s {'behind' if off > 0 else 'ahead of'} ours"
    if abs(off) > _CLOCK_PROBLEM_S:
        return [Finding("problem", about, f"{what}, so that tokens are refused", _SET_CLOCK)]
    if abs(off) > _CLOCK_WARNING_S:
        return [Finding("warning", about, f"{what}; from {_CLOCK_PROBLEM_S} s on tokens are refused", _SET_CLOCK)]
    return [Finding("fine", about, f"within {_CLOCK_WARNING_S} s of ours")]


async def _metadata(asker: _Asker, peer: str, origin: str, address: str) -> Finding:
    """What we need to get a token for the peer: RFC 9728, then RFC 8414 of an authorization server that we trust."""
    about = f"metadata of {peer}"
    try:
        resource = await protected_resource(asker.fetcher, address)
        trusted = {origin, *(issuer.issuer for issuer in asker.settings.issuers)}
        issuer = next((each for each in resource.authorization_servers if each in trusted), None)
        if issuer is None:
            what = f"{address} takes tokens of {', '.join(resource.authorization_servers):.300}, none of which we know"
            return Finding("problem", about, what, "add the one that you trust to [[issuers]]")
        await authorization_server(asker.fetcher, issuer)
    except CarnetError as error:
        remedy = "ask its operator whether it takes OAuth there; if it does not, agree on a token: outbound_token in [[peers]]"
        return Finding("problem", about, f"{address}: {error.reason} [{error.code}]", remedy)
    return Finding("fine", about, f"tokens for {address} come from {issuer}")


async def _did(asker: _Asker, peer: Acquaintance) -> list[Finding]:
    """Whether we could recognise the peer, whose key is not pinned here."""
    about, remedy = f"DID of {peer.id}", "ask its operator to publish it, or pin its keys: carnet peers add --keys"
    try:
        async with asker.turns:
            document = await asker.did_document(peer.id)
    except CarnetError as error:
        return [Finding("warning", about, f"we cannot recognise it: {error.reason} [{error.code}]", remedy)]
    if not any("authentication" in purposes for _, purposes in document.methods.values()):
        return [Finding("warning", about, "its document has no key that we can use for authentication", remedy)]
    return [Finding("fine", about, "its document has a key for authentication")]
