"""Metadata of protected resources (RFC 9728) and authorization servers (RFC 8414): how ours look, how those of others are read.

A document of others says who it speaks for, and that must be, character by character, whom it was asked about (RFC 9728, section
3.3; RFC 8414, section 3.3): otherwise one server could pass for another. No endpoint leads from https to http.
May import the fetcher, the scopes and the guarded client's URL parser.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from connector.http.client import EgressRefused, parse_target
from connector.identity.fetcher import Fetcher, FetchRefused
from connector.identity.interface import Scope

RESOURCE_PATH: Final = "/.well-known/oauth-protected-resource"
SERVER_PATH: Final = "/.well-known/oauth-authorization-server"
OPENID_PATH: Final = "/.well-known/openid-configuration"
TOKEN_PATH: Final = "/oauth/token"  # noqa: S105 - a path
KEYS_PATH: Final = "/oauth/jwks"
ALGORITHMS: Final = ("ES256", "ES384", "EdDSA", "PS256", "RS256")
"""Signatures taken of clients; a key decides which of them is its own."""
PROOF_ALGORITHMS: Final = ("ES256", "EdDSA")
MAX_LISTED: Final = 64
"""Entries read of a list in a document of others."""


@dataclass(frozen=True, slots=True)
class ProtectedResource:
    """What a peer says of its endpoints: ``resource`` is their base address, ``authorization_servers`` one issuer or more."""

    resource: str
    authorization_servers: tuple[str, ...]
    dpop_required: bool


@dataclass(frozen=True, slots=True)
class AuthorizationServer:
    """What an authorization server says of itself. ``auth_methods`` are those of its token endpoint."""

    issuer: str
    token_endpoint: str
    jwks_uri: str | None
    auth_methods: tuple[str, ...]


def resource_path(base_path: str) -> str:
    """Where the metadata of the resource at ``base_path`` is (RFC 9728, section 3.1)."""
    return RESOURCE_PATH + base_path.rstrip("/")


def resource_document(resource: str, issuers: Sequence[str], scopes: Sequence[str], *, dpop_required: bool) -> dict[str, Any]:
    """Metadata of our own resource, RFC 9728 section 2. ``resource`` is its base address."""
    return {
        "resource": resource,
        "authorization_servers": list(issuers),
        "scopes_supported": list(scopes),
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": list(PROOF_ALGORITHMS),
        "dpop_bound_access_tokens_required": dpop_required,
    }


def server_document(issuer: str) -> dict[str, Any]:
    """Metadata of our embedded authorization server, RFC 8414 section 2. ``issuer`` is an origin, without a slash at its end."""
    return {
        "issuer": issuer,
        "token_endpoint": issuer + TOKEN_PATH,
        "jwks_uri": issuer + KEYS_PATH,
        "scopes_supported": [scope.value for scope in Scope],
        # Required by section 2 although nothing here has an authorization endpoint.
        "response_types_supported": [],
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "dpop_signing_alg_values_supported": list(PROOF_ALGORITHMS),
    }


async def protected_resource(fetcher: Fetcher, base_address: str) -> ProtectedResource:
    """The metadata of the resource at ``base_address``. Raises FetchRefused."""
    resource = base_address.rstrip("/")
    document = await fetcher.document(_at(resource, RESOURCE_PATH))
    if document.get("resource") != resource:
        raise _wrong("metadata-resource", "'resource' must be the base address that the document was asked for")
    issuers = _strings(document, "authorization_servers", ())
    if not issuers:
        raise _wrong("metadata-authorization-servers", "'authorization_servers' must name an issuer")
    required = document.get("dpop_bound_access_tokens_required", False)
    if not isinstance(required, bool):
        raise _wrong("metadata-member", "'dpop_bound_access_tokens_required' must be true or false")
    return ProtectedResource(resource, tuple(_url(issuer, resource, "authorization_servers") for issuer in issuers), required)


async def authorization_server(fetcher: Fetcher, issuer: str) -> AuthorizationServer:
    """The metadata of ``issuer``: RFC 8414, or OpenID Connect Discovery where the server has only that. Raises FetchRefused."""
    try:
        document = await fetcher.document(_at(issuer, SERVER_PATH))
    except FetchRefused as refused:
        # A server that is away is not asked a second question.
        if refused.retry:
            raise
        document = await fetcher.document(_at(issuer, OPENID_PATH, inserted=False))
    if document.get("issuer") != issuer:
        raise _wrong("metadata-issuer", "'issuer' must be the issuer that the document was asked for")
    keys = document.get("jwks_uri")
    return AuthorizationServer(
        issuer,
        _url(document.get("token_endpoint"), issuer, "token_endpoint"),
        None if keys is None else _url(keys, issuer, "jwks_uri"),
        # RFC 8414, section 2: what holds where nothing is said.
        _strings(document, "token_endpoint_auth_methods_supported", ("client_secret_basic",)),
    )


def _at(address: str, well_known: str, *, inserted: bool = True) -> str:
    """The well-known part goes between host and path (RFC 8414 section 3.1, RFC 9728 section 3.1), for OpenID behind the path."""
    try:
        target = parse_target(address)
    except EgressRefused as error:
        raise _wrong("metadata-identifier", f"an issuer or resource is a URL: {error.reason}") from None
    if target.url.raw_query_string:
        raise _wrong("metadata-identifier", "an issuer or resource has no query here")
    path = target.url.raw_path.rstrip("/")
    return f"{target.scheme}://{target.authority}{well_known + path if inserted else path + well_known}"


def _strings(document: Mapping[str, Any], member: str, default: tuple[str, ...]) -> tuple[str, ...]:
    if member not in document:
        return default
    found = document[member]
    if not isinstance(found, list) or len(found) > MAX_LISTED or not all(isinstance(entry, str) for entry in found):
        raise _wrong("metadata-member", f"'{member}' must be a list of at most {MAX_LISTED} strings")
    return tuple(found)


def _url(found: Any, owner: str, member: str) -> str:
    """``found`` if it is a URL that ``owner`` may name."""
    try:
        scheme = parse_target(found).scheme if isinstance(found, str) else None
    except EgressRefused:
        scheme = None
    if scheme is None or (scheme == "http" and not owner.lower().startswith("http:")):
        raise _wrong("metadata-member", f"'{member}' must be an https URL without user and fragment")
    return str(found)


def _wrong(code: str, reason: str) -> FetchRefused:
    return FetchRefused(code, reason, retry=False)
