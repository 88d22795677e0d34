"""What an examination finds, as `carnet doctor` shows it."""

from typing import Literal

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """One result. A `problem` stops the connector from working, a `warning` does not; both have a remedy."""

    level: Literal["fine", "warning", "problem"]
    about: str
    what: str
    remedy: str = ""
