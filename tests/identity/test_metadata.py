"""Metadata documents: ours are read by our own reader, and no document of others speaks for somebody else."""

from __future__ import annotations

from typing import Any

import pytest

from connector.http.client import PeerUnreachable
from connector.identity import metadata
from connector.identity.fetcher import FetchRefused
from connector.identity.metadata import AuthorizationServer, ProtectedResource
from tests.identity.shelf import Shelf, page

ORIGIN = "https://p.example"
BASE = ORIGIN + "/dsp/2025-1"
RESOURCE_AT = ORIGIN + "/.well-known/oauth-protected-resource/dsp/2025-1"
SERVER_AT = ORIGIN + "/.well-known/oauth-authorization-server"
REALM = "https://sso.example:8443/realms/cars"
REALM_AT = "https://sso.example:8443/.well-known/oauth-authorization-server/realms/cars"
REALM_OPENID_AT = REALM + "/.well-known/openid-configuration"
Json = dict[str, Any]


def resource(**changes: Any) -> Json:
    return {**metadata.resource_document(BASE, [ORIGIN], ["catalog"], dpop_required=True), **changes}


def realm(**changes: Any) -> Json:
    return {"issuer": REALM, "token_endpoint": REALM + "/token", "jwks_uri": "https://keys.example/cars", **changes}


async def read_resource(document: Any, base: str = BASE) -> ProtectedResource:
    fetcher = Shelf({RESOURCE_AT: page(document)}).fetcher()
    return await metadata.protected_resource(fetcher, base)


async def read_realm(document: Any) -> AuthorizationServer:
    return await metadata.authorization_server(Shelf({REALM_AT: page(document)}).fetcher(), REALM)


def test_our_resource_in_full() -> None:
    assert metadata.resource_document(BASE, [ORIGIN], ["catalog", "messages"], dpop_required=True) == {
        "resource": BASE,
        "authorization_servers": [ORIGIN],
        "scopes_supported": ["catalog", "messages"],
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": ["ES256", "EdDSA"],
        "dpop_bound_access_tokens_required": True,
    }


def test_our_authorization_server_in_full() -> None:
    assert metadata.server_document(ORIGIN) == {
        "issuer": ORIGIN,
        "token_endpoint": ORIGIN + "/oauth/token",
        "jwks_uri": ORIGIN + "/oauth/jwks",
        "scopes_supported": ["catalog", "negotiation", "transfer", "messages"],
        "response_types_supported": [],
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["ES256", "ES384", "EdDSA", "PS256", "RS256"],
        "dpop_signing_alg_values_supported": ["ES256", "EdDSA"],
    }


@pytest.mark.parametrize(
    ("base_path", "path"),
    [
        ("", "/.well-known/oauth-protected-resource"),
        ("/", "/.well-known/oauth-protected-resource"),
        ("/dsp/2025-1", "/.well-known/oauth-protected-resource/dsp/2025-1"),
    ],
)
def test_where_a_resource_describes_itself(base_path: str, path: str) -> None:
    assert metadata.resource_path(base_path) == path


async def test_two_connectors_understand_each_other() -> None:
    shelf = Shelf({RESOURCE_AT: page(resource()), SERVER_AT: page(metadata.server_document(ORIGIN))})
    fetcher = shelf.fetcher()
    found = await metadata.protected_resource(fetcher, BASE + "/")
    assert found == ProtectedResource(BASE, (ORIGIN,), dpop_required=True)
    server = await metadata.authorization_server(fetcher, found.authorization_servers[0])
    assert server == AuthorizationServer(ORIGIN, ORIGIN + "/oauth/token", ORIGIN + "/oauth/jwks", ("private_key_jwt",))
    assert shelf.asked == [RESOURCE_AT, SERVER_AT]


