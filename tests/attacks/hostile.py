"""Every hostile token that we know, in one list. What a request does with a good token of somebody else is not a token's row."""

from __future__ import annotations

from typing import Final

from tests.attacks import hostile_claims, hostile_keys, hostile_text
from tests.attacks.forge import Kind
from tests.attacks.rows import Attack

ROWS: Final = (*hostile_keys.rows(), *hostile_text.rows(), *hostile_claims.rows())


def attacks(kind: Kind) -> list[Attack]:
    """The rows of one kind of token."""
    return [attack for attack in ROWS if kind in attack.kinds]
