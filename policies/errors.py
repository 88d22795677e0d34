"""What is wrong with a policy: the one error of the readers, and the problems that a whole policy may have.

A reader raises ``PolicyInvalid`` at the first thing it cannot read; what examines a policy that could be read returns
``Problem``s, each with what its author can do. Whose fault it is depends on who wrote the document, so the caller wraps the error
in its own tree. Imports nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ECHO_MAX_CHARS: Final = 80
"""Longest piece of input that an error may repeat (characters)."""

CODES: Final = frozenset(
    {
        "context-unknown",
        "context-unsupported",
        "document-too-deep",
        "document-too-large",
        "form-missing",
        "member-missing",
        "member-twice",
        "member-unknown",
        "name-unknown",
        "object-expected",
        "rule-ambiguous",
        "type-unexpected",
        "value-invalid",
    }
)
"""Every code that ``PolicyInvalid`` may carry. Codes are stable: peers and operators match on them."""


class PolicyInvalid(Exception):
    """A document is not a policy that can be read.

    ``code`` is one of ``CODES``; ``path`` is a JSON pointer (RFC 6901) into the document, empty for the whole; ``reason`` is a
    sentence that the author of the document can act on. Both repeat at most ``ECHO_MAX_CHARS`` characters of the input at once.
    """

    def __init__(self, code: str, path: str, reason: str) -> None:
        if code not in CODES:
            raise ValueError(f"{code} is not a code of invalid policies")
        super().__init__(code, path, reason)
        self.code = code
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        where = f" at {self.path}" if self.path else ""
        return f"{self.code}{where}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something a policy says that cannot be done here: a stable code, a JSON pointer into the policy written as full ODRL
    (``policies.odrl.write``, lists by index even if they hold one), a sentence, and what its author can do instead."""

    code: str
    path: str
    sentence: str
    remedy: str


def excerpt(text: str, limit: int = ECHO_MAX_CHARS) -> str:
    """``text`` fit for a message: printable, at most ``limit`` characters, cut with an ellipsis."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(char if char.isprintable() else "�" for char in cut)


def below(path: str, step: str | int) -> str:
    """The JSON pointer of ``step`` under ``path``, the step cut to what an error may repeat."""
    if isinstance(step, int) or (len(step) <= ECHO_MAX_CHARS and step.isidentifier()):
        return f"{path}/{step}"  # most steps are: a pointer is made for everything that is read
    return f"{path}/{excerpt(step).replace('~', '~0').replace('/', '~1')}"
