"""The consumer's side of a pull: one owned task per flow fetches the file, resumes it, verifies it, puts it in place.

What may be resumed, and what was promised about the whole (ETag, size, digest), is in the database before the first byte
is on disk; so a killed process goes on where it was. May import this package and the guarded client.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from yarl import URL

from connector.dataplane import records as rec
from connector.dataplane.callbacks import Notifier, backoff_s
from connector.dataplane.http_requests import PURPOSE_HEADER, SOURCE_STATUS
from connector.dataplane.landing.announced import REFUSAL_BYTES, announced, expired, refusal
from connector.dataplane.landing.offload import Offload
from connector.dataplane.landing.records import Landing, landing_of, note_announced, note_digest
from connector.dataplane.messages import DataAddress
from connector.dataplane.part import Part, part_path, place
from connector.dataplane.records import Download, Flow, Records
from connector.dataplane.renewing import NotRenewed, Renewer
from connector.dataplane.replicas import Alone, Replicas
from connector.dataplane.settings import DataPlaneSettings
from connector.dataplane.states import Operation, State, next_state
from connector.dataplane.threads import settle
from connector.http.client import Download as Incoming
from connector.http.client import EgressRefused, GuardedClient, PeerUnreachable
from connector.store.engine import LostRace, StoreUnavailable

log = logging.getLogger("carnet.dataplane")

WRITE_BYTES = 1024 * 1024
MAX_RESTARTS = 3
OFFLOADED_AT_ONCE = 2
_DIGEST = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]{44}):")
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


class _Failed(Exception):
    """The download cannot succeed; the text is the reason told to the control plane."""


class _Interrupted(Exception):
    """This attempt brought no end; another may."""


class _Expired(_Interrupted):
    """The provider takes the token no more; another may do."""


class _Restarted(_Interrupted):
    """What was received is worth nothing: the next attempt begins at byte 0."""


class _NotMade(Exception):
    """The provider is still making the file; ``wait_s`` is when it wants to be asked again."""

    def __init__(self, wait_s: float) -> None:
        super().__init__("the provider is still making the file")
        self.wait_s = wait_s


class Downloader:
    """Owner of the download tasks and of everything under the sink folder."""

    def __init__(
        self,
        records: Records,
        client: GuardedClient,
        notifier: Notifier,
        settings: DataPlaneSettings,
        now_ms: Callable[[], int],
        renewer: Renewer,
        replicas: Replicas | None = None,
    ) -> None:
        self._replicas: Replicas = replicas or Alone()
        self._records = records
        self._client = client
        self._renewer = renewer
        self._notifier = notifier
        self._settings = settings
        self._bounds = settings.bounds
        self._now_ms = now_ms
        self.offload = Offload(OFFLOADED_AT_ONCE, settings.bounds.landing_total_s)
        self.making: set[str] = set()
        """Flows whose file the provider still makes, as this process was told."""
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(settings.bounds.max_downloads)

    def final_path(self, name: str) -> Path:
        """Where a sink's complete file stands."""
        return self._settings.sink_dir / name

    async def occupied(self, name: str) -> bool:
        """Whether a complete file of this name exists."""
        return await asyncio.to_thread(self.final_path(name).exists)

    async def begin(self, flow_id: str) -> None:
        """(Re)start the download of a flow, with the address it has now."""
        await self._cancel(flow_id)
        self._tasks[flow_id] = asyncio.create_task(self._supervised(flow_id), name=f"download {flow_id}")

    async def stop(self, flow_id: str, *, discard: bool) -> None:
        """Stop; afterwards nothing more is written. ``discard`` removes the part."""
        await self._cancel(flow_id)
        await self._replicas.release(flow_id)
        await self._replicas.revoke(flow_id)
        flow = await self._records.flow(flow_id)
        if discard and flow is not None and flow.sink is not None:
            await settle(part_path(self.final_path(flow.sink)).unlink, missing_ok=True)
            await self._records.commit([rec.drop_download(flow_id)])

    async def cut(self, flow_id: str) -> None:
        """Another process has stopped the flow: nothing is written here any more, and somebody else may go on with it."""
        await self._cancel(flow_id)
        await self._replicas.release(flow_id)
        flow = await self._records.flow(flow_id)
        if flow is not None and flow.sink is not None and flow.state is State.TERMINATED:
            await settle(part_path(self.final_path(flow.sink)).unlink, missing_ok=True)

    async def take_over(self) -> None:
        """Begin what nobody runs any more, its process being dead."""
        for flow_id in await self._records.unfinished():
            if flow_id not in self._tasks:
                await self.begin(flow_id)

    async def resume_all(self) -> None:
        """After a restart: what was running runs again, what was terminated is cleared away."""
        for flow_id in await self._records.abandoned():
            await self.stop(flow_id, discard=True)
        for flow_id in await self._records.unfinished():
            await self.begin(flow_id)

    async def close(self) -> None:
        """Stop all; parts stay, to be resumed."""
        for flow_id in list(self._tasks):
            await self._cancel(flow_id)

    async def _cancel(self, flow_id: str) -> None:
        task = self._tasks.pop(flow_id, None)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _supervised(self, flow_id: str) -> None:
        try:
            async with self._slots:
                if await self._replicas.claim(flow_id):
                    await self._run(flow_id)
        except _Failed as failure:
            await self._fail(flow_id, str(failure))
        except StoreUnavailable:
            # Nothing can be recorded; the download stays unfinished in the database and goes on after a restart.
            log.exception("download of flow %s: the database failed", flow_id)
        except Exception:
            # This is the download's supervisor: an unforeseen failure ends one download, visibly.
            log.exception("download of flow %s broke", flow_id)
            await self._fail(flow_id, "the data plane failed; its log says how")
        finally:
            self.making.discard(flow_id)
            if self._tasks.get(flow_id) is asyncio.current_task():
                del self._tasks[flow_id]

    async def _run(self, flow_id: str) -> None:
        """Attempts until the file is in place, the flow is stopped, or attempts without a byte are used up."""
        fruitless = restarts = 0
        reached = -1
        made_by = asyncio.get_running_loop().time() + self._bounds.making_total_s
        while True:
            flow, download = await self._records.flow(flow_id), await self._records.download(flow_id)
            if flow is None or download is None or flow.state is not State.STARTED or flow.sink is None:
                return
            final = self.final_path(flow.sink)
            if download.phase == "placing":
                await self._finish(flow, download, final)
                return
            if download.phase != "running":
                return
            await settle(final.parent.mkdir, mode=0o700, exist_ok=True)
            part = await settle(Part, final, keep=download.etag is not None)
            try:
                await self._attempt(flow, download, part)
                continue
            except _NotMade as waiting:
                if asyncio.get_running_loop().time() > made_by:
                    raise _Failed("the provider was given long enough to make the file") from None
                self.making.add(flow_id)
                pause_s = waiting.wait_s
            except _Interrupted as reason:
                fruitless = 0 if part.size > reached else fruitless + 1
                reached = part.size
                restarts += isinstance(reason, _Restarted)
                log.info("download of flow %s interrupted at byte %d: %s", flow_id, part.size, reason)
                if fruitless >= self._bounds.download_attempts or restarts > MAX_RESTARTS:
                    raise _Failed(f"given up; the last attempt: {reason}") from None
                pause_s = backoff_s(fruitless + 1, self._bounds.backoff_first_s, self._bounds.backoff_max_s)
            except (PeerUnreachable, EgressRefused) as error:
                raise _Failed(str(error)) from None
            except OSError as error:
                raise _Failed(f"cannot store the file: {error.strerror or type(error).__name__}") from None
            finally:
                await settle(part.close)
            await asyncio.sleep(pause_s)

    async def _attempt(self, flow: Flow, download: Download, part: Part) -> None:
        """One request. Returns when the part is verified and marked ``placing``; raises _Interrupted or _Failed."""
        resumed_at = part.size
        landing = await self._landing(flow.id)
        if download.total is None or part.size != download.total:
            address = await self._address(flow.id)
            try:
                download, landing = await self._fetch(address, download, landing, part)
            except _Expired as reason:
                await self._address(flow.id, refused=address.get("authorization"))
                raise _Interrupted(str(reason)) from None
            except PeerUnreachable as error:
                if not error.retry:
                    raise
                raise _Interrupted(str(error)) from None
        if download.total is not None and part.size != download.total:
            raise _Interrupted(f"{part.size} of {download.total} bytes came")
        sha256 = await settle(part.hexdigest)
        if download.digest is not None and sha256 != download.digest:
            await self._records.commit(
                [rec.update_download(replace(download, etag=None, total=None, digest=None), before="running")]
            )
            await settle(part.truncate)
            if resumed_at:
                raise _Restarted("the digest of the resumed file is wrong; beginning again")
            await settle(part.path.unlink, missing_ok=True)
            raise _Failed("digest mismatch: the bytes are not those that the provider announced")
        await settle(part.sync)
        await self._check_rows(landing, part)
        verified = replace(download, phase="placing", bytes=part.size, sha256=sha256)
        await self._records.commit([rec.update_download(verified, before="running"), note_digest(flow.id, sha256)])

    async def _address(self, flow_id: str, *, refused: str | None = None) -> DataAddress:
        """The address with a token that is good now, ``refused`` being none. Raises _Interrupted or _Failed."""
        try:
            address = await self._renewer.address(flow_id, refused=refused)
        except NotRenewed as reason:
            raise (_Interrupted(str(reason)) if reason.passing else _Failed(str(reason))) from None
        if address is None:
            raise _Interrupted("the flow does not run any more")
        return address

    async def _landing(self, flow_id: str) -> Landing:
        return await landing_of(self._records.engine, flow_id) or Landing(flow_id, {}, "")

    async def _check_rows(self, landing: Landing, part: Part) -> None:
        """What the provider says of the rows must be true of the file. Raises _Failed."""
        if landing.rows_digest is None or landing.format is None:
            return
        found = await self.offload.do({"do": "check", "file": str(part.path), "format": landing.format})
        if "code" in found:
            raise _Failed(f"{found['code']}: {found['reason']}")
        if (found["rows"], found["digest"]) != (landing.rows, landing.rows_digest):
            raise _Failed(f"the file has not the {landing.rows} rows that the provider announced")

    async def _fetch(self, address: DataAddress, download: Download, landing: Landing, part: Part) -> tuple[Download, Landing]:
        headers = _authorization(address) | ({PURPOSE_HEADER: landing.ask["purpose"]} if "purpose" in landing.ask else {})
        if part.size and download.etag:
            headers |= {"Range": f"bytes={part.size}-", "If-Range": download.etag}
        async with self._client.stream(
            "GET",
            str(URL(address.endpoint, encoded=True).update_query(landing.ask)) if landing.ask else address.endpoint,
            headers=headers,
            max_bytes=max(0, self._bounds.max_download_bytes - part.size),
            idle_timeout_s=self._bounds.download_idle_s,
            total_timeout_s=self._bounds.download_total_s,
        ) as incoming:
            accepted = await self._accept(incoming, download, part)
            if accepted is not download:
                landing = announced(landing, incoming.headers)
                await self._records.commit([rec.update_download(accepted, before="running"), note_announced(landing)])
            await _store(incoming, part)
        return accepted, landing

    async def _accept(self, incoming: Incoming, download: Download, part: Part) -> Download:
        """Judge the head of the answer; bring part and record in line with it before any byte is stored."""
        status = incoming.status
        if status != 202:
            self.making.discard(download.flow_id)
        if status == 206:
            found = _CONTENT_RANGE.fullmatch(incoming.headers.get("Content-Range", ""))
            if found and int(found[1]) == part.size and incoming.headers.get("ETag") == download.etag:
                return download
        if status in (206, 416):
            await self._records.commit(
                [rec.update_download(replace(download, etag=None, total=None, digest=None), before="running")]
            )
            await settle(part.truncate)
            raise _Restarted("the provider's file is another one now; beginning again")
        if status == 202:
            asked = incoming.headers.get("Retry-After", "")
            raise _NotMade(min(float(asked) if re.fullmatch(r"\d{1,4}", asked) else 1.0, self._bounds.backoff_max_s))
        if status != 200:
            beginning = await _beginning(incoming)
            said, passing = refusal(status, beginning)
            if SOURCE_STATUS not in incoming.headers and expired(status, beginning):
                raise _Expired(said)
            raise _Interrupted(said) if passing else _Failed(said)
        await settle(part.truncate)
        length = incoming.headers.get("Content-Length", "")
        etag = incoming.headers.get("ETag", "")
        fresh = Download(
            download.flow_id,
            "running",
            etag if re.fullmatch(r'"[!#-~]{1,256}"', etag) else None,
            int(length) if re.fullmatch(r"\d{1,18}", length) else None,
            _digest(incoming.headers.get("Repr-Digest", "")),
            None,
            None,
        )
        if fresh.total is not None and fresh.total > self._bounds.max_download_bytes:
            raise _Failed(f"the file has {fresh.total} bytes; {self._bounds.max_download_bytes} are accepted")
        return fresh

    async def _finish(self, flow: Flow, download: Download, final: Path) -> None:
        """Give the verified file its name; then, in one transaction, complete the flow and queue the message."""
        landing = await self._landing(flow.id)
        if not await settle(place, final):
            raise _Failed("the received file has vanished")
        if landing.into:
            await self._put_into(landing, final)
        state = next_state(flow.role, flow.state, Operation.FINISH)
        if state is None:
            return
        completed = replace(flow, state=state, version=flow.version + 1)
        try:
            await self._records.commit(
                [
                    rec.update_flow(completed, self._now_ms()),
                    rec.update_download(replace(download, phase="done"), before="placing"),
                    self._notifier.statement(
                        completed, "completed", size=download.bytes, sha256=download.sha256, facts=_facts(landing)
                    ),
                ]
            )
        except LostRace:
            # Suspended or ended meanwhile; the phase stays, and a resumption ends here again.
            return
        self._notifier.wake()
        if landing.into:
            await settle(final.unlink, missing_ok=True)

    async def _put_into(self, landing: Landing, final: Path) -> None:
        """Its rows go into a table; the file goes once the flow is completed. Repeated after a kill it changes nothing."""
        database, _, table = landing.into.partition(":")
        work = {"do": "insert", "file": str(final), "format": landing.format, "table": table, "transfer": landing.flow_id}
        found = await self.offload.do({**work, "database": str(self._settings.sink_dir / database)})
        if "code" in found:
            raise _Failed(f"{found['code']}: {found['reason']}")

    async def _fail(self, flow_id: str, reason: str) -> None:
        log.warning("download of flow %s failed: %s", flow_id, reason)
        flow, download = await self._records.flow(flow_id), await self._records.download(flow_id)
        if flow is None or download is None or flow.state is not State.STARTED:
            return
        try:
            await self._records.commit(
                [
                    rec.note_error(flow_id, reason),
                    rec.update_download(replace(download, phase="failed"), before=download.phase),
                    self._notifier.statement(flow, "errored", error=reason),
                ]
            )
        except (LostRace, StoreUnavailable):
            return
        self._notifier.wake()


