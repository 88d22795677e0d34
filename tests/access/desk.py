"""A management listener of a house over real sockets: keys, tokens, an external issuer of paper, and a clock that stands."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from connector.access.caller import Role
from connector.access.keys import ApiKeys, new_key
from connector.access.tokens import Externals, ManagementTokens
from connector.api.access import AccessOperations
from connector.api.diary import LogDiary
from connector.api.idempotency import StoredRepeats
from connector.api.operation import Operation, Query, caller_of
from connector.flow.context import Context
from connector.http.management import ManagementServer
from connector.identity.fetcher import Fetcher
from connector.identity.keys import KeyRing, Use
from connector.identity.signing import SigningKey, new_signing_key, sign
from connector.metrics import Metrics
from connector.protocol.errors import Conflict, Invalid, NotFound, Violation
from connector.settings.identity import OAuthSettings
from connector.settings.management import ManagementIssuerSettings, ManagementSettings
from connector.store.access import AccessStore, insert_key
from connector.store.engine import Statement
from tests.flow.house import Fuse, House, Street
from tests.flow.recording import record
from tests.identity.office import ring
from tests.identity.shelf import Shelf, page

US: Final = "https://us.example:8181"
AUDIENCE: Final = f"{US}/management"
SSO: Final = "https://sso.example"
SSO_KEYS: Final = f"{SSO}/keys"
DASHBOARD: Final = "https://dashboard.example"
OURS, OTHER, THEIRS = (new_signing_key("ES256", kid) for kid in ("ours", "other", "theirs"))
DEAL_SALT: Final = b"salt-of-the-tests"
SETTINGS: Final = ManagementSettings(
    host="127.0.0.1",
    allow_origins=(DASHBOARD,),
    max_body_bytes=4096,
    failures_per_minute=5,
    token_life_s=600,
    # Every operation is asked at once.
    burst=1000,
    issuers=(
        ManagementIssuerSettings(
            issuer=SSO,
            roles_claim="realm_access.roles",
            roles=("auditor=audit-team", "operator=ops", "driver=drivers"),
            vehicle_claim="vehicle",
        ),
    ),
)
Client = TestClient[web.Request, web.Application]


@dataclass
class Desk:
    """The listener and what is behind it."""

    street: Street
    keys: ApiKeys
    tokens: ManagementTokens
    ring: KeyRing
    shelf: Shelf
    handled: list[str] = field(default_factory=list)
    monotonic: float = 1000.0
    client: Client = field(init=False)

    @property
    def house(self) -> House:
        """Whose listener it is."""
        return self.street.provider

    @property
    def now_s(self) -> int:
        """The clock in seconds."""
        return self.street.now // 1000

    async def key(self, *roles: Role, **more: Any) -> str:
        """A new key, as its holder has it."""
        made = new_key("somebody", roles, now_ms=self.street.now, by="owner", **more)
        await self.house.engine.commit([insert_key(made.entry)])
        return made.text

    async def ask(self, method: str, path: str, key: str | None = None, **more: Any) -> aiohttp.ClientResponse:
        """A request, with a key or token as bearer; its body is read."""
        headers = {"Authorization": f"Bearer {key}"} if key is not None else {}
        answer = await self.client.request(method, path, headers={**headers, **more.pop("headers", {})}, **more)
        await answer.read()
        return answer

    async def status(self, key: str | None, path: str = "/carnet/v1/things", method: str = "GET") -> tuple[int, str]:
        """Status and code of an answer."""
        answer = await self.ask(method, path, key)
        return answer.status, "" if answer.status < 400 else (await answer.json())["code"]

    async def token(self, **form: str) -> tuple[int, dict[str, Any]]:
        """Ask for a token with a form."""
        answer = await self.client.post("/oauth/token", data={"grant_type": "client_credentials", **form})
        return answer.status, await answer.json()

    def signed(self, by: SigningKey = OURS, typ: str = "at+jwt", **claims: Any) -> str:
        """A token with the claims of one of ours, unless said otherwise; None leaves one out."""
        made: dict[str, Any] = {"iss": US, "aud": AUDIENCE, "sub": "key:none", "client_id": "none", "scope": "assets:read"}
        made |= {"jti": "1", "iat": self.now_s, "exp": self.now_s + 60, **claims}
        return sign(by, typ, {name: value for name, value in made.items() if value is not None})

    def external(self, by: SigningKey = THEIRS, **claims: Any) -> str:
        """A token of the external issuer."""
        said = {"iss": SSO, "sub": "person-1", "scope": None, "realm_access": {"roles": ["audit-team", "cooks"]}}
        return self.signed(by, **{**said, **claims})


def things(handled: list[str]) -> list[Operation]:
    """Operations that only say that they were called."""

    def handler(name: str, status: int = 200) -> Any:
        async def handle(request: web.Request) -> web.Response:
            handled.append(f"{name} {caller_of(request).id}")
            return web.json_response({"n": len(handled)}, status=status)

        return handle

    async def fail(request: web.Request) -> web.Response:
        handled.append("fail")
        how = (await request.json())["how"]
        known: dict[str, Exception] = {
            "conflict": Conflict("thing-busy", "wait for it"),
            "unknown": NotFound("thing-unknown", "there is none"),
            "invalid": Invalid("thing-invalid", [Violation("no blanks", "properties.name", "a b")]),
        }
        raise known.get(how, RuntimeError("a secret of the handler's"))

    async def ready(request: web.Request) -> web.Response:
        return web.json_response({"ready": True})

    return [
        Operation("GET", "/carnet/v1/things", "listThings", "assets", "read", "All.", handler("list")),
        Operation(
            "POST", "/carnet/v1/things", "makeThing", "assets", "write", "One more.", handler("make", 201), told=True,
            query=(Query("b", "Anything."),),
        ),
        Operation("PUT", "/carnet/v1/things/{id}", "putThing", "assets", "write", "Another.", handler("put"), told=True),
        Operation("POST", "/carnet/v1/things/{id}/approve", "approveThing", "assets", "write", "Yes.", handler("yes"), told=True),
        Operation("POST", "/carnet/v1/failures", "failOwn", "assets", "write", "Never.", fail, body=msgspec.Raw, told=True),
        Operation("POST", "/management/v3/failures", "failV3", "assets", "write", "Never.", fail, body=msgspec.Raw),
        Operation("GET", "/management/check/health", "checkHealth", "status", "read", "Health.", ready, open=True),
    ]  # fmt: skip


@asynccontextmanager
async def opened(
    folder: Path,
    operations: Sequence[Operation] | None = None,
    more: Callable[[Context], Sequence[Operation]] = lambda _: (),
    settings: ManagementSettings = SETTINGS,
    fetcher: Fetcher | None = None,
) -> AsyncIterator[Desk]:
    """A listener that answers; without ``operations`` with those of `things`, those about keys, and ``more`` of the house. What
    issuers publish comes of ``fetcher``, or of the shelf."""
    street, shelf = Street(Fuse()), Shelf()
    await street.open(folder, "access")
    await record(street)
    context = street.provider.context
    shelf.pages[f"{SSO}/.well-known/oauth-authorization-server"] = page(
        {"issuer": SSO, "token_endpoint": f"{SSO}/token", "jwks_uri": SSO_KEYS}
    )
    shelf.pages[SSO_KEYS] = page({"keys": [dict(THEIRS.public_jwk)]})
    shelved, held = shelf.fetcher(), ring(OURS)
    keys = ApiKeys(AccessStore(context.store.engine), lambda: street.now)
    externals = Externals(settings.issuers, fetcher or shelved, AUDIENCE, 30)
    tokens = ManagementTokens(
        *(US, AUDIENCE, held, keys, externals), life_s=600, leeway_s=30, now_ms=lambda: street.now, new_id=street.new_id
    )
    desk = Desk(street, keys, tokens, held, shelf)
    every = [*things(desk.handled), *AccessOperations(context, keys).operations(), *more(context)]
    server = ManagementServer(
        settings,
        OAuthSettings(),
        tokens,
        every if operations is None else operations,
        StoredRepeats(keys.store, lambda: street.now, DEAL_SALT),
        LogDiary(context),
        Metrics(),
        lambda: {"keys": [dict(jwk) for use, jwk in held.published(street.now) if use is Use.OAUTH]},
        monotonic=lambda: desk.monotonic,
    )
    listening = TestServer(server.application())
    # As a connector serves it.
    await listening.start_server(auto_decompress=False)
    async with TestClient(listening) as client:
        desk.client = client
        yield desk
    await shelved.close()
    await street.close()


async def forget_keys(desk: Desk) -> None:
    """As if none had ever been made."""
    await desk.house.engine.commit([Statement("DELETE FROM api_key", (), None)])
