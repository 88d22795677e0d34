"""Every operation of the management interface: versions 3 and 4 over the same services, and the checks that need no caller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from connector.api.operation import Handler, Operation
from connector.management import checks
from connector.management.business import Business
from connector.management.checks import Health
from connector.management.desk_business import BusinessDesk
from connector.management.desk_definitions import DefinitionDesk
from connector.management.dialect import raw_json
from connector.management.service import Management
from connector.management.v3 import V3
from connector.management.v4 import V4

_OTHERS: Final = frozenset({"v4-transfers-deprovision", "v3-dataplanes-register", "v3-dataplanes-remove"})
"""What the other version has: nothing was ever provisioned in version 4, nor a data plane registered in version 3."""


def operations(b: Business, base_path: str) -> list[Operation]:
    """All of them, below ``base_path`` (``/management``)."""
    found = _checks(b.m, f"{base_path}/check")
    for dialect in (V3(), V4()):
        base = f"{base_path}/{dialect.name}"
        found += DefinitionDesk(b.m, dialect, base).operations()
        found += BusinessDesk(b, dialect, base).operations()
    return [each for each in found if each.name not in _OTHERS]


def _checks(m: Management, at: str) -> list[Operation]:
    found = (
        ("health", "Whether all parts are well.", _Check(m, alive=False)),
        ("readiness", "Whether requests can be taken.", _Check(m, alive=False)),
        ("startup", "Whether it has started.", _Check(m, alive=True)),
        ("liveness", "Whether it answers.", _Check(m, alive=True)),
    )
    return [
        Operation("GET", f"{at}/{name}", f"check-{name}", "status", "read", about, _handler(check), errors=(503,), open=True)
        for name, about, check in found
    ]


@dataclass(frozen=True, slots=True)
class _Check:
    m: Management
    alive: bool


def _handler(check: _Check) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        del request
        found = await (checks.liveness(check.m) if check.alive else checks.health(check.m))
        return raw_json(_health(found), 200 if found.healthy else 503)

    return handle


def _health(found: Health) -> dict[str, object]:
    """As EDC shows it. What failed is said in a word: nobody has been asked for a name."""
    return {
        "isSystemHealthy": found.healthy,
        "componentResults": [
            {
                "component": each.name,
                "isHealthy": each.failure is None,
                "failure": None if each.failure is None else {"messages": [each.failure]},
            }
            for each in found.components
        ],
    }
