"""The way out: claims messages from the outbox and delivers each at least once, in its lane's order.

Truth is in the database; what is here is a cache of it. A message that was just committed arrives by :meth:`hand_over`,
already leased to this worker, so that the usual path needs no second look at the database; everything else (a retry that
is due, the lease of a worker that died) comes by a claim, woken by an event or by the time it is due. Nothing polls; only
where several workers share a database does each look once in a lease's time for what a dead one left behind.

One slow or dead peer delays nobody: each peer has its own short queue and its own bound on deliveries in flight, and after a
failure it gets one try at a time with growing pauses. What a delivery means is decided in ``delivery.py``.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from connector.settings.model import DispatchSettings
from connector.store import writes
from connector.store.control import ControlStore
from connector.store.engine import Statement, StoreUnavailable
from connector.store.rows import Outgoing
from connector.telemetry import correlated, logger

MAX_QUEUED_PER_PEER = 1024
PUT_BACK_MS = 1000
IDLE_S = 3600.0
TOLD_RETRIES = 20
"""So many retries of a message stand each in the timeline of its process, later ones every tenth."""
log = logger("dispatch")


class Retry(Exception):
    """Try again. The ``since`` times are as the next attempt has to see them; ``peer_down`` slows the whole peer."""

    def __init__(
        self,
        why: str,
        *,
        peer_down: bool = False,
        pause_ms: int | None = None,
        conflict_since: int | None = None,
        missing_since: int | None = None,
    ) -> None:
        super().__init__(why)
        self.why = why
        self.peer_down = peer_down
        self.pause_ms = pause_ms
        self.conflict_since = conflict_since
        self.missing_since = missing_since


class Delivery(Protocol):
    """One attempt, and its end where it has one."""

    async def attempt(self, message: Outgoing) -> None:
        """Deliver and record the answer. Raises Retry."""

    async def give_up(self, message: Outgoing) -> None:
        """The deadline has passed."""


@dataclass(slots=True)
class Peer:
    """What this worker holds for one counterparty."""

    queue: deque[Outgoing] = field(default_factory=deque)
    in_flight: int = 0
    failures: int = 0
    not_before: int = 0


class Dispatcher:
    """Owns the delivery tasks of one worker."""

    def __init__(
        self,
        store: ControlStore,
        settings: DispatchSettings,
        owner: str,
        now_ms: Callable[[], int],
        *,
        shared: bool = False,
    ) -> None:
        """``shared``: other workers use the database too, so that the leases of a dead one have to be looked for."""
        self._longest_s = settings.lease_s if shared else IDLE_S
        self._store = store
        self._delivery: Delivery | None = None
        self._settings = settings
        self._owner = owner
        self._now_ms = now_ms
        self._peers: dict[str, Peer] = {}
        self._held: set[str] = set()
        self._withdrawn: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._look = True
        self._next_due: int | None = None
        self._stopping = False

    # -- in ---------------------------------------------------------------------------------------------------------

    def hand_over(self, messages: Sequence[Outgoing]) -> None:
        """Take messages that were committed with a lease for us; the other channels are claimed in their lane's order."""
        for message in messages:
            if message.channel != "dsp" or self._stopping:
                self.wake()
            elif not self._enqueue(message):
                self._own(self._put_back([message]))

    def forget(self, message_id: str) -> None:
        """The message was withdrawn: if it still waits here, it is not sent."""
        if message_id in self._held:
            self._withdrawn.add(message_id)

    def wake(self) -> None:
        """Something may be due: look at the outbox."""
        self._look = True
        self._wake.set()

    async def run(self, delivery: Delivery) -> None:
        """Claim what is due, and deliver, until cancelled. A database that is away is asked again after a pause."""
        self._delivery = delivery
        for peer in self._peers.values():
            self._pump(peer)
        while True:
            self._wake.clear()
            due = self._next_due is not None and self._next_due <= self._now_ms()
            try:
                if self._look or due:
                    await self._claim()
            except StoreUnavailable as error:
                log.warning("outbox cannot be read", error=str(error))
                self._next_due = self._now_ms() + 1000
            await self._sleep()

    async def drain(self, timeout_s: float) -> None:
        """Begin nothing new, let what is in flight end, give leases back."""
        self._stopping = True
        for peer in self._peers.values():
            peer.queue.clear()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._store.release(self._owner)

    # -- claims -----------------------------------------------------------------------------------------------------

    async def _claim(self) -> None:
        self._look = False
        while not self._stopping:
            now = self._now_ms()
            batch = self._settings.claim_batch
            claimed = await self._store.claim(self._owner, now, now + self._settings.lease_s * 1000, batch)
            await self._put_back([message for message in claimed if not self._enqueue(message)])
            if len(claimed) < batch:
                break
        # What is postponed while the database is asked may not be in its answer: the earlier of the two counts.
        self._next_due = None
        due_at = await self._store.next_due()
        if due_at is not None:
            self._earlier(due_at)

    async def _sleep(self) -> None:
        due = self._next_due
        pause = self._longest_s if due is None else max(0.0, (due - self._now_ms()) / 1000)
        try:
            async with asyncio.timeout(min(pause, self._longest_s)):
                await self._wake.wait()
        except TimeoutError:
            self._look = True

    def _due_at(self, due_at: int) -> None:
        if self._earlier(due_at):
            self._wake.set()

    def _earlier(self, due_at: int) -> bool:
        if self._next_due is not None and self._next_due <= due_at:
            return False
        self._next_due = due_at
        return True

    # -- queues -----------------------------------------------------------------------------------------------------

    def _peer(self, message: Outgoing) -> Peer:
        return self._peers.setdefault(message.counterparty, Peer())

    def _enqueue(self, message: Outgoing) -> bool:
        """Queue a message for its peer; False if the peer has to wait or has too many here."""
        peer = self._peer(message)
        if message.id in self._held:
            return True
        if len(peer.queue) >= MAX_QUEUED_PER_PEER or (self._pause_ms(peer) > 0 and (peer.queue or peer.in_flight)):
            return False
        self._held.add(message.id)
        peer.queue.append(message)
        self._pump(peer)
        return True

    def _pump(self, peer: Peer) -> None:
        limit = 1 if peer.failures else self._settings.per_peer_concurrency
        delivery = self._delivery
        if delivery is None:
            return
        while peer.queue and peer.in_flight < limit and len(self._tasks) < self._settings.concurrency and not self._stopping:
            peer.in_flight += 1
            self._own(self._deliver(delivery, peer, peer.queue.popleft()))

    def _own(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _pump_all(self) -> None:
        """A slot is free: peers take turns, so that whoever got one goes to the end of the row."""
        for name in [name for name, peer in self._peers.items() if peer.queue]:
            peer = self._peers[name]
            waiting = len(peer.queue)
            self._pump(peer)
            if len(peer.queue) < waiting:
                self._peers[name] = self._peers.pop(name)
        for name in [name for name, peer in self._peers.items() if not (peer.queue or peer.in_flight or peer.failures)]:
            del self._peers[name]

    # -- one delivery -----------------------------------------------------------------------------------------------

    async def _deliver(self, delivery: Delivery, peer: Peer, message: Outgoing) -> None:
        """The supervisor of one attempt: whatever happens, the message is either answered or tried again."""
        try:
            with correlated(message.correlation_id):
                await self._try(delivery, peer, message)
        except StoreUnavailable as error:
            log.warning("the answer to a message could not be stored; it will be sent again", error=str(error))
            self._due_at(self._now_ms() + self._settings.lease_s * 1000)
        except Exception:
            # The supervisor: one message that we cannot handle must not stop the others.
            log.exception("delivery failed", message=message.message, channel=message.channel)
            await self._postpone(replace(message, attempts=message.attempts + 1), self._later(message.attempts + 1))
        finally:
            self._held.discard(message.id)
            self._withdrawn.discard(message.id)
            peer.in_flight -= 1
            self._pump_all()

    async def _try(self, delivery: Delivery, peer: Peer, message: Outgoing) -> None:
        if message.id in self._withdrawn:
            return
        if self._pause_ms(peer) > 0 and peer.failures:
            await self._postpone(message, peer.not_before + random.randrange(200))  # noqa: S311 (jitter)
            return
        if self._now_ms() >= message.deadline_at:
            await delivery.give_up(message)
            return
        try:
            async with asyncio.timeout(self._settings.attempt_timeout_s + self._settings.lease_s / 2):
                await delivery.attempt(message)
            peer.failures, peer.not_before = 0, 0
        except Retry as retry:
            await self._again(peer, message, retry)
        except TimeoutError:
            await self._again(peer, message, Retry("the attempt took too long", peer_down=True))

    async def _again(self, peer: Peer, message: Outgoing, retry: Retry) -> None:
        attempts = message.attempts + 1
        due_at = self._later(attempts) if retry.pause_ms is None else self._now_ms() + retry.pause_ms
        if retry.peer_down:
            peer.failures += 1
            peer.not_before = self._later(peer.failures)
            due_at = max(due_at, peer.not_before)
        else:
            peer.failures, peer.not_before = 0, 0
        later = replace(
            message,
            attempts=attempts,
            last_error=retry.why[:500],
            conflict_since=retry.conflict_since,
            missing_since=retry.missing_since,
        )
        log.info("message will be sent again", message=message.message, attempts=attempts, why=retry.why[:200])
        told = [writes.insert_retry(later, self._now_ms())] if _tells(later) else []
        await self._postpone(later, min(due_at, max(message.deadline_at, self._now_ms())), told)

    async def _put_back(self, messages: Sequence[Outgoing]) -> None:
        """Too many for their peer here, or it has to wait: the database keeps them until then. One transaction for all."""
        if not messages:
            return
        now = self._now_ms()
        later = [replace(each, due_at=now + max(self._pause_ms(self._peer(each)), PUT_BACK_MS)) for each in messages]
        self._due_at(min(each.due_at for each in later))
        await self._store.commit([writes.postpone_outgoing(each) for each in later])

    async def _postpone(self, message: Outgoing, due_at: int, told: Sequence[Statement] = ()) -> None:
        due_at = max(due_at, self._now_ms() + 1)
        self._due_at(due_at)
        await self._store.commit([writes.postpone_outgoing(replace(message, due_at=due_at)), *told])

    def _pause_ms(self, peer: Peer) -> int:
        """How long a peer is left alone. Longer than the longest pause it is only when the clock was set back: over then."""
        pause = peer.not_before - self._now_ms()
        return pause if pause <= self._settings.backoff_max_s * 1000 else 0

    def _later(self, failures: int) -> int:
        """The time of the next attempt: doubling pauses up to the longest, each between half and whole (jitter)."""
        settings = self._settings
        pause = min(settings.backoff_first_ms * 2 ** min(failures - 1, 30), settings.backoff_max_s * 1000)
        return self._now_ms() + int(pause * random.uniform(0.5, 1.0))  # noqa: S311 (jitter)


def _tells(message: Outgoing) -> bool:
    """Whether a retry is said in the timeline."""
    return message.process_id != "" and (message.attempts <= TOLD_RETRIES or message.attempts % 10 == 0)