def _facts(landing: Landing) -> dict[str, Any]:
    """What the control plane is told of the rows, for the receipt."""
    facts = {
        "rows": landing.rows,
        "rowsDigest": landing.rows_digest,
        "planDigest": landing.plan_digest,
        "ledger": landing.ledger,
        "suppressed": landing.suppressed,
        "format": landing.format,
        "into": landing.into or None,
    }
    return {name: fact for name, fact in facts.items() if fact is not None}


async def _beginning(incoming: Incoming) -> bytes:
    """The first part of an answer's body; a refusal is not longer."""
    body = bytearray()
    async for piece in incoming.chunks():
        body += piece
        if len(body) >= REFUSAL_BYTES:
            break
    return bytes(body[:REFUSAL_BYTES])


async def _store(incoming: Incoming, part: Part) -> None:
    """Append the body in large pieces; what arrived before a break is kept."""
    waiting = bytearray()
    try:
        async for piece in incoming.chunks():
            waiting += piece
            if len(waiting) >= WRITE_BYTES:
                full, waiting = bytes(waiting), bytearray()
                await settle(part.append, full)
    finally:
        if waiting:
            await settle(part.append, bytes(waiting))


def _authorization(address: DataAddress) -> dict[str, str]:
    token = address.get("authorization")
    if token is None:
        return {}
    if (address.get("authType") or "").lower() == "bearer" and not token.lower().startswith("bearer "):
        token = f"Bearer {token}"
    return {"Authorization": token}


def _digest(header: str) -> str | None:
    """Hex SHA-256 of a Repr-Digest field (RFC 9530); ``None`` when it has none."""
    found = _DIGEST.search(header)
    if found is None:
        return None
    try:
        return base64.b64decode(found[1], validate=True).hex()
    except binascii.Error:
        return None
