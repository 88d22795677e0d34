"""What is wrong with a request to the management interface, and where. Imports the error tree alone."""

from __future__ import annotations

from typing import Any, Final

from connector.protocol import errors

_SHOWN_CHARS: Final = 200


class Invalid(errors.Invalid):
    """A member of the request's body cannot be taken: 400. ``path`` says which (``filterExpression[0].operator``); ``value`` is
    what stood there, at most ``_SHOWN_CHARS`` of it."""

    def __init__(self, reason: str, path: str, value: Any = None, code: str = "invalid-query") -> None:
        shown = value if value is None or isinstance(value, bool | int | float) else str(value)[:_SHOWN_CHARS]
        super().__init__(code, [errors.Violation(reason, path, shown)])
        self.path = path
        self.value = shown
