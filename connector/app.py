"""Where the parts are put together, and the only place that does it: one running connector.

Start: store and migrations, then the contract log, leases of an earlier life, dispatcher, timers, the data plane, the listeners
(nothing is served before all this is ready). Stop, in reverse: listeners refuse, what is in flight ends, leases are given back,
the data plane goes, what waits gets into the contract log, the store closes.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from connector.access.keys import ApiKeys
from connector.access.tokens import Externals, ManagementTokens
from connector.api.access import AccessOperations
from connector.api.diary import LogDiary
from connector.api.idempotency import StoredRepeats
from connector.aside import Aside
from connector.calling import clients, close_all, plane_of
from connector.clocks import Clock
from connector.companion import Companion, write_config
from connector.dataplane.plan.declared import every
from connector.delivery import HttpDelivery
from connector.dispatch import Dispatcher
from connector.flow import begin, key_changes, legacy, publish, showing, standing, timers
from connector.flow.approvals import rule_of
from connector.flow.automation import Automation
from connector.flow.browse import Browser
from connector.flow.context import Choices, Context, Deadlines
from connector.flow.logs import Witnessing
from connector.flow.plane import Plane
from connector.flow.references import References
from connector.flow.seals import Seals
from connector.flow.watch import Watch
from connector.http.caller import Caller
from connector.http.hooks import Hooks
from connector.http.local import LocalServer
from connector.http.local_keys import LocalKeys
from connector.http.management import ManagementServer
from connector.http.protocol import ProtocolServer
from connector.http.quota import Quota
from connector.http.signaling import SignalingServer
from connector.http.tls import contexts
from connector.identity.assembly import Recognition, recognition
from connector.identity.assertions import Assertions
from connector.listening import bound, origin_of, serve_local, serve_management, site
from connector.log.opening import ContractLog, open_log
from connector.log.witnessed import WitnessedLog
from connector.management.assembly import assemble
from connector.management.opening import finishing, opened
from connector.management.operations import operations
from connector.metrics import Metrics
from connector.protocol.errors import CarnetError
from connector.protocol.record import Process
from connector.protocol.states import Role
from connector.settings import Settings
from connector.settings.management import ManagementSettings
from connector.settings.model import ProtocolSettings
from connector.store.access import AccessStore
from connector.store.control import WAKE_CHANNEL, ControlStore
from connector.store.migrate import migrate
from connector.store.sqlite import SqliteEngine
from connector.telemetry import logger

DRAIN_S: Final = 10.0
MIGRATIONS: Final = Path(__file__).parent / "store" / "migrations"
Tls = Mapping[str, ssl.SSLContext]
log = logger("app")

if TYPE_CHECKING:
    from connector.store.postgres import PostgresEngine


def now_ms() -> int:
    """The wall clock in integer milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def new_id() -> str:
    """A fresh identifier."""
    return f"urn:uuid:{uuid.uuid4()}"


@dataclass(slots=True)
class Running:
    """A connector that serves. ``protocol_url`` is the DSP base that peers see, ``management_url`` the origin that our own people
    and programs see, where there is such a listener."""

    settings: Settings
    context: Context
    plane: Plane
    browser: Browser
    metrics: Metrics
    watch: Watch
    reload_keys: Callable[[], Awaitable[None]]
    assertions: Assertions
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    management_url: str = ""

    @property
    def protocol_url(self) -> str:
        """The DSP base address."""
        return self.context.callback_address


class PartFailed(CarnetError):
    """A part that the connector cannot be without has failed; the log says how."""


class _StoppedEarly(Exception):
    """Told to stop before everything was ready."""


@dataclass(slots=True)
class Parts:
    """What ends all parts at once, and the names of those that failed."""

    stop: asyncio.Event
    failed: list[str] = field(default_factory=list)


async def open_engine(settings: Settings) -> SqliteEngine | PostgresEngine:
    """The engine that the settings name. Raises StoreUnavailable with what to do."""
    database = settings.control_database
    if database is not None:
        database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return await SqliteEngine.open(database, max_group=settings.store.group_size)
    # Imported here: the driver is an extra that the embedded default does not need.
    from connector.store.postgres import PostgresEngine

    return await PostgresEngine.open(settings.store.url, pool_size=settings.store.pool_size)


