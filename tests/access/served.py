"""What the management listener of a connector serves, with nothing behind it."""

from __future__ import annotations

from typing import Any, Final

from connector.api.access import AccessOperations
from connector.api.operation import Operation
from connector.http.local import LocalServer
from connector.management.business import Business
from connector.management.operations import operations

NOBODY: Final[Any] = None


def served() -> list[Operation]:
    """Every operation."""
    more = AccessOperations(NOBODY, NOBODY).operations()
    own = LocalServer(NOBODY, NOBODY, NOBODY, NOBODY, NOBODY, None, more=more).operations()
    return [*own, *operations(Business(NOBODY, NOBODY, NOBODY), "/management")]
