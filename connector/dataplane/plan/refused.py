"""Why there is no plan: the one error of making one. Imports nothing."""

from __future__ import annotations

from typing import Final

CODES: Final = frozenset(
    {
        "ask-outside",
        "column-never-leaves",
        "column-unknown",
        "columns-none",
        "not-enforceable",
        "permission-none",
        "place-unknown",
        "positions-missing",
        "purpose-missing",
        "sampling-too-coarse",
        "speed-missing",
        "speed-with-place",
        "terms-contradict",
        "trips-missing",
    }
)
"""Codes of refusals, beside those of the problems of an agreement (``policies/compile.py``), which are passed on."""


class PlanRefused(Exception):
    """Nothing may leave so.

    ``code`` is stable; ``path`` is a JSON pointer to the term of the agreement, the name of a parameter of the request, or empty;
    ``reason`` and ``remedy`` are sentences without personal data.
    """

    def __init__(self, code: str, path: str, reason: str, remedy: str) -> None:
        super().__init__(code, path, reason, remedy)
        self.code = code
        self.path = path
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.code}: {self.reason}"
