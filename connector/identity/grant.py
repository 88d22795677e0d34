"""Client credentials by Authlib's server core, without a framework: the one module that imports Authlib.

Authlib finds the grant, authenticates the client by the methods that the grant takes, judges grant and scope, and has the token
made (RFC 6749, 3.2, 3.3 and 4.4). It never sees a signature, a database or a request of the web framework: its JOSE code is not
imported, the client is the one whose assertion has passed the gate, and between :meth:`Grant.validate` and :meth:`Grant.body` the
caller commits. Three things of Authlib's are not wanted and not reachable: weaker ways to authenticate a client, tokens that live
ten days, and a log line with the token in it. Imports the scopes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from authlib.oauth2.rfc6749 import (
    AuthorizationServer,
    ClientCredentialsGrant,
    ClientMixin,
    InvalidScopeError,
    OAuth2Error,
    OAuth2Request,
)
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload

from connector.identity.interface import Scope

GRANT_TYPE: Final = "client_credentials"
METHOD: Final = "private_key_jwt"
SCOPES: Final = tuple(scope.value for scope in Scope)
MAX_DESCRIPTION_CHARS: Final = 500
# What would satisfy Authlib's own refusals; its descriptions may repeat what was sent.
_REMEDIES: Final[Mapping[str, str]] = {
    "unsupported_grant_type": f"send grant_type={GRANT_TYPE}: no other grant is served here",
    "invalid_scope": f"ask for one or more of {', '.join(SCOPES)}, or leave the scope out for all of them",
}


class Refused(OAuth2Error):  # type: ignore[misc]  # Authlib publishes no types
    """An error of RFC 6749, 5.2 (``error``) with our stable ``code`` and a ``description`` that says what would be accepted."""

    def __init__(self, error: str, code: str, reason: str, *, status: int = 400, retry_after_s: int | None = None) -> None:
        super().__init__(error=error, description=_plain(reason), status_code=status)
        self.code = code
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Client(ClientMixin):  # type: ignore[misc]  # Authlib publishes no types
    """A client whose assertion holds. ``thumbprint`` is that of its DPoP key, None where its token is not bound to one."""

    participant_id: str
    resource: str
    thumbprint: str | None
    now_s: int

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """See ClientMixin."""
        return (method, endpoint) == (METHOD, "token")

    def check_grant_type(self, grant_type: str) -> bool:
        """See ClientMixin."""
        return grant_type == GRANT_TYPE


class Grant:
    """One token request on its way through Authlib."""

    def __init__(self, grant: _ClientCredentials) -> None:
        self._grant = grant

    def validate(self, client: Client) -> None:
        """Whether this client, authenticated by its assertion, may have what it asks for. Raises Refused."""
        self._grant.request.credential = client
        try:
            self._grant.validate_token_request()
        except OAuth2Error as error:
            raise _refused(error) from error

    def body(self) -> Mapping[str, Any]:
        """The body of the answer, with the token. Only after ``validate``."""
        body: Mapping[str, Any] = self._grant.create_token_response()
        return body


class Grants:
    """The grants that are served. ``token_for`` makes the body of the answer for a client and the scopes that it is given."""

    def __init__(self, token_for: Callable[[Client, str], dict[str, Any]]) -> None:
        self._server = _Server(token_for)

    def find(self, parameters: Mapping[str, str]) -> Grant:
        """The grant that these parameters ask for. Raises Refused."""
        try:
            return Grant(self._server.get_token_grant(_Request(parameters)))
        except OAuth2Error as error:
            raise _refused(error) from error


class _Request(OAuth2Request):  # type: ignore[misc]  # Authlib publishes no types
    """A token request. ``credential`` is the client, once its assertion holds."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        # Authlib looks at the scheme of the address only; whether ours may go without TLS was decided with the settings.
        super().__init__("POST", "https://localhost/")
        self.payload = BasicOAuth2Payload(parameters)


class _ClientCredentials(ClientCredentialsGrant):  # type: ignore[misc]  # Authlib publishes no types
    TOKEN_ENDPOINT_AUTH_METHODS: Final = (METHOD,)

    def create_token_response(self) -> Mapping[str, Any]:
        """The body alone; Authlib's own method writes the token into a log."""
        asked = self.request.payload.scope
        scopes = " ".join(scope for scope in SCOPES if asked is None or scope in asked.split())
        body: Mapping[str, Any] = self.generate_token(scope=scopes, include_refresh_token=False)
        return body


class _Server(AuthorizationServer):  # type: ignore[misc]  # Authlib publishes no types
    def __init__(self, token_for: Callable[[Client, str], dict[str, Any]]) -> None:
        super().__init__(scopes_supported=list(SCOPES))
        self.register_grant(_ClientCredentials)
        self.register_client_auth_method(METHOD, lambda _, request: request.credential)
        self.register_token_generator(GRANT_TYPE, lambda client, scope, **_: token_for(client, scope))

    def validate_requested_scope(self, scope: str | None) -> None:
        """See AuthorizationServer, which takes blanks for a scope that was left out."""
        if scope is not None and not scope.split():
            raise InvalidScopeError
        super().validate_requested_scope(scope)

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Nobody listens: what happens is logged by the ceremony."""


def _refused(error: OAuth2Error) -> Refused:
    name = str(error.error)
    return Refused(name, name.replace("_", "-"), _REMEDIES.get(name, f"authenticate with {METHOD}"), status=error.status_code)


def _plain(reason: str) -> str:
    """What an error_description may hold (RFC 6749, 5.2): printable ASCII without quotation mark and backslash."""
    fitting = (letter if letter.isascii() and letter.isprintable() and letter not in '"\\' else "?" for letter in reason)
    return "".join(fitting)[:MAX_DESCRIPTION_CHARS]