async def test_proofs_are_not_required_where_nothing_is_said() -> None:
    document = resource()
    del document["dpop_bound_access_tokens_required"]
    assert not (await read_resource(document)).dpop_required


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"resource": BASE + "/"}, "metadata-resource"),
        ({"resource": "https://P.example/dsp/2025-1"}, "metadata-resource"),
        ({"resource": [BASE]}, "metadata-resource"),
        ({"resource": None}, "metadata-resource"),
        ({"authorization_servers": []}, "metadata-authorization-servers"),
        ({"authorization_servers": ORIGIN}, "metadata-member"),
        ({"authorization_servers": None}, "metadata-member"),
        ({"authorization_servers": [ORIGIN, 1]}, "metadata-member"),
        ({"authorization_servers": [ORIGIN] * 65}, "metadata-member"),
        ({"authorization_servers": ["http://p.example"]}, "metadata-member"),
        ({"authorization_servers": ["https://u@p.example"]}, "metadata-member"),
        ({"authorization_servers": ["p.example"]}, "metadata-member"),
        ({"dpop_bound_access_tokens_required": "true"}, "metadata-member"),
    ],
)
async def test_a_resource_that_is_described_otherwise_is_refused(changes: Json, code: str) -> None:
    with pytest.raises(FetchRefused) as refusal:
        await read_resource(resource(**changes))
    assert (refusal.value.code, refusal.value.retry) == (code, False)


async def test_a_resource_without_an_issuer_is_refused() -> None:
    document = resource()
    del document["authorization_servers"]
    with pytest.raises(FetchRefused, match="metadata-authorization-servers"):
        await read_resource(document)


@pytest.mark.parametrize("base", ["p.example/dsp", "https://p.example/dsp?x=1", "https://p.example/dsp#x", "https://[::g]/dsp"])
async def test_a_base_address_is_a_plain_url(base: str) -> None:
    with pytest.raises(FetchRefused, match="metadata-identifier"):
        await read_resource(resource(), base)


async def test_an_external_issuer_may_have_a_path_and_its_keys_elsewhere() -> None:
    server = await read_realm(realm(token_endpoint_auth_methods_supported=["private_key_jwt", "client_secret_basic"]))
    assert server == AuthorizationServer(
        REALM, REALM + "/token", "https://keys.example/cars", ("private_key_jwt", "client_secret_basic")
    )


async def test_what_holds_where_an_issuer_says_nothing() -> None:
    document = realm()
    del document["jwks_uri"]
    server = await read_realm(document)
    assert (server.jwks_uri, server.auth_methods) == (None, ("client_secret_basic",))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"issuer": REALM + "/"}, "metadata-issuer"),
        ({"issuer": "https://sso.example:8443/realms/other"}, "metadata-issuer"),
        ({"issuer": None}, "metadata-issuer"),
        ({"issuer": [REALM]}, "metadata-issuer"),
        ({"token_endpoint": None}, "metadata-member"),
        ({"token_endpoint": ["https://sso.example/token"]}, "metadata-member"),
        ({"token_endpoint": "http://sso.example:8443/token"}, "metadata-member"),
        ({"token_endpoint": "/token"}, "metadata-member"),
        ({"jwks_uri": "http://keys.example/"}, "metadata-member"),
        ({"jwks_uri": 7}, "metadata-member"),
        ({"jwks_uri": "https://keys.example/#x"}, "metadata-member"),
        ({"token_endpoint_auth_methods_supported": "none"}, "metadata-member"),
    ],
)
async def test_an_issuer_that_is_described_otherwise_is_refused(changes: Json, code: str) -> None:
    with pytest.raises(FetchRefused) as refusal:
        await read_realm(realm(**changes))
    assert (refusal.value.code, refusal.value.retry) == (code, False)


async def test_an_issuer_on_plain_http_may_name_plain_http() -> None:
    issuer = "http://127.0.0.1:8080"
    shelf = Shelf({issuer + metadata.SERVER_PATH: page(metadata.server_document(issuer))})
    server = await metadata.authorization_server(shelf.fetcher(), issuer)
    assert server.token_endpoint == issuer + "/oauth/token"


async def test_openid_discovery_serves_where_there_is_nothing_else() -> None:
    shelf = Shelf({REALM_AT: page(b"<html>", media_type="text/html"), REALM_OPENID_AT: page(realm())})
    assert (await metadata.authorization_server(shelf.fetcher(), REALM)).issuer == REALM
    assert shelf.asked == [REALM_AT, REALM_OPENID_AT]
    with pytest.raises(FetchRefused, match="fetch-status"):
        await metadata.authorization_server(Shelf().fetcher(), REALM)


async def test_a_server_that_is_away_is_not_asked_twice() -> None:
    shelf = Shelf({REALM_AT: PeerUnreachable("connect", "no connection"), REALM_OPENID_AT: page(realm())})
    with pytest.raises(FetchRefused, match="fetch-connect"):
        await metadata.authorization_server(shelf.fetcher(), REALM)
    assert shelf.asked == [REALM_AT]