async def serve(settings: Settings, stop: asyncio.Event, started: asyncio.Future[Running] | None = None) -> None:
    """Run a connector until ``stop``. ``started`` is resolved when everything is ready.

    Raises StoreUnavailable, MigrationError, SettingsError or OSError (a port is taken) if it cannot start, and PartFailed if it
    had to stop because a part of it failed.
    """
    parts = Parts(stop)
    with suppress(_StoppedEarly):
        async with AsyncExitStack() as stack:
            running = await _start(settings, stack, parts)
            running.ready.set()
            if started is not None:
                started.set_result(running)
            where = {"protocol": running.protocol_url, "management": running.management_url or None}
            log.info("ready", participant=settings.participant_id, **where)
            await stop.wait()
            running.ready.clear()
            running.watch.close()
            log.info("stopping")
    if parts.failed:
        raise PartFailed("part-failed", f"stopped, because a part failed: {', '.join(parts.failed)}; see the log")


async def _start(settings: Settings, stack: AsyncExitStack, parts: Parts) -> Running:
    metrics, watch, aside = Metrics(), Watch(), Aside()
    trust, tls = await asyncio.to_thread(contexts, settings, now_ms())
    engine = await open_engine(settings)
    stack.push_async_callback(engine.close)
    await migrate(engine, MIGRATIONS, now_ms())
    store = ControlStore(engine)
    client, local_client = clients(settings, trust)
    stack.push_async_callback(close_all, client, local_client)
    plane = plane_of(settings, local_client)
    listening, origin = _listen(stack, settings.protocol)
    who = await recognition(settings, origin, store, client, now_ms, new_id)
    stack.push_async_callback(who.close)
    kept = await _keep_log(settings, engine, who, stack, parts, metrics)
    owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    shared = not isinstance(engine, SqliteEngine)
    dispatcher = Dispatcher(store, settings.dispatch, owner, now_ms, shared=shared)
    clock = Clock(store, now_ms, shared=shared)
    automation = Automation(settings.development.rules, metrics)
    stack.push_async_callback(aside.close)

    def entered(process: Process) -> None:
        automation.entered(process)
        watch.entered(process)

    context = _context(settings, store, origin, who, owner, dispatcher, clock, entered, plane, aside, kept)
    caller = Caller(client, who.outbound)
    browser = Browser(context, caller, settings.client.max_answer_bytes)
    running = Running(settings, context, plane, browser, metrics, watch, await _settle(context, who), who.assertions)
    await _hold_from_the_start(settings, context)
    await _take_over(engine, context)

    automation.act_in(context)
    stack.push_async_callback(automation.close)
    stack.push_async_callback(dispatcher.drain, DRAIN_S)
    delivery = HttpDelivery(context, caller, local_client, settings.dispatch, metrics, plane.signaling)
    _own(stack, parts, dispatcher.run(delivery), "dispatcher")
    _own(stack, parts, clock.run(lambda timer: timers.reached(context, timer)), "clock")
    _own(stack, parts, who.door.forgetting(now_ms), "registry")
    _own(stack, parts, standing.finishing(context), "standing")
    await _serve_data_plane(settings, stack, parts, running)
    quota = Quota(settings.quota, time.monotonic, metrics)
    protocol = ProtocolServer(context, origin, who.entrances, quota, settings.protocol, metrics, running.ready.is_set)
    application = protocol.application(who.routes)
    if settings.development.hooks:
        application.router.add_routes(Hooks(context, who.entrances[0].identity).routes())
    await site(stack, application, listening, tls.get("protocol"))
    await _serve_own(settings, stack, parts, running, who, kept, tls)
    return running


