"""`carnet doctor`: what is not in order on this machine, and what to do about it.

Looks and never changes anything; each check returns its findings. The databases are opened read-only.
"""

import asyncio
import errno
import json
import os
import shutil
import socket
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click
import msgspec

from connector.cli.config import config_option
from connector.cli.databases import Database, databases
from connector.cli.doctor_data import deliveries
from connector.cli.doctor_identity import certificates, key_ages, own_keys
from connector.cli.doctor_log import contract_log
from connector.cli.doctor_peers import examined, listed, own_document, vouched_for
from connector.cli.findings import Finding
from connector.cli.plain import plain, say
from connector.cli.reach import listens, running
from connector.protocol.errors import CarnetError
from connector.settings import Settings, SettingsError, load
from connector.store.engine import StoreMisuse, StoreUnavailable

_LOW_BYTES = 1 << 30
_TOO_LOW_BYTES = 100 << 20


@click.command(name="doctor")
@config_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--peers", is_flag=True, help="Call all peers, too: addresses, metadata, DID documents, clocks.")
def command(config: Path, as_json: bool, peers: bool) -> None:
    """Check settings, file modes, disk, keys, certificates, databases, log, sources, evidence, ports, our DID document, and the
    connector if it runs.

    Ends with 1 when there is a problem.
    """
    findings = list(examine(config, call_peers=peers))
    for finding in findings:
        if as_json:
            click.echo(json.dumps(msgspec.to_builtins(finding)))
        else:
            remedy = f"\n         {plain(finding.remedy)}" if finding.remedy else ""
            say(f"{finding.level:8} {plain(finding.about)}: {plain(finding.what)}{remedy}")
    sys.exit(any(finding.level == "problem" for finding in findings))


def examine(config: Path, *, call_peers: bool = False) -> Iterator[Finding]:
    """Every finding about the connector of that settings file, the settings themselves first."""
    now_ms = time.time_ns() // 1_000_000
    try:
        settings = load(config, os.environ)
    except SettingsError as error:
        yield Finding("problem", error.path or "settings", f"{config} cannot be used [{error.code}]", error.reason)
        return
    yield Finding("fine", "settings", f"{config} is valid")
    yield from _modes(config, settings)
    yield from _disk(settings)
    ring, said = own_keys(settings, os.environ)
    yield said
    if ring is not None:
        yield from key_ages(ring, now_ms)
    yield from certificates(settings, now_ms)
    yield from _callers(settings)
    for database in databases(settings):
        yield _database(database)
    yield from contract_log(settings, now_ms)
    yield from deliveries(settings, now_ms)
    channel = listens(settings)
    if channel is not None:
        yield Finding("fine", "ports", f"not checked: a connector listens on {channel}")
        yield from running(settings)
    else:
        yield from _ports(settings)
    try:
        yield from own_document(settings, ring)
        if call_peers:
            yield from examined(settings, listed(settings) if channel is None else vouched_for(settings))
    except CarnetError:
        return  # said already: a client.ca_file that cannot be used, or a connector that does not answer


def _modes(config: Path, settings: Settings) -> Iterator[Finding]:
    needed = [settings.data.token_file, *([settings.local.token_file] if settings.local.host else [])]
    for path in (config, settings.data_dir, settings.local.token_file, settings.data.token_file):
        about = f"mode of {path}"
        try:
            mode = path.stat().st_mode & 0o777
        except OSError as error:
            if path in needed or path == settings.data_dir:
                yield Finding("problem", about, error.strerror or "cannot be read", "make it with `carnet init`")
            continue
        if mode & 0o077:
            remedy = f"chmod {'700' if path.is_dir() else '600'} {path}"
            yield Finding("problem", about, f"others have access (mode {mode:04o})", f"run: {remedy}")
        else:
            yield Finding("fine", about, "the owner's alone")


