"""What witnessing needs of its surroundings: our log as witnesses see it, the key that signs it, and others' keys for theirs.

A connector that keeps no log (a test, a tool) shows nothing, and does not say that it takes checkpoints of others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connector.identity.signers import KeyAway
from connector.log.note import NoteSigner, origin_of
from connector.log.witness import witness_name
from connector.log.witnessed import WitnessedLog
from connector.protocol.errors import Unavailable

WITNESS: Final = "witness"
"""The feature: checkpoints are taken and cosigned."""
Found = TypeVar("Found")


async def no_keys(participant_id: str, *, fresh: bool = False) -> tuple[bytes, ...]:
    """Where nobody's keys are known."""
    del fresh
    raise KeyAway("log-key-unknown", f"no key of the log of {participant_id:.200} is known here")


@dataclass(frozen=True, slots=True)
class Witnessing:
    """``log`` and ``key`` (the private part of the log's key of now) are both there, or there is no witnessing.

    ``keys_of`` finds the public keys (32 bytes each) that a participant publishes for its log, ``fresh`` past what is remembered,
    and raises KeyAway. ``interval_ms`` is how often a counterparty is shown our log, ``settle_ms`` how long after an agreement:
    its leaves are under a checkpoint then.
    """

    log: WitnessedLog | None = None
    key: Callable[[], Ed25519PrivateKey] | None = None
    keys_of: Callable[..., Awaitable[tuple[bytes, ...]]] = no_keys
    interval_ms: int = 3_600_000
    settle_ms: int = 2_000

    @property
    def on(self) -> bool:
        """Whether there is a log to show."""
        return self.log is not None and self.key is not None

    def features(self) -> list[str]:
        """What we tell peers that we can do."""
        return [WITNESS] if self.on else []

    async def read(self, work: Callable[[WitnessedLog], Found]) -> Found:
        """Do what needs the disk, beside the loop. Raises Unavailable where there is no log, or its disk is full or away."""
        if self.log is None:
            raise Unavailable("log-none", "no contract log is kept here")
        try:
            return await asyncio.to_thread(work, self.log)
        except OSError as error:
            raise Unavailable("log-unusable", f"the folder of the contract log cannot be used ({error.strerror})") from error

    def signer(self, participant_id: str) -> NoteSigner:
        """Who signs for our log: us, by this id."""
        return NoteSigner(origin_of(participant_id), self._key())

    def cosigner(self, participant_id: str) -> NoteSigner:
        """Who cosigns others' logs: us, by this id."""
        return NoteSigner(witness_name(origin_of(participant_id)), self._key())

    def _key(self) -> Ed25519PrivateKey:
        if self.key is None:
            raise Unavailable("log-none", "no contract log is kept here")
        return self.key()
