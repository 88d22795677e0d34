"""Whom a connector calls, and how: one client for peers, one for our own data plane.

Called by ``app.py``. May import the settings, the guarded client and the data plane's address.
"""

from __future__ import annotations

import ssl

from connector.flow.plane import Plane
from connector.http.client import EgressPolicy, GuardedClient
from connector.settings import Settings
from connector.settings.secret import own_token, read_token


def clients(settings: Settings, trust: ssl.SSLContext) -> tuple[GuardedClient, GuardedClient]:
    """One client for peers, one for our own data plane, which is on loopback."""
    bounds = settings.client
    policy = EgressPolicy(
        allow=frozenset(bounds.allow),
        https_only=True,
        connect_timeout_s=bounds.connect_timeout_s,
        idle_timeout_s=bounds.idle_timeout_s,
        total_timeout_s=bounds.total_timeout_s,
        max_bytes=bounds.max_answer_bytes,
        per_host_connections=max(16, settings.dispatch.per_peer_concurrency),
    )
    plane = f"{settings.data.signaling_host}:{settings.data.signaling_port}"
    local = EgressPolicy(allow=_LoopbackPorts({plane}), https_only=False, total_timeout_s=600.0, idle_timeout_s=600.0)
    return GuardedClient(policy, tls=trust), GuardedClient(local)


async def close_all(*made: GuardedClient) -> None:
    """Let their connections go, one after the other."""
    for each in made:
        await each.close()


class _LoopbackPorts(frozenset[str]):
    """The data plane's address, and every port of 127.0.0.1: a data plane of our own may choose a free one."""

    def __contains__(self, authority: object) -> bool:
        return super().__contains__(authority) or (isinstance(authority, str) and authority.startswith("127.0.0.1:"))


def plane_of(settings: Settings, local_client: GuardedClient) -> Plane:
    """Our data plane, which is told by ``local_client``. Raises SettingsError for a token that cannot be used."""
    find_token = own_token if settings.data.managed else read_token
    token = find_token(settings.data.token_file, "data.token_file")
    return Plane(local_client, token, declared=frozenset(settings.data.declares))
