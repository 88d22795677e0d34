"""Differences between two policies, as sentences. Pure; imports nothing of the connector or the catalogue.

Compared are the members that bind: target, profile, permissions, prohibitions, obligations. What only identifies (``@id``,
``@type``, ``@context``, assigner, assignee, timestamp) is not a term. An absent list and an empty one are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_BINDING: Final = ("target", "profile", "permission", "prohibition", "obligation")
_NAMES: Final = frozenset({"@id", "@type", "@context", "uid"})


def differences(left: Mapping[str, Any], right: Mapping[str, Any]) -> list[str]:
    """What ``right`` says otherwise than ``left``, one sentence for each binding member; empty means the same terms."""
    found: list[str] = []
    for member in _BINDING:
        one, other = _plain(left.get(member)), _plain(right.get(member))
        if one != other:
            found.append(f"{member} is not the same")
    return found


def _plain(value: Any) -> Any:
    """Comparable form: names are dropped inside rules, a single value equals a list of it, lists of rules have no order."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items() if key not in _NAMES and _plain(inner) is not None}
    if isinstance(value, list):
        if not value:
            return None
        items = [_plain(item) for item in value]
        return items[0] if len(items) == 1 else sorted(items, key=repr)
    return value
