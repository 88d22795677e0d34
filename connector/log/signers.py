"""The keys that sign the log, as the key ring has them: the one of now, and those that were rotated and did not hand over yet.

May import `connector.identity` for the ring, `connector.log.note` and the errors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connector.identity.gate import base64url
from connector.identity.keys import KeyRing, Use
from connector.log.note import ED25519, NoteSigner, Verifier
from connector.protocol.errors import InvariantBroken


@dataclass(frozen=True, slots=True)
class LogSigners:
    """Over ``ring``, which may change at any time. ``retire`` (blocking) destroys the private part of a rotated key by its id."""

    ring: KeyRing
    origin: str
    retire: Callable[[str], None]

    def now(self) -> NoteSigner:
        """Who signs now, or is to take over. Raises NotFound."""
        return self._signer(self.ring.current(Use.LOG).kid)

    def of(self, verifier: Verifier) -> NoteSigner | None:
        """The private part of this key, if we still have it."""
        kid = self._kid(verifier)
        return None if kid is None or kid not in self.ring.held(Use.LOG) else self._signer(kid)

    def known(self) -> list[Verifier]:
        """Every key that we ever had for the log."""
        return [self._verifier(kid) for kid in self._kids()]

    def revoked(self, verifier: Verifier) -> bool:
        """Whether this key of ours was revoked."""
        kid = self._kid(verifier)
        return kid is not None and "revoked" in self.ring.verifying(Use.LOG, kid)

    def handed_over(self, verifier: Verifier) -> None:
        """This key signs nothing any more: its private part goes. Blocking."""
        kid = self._kid(verifier)
        if kid is not None and kid != self.ring.current(Use.LOG).kid:
            self.retire(kid)

    def _kids(self) -> list[str]:
        return [row["kid"] for row in self.ring.listing() if row["use"] == Use.LOG]

    def _kid(self, verifier: Verifier) -> str | None:
        return next((kid for kid in self._kids() if self._verifier(kid) == verifier), None)

    def _verifier(self, kid: str) -> Verifier:
        return Verifier(self.origin, ED25519, base64url(str(self.ring.verifying(Use.LOG, kid)["x"])))

    def _signer(self, kid: str) -> NoteSigner:
        private = self.ring.held(Use.LOG)[kid].private
        if not isinstance(private, Ed25519PrivateKey):
            raise InvariantBroken("log-key-kind", "the ring has a key for the log that is not on Ed25519")
        return NoteSigner(self.origin, private)
