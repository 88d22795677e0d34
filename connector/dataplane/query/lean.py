"""Keeps pandas out of the process of a query: Arrow imports it wherever it finds it, for 60 MB and half a second.

Nothing here uses it. Arrow looks for it when it is first used, not when it is imported.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Without(MetaPathFinder):
    """Finds no pandas, before anybody else does."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname == "pandas":
            raise ModuleNotFoundError(name=fullname)
        return None


def without_pandas() -> None:
    """From now on pandas cannot be imported."""
    sys.meta_path.insert(0, _Without())
