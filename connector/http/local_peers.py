"""Our own interface, participants: ``/carnet/v1/peers``, one thin handler for each use case of ``connector/flow/standing.py``.

Keys are shown by their thumbprints; where whole entries are needed there is the export.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web
from msgspec import Meta

from connector.api.answers.participants import ParticipantAnswer, participant_answer
from connector.api.etags import expected_version, tagged
from connector.api.operation import Operation, Query
from connector.api.page import PAGED_BY_ID, limit_of, page
from connector.flow import standing, witnessing
from connector.flow.context import Context
from connector.http.bodies import json_answer, read_body
from connector.identity.participants import Admission, Claims, Participant, Profile, Text
from connector.identity.roster import Entry, ProfileChange
from connector.protocol.errors import CallerError
from connector.store.witness import WitnessStore

BASE: Final = "/carnet/v1/peers"
AT_ONCE: Final = 100
_STATE: Final = Query("state", f"Only those that are one of: {', '.join(Admission)}.")
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


class Roster(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Entries as they are exported, all taken or none; ``again`` lets some come back that were expelled."""

    participants: list[Entry]
    again: bool = False


@dataclass(frozen=True, slots=True)
class LocalPeers:
    """Handlers for participants."""

    context: Context

    def operations(self) -> list[Operation]:
        """All of them."""
        return [*self._entries(), *self._acts()]

    def _entries(self) -> list[Operation]:
        one = f"{BASE}/{{id}}"
        return [
            Operation(
                "GET", BASE, "listParticipants", "participants", "read", "Participants of the registry in order of their ids.",
                self._list, answer=list[ParticipantAnswer], query=(*PAGED_BY_ID, _STATE),
            ),
            Operation(
                "POST", BASE, "addParticipant", "participants", "write",
                "Write a participant down, as admitted if somebody vouches for it, else as unverified.",
                self._add, body=AddRequest, answer=ParticipantAnswer, status=201, errors=(409,), told=True,
            ),
            Operation(
                "GET", one, "showParticipant", "participants", "read", "One participant, and what is known of its log.",
                self._show, answer=ParticipantAnswer, errors=(404,),
            ),
            Operation(
                "PATCH", one, "changeParticipant", "participants", "write",
                "Change members of the profile, or replace the claims.",
                self._update, body=ChangeRequest, answer=ParticipantAnswer, errors=(404, 409, 412), told=True,
            ),
            Operation(
                "GET", f"{BASE}-export", "exportParticipants", "participants", "read",
                "Every entry whole, for another connector or for safe keeping.",
                self._export, answer=list[Entry],
            ),
            Operation(
                "POST", f"{BASE}-import", "importParticipants", "participants", "write",
                "Make these entries what they say, all or none; gives those that are new or have changed.",
                self._import, body=Roster, answer=list[ParticipantAnswer], errors=(409,), told=True,
            ),
        ]  # fmt: skip

    def _acts(self) -> list[Operation]:
        one = f"{BASE}/{{id}}"
        return [
            Operation(
                "POST", f"{one}/admit", "admitParticipant", "participants", "write", "Vouch for a participant.",
                self._admit, body=AdmitRequest, answer=ParticipantAnswer, errors=(404, 409), told=True,
            ),
            Operation(
                "POST", f"{one}/suspend", "suspendParticipant", "participants", "write",
                "Take nothing more of a participant and end what is open with it, until it is admitted again.",
                self._suspend, body=ShutOutRequest, answer=ParticipantAnswer, errors=(404, 409), told=True,
            ),
            Operation(
                "POST", f"{one}/expel", "expelParticipant", "participants", "write",
                "As a suspension, but it comes back by an explicit word only.",
                self._expel, body=ShutOutRequest, answer=ParticipantAnswer, errors=(404, 409), told=True,
            ),
            Operation(
                "POST", f"{one}/accept-log", "acceptParticipantLog", "participants", "write",
                "Accept the log of a participant as it is, although it contradicted itself.",
                self._accept_log, body=ShutOutRequest, answer=ParticipantAnswer, errors=(404, 409), told=True,
            ),
        ]  # fmt: skip

    async def _list(self, request: web.Request) -> web.Response:
        after, state = request.query.get("after", ""), _state(request)
        rows = await self.context.registry.store.participants(after=after, limit=limit_of(request), state=state)
        return page(request, rows, lambda row: row.id, await self._told(rows))

    async def _add(self, request: web.Request) -> web.Response:
        wanted = await read_body(request, AddRequest)
        participant = Participant(
            id=wanted.id,
            state=Admission.UNVERIFIED,
            profile=wanted.profile,
            claims=wanted.claims,
            vouched_by=wanted.vouched_by,
        )
        return await self._one(await standing.add(self.context, participant), 201)

    async def _show(self, request: web.Request) -> web.Response:
        return await self._one(await standing.find(self.context, request.match_info["id"]))

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
            seen=expected_version(request),
        )
        return await self._one(changed)

    async def _admit(self, request: web.Request) -> web.Response:
        word = await read_body(request, AdmitRequest)
        participant_id = request.match_info["id"]
        admitted = await standing.admit(
            self.context, participant_id, vouched_by=word.vouched_by, claims=word.claims, again=word.again
        )
        return await self._one(admitted)

    async def _suspend(self, request: web.Request) -> web.Response:
        why = await read_body(request, ShutOutRequest)
        return await self._one(await standing.suspend(self.context, request.match_info["id"], why.reason))

    async def _expel(self, request: web.Request) -> web.Response:
        why = await read_body(request, ShutOutRequest)
        return await self._one(await standing.expel(self.context, request.match_info["id"], why.reason))

    async def _accept_log(self, request: web.Request) -> web.Response:
        why, participant_id = await read_body(request, ShutOutRequest), request.match_info["id"]
        await witnessing.accept(self.context, participant_id, why.reason)
        return await self._one(await standing.find(self.context, participant_id))

    async def _export(self, _: web.Request) -> web.Response:
        return json_answer(await standing.export(self.context))

    async def _import(self, request: web.Request) -> web.Response:
        wanted = await read_body(request, ImportRequest)
        changed = await standing.import_(self.context, wanted.participants, again=wanted.again)
        return json_answer(await self._told(changed))

    async def _one(self, entry: Participant, status: int = 200) -> web.Response:
        return tagged(json_answer((await self._told([entry]))[0], status), entry.revision)

    async def _told(self, entries: list[Participant]) -> list[ParticipantAnswer]:
        """Entries with what is known of their logs."""
        store, found = WitnessStore(self.context.store.engine), list[ParticipantAnswer]()
        for at in range(0, len(entries), AT_ONCE):
            some = entries[at : at + AT_ONCE]
            known = await store.rows([entry.id for entry in some])
            found += [participant_answer(entry, known.get(entry.id)) for entry in some]
        return found


def _state(request: web.Request) -> Admission | None:
    given = request.query.get("state")
    if given is None:
        return None
    try:
        return Admission(given)
    except ValueError as error:
        raise CallerError("state-unknown", f"state is one of: {', '.join(Admission)}") from error
