"""Endpoint data references: where the data of a transfer without sink are fetched, with a token that is good now.

Who fetches by himself has no key to renew the token with; so the connector renews it when asked, at the provider's
``refreshEndpoint`` (Data Plane Signaling 1.0-RC3, http-pull), and keeps the new one in the transfer's record before it hands it
out. An address without what renews it is handed out as it is. May import the use cases, identity and the guarded client.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import urlencode
from weakref import WeakValueDictionary

import msgspec
import orjson

from connector.flow.acts import load
from connector.flow.context import MAX_RACES, Context, Note, save
from connector.flow.renewals import assertion
from connector.http.client import Answer, EgressRefused, GuardedClient, PeerUnreachable
from connector.identity.assertions import Assertions
from connector.protocol.errors import Conflict, NotFound, Unavailable
from connector.protocol.messages import Document
from connector.protocol.record import Decision, Process
from connector.protocol.states import Kind, Role, State
from connector.store.engine import LostRace

EARLY_MS: Final = 30_000
"""How long before its end a token is renewed, but never before two thirds of its life are over (ms)."""
RENEWAL_S: Final = 20.0
MAX_ANSWER_BYTES: Final = 64 * 1024
MAX_LIFE_S: Final = 366 * 24 * 3600
_EDC: Final = "https://w3id.org/edc/v0.0.1/ns/"
_TOKEN: Final = re.compile(r"[!-~]{1,4096}")
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}


@dataclass(frozen=True, slots=True)
class Reference:
    """A data address, as whoever fetches needs it. ``life_s``: how long the token lived when it came; None: it is not said."""

    endpoint: str
    authorization: str
    auth_type: str
    endpoint_type: str
    life_s: int | None
    renewable: bool


@dataclass(frozen=True, slots=True)
class References:
    """Hands references out. One renewal of a transfer at a time in this worker; another one's is as good."""

    context: Context
    assertions: Assertions
    client: GuardedClient
    _locks: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    async def of(self, transfer_id: str, *, refresh: bool = False, now: bool = False) -> Reference:
        """The reference of a running transfer to us. ``refresh``: renewed if its token ends soon; ``now``: in any case.

        Raises NotFound where there is none, Conflict for one that cannot be renewed but has to be, Unavailable.
        """
        process = await running(self.context, transfer_id)
        if not refresh and not now:
            return reference_of(process)
        async with self._lock(transfer_id):
            process = await running(self.context, transfer_id)
            known = reference_of(process)
            if not known.renewable:
                if now:
                    raise Conflict("reference-not-renewable", "the provider gives nothing to renew this token with")
                return known
            if not now and not _due(process, known, self.context.now_ms()):
                return known
            return reference_of(await self._renewed(process))

    async def instead(self, transfer_id: str, refused: str) -> Document:
        """The data address of a running transfer to us, for who was refused with the token ``refused``: renewed where that is the
        record's token still, else as whoever has renewed it meanwhile has left it.

        Raises NotFound, Conflict for one that cannot be renewed, Unavailable.
        """
        async with self._lock(transfer_id):
            process = await running(self.context, transfer_id)
            known = reference_of(process)
            if _bare(known.authorization) == _bare(refused):
                if not known.renewable:
                    raise Conflict("reference-not-renewable", "the provider gives nothing to renew this token with")
                process = await self._renewed(process)
            return process.detail.data_address or {}

    def _lock(self, transfer_id: str) -> asyncio.Lock:
        lock = self._locks.get(transfer_id)
        if lock is None:
            lock = self._locks[transfer_id] = asyncio.Lock()
        return lock

    async def _renewed(self, process: Process) -> Process:
        token = _bare(_properties(process.detail.data_address)["authorization"])
        fresh = await self._ask(process, token)
        for _ in range(MAX_RACES):
            address = _with(process.detail.data_address or {}, fresh)
            detail = msgspec.structs.replace(process.detail, data_address=address)
            changed = replace(process, detail=detail, updated_at=self.context.now_ms())
            try:
                await save(self.context, process, Decision(changed), Note("token renewed"))
            except LostRace:
                process = await running(self.context, process.id)
                if _bare(_properties(process.detail.data_address).get("authorization", "")) != token:
                    # The provider gave another address meanwhile, or another worker renewed this one.
                    return process
                continue
            return changed
        raise Unavailable("contended", "this transfer is being changed by too many at once; try again")

    async def _ask(self, process: Process, token: str) -> dict[str, str]:
        """The properties that a renewal brings. Raises Unavailable."""
        known = _properties(process.detail.data_address)
        shown = await assertion(self.context, self.assertions, process.id, token)
        try:
            answer = await self.client.request(
                "POST",
                known["refreshEndpoint"],
                headers={**_FORM, "Authorization": f"Bearer {shown}"},
                body=urlencode({"grant_type": "refresh_token", "refresh_token": known["refreshToken"]}).encode(),
                timeout_s=RENEWAL_S,
                max_bytes=MAX_ANSWER_BYTES,
            )
        except EgressRefused as error:
            raise Unavailable(error.code, error.reason) from error
        except PeerUnreachable as error:
            raise Unavailable("peer-unreachable", f"the provider cannot be reached now: {error.reason}") from error
        return _tokens(answer, known["refreshToken"])