async def _settle(context: Context, who: Recognition) -> Callable[[], Awaitable[None]]:
    """Enter whom the settings name, and tell the contract log of them and of our keys. Gives how to read the keys again."""
    await standing.settle(context, who.settle)
    await key_changes.tell(context, who.listing())

    async def reload_keys() -> None:
        await who.reload_keys()
        await key_changes.tell(context, who.listing())

    return reload_keys


async def _keep_log(
    settings: Settings,
    engine: SqliteEngine | PostgresEngine,
    who: Recognition,
    stack: AsyncExitStack,
    parts: Parts,
    metrics: Metrics,
) -> ContractLog:
    """The contract log, which ends after everything that could have something to say."""
    kept = await open_log(settings, engine, who.ring, now_ms=now_ms, new_id=new_id, told=metrics.log_kept)
    stack.push_async_callback(kept.close)
    await kept.begin()
    _own(stack, parts, kept.sequencer.run(), "log")
    return kept


async def _take_over(engine: SqliteEngine | PostgresEngine, context: Context) -> None:
    """What an earlier life left: its leases, what an earlier release published, and participants that are not welcome any more
    and still have something open."""
    if isinstance(engine, SqliteEngine):
        await context.store.release_all()
    else:
        await engine.listen(WAKE_CHANNEL, lambda _: context.wake())
    await legacy.complete(context)
    await standing.finish(context)
    await showing.begin(context)


def _own(stack: AsyncExitStack, parts: Parts, work: Coroutine[Any, Any, None], name: str) -> None:
    """A task that ends with the connector; if it fails, the connector ends with it rather than limp on."""
    task = asyncio.create_task(work, name=name)

    def ended(done: asyncio.Task[None]) -> None:
        error = None if done.cancelled() else done.exception()
        if error is not None:
            log.error("a part of the connector has failed; it stops", part=name, exc_info=error)
            parts.failed.append(f"{name} ({error.reason})" if isinstance(error, CarnetError) else name)
            parts.stop.set()

    task.add_done_callback(ended)

    async def end() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(end)


def _listen(stack: AsyncExitStack, chosen: ProtocolSettings | ManagementSettings) -> tuple[socket.socket, str]:
    """A listener's socket, bound before anything is told of its address; and the origin that its callers see."""
    listening = bound(chosen.host, chosen.port)
    stack.callback(listening.close)
    return listening, origin_of(listening, chosen.host, chosen.public_url, tls=chosen.tls_certificate is not None)


def _context(
    settings: Settings,
    store: ControlStore,
    origin: str,
    who: Recognition,
    owner: str,
    dispatcher: Dispatcher,
    clock: Clock,
    entered: Callable[[Process], None],
    plane: Plane,
    aside: Aside,
    kept: ContractLog,
) -> Context:
    dispatch, negotiation, transfer = settings.dispatch, settings.negotiation, settings.transfer
    return Context(
        participant_id=settings.participant_id,
        callback_address=origin + settings.protocol.base_path,
        callback_for=who.callback_for,
        store=store,
        registry=who.registry,
        directory=who.directory,
        door=who.door,
        deadlines=Deadlines(
            message_ms=dispatch.message_deadline_s * 1000,
            termination_ms=dispatch.termination_deadline_s * 1000,
            negotiation_ms=negotiation.deadline_s * 1000,
            transfer_ms=transfer.deadline_s * 1000,
            decision_ms=negotiation.decision_deadline_s * 1000,
        ),
        choices=Choices(
            decide=negotiation.decide == "automatic",
            accept=negotiation.accept == "automatic",
            verify=negotiation.verify == "automatic",
            start=transfer.start == "automatic",
        ),
        now_ms=now_ms,
        new_id=new_id,
        owner=owner,
        lease_ms=dispatch.lease_s * 1000,
        hand_over=dispatcher.hand_over,
        entered=entered,
        forget=dispatcher.forget,
        timer_set=clock.set,
        wake=dispatcher.wake,
        asks=rule_of(negotiation),
        declared=every() | plane.declared,
        renews=who.renews,
        journal=kept.journal,
        persons=kept.persons,
        witnessing=Witnessing(
            log=WitnessedLog(kept.access.folder, lambda: kept.salt),
            key=lambda: kept.signers.now().key,
            keys_of=who.signers.log_keys,
            interval_ms=settings.log.witness_interval_s * 1000,
        ),
        seals=Seals(
            own=who.sign_with,
            key_of=who.signers.key,
            ask=plane.ask,
            aside=aside.start,
            erasure_ms=settings.data.erasure_deadline_s * 1000,
            snapshot=who.snapshots.take,
            certificate=who.certificate,
        ),
    )


