"""The token endpoint of the management interface: an API key becomes a token that lives for minutes (RFC 6749, 4.4).

The client is the key: HTTP Basic with its id and secret, or both in the form (RFC 6749, 2.3.1). ``scope`` narrows the token.
Nothing else of OAuth is served. May import keys, tokens and the forms of answers of the other token endpoint; knows no web
framework.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote_plus

from connector.access.caller import Caller
from connector.access.keys import parted
from connector.access.tokens import ManagementTokens
from connector.identity.authority import NO_STORE, Answer, refusal
from connector.identity.grant import GRANT_TYPE, Refused
from connector.identity.metadata import KEYS_PATH, TOKEN_PATH
from connector.protocol.errors import NotAuthenticated
from connector.telemetry import logger

METHODS: Final = ("client_secret_basic", "client_secret_post")
log = logger("access")


class ManagementAuthority:
    """Gives tokens for API keys. ``check`` raises TooMany for an address that has failed too often, ``failed`` is told the one of
    whoever shows a key that does not hold."""

    def __init__(self, tokens: ManagementTokens, check: Callable[[str], None], failed: Callable[[str], None]) -> None:
        self._tokens = tokens
        self._check = check
        self._failed = failed

    async def token(self, form: Sequence[tuple[str, str]], dpop: Sequence[str], authorization: str | None, source: str) -> Answer:
        """Answer a token request. Raises StoreUnavailable and TooMany, and nothing for what a client may send."""
        del dpop
        self._check(source)
        try:
            return Answer(200, NO_STORE, await self._issue(form, authorization, source))
        except Refused as refused:
            answer = refusal(refused, self._tokens.issuer)
            if refused.status_code != 401:
                return answer
            return Answer(401, {**answer.headers, "WWW-Authenticate": f'Basic realm="{self._tokens.issuer}"'}, answer.body)

    async def _issue(self, form: Sequence[tuple[str, str]], authorization: str | None, source: str) -> Mapping[str, Any]:
        # 1. Parameters, each once; the grant; the resource, where one is named (RFC 8707).
        parameters = _parameters(form)
        if parameters.get("grant_type") != GRANT_TYPE:
            raise Refused("unsupported_grant_type", "unsupported-grant-type", f"send grant_type={GRANT_TYPE}")
        if parameters.get("resource", self._tokens.audience) != self._tokens.audience:
            raise Refused("invalid_target", "resource-unknown", f"send resource={self._tokens.audience}, or none")
        # 2. The key.
        key_id, secret = _credentials(parameters, authorization)
        try:
            caller = await self._tokens.keys.known(key_id, secret)
        except NotAuthenticated as error:
            self._failed(source)
            raise Refused("invalid_client", error.code, error.reason, status=401) from error
        # 3. Scopes: what was asked for and no more, or all that the key has.
        scopes = _scopes(caller, parameters.get("scope"))
        log.info("management token issued", caller=caller.id)
        return {
            "access_token": self._tokens.issue(caller, scopes),
            "token_type": "Bearer",
            "expires_in": self._tokens.life_s,
            "scope": " ".join(scopes),
        }


def server_document(issuer: str, scopes: Sequence[str]) -> dict[str, Any]:
    """Metadata of this authorization server, RFC 8414 section 2."""
    return {
        "issuer": issuer,
        "token_endpoint": issuer + TOKEN_PATH,
        "jwks_uri": issuer + KEYS_PATH,
        "scopes_supported": list(scopes),
        # Required by section 2 although nothing here has an authorization endpoint.
        "response_types_supported": [],
        "grant_types_supported": [GRANT_TYPE],
        "token_endpoint_auth_methods_supported": list(METHODS),
    }


def _parameters(form: Sequence[tuple[str, str]]) -> dict[str, str]:
    names = [name for name, _ in form]
    if len(names) != len(set(names)):
        raise Refused("invalid_request", "parameter-twice", "send each parameter once")
    return {name: value for name, value in form if value}


def _credentials(parameters: Mapping[str, str], authorization: str | None) -> tuple[str, str]:
    """Id and secret of a key. RFC 6749, 2.3: one way to authenticate. Raises Refused."""
    if authorization is not None:
        if "client_secret" in parameters:
            raise Refused("invalid_request", "client-method", "authenticate in one way: by HTTP Basic or in the form")
        client_id, secret = _basic(authorization)
        if parameters.get("client_id", client_id) != client_id:
            raise Refused("invalid_request", "client-method", "the form names another client than HTTP Basic")
    else:
        client_id, secret = parameters.get("client_id", ""), parameters.get("client_secret", "")
    if not secret:
        reason = "send the id of an API key as client_id and its secret as client_secret, by HTTP Basic or in the form"
        raise Refused("invalid_client", "client-missing", reason, status=401)
    # People have the key as one text.
    whole = parted(secret)
    return whole if whole is not None and client_id in ("", whole[0], secret) else (client_id, secret)


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    try:
        text = base64.b64decode(encoded, validate=True).decode() if scheme.lower() == "basic" else ""
    except (binascii.Error, UnicodeDecodeError):
        text = ""
    client_id, colon, secret = text.partition(":")
    if not colon:
        raise Refused("invalid_client", "client-method", "the Authorization header must be HTTP Basic", status=401)
    return unquote_plus(client_id), unquote_plus(secret)


def _scopes(caller: Caller, asked: str | None) -> list[str]:
    if asked is None:
        return sorted(caller.scopes)
    wanted = asked.split()
    if not wanted or not caller.scopes.issuperset(wanted):
        raise Refused("invalid_scope", "invalid-scope", "ask for scopes that the roles of this key have, or for none")
    return sorted(set(wanted))
