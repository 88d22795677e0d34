"""DIDs of the method ``web``: where the document of a participant is, what ours says, and what another's document gives us.

Owns the reading of a DID as an address and of a DID document (W3C DID Core 1.0, did:web, DSP 2025-1 service entries). Nothing is
fetched here, and what a document says is believed only about the DID that it was fetched for. Imports the gate for public keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from connector.identity.gate import KeyRefused, PublicKey, public_key
from connector.identity.keys import Use
from connector.protocol.errors import PeerError

METHOD: Final = "did:web:"
WELL_KNOWN: Final = "/.well-known/did.json"
VERSIONS: Final = "/.well-known/dspace-version"
DATA_SERVICE: Final = "DataService"
MAX_DID_CHARS: Final = 2048
MAX_METHODS: Final = 64
MAX_SERVICES: Final = 64
RELATIONSHIPS: Final = ("authentication", "assertionMethod", "capabilityInvocation")

# What each of our keys may be used for, as others read it in our document.
_PURPOSES: Final[Mapping[Use, tuple[str, ...]]] = MappingProxyType(
    {
        Use.OAUTH: ("authentication", "capabilityInvocation"),
        Use.AGREEMENT: ("assertionMethod",),
        Use.LOG: ("assertionMethod",),
    }
)
_CONTEXTS: Final = ("https://www.w3.org/ns/did/v1", "https://w3id.org/security/suites/jws-2020/v1")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?P<host>{_LABEL}(?:\.{_LABEL})*)(?:%3A(?P<port>[1-9][0-9]{{0,4}}))?")
_SEGMENT = re.compile(r"[A-Za-z0-9._-]{1,255}")
_LAST_LABEL_OF_AN_ADDRESS = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LOOPBACK = re.compile(r"localhost|127(?:\.(?:0|[1-9][0-9]{0,2})){3}")
_FRAGMENT = re.compile(r"[A-Za-z0-9._~:@!$&'()*+,;=/?-]{1,512}")
_ENDPOINT = re.compile(r"https?://[^\s/?#@\\][^\s?#@\\]*")


class DidRefused(PeerError):
    """A DID, or the document of one, cannot be used. ``code`` is stable; the reason says what would be."""


@dataclass(frozen=True, slots=True)
class _Web:
    """The parts of a did:web identifier: ``port`` is None where it names none."""

    host: str
    port: int | None
    path: tuple[str, ...]

    @property
    def loopback(self) -> bool:
        return _LOOPBACK.fullmatch(self.host) is not None


def document_url(did: str, *, http_loopback: bool = False) -> str:
    """Where the document of a ``did:web`` is (did:web, 2.5.2). Raises DidRefused.

    Only ``%3A`` before a port is decoded: user information, fragments, dot segments and encoded slashes have no place in it.
    An address instead of a name has none either, as the method says, except loopback in the setting ``http_loopback``, which
    alone makes the URL of a loopback name plain http.
    """
    web = _parsed(did)
    near = http_loopback and web.loopback
    if _LAST_LABEL_OF_AN_ADDRESS.fullmatch(web.host.rpartition(".")[2]) and not near:
        raise DidRefused("did-address", "did:web names a host, not an IP address; use a DID with the name of its certificate")
    port = "" if web.port is None else f":{web.port}"
    return f"{'http' if near else 'https'}://{web.host}{port}{_document_path(web)}"


def own_path(did: str) -> str | None:
    """The path at which a connector with this participant id serves its document; None where the id is no ``did:web``.

    Raises DidRefused when it is one that has no document.
    """
    return _document_path(_parsed(did)) if did.startswith(METHOD) else None


def _document_path(web: _Web) -> str:
    return "/" + "/".join((*web.path, "did.json")) if web.path else WELL_KNOWN


def _parsed(did: str) -> _Web:
    if not did.startswith(METHOD):
        raise DidRefused("did-method", f"only {METHOD}... can be resolved here; ask the operator to pin its keys")
    if len(did) > MAX_DID_CHARS:
        raise DidRefused("did-syntax", f"a DID has {MAX_DID_CHARS} characters at most")
    host, *path = did.removeprefix(METHOD).split(":")
    found = _HOST.fullmatch(host)
    port = found and found["port"] and int(found["port"])
    if found is None or len(found["host"]) > 253 or (port or 0) > 65_535:
        raise DidRefused("did-host", f"after {METHOD} comes a host name in lower case, and %3A before its port if it has one")
    if any(segment in (".", "..") or not _SEGMENT.fullmatch(segment) for segment in path):
        raise DidRefused("did-path", "each part of the path is letters, digits, '.', '_' or '-', none is empty, '.' or '..'")
    return _Web(found["host"], port or None, tuple(path))


def own_document(did: str, published: Sequence[tuple[Use, Mapping[str, Any]]], origin: str, base_path: str) -> dict[str, Any]:
    """The DID document of this connector: its published keys, and where its protocol versions are told.

    ``published`` are public JWKs with a ``kid``; ``origin`` is what peers see, ``scheme://host:port``. No protocol endpoint is
    named here, as the version document does that (DSP 2025-1, 4.3); ``base_path`` gives the service entry its name.
    """
    keys = [(f"{did}#{jwk['kid']}", use, jwk) for use, jwk in published if use in _PURPOSES]
    document: dict[str, Any] = {
        "@context": list(_CONTEXTS),
        "id": did,
        "verificationMethod": [
            {"id": key_id, "type": "JsonWebKey2020", "controller": did, "publicKeyJwk": dict(jwk)} for key_id, _, jwk in keys
        ],
    }
    for relationship in RELATIONSHIPS:
        document[relationship] = [key_id for key_id, use, _ in keys if relationship in _PURPOSES[use]]
    name = "-".join(part for part in base_path.split("/") if part) or "dsp"
    document["service"] = [{"id": f"{did}#{name}", "type": DATA_SERVICE, "serviceEndpoint": origin.rstrip("/") + VERSIONS}]
    return document


@dataclass(frozen=True, slots=True)
class Service:
    """A service entry with one plain address. ``types`` are as written."""

    id: str
    types: frozenset[str]
    endpoint: str


@dataclass(frozen=True, slots=True)
class DidDocument:
    """What we take from a DID document: keys that we can check signatures with, by full id, and service entries."""

    id: str
    methods: Mapping[str, tuple[PublicKey, frozenset[str]]]
    services: tuple[Service, ...]

    def key(self, kid: str | None, relationship: str) -> PublicKey:
        """The key of that full id (``<did>#<fragment>``) for that purpose; without an id, the only one. Raises DidRefused."""
        fitting = {known: key for known, (key, purposes) in self.methods.items() if relationship in purposes}
        if kid is None:
            if len(fitting) != 1:
                raise DidRefused(
                    "did-key-unnamed", f"{len(fitting)} keys of {self.id:.200} are for {relationship}; name one: kid"
                )
            return next(iter(fitting.values()))
        if kid not in fitting:
            raise DidRefused(
                "did-key-unknown", f"no usable key of {self.id:.200} has this id (DID#fragment) and is for {relationship}"
            )
        return fitting[kid]

    @property
    def version_documents(self) -> tuple[str, ...]:
        """Addresses of DSP version documents, in the order of the document: each is to be judged before it is called."""
        return tuple(service.endpoint for service in self.services if DATA_SERVICE in service.types)


def read_document(did: str, document: Mapping[str, Any]) -> DidDocument:
    """The document that was fetched for ``did``. Raises DidRefused when its form does not hold or it is another's.

    A single method that we cannot use (another kind of key, another controller, a weak or private key) is left out, and the rest
    stays good; two methods with one id make all of it unusable, as nobody can say which one is meant.
    """
    # 1. It is about this DID: whoever serves the document decides about nothing else (DID Core, 5.1.1).
    if document.get("id") != did:
        raise DidRefused("did-mismatch", f"the document has another id; it must be {did:.200}")
    # 2. Every method that it defines, by its full id, wherever it stands (5.2).
    stated = {name: _list(document, name, MAX_METHODS) for name in ("verificationMethod", *RELATIONSHIPS)}
    methods: dict[str, PublicKey | None] = {}
    for method in (each for entries in stated.values() for each in entries if isinstance(each, Mapping)):
        full = _full_id(did, method.get("id"))
        if full in methods:
            raise DidRefused("did-method-twice", "two verification methods of the document have the same id")
        if full is not None:
            methods[full] = _usable(did, method)
    # 3. What each is for (5.3): named, or defined on the spot. Methods of other DIDs are not looked up.
    purposes = {name: set(_referred(did, stated[name])) for name in RELATIONSHIPS}
    kept = {
        full: (key, frozenset(name for name in RELATIONSHIPS if full in purposes[name]))
        for full, key in methods.items()
        if key is not None
    }
    # 4. Services (5.4).
    return DidDocument(did, MappingProxyType(kept), tuple(_services(did, _list(document, "service", MAX_SERVICES))))


def _list(document: Mapping[str, Any], name: str, most: int) -> list[Any]:
    found = document.get(name, [])
    if not isinstance(found, list) or len(found) > most:
        raise DidRefused("did-document", f"{name} of a DID document is a list of at most {most}")
    return found


def _full_id(did: str, given: object) -> str | None:
    """``given`` with the DID before it; None for what is no method of this DID."""
    if not isinstance(given, str):
        return None
    subject, hash_sign, fragment = given.partition("#")
    return f"{did}#{fragment}" if hash_sign and subject in ("", did) and _FRAGMENT.fullmatch(fragment) else None


def _usable(did: str, method: Mapping[str, Any]) -> PublicKey | None:
    jwk = method.get("publicKeyJwk")
    if method.get("controller", did) != did or not isinstance(jwk, Mapping):
        return None
    try:
        return public_key(jwk)
    except KeyRefused:
        return None


def _referred(did: str, entries: list[Any]) -> Iterator[str | None]:
    return (_full_id(did, entry.get("id") if isinstance(entry, Mapping) else entry) for entry in entries)


def _services(did: str, entries: list[Any]) -> Iterator[Service]:
    for entry in entries:
        if not isinstance(entry, Mapping):
            continue
        kinds, endpoint, name = entry.get("type"), entry.get("serviceEndpoint"), entry.get("id")
        types = frozenset(kind for kind in (kinds if isinstance(kinds, list) else [kinds]) if isinstance(kind, str))
        plain = isinstance(endpoint, str) and len(endpoint) <= MAX_DID_CHARS and _ENDPOINT.fullmatch(endpoint)
        if types and plain and isinstance(name, str):
            yield Service(did + name if name.startswith("#") else name, types, str(endpoint))