def _disk(settings: Settings) -> Iterator[Finding]:
    try:
        free = shutil.disk_usage(settings.data_dir).free
    except OSError:
        return  # the finding about its mode says that it is not there
    what = f"{free >> 20} MiB are free in {settings.data_dir}"
    remedy = "make room, or move data_dir to a larger disk"
    if free < _TOO_LOW_BYTES:
        yield Finding("problem", "disk", what, remedy)
    elif free < _LOW_BYTES:
        yield Finding("warning", "disk", what, remedy)
    else:
        yield Finding("fine", "disk", what)


def _callers(settings: Settings) -> Iterator[Finding]:
    """Who could call, as far as the settings say; others are in the registry of the running connector."""
    protocol, oauth = settings.protocol, settings.oauth
    by_oauth = "oauth" in (protocol.auth, *(path.auth for path in protocol.also))
    if by_oauth and oauth.embedded and oauth.meet_by_did:
        yield Finding("fine", "callers", "whoever has a did:web document may call, as an unverified participant")
    elif by_oauth:
        yield Finding("fine", "callers", "whoever is in the registry, or whom an issuer of the settings speaks for, may call")
    elif not settings.peers and settings.development.anonymous_participant is None:
        yield Finding("warning", "callers", "nobody can call this connector", "add [[peers]] to the settings")
    for peer in settings.peers:
        if peer.inbound_token is None and not by_oauth:
            yield Finding("warning", f"peer {peer.id}", "has no inbound token, so it cannot call us", "set one")


def _database(database: Database) -> Finding:
    about = f"{database.name} database"
    known = database.newest_schema()
    try:
        found = _file_schema(database.where) if isinstance(database.where, Path) else _server_schema(database.where)
    except (sqlite3.Error, StoreUnavailable) as error:
        remedy = "restore a backup" if isinstance(database.where, Path) else "start the server, or correct [store] url"
        return Finding("problem", about, f"{database.shown} cannot be read: {error}", remedy)
    if found is None:
        return Finding("fine", about, f"{database.shown} will be made at the first start")
    if found > known:
        what = f"has schema {found}, this version knows {known}"
        return Finding("problem", about, what, "install the newer version again, or restore an older backup")
    if found < known:
        return Finding("fine", about, f"has schema {found}; the next start brings it to {known}")
    return Finding("fine", about, f"{database.shown} has schema {found}, as this version")


def _file_schema(path: Path) -> int | None:
    if not path.exists():
        return None
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        return int(connection.execute("SELECT coalesce(max(version), 0) FROM schema_migration").fetchone()[0])


def _server_schema(dsn: str) -> int | None:
    async def ask() -> int | None:
        from connector.store.postgres import PostgresEngine  # the driver is an extra

        engine = await PostgresEngine.open(dsn, pool_size=1)
        try:
            ((version,),) = await engine.fetch("SELECT coalesce(max(version), 0) FROM schema_migration")
            return int(str(version))
        except StoreMisuse:
            return None  # reachable, and without our tables yet
        finally:
            await engine.close()

    return asyncio.run(ask())


def _ports(settings: Settings) -> Iterator[Finding]:
    listeners = [("protocol.port", settings.protocol.host, settings.protocol.port)]
    if settings.local.host:
        listeners.append(("local.port", settings.local.host, settings.local.port))
    if settings.management.host:
        listeners.append(("management.port", settings.management.host, settings.management.port))
    if settings.data.managed:
        listeners.append(("data.signaling_port", settings.data.signaling_host, settings.data.signaling_port))
        listeners.append(("data.public_port", settings.data.public_host, settings.data.public_port))
    for about, host, port in listeners:
        yield _port(about, host.strip("[]"), port)


def _port(about: str, host: str, port: int) -> Finding:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with closing(socket.socket(family, kind, protocol)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        remedy = "stop what listens there, or choose another port" if taken else "choose an address of this machine"
        return Finding("problem", about, f"cannot listen on {host}:{port}: {error.strerror}", remedy)
    return Finding("fine", about, f"{host}:{port} is free")
