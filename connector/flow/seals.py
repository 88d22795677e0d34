"""What evidence needs of its surroundings: our signature, others' keys, the data plane, and somebody who does the slow part.

A connector without a signing key (a test, a tool) makes no evidence and takes what others send without an answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from connector.identity import jades, seal
from connector.identity.gate import PublicKey
from connector.identity.jades import Claim
from connector.identity.seal import Sealed
from connector.identity.signers import KeyAway
from connector.identity.signing import SigningKey
from connector.protocol.errors import Unavailable
from connector.protocol.messages import Document
from connector.store.rows import Timer

RECEIPTS: Final = "receipts"
ERASURES: Final = "erasures"
SIGNATURES: Final = "signatures"
TYPES: Final[Mapping[str, str]] = {
    "Receipt": "carnet-receipt+jws",
    "ReceiptAnswer": "carnet-receipt-answer+jws",
    "ErasureNotice": "carnet-erasure-notice+jws",
    "ErasureAttestation": "carnet-erasure-attestation+jws",
}
"""The ``typ`` of what is signed, by the message that carries it; that of agreements is in `identity/jades.py`."""
SIGNATURE_ALARM: Final = "agreement-signature"
_SIGNATURE: Final = "signature:"
"""Before the agreement in the name of its timer: the timers of the negotiation go when it is over, this one stays."""


def signature_timer(timer_id: str, counterparty: str, role: str, agreement: str, due_at: int) -> Timer:
    """When an agreement, in which our role is ``role``, is to be signed, or the other side's signature to be verified."""
    return Timer(timer_id, SIGNATURE_ALARM, _SIGNATURE + orjson.dumps([counterparty, role, agreement]).decode(), due_at)


def signature_named(timer: Timer) -> tuple[str, str, str]:
    """Counterparty, our role and agreement of such a timer."""
    counterparty, role, agreement = orjson.loads(timer.process_id.removeprefix(_SIGNATURE))
    return counterparty, role, agreement


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
    ``certificate`` is that of our key for agreements of now, in PEM; without one we sign no agreements.
    ``snapshot`` gives a key of a participant as it is found now (`identity/snapshots.py`); ``{}`` where there is none."""

    own: Callable[[], tuple[SigningKey, str]] | None = None
    key_of: Callable[[str, str], Awaitable[PublicKey]] = no_key
    ask: Callable[[str, str, Document | None], Awaitable[Document]] = no_plane
    aside: Callable[[Coroutine[Any, Any, None]], Awaitable[None]] = at_once
    erasure_ms: int = 259_200_000
    snapshot: Callable[[str, str], Awaitable[Document]] = no_snapshot
    certificate: Callable[[], str] = lambda: ""

    @property
    def signs(self) -> bool:
        """Whether we have a key to sign with."""
        return self.own is not None

    def features(self) -> list[str]:
        """What we tell peers that we can do, beside greeting."""
        return [RECEIPTS, ERASURES, *([SIGNATURES] if self.signs_agreements else [])] if self.signs else []

    @property
    def signs_agreements(self) -> bool:
        """Whether we sign agreements: with a key that has a certificate."""
        return self.own is not None and bool(self.certificate())

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

    def sign_agreement(self, content: bytes, now_ms: int) -> tuple[str, str, str]:
        """Our signature of an agreement's canonical bytes as a compact JWS, the thumbprint of our key and its full name. Raises
        Unavailable where there is no key."""
        if self.own is None:
            raise Unavailable("signing-key-missing", "there is no key to sign with")
        key, kid = self.own()
        signature = jades.signed(content, key, kid, self.certificate(), now_ms // 1000)
        return jades.compact(content, signature), key.thumbprint, kid

    async def verified_agreement(self, claim: Claim, signer: str, now_ms: int) -> str:
        """The thumbprint of the signer's key, if its signature of an agreement holds. Raises SignatureRefused, or KeyAway where
        it cannot be told now."""
        return jades.verify(claim, signer, await self.key_of(signer, claim.kid), now_ms // 1000)
