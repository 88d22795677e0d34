"""The one error of documents: what is wrong with it, where, and what its author can do about it.

Whose fault it is depends on who sent the document, so the caller (connector) wraps it in its own error tree.
Imports nothing of the project.
"""

from __future__ import annotations

from typing import Final

ECHO_MAX_CHARS: Final = 80
"""Longest piece of input that an error may repeat (characters)."""

CODES: Final = frozenset(
    {
        "document-too-large",
        "document-too-deep",
        "document-too-costly",
        "document-not-json",
        "document-duplicate-member",
        "document-not-jsonld",
        "door-busy",
        "context-missing",
        "context-unknown",
        "context-inline",
        "type-unexpected",
        "type-unknown",
        "member-missing",
        "member-invalid",
        "member-lost",
    }
)
"""Every code that `DocumentError` may carry. Codes are stable: peers and operators match on them."""


class DocumentError(Exception):
    """A document was refused.

    `code` is one of `CODES`; `path` is a JSON pointer (RFC 6901) into the document as it was received, empty for the
    whole; `reason` is a sentence that the author of the document can act on. `reason` repeats at most
    `ECHO_MAX_CHARS` characters of the input. `door-busy` alone is not the document's fault: try again.
    """

    def __init__(self, code: str, reason: str, path: str = "") -> None:
        if code not in CODES:
            raise ValueError(f"{code} is not a document error code")
        super().__init__(code, reason, path)
        self.code = code
        self.reason = reason
        self.path = path

    def __str__(self) -> str:
        where = f" at {self.path}" if self.path else ""
        return f"{self.code}{where}: {self.reason}"


def excerpt(text: str, limit: int = ECHO_MAX_CHARS) -> str:
    """Return `text` fit for a message: printable, at most `limit` characters, cut with an ellipsis."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(char if char.isprintable() else "�" for char in cut)


def pointer(path: list[str | int]) -> str:
    """Return the RFC 6901 pointer of `path`, each step cut to what an error may repeat."""
    steps = (excerpt(str(step).replace("~", "~0").replace("/", "~1")) for step in path)
    return "".join(f"/{step}" for step in steps)
