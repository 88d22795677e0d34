"""What our data plane asks when the token of a transfer is renewed: it has no keys, so we sign for it and check for it.

May import the flow package and identity.
"""

from __future__ import annotations

from connector.flow.acts import load
from connector.flow.context import Context
from connector.flow.data_requests import RUNNING
from connector.flow.standing import SHUT_OUT
from connector.identity.assertions import Assertions
from connector.protocol.errors import Conflict, NotAuthenticated
from connector.protocol.record import Process
from connector.protocol.states import Kind, Message, Role


async def assertion(context: Context, assertions: Assertions, process_id: str, token: str) -> str:
    """That it is us who renew ``token`` of a running transfer of ours as consumer. Raises NotFound or Conflict."""
    process = await _running(context, process_id, Role.CONSUMER)
    return assertions.make(process.counterparty, token)


async def check(context: Context, assertions: Assertions, process_id: str, shown: str, token_sha256: str) -> None:
    """That the consumer of a running transfer of ours renews the token with this digest (hex); uses the assertion up.

    Raises NotFound, Conflict, NotAuthenticated with the reason, Unavailable or TooMany.
    """
    process = await _running(context, process_id, Role.PROVIDER)
    entry = await context.registry.find(process.counterparty)
    if entry is not None and entry.state in SHUT_OUT:
        raise NotAuthenticated("participant-shut-out", "the participant is shut out")
    await assertions.check(process.counterparty, shown, token_sha256)


async def _running(context: Context, process_id: str, role: Role) -> Process:
    process = await load(context, process_id)
    runs = process.state in RUNNING or process.awaiting is Message.START
    if process.kind is not Kind.TRANSFER or process.role is not role or not runs:
        raise Conflict("not-possible-now", f"only a transfer that runs, in which we are {role.value}, has a token to renew")
    return process
