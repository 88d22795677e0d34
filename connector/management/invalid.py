"""What is wrong with a query, and where. Imports the error tree alone."""

from __future__ import annotations

from typing import Any, Final

from connector.protocol.errors import Invalid, Violation

_SHOWN_CHARS: Final = 200


class InvalidQuery(Invalid):
    """A QuerySpec, or a criterion, cannot be taken: 400, with one violation.

    ``path`` says which member (``filterExpression[0].operator``); ``value`` is what stood there, at most 200 characters of it.
    """

    def __init__(self, reason: str, path: str, value: Any = None) -> None:
        self.path = path
        self.value = value if value is None or isinstance(value, bool | int | float) else str(value)[:_SHOWN_CHARS]
        super().__init__("invalid-query", [Violation(reason, path, self.value)])
