"""Puts the data plane together and runs it until told to stop. The only module here that reads the clock.

Order of start: database, deliveries, public listener (its address goes into tokens' addresses), downloads, signaling listener,
ready. Order of stop: listeners and streams, downloads, deliveries with their workers, database. A killed process goes on at the
next start.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from connector.dataplane.asserting import Asserter
from connector.dataplane.callbacks import Notifier
from connector.dataplane.deciding import Decider
from connector.dataplane.downloads import Downloader
from connector.dataplane.flows import Flows
from connector.dataplane.governed import Governed
from connector.dataplane.landing.erasing import Eraser
from connector.dataplane.public import PublicData, StreamTable
from connector.dataplane.records import Records
from connector.dataplane.renewing import Renewer
from connector.dataplane.replicas import Alone, Everywhere, Replicas
from connector.dataplane.settings import DataPlaneSettings
from connector.dataplane.signaling import Signaling
from connector.dataplane.tokens import Tokens
from connector.http.client import EgressPolicy, GuardedClient, parse_target
from connector.http.tls import client_context, server_context
from connector.store.migrate import Migratable, migrate
from connector.store.sqlite import SqliteEngine

if TYPE_CHECKING:
    from connector.dataplane.leases import Shared

MIGRATIONS = Path(__file__).parent / "migrations"
SHUTDOWN_S = 2.0


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


async def run_dataplane(settings: DataPlaneSettings, stop: asyncio.Event) -> None:
    """Serve until ``stop`` is set. Writes one JSON line to standard output when both listeners are up.

    Raises StoreUnavailable or MigrationError when the database cannot be used, OSError when a port is taken, SettingsError when
    a certificate cannot be used.
    """
    await asyncio.to_thread(_prepare_disk, settings)
    trust, tls = await asyncio.to_thread(_tls, settings)
    async with AsyncExitStack() as stack:
        engine, replicas, shared = await _database(stack, settings)
        records = Records(engine)
        client = await stack.enter_async_context(GuardedClient(_egress(settings), tls=trust))
        notifier = Notifier(records, client, settings, now_ms)
        asserter = Asserter(records, client, settings)
        renewer = Renewer(records, client, asserter, settings.bounds.renewal_timeout_s, now_ms)
        downloads = Downloader(records, client, notifier, settings, now_ms, renewer, replicas)
        stack.push_async_callback(downloads.close)
        streams = StreamTable(settings.bounds.max_streams)
        everywhere = Everywhere(streams, replicas)
        decider = Decider(records, client, settings)
        sources = await stack.enter_async_context(GuardedClient(_egress_of_sources(settings), tls=trust))
        house = await Governed.open(stack, records, decider, notifier, everywhere, replicas, settings, now_ms, sources)
        flows = Flows(records, everywhere, house.artifacts, downloads, now_ms, settings.bounds.token_life_s)
        flows.leaves = house.leaves
        tokens = Tokens(records, asserter, settings.bounds.token_life_s, now_ms)
        public = PublicData(
            records, streams, settings.bounds, house.desk, house.on_changed, tokens, replicas.live, house.proxying
        )
        public_url = await _listen(stack, public.application(), settings.public_host, settings.public_port, tls)
        flows.public_url = settings.public_url or public_url
        stack.push_async_callback(streams.abort_all)
        if shared is not None:
            _attach(shared, streams, house, downloads, notifier)
        await downloads.resume_all()
        eraser = Eraser(records, settings.sink_dir, downloads.offload, house.leaves, now_ms)
        signaling = Signaling(records, flows, downloads, renewer, settings, [*eraser.routes(), *house.routes()]).application()
        signaling_url = await _listen(stack, signaling, settings.signaling_host, settings.signaling_port)
        _announce(signaling_url, flows.public_url)
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(notifier.run(), name="callbacks"), tasks.create_task(house.run(), name="deliveries")]
            if shared is not None:
                running.append(tasks.create_task(shared.run(), name="lease"))
            await stop.wait()
            for each in running:
                each.cancel()


async def _database(stack: AsyncExitStack, settings: DataPlaneSettings) -> tuple[Migratable, Replicas, Shared | None]:
    """Our own SQLite file; or the PostgreSQL database of several processes, with our lease. Raises StoreUnavailable."""
    if settings.database_url is None:
        own = await SqliteEngine.open(settings.database)
        stack.push_async_callback(own.close)
        await migrate(own, MIGRATIONS, now_ms())
        return own, Alone(), None
    # Here, as the driver is an extra that only this needs.
    from connector.dataplane.leases import SCHEMA, Shared
    from connector.store.postgres import PostgresEngine

    engine = await PostgresEngine.open(settings.database_url.reveal(), pool_size=settings.bounds.max_sessions, schema=SCHEMA)
    stack.push_async_callback(engine.close)
    await migrate(engine, MIGRATIONS, now_ms())
    shared = Shared(engine)
    await shared.join()
    stack.push_async_callback(shared.leave)
    return engine, shared, shared


def _attach(shared: Shared, streams: StreamTable, house: Governed, downloads: Downloader, notifier: Notifier) -> None:
    """What a revocation elsewhere, a lost lease, and the death of another process mean here."""

    async def cut(flow_id: str) -> None:
        await house.artifacts.kill(flow_id)
        await streams.abort(flow_id)
        await downloads.cut(flow_id)

    async def cut_all() -> None:
        await streams.abort_all()
        await downloads.close()

    async def look() -> None:
        notifier.wake()
        await downloads.take_over()

    shared.cut, shared.cut_all, shared.look = cut, cut_all, look


def _tls(settings: DataPlaneSettings) -> tuple[ssl.SSLContext, ssl.SSLContext | None]:
    """For our calls, and for the public listener if it speaks TLS itself."""
    trust = client_context(settings.ca_file)
    if settings.tls_certificate is None or settings.tls_key is None:
        return trust, None
    return trust, server_context(settings.tls_certificate, settings.tls_key, section="", now_ms=now_ms())


async def _listen(stack: AsyncExitStack, app: web.Application, host: str, port: int, tls: ssl.SSLContext | None = None) -> str:
    """Start a listener that ends with the stack; its own address as a URL."""
    # What somebody sends is taken as it is: nothing is inflated for who may not even have been asked in.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S, auto_decompress=False)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, host, port, ssl_context=tls)
    await site.start()
    bound = runner.addresses[0]
    scheme = "http" if tls is None else "https"
    return f"{scheme}://[{bound[0]}]:{bound[1]}" if ":" in bound[0] else f"{scheme}://{bound[0]}:{bound[1]}"


def _prepare_disk(settings: DataPlaneSettings) -> None:
    """Folders and an owner-only database file: it holds tokens. SQLite gives its journal the same mode."""
    for folder in (settings.database.parent, settings.sink_dir, settings.spool_dir):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(settings.database, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    settings.database.chmod(0o600)


def _egress(settings: DataPlaneSettings) -> EgressPolicy:
    """The control plane may be on loopback whatever the policy says of peers."""
    allow = settings.egress_allow
    if urlsplit(settings.control_url).hostname:
        allow |= {parse_target(settings.control_url).authority}
    return EgressPolicy(allow=allow, https_only=settings.egress_https_only)


def _egress_of_sources(settings: DataPlaneSettings) -> EgressPolicy:
    """Sources are called by a client of their own: many buyers of one source keep nobody else waiting, and the control plane is
    none of them."""
    allow = settings.egress_allow
    if urlsplit(settings.control_url).hostname:
        allow -= {parse_target(settings.control_url).authority}
    most = settings.bounds.max_streams
    return EgressPolicy(allow=allow, https_only=settings.egress_https_only, per_host_connections=most)


def _announce(signaling_url: str, public_url: str) -> None:
    line = msgspec.json.encode({"ready": True, "signaling_url": signaling_url, "public_url": public_url}).decode()
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
