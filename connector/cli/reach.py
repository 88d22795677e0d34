"""What the doctor asks the connector that runs, on its owner's channel. Changes nothing."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import closing

from connector.cli.findings import Finding
from connector.client.local import Away, Document, LocalClient, once
from connector.protocol.errors import CarnetError
from connector.settings import Settings

_CONNECT_TIMEOUT_S = 2.0
_ANSWER_TIMEOUT_S = 10.0


def listens(settings: Settings) -> str | None:
    """Where somebody takes connections for the connector's own channel; None: nowhere."""
    local = settings.local
    if local.socket is not None:
        return str(local.socket) if _takes(socket.AF_UNIX, str(local.socket)) else None
    if local.host and local.port:
        family = socket.AF_INET6 if ":" in local.host else socket.AF_INET
        return f"{local.host}:{local.port}" if _takes(family, (local.host.strip("[]"), local.port)) else None
    return None


def _takes(family: socket.AddressFamily, address: str | tuple[str, int]) -> bool:
    with closing(socket.socket(family)) as probe:
        probe.settimeout(_CONNECT_TIMEOUT_S)
        try:
            probe.connect(address)
        except OSError:
            return False
        return True


def running(settings: Settings) -> Iterator[Finding]:
    """What the running connector says of itself on its channel."""

    async def ask(client: LocalClient) -> tuple[Document, list[Document]]:
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                return await client.status(), await client.dead_letters()
        except TimeoutError:
            raise Away("connector-silent", f"it does not answer within {_ANSWER_TIMEOUT_S:.0f} s") from None

    try:
        status, letters = once(settings, ask)
    except CarnetError as error:
        yield Finding("problem", "connector", f"{error.reason} [{error.code}]", "see its log, then start it again")
        return
    if status["participantId"] != settings.participant_id:
        what = f"answers as {status['participantId']}, the settings say {settings.participant_id}"
        yield Finding("problem", "connector", what, "start it again with these settings")
    else:
        yield Finding("fine", "connector", f"answers; {status['outboxPending']} messages wait to be delivered")
    if status["dataPlane"]:
        yield Finding("fine", "data plane", "is ready")
    else:
        yield Finding("problem", "data plane", "is not ready, so no data move", "see its lines in the connector's log")
    if letters:
        yield Finding("warning", "dead letters", f"{len(letters)} messages were given up", "look at them: carnet letters list")
