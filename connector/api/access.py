"""Who may use our own interfaces: API keys, ``/carnet/v1/access``. What is made here is shown once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import Meta

from connector.access.caller import OWNER, Caller, Role, scopes_of
from connector.access.keys import ApiKeys, NewKey, new_key
from connector.api.operation import Operation, caller_of
from connector.api.page import PAGED, after_of, limit_of, page
from connector.flow.context import Context
from connector.http.bodies import json_answer, read_body
from connector.protocol.errors import Conflict, NotFound, PolicyDenied
from connector.store.access import ApiKey, insert_key, revoke_key
from connector.store.engine import LostRace

BASE: Final = "/carnet/v1/access/keys"


class KeyRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Make a key: for whom (``name``), what its holder is, until when (ms since the epoch; none: until it is revoked). A driver's
    key names the consent ledger's own number of the vehicle. ``person``: who is behind it, said by the owner alone; without it
    somebody who is behind no other key. A key that another than the owner makes is as good as a second one of his own."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    roles: Annotated[list[Role], Meta(min_length=1, max_length=5)]
    expires_at: Annotated[int, Meta(ge=0)] | None = None
    vehicle: Annotated[int, Meta(ge=0)] | None = None
    person: Annotated[str, Meta(max_length=200)] = ""


class KeyAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A key without its secret. ``state``: valid, expired or revoked. ``person``: who is behind it, whatever its name: all keys
    of one person are one where people are counted. Times in ms since the epoch."""

    id: str
    name: str
    roles: list[str]
    state: str
    created_at: int
    created_by: str
    person: str
    expires_at: int | None
    revoked_at: int | None
    vehicle: int | None


class NewKeyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A key that was just made. ``key`` is the key itself, which is not kept here: it is shown this once."""

    key: str
    entry: KeyAnswer


class WhoAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks: the caller's id, roles and scopes; ``person``: who is behind it."""

    id: str
    person: str
    roles: list[str]
    scopes: list[str]
    vehicle: int | None


@dataclass(frozen=True, slots=True)
class AccessOperations:
    """Handlers for API keys."""

    context: Context
    keys: ApiKeys

    def operations(self) -> list[Operation]:
        """All of them."""
        return [
            Operation(
                "GET", BASE, "listApiKeys", "access", "read", "API keys in order of their making, without their secrets.",
                self._list, answer=list[KeyAnswer], query=PAGED,
            ),
            Operation(
                "POST", BASE, "makeApiKey", "access", "write", "Make an API key, which is shown in this answer and never again.",
                self._make, body=KeyRequest, answer=NewKeyAnswer, status=201, told=True,
            ),
            Operation(
                "DELETE", f"{BASE}/{{id}}", "revokeApiKey", "access", "write",
                "Revoke an API key: it opens nothing any more, nor do tokens that were given for it.",
                self._revoke, status=204, errors=(404, 409), told=True,
            ),
            Operation(
                "GET", "/carnet/v1/access/self", "showCaller", "status", "read", "Who the caller is here: roles and scopes.",
                self._self, answer=WhoAnswer,
            ),
        ]  # fmt: skip

    async def _list(self, request: web.Request) -> web.Response:
        rows = await self.keys.store.keys(after_of(request), limit_of(request))
        now = self.context.now_ms()
        return page(request, rows, lambda row: f"{row.created_at}:{row.id}", [key_answer(row, now) for row in rows])

    async def _make(self, request: web.Request) -> web.Response:
        wanted: KeyRequest = await read_body(request, KeyRequest)
        by, now = caller_of(request), self.context.now_ms()
        _check_giving(by, wanted)
        person = wanted.person if by.id == OWNER.id else by.behind
        made: NewKey = new_key(
            wanted.name,
            wanted.roles,
            now_ms=now,
            by=by.id,
            expires_at=wanted.expires_at,
            vehicle=wanted.vehicle,
            person=person,
        )
        await self.context.commit([insert_key(made.entry)])
        response = json_answer(NewKeyAnswer(key=made.text, entry=key_answer(made.entry, now)), 201)
        # Neither a cache nor our own memory of answers keeps it.
        response.headers["Cache-Control"] = "no-store"
        return response

    async def _revoke(self, request: web.Request) -> web.Response:
        key_id = request.match_info["id"]
        try:
            await self.context.commit([revoke_key(key_id, self.context.now_ms())])
        except LostRace:
            if await self.keys.store.key(key_id) is None:
                raise NotFound("key-id-unknown", "there is no key of this id") from None
            raise Conflict("key-revoked", "this key was revoked already") from None
        finally:
            self.keys.forget(key_id)
        return web.Response(status=204)

    async def _self(self, request: web.Request) -> web.Response:
        caller = caller_of(request)
        answer = WhoAnswer(
            id=caller.id, person=caller.behind, roles=sorted(caller.roles), scopes=sorted(caller.scopes), vehicle=caller.vehicle
        )
        return json_answer(answer)


def _check_giving(by: Caller, wanted: KeyRequest) -> None:
    """Nobody gives away what he has not: neither a role whose scopes he lacks, nor by a token more than that was narrowed to.
    Data protection and a driver's own are given by the owner alone, since no operator decides for them, and who is behind a key
    is said by him alone. Raises PolicyDenied."""
    if by.id == OWNER.id:
        return
    refused = sorted({Role.PROTECTION, Role.DRIVER}.intersection(wanted.roles))
    if refused:
        raise PolicyDenied("role-not-yours", f"a key for {' or '.join(refused)} is made by the owner (`carnet access add`) alone")
    if not scopes_of(wanted.roles) <= by.scopes:
        raise PolicyDenied(
            "scope-not-yours", "this key would do more than you may; make it with a key that has all of its scopes"
        )
    if wanted.person:
        said = "who is behind a key is said by the owner (`carnet access add --person`) alone; leave it out, and it counts as you"
        raise PolicyDenied("person-not-yours", said)


def key_answer(row: ApiKey, now_ms: int) -> KeyAnswer:
    """A key as it is shown."""
    ended = row.expires_at is not None and row.expires_at <= now_ms
    return KeyAnswer(
        id=row.id,
        name=row.name,
        roles=list(row.roles),
        state="revoked" if row.revoked_at is not None else "expired" if ended else "valid",
        created_at=row.created_at,
        created_by=row.created_by,
        person=row.person,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        vehicle=row.vehicle,
    )
