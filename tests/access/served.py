"""What the management listener of a connector serves, with nothing behind it."""

from __future__ import annotations

from typing import Any, Final

from connector.api.access import AccessOperations
from connector.api.operation import Operation
from connector.http.local import LocalServer

NOBODY: Final[Any] = None


def served() -> list[Operation]:
    """Every operation."""
    more = AccessOperations(NOBODY, NOBODY).operations()
    return LocalServer(NOBODY, NOBODY, NOBODY, NOBODY, NOBODY, None, more=more).operations()