async def running(context: Context, transfer_id: str) -> Process:
    """A transfer to us that runs and has a data address. Raises NotFound."""
    process = await load(context, transfer_id)
    if process.kind is not Kind.TRANSFER or process.role is not Role.CONSUMER:
        raise NotFound("reference-unknown", f"there is no transfer {transfer_id:.80} to us")
    if process.state not in (State.STARTED, State.RESUMED) or process.detail.data_address is None:
        raise NotFound("reference-none", f"the transfer is {process.state.on_wire}; a started one has a data address")
    return process


def reference_of(process: Process) -> Reference:
    """The reference in a transfer's record. Raises NotFound where the provider gave none that can be used."""
    address = process.detail.data_address or {}
    found = _properties(address)
    endpoint = address.get("endpoint") or found.get("endpoint")
    if not isinstance(endpoint, str) or "authorization" not in found:
        raise NotFound("reference-none", "the provider gave no endpoint or no token")
    renewable = all(found.get(name) for name in ("refreshToken", "refreshEndpoint"))
    kind = str(address.get("endpointType") or found.get("endpointType") or "https://w3id.org/idsa/v4.1/HTTP")
    life_s = _life_s(found.get("expiresIn"))
    return Reference(endpoint, found["authorization"], found.get("authType", "bearer"), kind, life_s, renewable)


def _properties(address: Document | None) -> dict[str, str]:
    """The endpoint properties by their plain names, which EDC spells as IRIs."""
    entries = (address or {}).get("endpointProperties", [])
    return {
        str(entry.get("name", "")).removeprefix(_EDC): str(entry.get("value", "")) for entry in entries if isinstance(entry, dict)
    }


def _due(process: Process, known: Reference, now_ms: int) -> bool:
    """Whether the token ends soon. The record is written when a token comes; whatever else writes it makes the token look
    younger than it is, which is what an explicit renewal is for."""
    if known.life_s is None:
        return False
    life_ms = known.life_s * 1000
    return now_ms >= process.updated_at + max(life_ms - EARLY_MS, life_ms * 2 // 3)


def _bare(authorization: str) -> str:
    return authorization[7:] if authorization.lower().startswith("bearer ") else authorization


def _with(address: Document, fresh: dict[str, str]) -> Document:
    """The address with other tokens; what they do not say stays as it is, and each property keeps the name that it has."""
    entries = [dict(entry) for entry in address.get("endpointProperties", [])]
    for entry in entries:
        name = str(entry.get("name", "")).removeprefix(_EDC)
        if name in fresh:
            entry["value"] = fresh[name]
    return {**address, "endpointProperties": entries}


def _tokens(answer: Answer, refresh_token: str) -> dict[str, str]:
    if answer.status != 200:
        raise Unavailable("token-not-renewed", f"the provider answered {answer.status} when the token was to be renewed")
    try:
        document: Any = orjson.loads(answer.body)
    except orjson.JSONDecodeError as error:
        raise Unavailable("token-not-renewed", "the provider's answer is no token") from error
    found = document if isinstance(document, dict) else {}
    access, refresh = found.get("access_token"), found.get("refresh_token", refresh_token)
    if not all(isinstance(token, str) and _TOKEN.fullmatch(token) for token in (access, refresh)):
        raise Unavailable("token-not-renewed", "the provider's answer is no token")
    life_s = _life_s(found.get("expires_in"))
    fresh = {"authorization": str(access), "refreshToken": str(refresh)}
    return fresh if life_s is None else {**fresh, "expiresIn": str(life_s)}


def _life_s(said: object) -> int | None:
    """Seconds, as string digits or as a number; None for anything else."""
    if isinstance(said, str) and re.fullmatch(r"[0-9]{1,9}", said):
        said = int(said)
    return min(said, MAX_LIFE_S) if type(said) is int and said > 0 else None