async def _hold_from_the_start(settings: Settings, context: Context) -> None:
    """Development only: datasets and agreements of a test connector."""
    for dataset in settings.development.datasets:
        offers = [{"@id": dataset.offer_id, **publish.USE_OFFER}]
        await publish.publish(context, dataset.id, title=dataset.title, source=str(dataset.file or ""), offers=offers)
    for agreement in settings.development.agreements:
        await begin.hold_agreement(
            context,
            agreement_id=agreement.id,
            dataset=agreement.dataset,
            counterparty=agreement.counterparty,
            role=Role(agreement.role),
        )


async def _serve_data_plane(settings: Settings, stack: AsyncExitStack, parts: Parts, running: Running) -> None:
    """The listener for reports, and our own data plane or the one that runs elsewhere."""
    signaling = SignalingServer(running.context, running.plane.token, running.assertions)
    listening = bound("127.0.0.1", settings.data.control_port)
    await site(stack, signaling.application(), listening)
    control_url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    if not settings.data.managed:
        running.plane.base = f"http://{settings.data.signaling_host}:{settings.data.signaling_port}"
        return
    companion = Companion(write_config(settings, control_url), running.plane)
    _own(stack, parts, companion.run(), "data plane")
    await _unless_stopped(running.plane.wait_ready(), parts.stop)
    for dataset in settings.development.datasets:
        if dataset.file is not None:
            await running.plane.register_source(dataset.id, str(dataset.file))


async def _unless_stopped(work: Coroutine[Any, Any, None], stop: asyncio.Event) -> None:
    """Wait for ``work``, but not when the connector is told to stop. Raises _StoppedEarly then."""
    tasks = [asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not tasks[0].done():
            raise _StoppedEarly
        await tasks[0]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _serve_own(
    settings: Settings,
    stack: AsyncExitStack,
    parts: Parts,
    running: Running,
    who: Recognition,
    kept: ContractLog,
    tls: Tls,
) -> None:
    """The owner's channel, and the listener for our own people and programs where it is wanted: the same operations."""
    context, management = running.context, settings.management
    services = await opened(context, running.plane, running.browser, settings.data_dir)
    _own(stack, parts, finishing(services), "management")
    keys = ApiKeys(AccessStore(context.store.engine), now_ms)
    # Tokens are renewed with the client that catalogues are read with.
    references = References(context, running.assertions, running.browser.caller.client)
    repeats, diary = StoredRepeats(keys.store, now_ms, kept.salt), LogDiary(context)
    local = LocalServer(
        *(context, running.browser, running.plane, running.metrics, running.watch, None),
        keys=LocalKeys(running.reload_keys),
        references=references,
        log=kept.access,
        repeats=repeats,
        diary=diary,
        more=AccessOperations(context, keys).operations(),
    )
    if management.host:
        listening, origin = _listen(stack, management)
        audience, leeway_s = origin + management.base_path, settings.oauth.leeway_s
        externals = Externals(management.issuers, who.fetcher, audience, leeway_s)
        made = ManagementTokens(
            *(origin, audience, who.ring, keys, externals),
            life_s=management.token_life_s,
            leeway_s=leeway_s,
            now_ms=now_ms,
            new_id=new_id,
        )
        served = [*local.operations(), *operations(assemble(services, references), management.base_path)]
        server = ManagementServer(management, settings.oauth, made, served, repeats, diary, running.metrics, who.key_set)
        await serve_management(stack, server, keys, listening, tls.get("management"), now_ms())
        running.management_url = origin
    # Last, since who is answered there takes everything to be ready.
    await serve_local(settings.local, stack, local)
