"""The consumer's tokens: renewed in time, one renewal of a flow at a time, and kept before they are used.

The order is: an assertion of ours, the provider's answer, the new address in the database, and only then a request with it. The
provider lets the old pair live until the new one is used; so whoever dies between any two of these steps, or loses an answer,
begins again with what the database has. An address without what renews it (another make) is used as it is.
May import this package, the guarded client and the engine's seam.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlencode
from weakref import WeakValueDictionary

import msgspec

from connector.dataplane import records as rec
from connector.dataplane.asserting import Asserter
from connector.dataplane.messages import DataAddress, Property, encode
from connector.dataplane.problems import Refusal
from connector.dataplane.records import Flow, Records
from connector.dataplane.states import State
from connector.http.client import EgressRefused, GuardedClient, PeerUnreachable
from connector.store.engine import LostRace, Statement

log = logging.getLogger("carnet.dataplane")

EARLY_MS: Final = 30_000
"""How long before its end a token is renewed, but never before two thirds of its life are over."""
MAX_RACES: Final = 8
MAX_ANSWER_BYTES: Final = 64 * 1024
MAX_LIFE_S: Final = 366 * 24 * 3600
_TOKEN: Final = re.compile(r"[!-~]{1,4096}")
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}


class NotRenewed(Exception):
    """There is no new token now. ``passing``: asking again may help."""

    def __init__(self, reason: str, *, passing: bool) -> None:
        super().__init__(reason)
        self.passing = passing


@dataclass(frozen=True, slots=True)
class _Due:
    renew_at: int
    expires_at: int


def note_received(flow_id: str, address: DataAddress, now_ms: int) -> Statement:
    """When the token of an address that came at ``now_ms`` is to be renewed; to be written together with the address."""
    life_s = _life_s(address.get("expiresIn"))
    if life_s is None or not _renewable(address):
        return Statement("DELETE FROM renewal WHERE flow_id = ?", (flow_id,), None)
    life_ms = life_s * 1000
    return Statement(
        "INSERT INTO renewal (flow_id, renew_at, expires_at) VALUES (?, ?, ?)"
        " ON CONFLICT (flow_id) DO UPDATE SET renew_at = excluded.renew_at, expires_at = excluded.expires_at",
        (flow_id, now_ms + max(life_ms - EARLY_MS, life_ms * 2 // 3), now_ms + life_ms),
    )


class Renewer:
    """Owner of the addresses that consumers' flows have."""

    def __init__(
        self, records: Records, client: GuardedClient, asserter: Asserter, timeout_s: float, now_ms: Callable[[], int]
    ) -> None:
        self._records = records
        self._client = client
        self._asserter = asserter
        self._timeout_s = timeout_s
        self._now_ms = now_ms
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def address(self, flow_id: str, *, refused: str | None = None) -> DataAddress | None:
        """The flow's address with a token that is good now; None if the flow does not run.

        ``refused`` is a token that the provider calls expired: it is renewed whatever our clock says. Raises NotRenewed.
        """
        lock = self._locks.get(flow_id)
        if lock is None:
            lock = self._locks[flow_id] = asyncio.Lock()
        async with lock:
            flow = await self._records.flow(flow_id)
            if flow is None or flow.state is not State.STARTED or flow.address is None:
                return None
            address = msgspec.json.decode(flow.address, type=DataAddress)
            due, now = await self._due(flow_id), self._now_ms()
            rejected = refused is not None and refused == address.get("authorization")
            if not rejected and (due is None or now < due.renew_at):
                return address
            if not _renewable(address):
                # A provider of another make may say nothing of why: what becomes of it, the attempts show.
                return address
            try:
                return await self._renewed(flow, address)
            except NotRenewed as reason:
                if rejected or due is None or now >= due.expires_at:
                    raise
                log.warning("flow %s: the token could not be renewed yet: %s", flow_id, reason)
                return address

    async def _due(self, flow_id: str) -> _Due | None:
        rows = await self._records.engine.fetch("SELECT renew_at, expires_at FROM renewal WHERE flow_id = ?", (flow_id,))
        return _Due(int(rows[0][0] or 0), int(rows[0][1] or 0)) if rows else None

    async def _renewed(self, flow: Flow, address: DataAddress) -> DataAddress | None:
        fresh = await self._ask(flow.id, address)
        for _ in range(MAX_RACES):
            try:
                changed = replace(flow, address=encode(fresh), version=flow.version + 1)
                stamp = self._now_ms()
                await self._records.commit([rec.update_flow(changed, stamp), note_received(flow.id, fresh, stamp)])
            except LostRace:
                now = await self._records.flow(flow.id)
                if now is None or now.state is not State.STARTED or now.address is None:
                    return None
                if now.address != flow.address:
                    # The provider gave another address meanwhile: what was renewed belongs to none.
                    return msgspec.json.decode(now.address, type=DataAddress)
                flow = now
                continue
            log.info("flow %s: token renewed", flow.id)
            return fresh
        raise NotRenewed("the flow changes too often", passing=True)

    async def _ask(self, flow_id: str, address: DataAddress) -> DataAddress:
        """One request to the provider, and the address that its answer makes. Raises NotRenewed."""
        token = bare(address.get("authorization") or "")
        try:
            assertion = await self._asserter.make(flow_id, token)
            form = urlencode({"grant_type": "refresh_token", "refresh_token": address.get("refreshToken") or ""})
            answer = await self._client.request(
                "POST",
                address.get("refreshEndpoint") or "",
                headers={**_FORM, "Authorization": f"Bearer {assertion}"},
                body=form.encode(),
                timeout_s=self._timeout_s,
                max_bytes=MAX_ANSWER_BYTES,
            )
        except Refusal as refusal:
            raise NotRenewed(refusal.detail, passing=True) from None
        except EgressRefused as error:
            raise NotRenewed(str(error), passing=False) from None
        except PeerUnreachable as error:
            raise NotRenewed(str(error), passing=error.retry) from None
        if answer.status != 200:
            raise NotRenewed(f"the provider answered {answer.status} when the token was to be renewed", passing=True)
        return _with(address, _object(answer.body))


