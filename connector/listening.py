"""Listeners: sockets that are bound before anything is told of their address, and what serves an application on one.

Called by ``app.py``, which puts the parts together. May import aiohttp, settings, and the listener for our own people.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from aiohttp import web

from connector.access.caller import OWNER
from connector.access.keys import ApiKeys, entry_of, parted
from connector.http.local import LocalServer
from connector.http.management import ManagementServer
from connector.settings.model import LocalSettings
from connector.settings.secret import SettingsError, read_private, read_token
from connector.store.access import insert_key
from connector.store.engine import LostRace

SHUTDOWN_S: Final = 5.0
BACKLOG: Final = 1024
FIRST_KEY: Final = "the first key"


def bound(host: str, port: int) -> socket.socket:
    """A socket of a host and port. A fixed port is ours again at once after a kill, whatever connections of the last life still
    linger. Raises OSError."""
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError:
        listening.close()
        raise
    return listening


def origin_of(listening: socket.socket, host: str, public_url: str, *, tls: bool) -> str:
    """The scheme, host and port that others see."""
    name = f"[{host}]" if ":" in host else host
    return (public_url or f"{'https' if tls else 'http'}://{name}:{listening.getsockname()[1]}").rstrip("/")


async def site(
    stack: AsyncExitStack, application: web.Application, listening: socket.socket, tls: ssl.SSLContext | None = None
) -> None:
    """Serve an application on a socket until the stack ends."""
    runner = await _runner(stack, application)
    await web.SockSite(runner, listening, backlog=BACKLOG, ssl_context=tls).start()


async def serve_local(settings: LocalSettings, stack: AsyncExitStack, server: LocalServer) -> None:
    """The owner's channel: a socket that only the owner can open, and loopback with a token where it is wanted."""
    if settings.socket is not None:
        settings.socket.unlink(missing_ok=True)
        runner = await _runner(stack, replace(server, token=None).application())
        await web.UnixSite(runner, str(settings.socket)).start()
        settings.socket.chmod(0o600)
    if settings.host:
        token = read_token(settings.token_file, "local.token_file")
        await site(stack, replace(server, token=token).application(), bound(settings.host, settings.port))


async def serve_management(
    stack: AsyncExitStack,
    server: ManagementServer,
    keys: ApiKeys,
    listening: socket.socket,
    tls: ssl.SSLContext | None,
    now_ms: int,
) -> None:
    """The listener for our own people and programs; the first key is taken before anybody can call."""
    await take_first_key(server.settings.first_key_file, keys, now_ms)
    await site(stack, server.application(), listening, tls)


async def take_first_key(file: Path, keys: ApiKeys, now_ms: int) -> None:
    """The key of a file becomes an operator's, if there has never been a key. Raises SettingsError for a file that is none."""
    if not await asyncio.to_thread(file.is_file):
        return
    parts = parted((await asyncio.to_thread(read_private, file, "management.first_key_file")).reveal())
    if parts is None:
        raise SettingsError(
            "key-form", "management.first_key_file", f"{file} holds no API key; remove it, or make one with `carnet init`"
        )
    with suppress(LostRace):
        # Whoever has it stands at the machine: he and the owner are one person.
        entry = entry_of(*parts, FIRST_KEY, ("operator",), now_ms, OWNER.id, OWNER.id)
        await keys.store.engine.commit([insert_key(entry, first=True)])


async def _runner(stack: AsyncExitStack, application: web.Application) -> web.AppRunner:
    # Packed bodies are refused by their header; unpacking them would let a small request become a large one.
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=SHUTDOWN_S, auto_decompress=False)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    return runner
