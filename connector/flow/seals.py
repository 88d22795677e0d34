"""What evidence needs of its surroundings: our signature, others' keys, the data plane, and somebody who does the slow part.

A connector without a signing key (a test, a tool) makes no evidence and takes what others send without an answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final

from connector.identity import seal
from connector.identity.gate import PublicKey
from connector.identity.seal import Sealed
from connector.identity.signers import KeyAway
from connector.identity.signing import SigningKey
from connector.protocol.errors import Unavailable
from connector.protocol.messages import Document

RECEIPTS: Final = "receipts"
ERASURES: Final = "erasures"
TYPES: Final[Mapping[str, str]] = {
    "Receipt": "carnet-receipt+jws",
    "ReceiptAnswer": "carnet-receipt-answer+jws",
    "ErasureNotice": "carnet-erasure-notice+jws",
    "ErasureAttestation": "carnet-erasure-attestation+jws",
}
"""The ``typ`` of what is signed, by the message that carries it."""


async def no_key(participant_id: str, kid: str) -> PublicKey:
    """Where nobody's keys are known."""
    raise KeyAway("signer-key-unknown", "no keys are known here")


async def no_plane(method: str, path: str, body: Document | None = None) -> Document:
    """Where there is no data plane."""
    raise Unavailable("data-plane-away", "there is no data plane here")


async def no_snapshot(participant_id: str, kid: str) -> Document:
    """Where keys are not kept."""
    return {}


async def at_once(work: Coroutine[Any, Any, None]) -> None:
    """Do the slow part here and now."""
    await work


@dataclass(frozen=True, slots=True)
class Seals:
    """``own`` gives our key for agreements of now and its full name; None: we sign nothing. ``key_of`` finds the key of a
    participant by its full name and raises KeyAway. ``ask`` calls the data plane and raises CallerError or Unavailable. ``aside``
    has work done without holding up who asks. ``erasure_ms`` is how long a buyer has to erase what a notice names.
    ``snapshot`` gives a key of a participant as it is found now (`identity/snapshots.py`); ``{}`` where there is none."""

    own: Callable[[], tuple[SigningKey, str]] | None = None
    key_of: Callable[[str, str], Awaitable[PublicKey]] = no_key
    ask: Callable[[str, str, Document | None], Awaitable[Document]] = no_plane
    aside: Callable[[Coroutine[Any, Any, None]], Awaitable[None]] = at_once
    erasure_ms: int = 259_200_000
    snapshot: Callable[[str, str], Awaitable[Document]] = no_snapshot

    @property
    def signs(self) -> bool:
        """Whether we have a key to sign with."""
        return self.own is not None

    def features(self) -> list[str]:
        """What we tell peers that we can do, beside greeting."""
        return [RECEIPTS, ERASURES] if self.signs else []

    def sign(self, message: str, content: Document) -> str:
        """The JWS of ``content`` for a message of that type. Raises Unavailable where there is no key."""
        if self.own is None:
            raise Unavailable("signing-key-missing", "there is no key to sign with")
        key, kid = self.own()
        return seal.seal(key, kid, TYPES[message], content)

    async def verified(self, sealed: Sealed, signer: str) -> str:
        """The thumbprint of the signer's key, if the signature holds. Raises SealRefused, or KeyAway where it cannot be told
        now."""
        return seal.verify(sealed, await self.key_of(signer, sealed.kid))