def bare(authorization: str) -> str:
    """The token of an ``authorization`` property, which may have its scheme in front."""
    return authorization[7:] if authorization.lower().startswith("bearer ") else authorization


def _renewable(address: DataAddress) -> bool:
    return all(address.get(name) for name in ("authorization", "refreshToken", "refreshEndpoint"))


def _life_s(text: object) -> int | None:
    """Seconds as string digits, as the profile has it, or as a number, as RFC 6749 has it; None for anything else."""
    if isinstance(text, str) and re.fullmatch(r"[0-9]{1,9}", text):
        text = int(text)
    return min(text, MAX_LIFE_S) if type(text) is int and text > 0 else None


def _object(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError):
        raise NotRenewed("the provider's answer is no token", passing=True) from None


def _with(address: DataAddress, answer: dict[str, Any]) -> DataAddress:
    """The address with the answer's tokens; what the answer leaves out stays. Raises NotRenewed."""
    access, refresh = answer.get("access_token"), answer.get("refresh_token", address.get("refreshToken"))
    if not all(isinstance(token, str) and _TOKEN.fullmatch(token) for token in (access, refresh)):
        raise NotRenewed("the provider's answer is no token", passing=True)
    life_s = _life_s(answer.get("expires_in"))
    fresh = {"authorization": str(access), "refreshToken": str(refresh)}
    if life_s is not None:
        fresh["expiresIn"] = str(life_s)
    kept = tuple(entry for entry in address.endpoint_properties if entry.name not in fresh)
    return DataAddress(
        address.endpoint_type, address.endpoint, (*(Property(name, value) for name, value in fresh.items()), *kept)
    )
