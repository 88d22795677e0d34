"""The settings of the contract log. A part of ``connector.settings.model``.

May import msgspec only.
"""

from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct


class LogSettings(Struct, frozen=True, kw_only=True):
    """The contract log: what was agreed, done and told, so that it can be proved."""

    folder: Annotated[
        Path, Meta(description="folder of the log, relative to `data_dir`; replicas of one connector share it, as the database")
    ] = Path("log")
    batch_leaves: Annotated[
        int, Meta(ge=1, le=10_000, description="lines that get into the log under one checkpoint at most")
    ] = 4096
    witness_interval_s: Annotated[
        int,
        Meta(
            ge=10,
            le=2_592_000,
            description="how often our log is shown to those with whom we have agreements, who cosign it, in seconds",
        ),
    ] = 3600
