"""One function per signaling operation: load, look up the table, commit once, then act on streams and downloads.

Answers are stored with the change, so a repeated message gets the same bytes, token included. An operation that takes
rights away returns only after every stream of the flow is cut. May import this package and the store's seam.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol
from urllib.parse import quote
from weakref import WeakValueDictionary

import msgspec

from connector.dataplane import pairs
from connector.dataplane import records as rec
from connector.dataplane.landing.records import insert_landing, wanted
from connector.dataplane.leaves import Leaves
from connector.dataplane.messages import HTTP_PULL, ChangeMessage, DataAddress, FlowMessage, StatusMessage, encode
from connector.dataplane.problems import Refusal
from connector.dataplane.records import Flow, Records
from connector.dataplane.renewing import note_received
from connector.dataplane.states import Operation, Role, State, next_state
from connector.store.engine import LostRace, Statement

MAX_RACES = 8
# A name, or a folder and a name.
_SINK_NAME = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9._-]{0,99}/)?[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")


class Streams(Protocol):
    """Running deliveries of this provider."""

    async def abort(self, flow_id: str) -> None:
        """Cut every stream of the flow; return when none can send another byte."""


class Making(Protocol):
    """Work of this provider on files that are to be delivered."""

    async def kill(self, flow_id: str) -> None:
        """End it; return when nothing writes for the flow any more."""


class Downloads(Protocol):
    """Running downloads of this consumer."""

    async def begin(self, flow_id: str) -> None:
        """(Re)start the flow's download."""

    async def stop(self, flow_id: str, *, discard: bool) -> None:
        """Stop it; with ``discard`` also remove what was received."""

    async def occupied(self, name: str) -> bool:
        """Whether a file of this name exists already."""


def sink_name(message: FlowMessage) -> str | None:
    """The file a consumer flow is stored in; ``None`` when the address is to be handed out instead. Raises Refusal."""
    asked: Any = message.metadata.get("sink")
    if asked is None or asked is False:
        return None
    if asked is True or asked == "":
        plain = re.sub(r"[^A-Za-z0-9._-]", "_", message.process_id)[:150]
        if plain != message.process_id or not _SINK_NAME.fullmatch(plain):
            plain = f"_{plain}-{hashlib.sha256(message.process_id.encode()).hexdigest()[:12]}"
        return plain
    if not isinstance(asked, str) or not _SINK_NAME.fullmatch(asked) or asked.endswith(".part"):
        raise Refusal(400, "sink_name", "metadata.sink must be a plain file name (letters, digits, . _ -), or folder/name")
    return asked


