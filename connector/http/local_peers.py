"""The owner's channel, participants: ``/carnet/v1/peers``, one thin handler for each use case of ``connector/flow/standing.py``.

Keys are shown by their thumbprints; where whole entries are needed there is the export.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web
from msgspec import Meta

from connector.flow import standing, witnessing
from connector.flow.context import Context
from connector.http.bodies import json_answer, read_body
from connector.http.local_witness import witness_shown
from connector.identity.gate import KeyRefused, public_key
from connector.identity.participants import Admission, Claims, Participant, Profile, Text
from connector.identity.roster import ProfileChange
from connector.protocol.errors import CallerError, NotFound
from connector.protocol.messages import Document
from connector.store.witness import WitnessStore

BASE: Final = "/carnet/v1/peers"
PAGE: Final = 100
_Reason = Annotated[str, Meta(min_length=1, max_length=2000)]


class AddRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Write a participant down; ``vouched_by`` admits it."""

    id: str
    profile: Profile = msgspec.field(default_factory=Profile)
    claims: Claims = msgspec.field(default_factory=Claims)
    vouched_by: Text | None = None


class ChangeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another profile, or other claims in place of those it had."""

    profile: ProfileChange | None = None
    claims: Claims | None = None
    vouched_by: Text | None = None


class AdmitRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who vouches, and for what; ``again`` for one that was expelled."""

    vouched_by: Text
    claims: Claims | None = None
    again: bool = False


class ShutOutRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why. Who is suspended or expelled is told; why its log is accepted stays here."""

    reason: _Reason


class ImportRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Entries as they are exported; ``again`` lets some come back that were expelled."""

    participants: list[Any]
    again: bool = False


@dataclass(frozen=True, slots=True)
class LocalPeers:
    """Handlers for participants."""

    context: Context

    def routes(self) -> list[web.RouteDef]:
        """All of them, to be added to the owner's channel."""
        return [
            web.get(BASE, self._list),
            web.post(BASE, self._add),
            web.get(f"{BASE}/{{id}}", self._show),
            web.patch(f"{BASE}/{{id}}", self._update),
            web.post(f"{BASE}/{{id}}/{{act}}", self._act),
            web.get(f"{BASE}-export", self._export),
            web.post(f"{BASE}-import", self._import),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        after, state = request.query.get("after", ""), _state(request)
        rows = await self.context.registry.store.participants(after=after, limit=PAGE, state=state)
        return json_answer(await self._told(rows))

    async def _add(self, request: web.Request) -> web.Response:
        wanted = await read_body(request, AddRequest)
        participant = Participant(
            id=wanted.id,
            state=Admission.UNVERIFIED,
            profile=wanted.profile,
            claims=wanted.claims,
            vouched_by=wanted.vouched_by,
        )
        return json_answer(await self._one(await standing.add(self.context, participant)), 201)

    async def _show(self, request: web.Request) -> web.Response:
        return json_answer(await self._one(await standing.find(self.context, request.match_info["id"])))

    async def _update(self, request: web.Request) -> web.Response:
        wanted = await read_body(request, ChangeRequest)
        if wanted.profile is None and wanted.claims is None:
            raise CallerError("change-empty", "say what is to change: members of the profile, or claims")
        changed = await standing.update(
            self.context,
            request.match_info["id"],
            profile=wanted.profile,
            claims=wanted.claims,
            vouched_by=wanted.vouched_by,
        )
        return json_answer(await self._one(changed))

    async def _act(self, request: web.Request) -> web.Response:
        participant_id, act = request.match_info["id"], request.match_info["act"]
        if act == "admit":
            word = await read_body(request, AdmitRequest)
            admitted = await standing.admit(
                self.context, participant_id, vouched_by=word.vouched_by, claims=word.claims, again=word.again
            )
            return json_answer(await self._one(admitted))
        if act not in ("suspend", "expel", "accept-log"):
            raise NotFound("act-unknown", "there is no such act; known: admit, suspend, expel, accept-log")
        why = await read_body(request, ShutOutRequest)
        if act == "accept-log":
            await witnessing.accept(self.context, participant_id, why.reason)
            return json_answer(await self._one(await standing.find(self.context, participant_id)))
        shut_out = standing.suspend if act == "suspend" else standing.expel
        return json_answer(await self._one(await shut_out(self.context, participant_id, why.reason)))

    async def _export(self, _: web.Request) -> web.Response:
        return json_answer(await standing.export(self.context))

    async def _import(self, request: web.Request) -> web.Response:
        wanted = await read_body(request, ImportRequest)
        changed = await standing.import_(self.context, wanted.participants, again=wanted.again)
        return json_answer(await self._told(changed))

    async def _one(self, entry: Participant) -> Document:
        return (await self._told([entry]))[0]

    async def _told(self, entries: list[Participant]) -> list[Document]:
        """Entries with what is known of their logs."""
        store, found = WitnessStore(self.context.store.engine), []
        for at in range(0, len(entries), PAGE):
            page = entries[at : at + PAGE]
            known = await store.rows([entry.id for entry in page])
            found += [{**shown(entry), "log": witness_shown(known.get(entry.id))} for entry in page]
        return found


def shown(entry: Participant) -> Document:
    """An entry as its owner sees it. Times are ms since the epoch."""
    profile = entry.profile
    return {
        "id": entry.id,
        "state": entry.state.value,
        "addresses": profile.addresses,
        "announced": profile.announced,
        "keys": [_key_shown(jwk) for jwk in profile.keys],
        "issuer": profile.issuer,
        "tokens": profile.tokens,
        "claims": msgspec.to_builtins(entry.claims),
        "vouchedBy": entry.vouched_by,
        "vouchedAt": entry.vouched_at,
        "reason": entry.reason,
        "recognised": None if entry.recognised is None else msgspec.to_builtins(entry.recognised),
        "createdAt": entry.created_at,
        "updatedAt": entry.updated_at,
        "revision": entry.revision,
    }


def _key_shown(jwk: dict[str, Any]) -> Document:
    try:
        thumbprint = public_key(jwk).thumbprint
    except KeyRefused as error:
        # Only an entry that was not written by these use cases can have it; it verifies nothing.
        return {"kid": jwk.get("kid"), "thumbprint": None, "refused": error.code}
    return {"kid": jwk.get("kid"), "thumbprint": thumbprint}


def _state(request: web.Request) -> Admission | None:
    given = request.query.get("state")
    if given is None:
        return None
    try:
        return Admission(given)
    except ValueError as error:
        raise CallerError("state-unknown", f"state is one of: {', '.join(Admission)}") from error