class Flows:
    """The state of every flow. ``now_ms`` gives milliseconds since the epoch; ``token_life_s`` is how long a token lives."""

    def __init__(
        self,
        records: Records,
        streams: Streams,
        making: Making,
        downloads: Downloads,
        now_ms: Callable[[], int],
        token_life_s: int,
    ) -> None:
        self._records = records
        self._streams = streams
        self._making = making
        self._downloads = downloads
        self._now_ms = now_ms
        self._token_life_s = token_life_s
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.public_url = ""
        self.leaves: Leaves | None = None

    async def prepare(self, message: FlowMessage) -> str:
        """DataFlowPrepareMessage: a consumer flow begins. Answer: StatusMessage PREPARED."""
        return await self._create(message, Role.CONSUMER, Operation.PREPARE)

    async def start(self, message: FlowMessage) -> str:
        """DataFlowStartMessage: a provider flow begins and gets its token. Answer: StatusMessage STARTED."""
        return await self._create(message, Role.PROVIDER, Operation.START)

    async def change(self, flow_id: str, operation: Operation, message: ChangeMessage) -> str:
        """Any later operation. Answer: StatusMessage. Raises Refusal 404, 409 or 400."""
        async with self._lock(flow_id):
            stored = await self._stored(message.message_id, operation, flow_id)
            for _ in range(MAX_RACES):
                flow = await self.require(flow_id)
                if stored is not None:
                    # The first attempt may have died between its commit and the cut.
                    if flow.state is not State.STARTED:
                        await self._act(flow)
                    return stored
                target = next_state(flow.role, flow.state, _row(flow, operation, message))
                if target is None:
                    raise Refusal(409, "state", f"{operation} is not possible while the flow is {flow.state}")
                try:
                    changed, answer, writes = self._decide(flow, target, operation, message)
                    told = None if changed.state is flow.state else self.leaves
                    closed = [] if told is None else await told.closed(changed)
                    await self._records.commit([*writes, *closed])
                except LostRace:
                    continue
                if told is not None:
                    told.wake()
                await self._act(changed)
                return answer
        raise Refusal(503, "busy", "the flow changes too often; try again")

    async def require(self, flow_id: str) -> Flow:
        """The flow, or Refusal 404."""
        flow = await self._records.flow(flow_id)
        if flow is None:
            raise Refusal(404, "flow_unknown", "no such data flow")
        return flow

    async def _create(self, message: FlowMessage, role: Role, operation: Operation) -> str:
        flow_id = message.process_id
        async with self._lock(flow_id):
            stored = await self._stored(message.message_id, operation, flow_id)
            if stored is not None:
                return stored
            if await self._records.flow(flow_id) is not None:
                raise Refusal(409, "flow_exists", "this process has a data flow already")
            if message.profile != HTTP_PULL:
                raise Refusal(400, "profile", f"only {HTTP_PULL} is served here")
            if message.data_address is not None:
                raise Refusal(400, "data_address", "a pull flow begins without a data address")
            state = next_state(role, State.INITIALIZED, operation)
            assert state is not None, "both first operations are rows of the table"  # noqa: S101 - narrows a literal table
            sink = await self._free_sink(message) if role is Role.CONSUMER else None
            if role is Role.PROVIDER and await self._records.source(message.dataset_id) is None:
                raise Refusal(404, "dataset_unknown", f"no source is published for dataset {message.dataset_id}")
            flow = Flow(flow_id, role, state, 1, message.dataset_id, message.agreement_id, sink, None, None)
            # To who cannot renew a token one is given for as long as the transfer runs.
            flow = replace(flow, renews=message.metadata.get("tokens") != "transfer")
            address, writes = self._address_for(flow)
            if sink is not None:
                writes.append(insert_landing(wanted(flow_id, message.metadata)))
            flow = replace(flow, address=encode(address) if address else None)
            answer = self._answer(flow, address)
            stamp = self._now_ms()
            try:
                await self._records.commit(
                    [
                        rec.insert_flow(flow, stamp),
                        *writes,
                        rec.insert_answer(message.message_id, operation, flow_id, answer, stamp),
                    ]
                )
            except LostRace:
                raise Refusal(409, "flow_exists", "the process, message or sink is in use") from None
            return answer

    async def _free_sink(self, message: FlowMessage) -> str | None:
        name = sink_name(message)
        if name is not None and (await self._records.sink_taken(name) or await self._downloads.occupied(name)):
            raise Refusal(409, "sink_taken", f"a file called {name} exists or is expected already")
        return name

    def _decide(
        self, flow: Flow, target: State, operation: Operation, message: ChangeMessage
    ) -> tuple[Flow, str, list[Statement]]:
        """Pure but for the clock and a new token: the changed flow, its answer, and everything to be written."""
        changed = replace(flow, state=target, version=flow.version + 1)
        address: DataAddress | None = None
        writes: list[Statement] = []
        if flow.role is Role.PROVIDER:
            if target is not State.STARTED:
                writes.append(rec.kill_tokens(flow.id))
                changed = replace(changed, address=None)
            elif flow.state is State.STARTED and flow.address is not None:
                address = msgspec.json.decode(flow.address, type=DataAddress)
            elif operation is Operation.RESUME:
                address, writes = self._address_for(changed)
                changed = replace(changed, address=encode(address) if address else None)
        elif target is State.STARTED:
            changed, writes = self._accept_address(changed, message.data_address)
        elif target is State.STARTING:
            changed = replace(changed, address=None)
        stamp = self._now_ms()
        answer = self._answer(changed, address)
        writes.append(rec.update_flow(changed, stamp))
        if message.message_id:
            writes.append(rec.insert_answer(message.message_id, operation, flow.id, answer, stamp))
        return changed, answer, writes

    def _accept_address(self, flow: Flow, address: DataAddress | None) -> tuple[Flow, list[Statement]]:
        if address is None:
            raise Refusal(400, "data_address", "a pull flow starts with the provider's data address")
        if not address.endpoint:
            raise Refusal(400, "data_address", "the data address has no endpoint")
        writes = [rec.begin_download(flow.id)] if flow.sink is not None else []
        writes.append(note_received(flow.id, address, self._now_ms()))
        return replace(flow, address=encode(address), error=None), writes

    def _address_for(self, flow: Flow) -> tuple[DataAddress | None, list[Statement]]:
        """A fresh token and its address; nothing for a consumer."""
        if flow.role is Role.CONSUMER:
            return None, []
        made = pairs.make(self._token_life_s if flow.renews else None, self._now_ms())
        address = pairs.address_of(f"{self.public_url}/public/{quote(flow.id, safe='')}", made)
        return address, [rec.kill_tokens(flow.id), pairs.insert(made, flow.id, used=True)]

    async def _act(self, flow: Flow) -> None:
        """Make what runs agree with what is committed."""
        if flow.role is Role.PROVIDER:
            if flow.state is not State.STARTED:
                await self._making.kill(flow.id)
                await self._streams.abort(flow.id)
        elif flow.sink is not None:
            if flow.state is State.STARTED:
                await self._downloads.begin(flow.id)
            else:
                await self._downloads.stop(flow.id, discard=flow.state is State.TERMINATED)

    async def _stored(self, message_id: str, operation: Operation, flow_id: str) -> str | None:
        answered = await self._records.answered(message_id) if message_id else None
        if answered is None:
            return None
        if (answered.operation, answered.flow_id) != (operation.value, flow_id):
            raise Refusal(409, "message_reused", "this messageId was used for something else")
        return answered.body

    @staticmethod
    def _answer(flow: Flow, address: DataAddress | None) -> str:
        identifier = f"urn:uuid:{uuid.uuid4()}"
        return encode(StatusMessage(identifier, flow.id, flow.state.value, address))

    def _lock(self, flow_id: str) -> asyncio.Lock:
        """Operations on one flow take turns, their effects included. The process owns its database alone."""
        lock = self._locks.get(flow_id)
        if lock is None:
            lock = self._locks[flow_id] = asyncio.Lock()
        return lock


def _row(flow: Flow, operation: Operation, message: ChangeMessage) -> Operation:
    """Which row of the table a message is: a consumer may resume before the provider's new address is there."""
    waits = flow.role is Role.CONSUMER and operation is Operation.RESUME and message.data_address is None
    return Operation.AWAIT if waits else operation


def status_of(flow: Flow) -> bytes:
    """Answer of GET /dataflows/{id}/status."""
    return msgspec.json.encode({"dataFlowId": flow.id, "state": flow.state.value})
