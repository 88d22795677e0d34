"""Our keys, one ring for all uses: which one signs now, which ones others may still believe, which ones only old evidence needs.

Each use has its own keys with their own rotation, so that one that leaks says nothing about the others. The ring is filled by
`connector.identity.keyfiles`; here is no I/O and no clock. May import `connector.identity.signing` and the errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from connector.identity.signing import SigningKey
from connector.protocol.errors import InvariantBroken, NotFound

HOUR_MS: Final = 3_600_000
SECRET_BYTES: Final = 32

# As `signing` names keys; without a slash, so that it is the name of a file, too.
Kid = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._~-]{1,128}\Z")]
Ms = Annotated[int, Meta(ge=0)]
State = Literal["current", "rotated", "revoked"]


class Use(StrEnum):
    """What a key is for. The first three sign, and their public part is published; the last two are secrets of 32 bytes.

    OAUTH: assertions and proofs of possession (ES256). AGREEMENT: contracts (ES256, with a certificate). LOG: checkpoints of the
    contract log (Ed25519). SUBJECTS encrypts the keys of persons, PSEUDONYMS makes their pseudonyms.
    """

    OAUTH = "oauth"
    AGREEMENT = "agreement"
    LOG = "log"
    SUBJECTS = "subjects"
    PSEUDONYMS = "pseudonyms"


ALGORITHMS: Final[Mapping[Use, Literal["ES256", "EdDSA"]]] = MappingProxyType(
    {Use.OAUTH: "ES256", Use.AGREEMENT: "ES256", Use.LOG: "EdDSA"}
)


class Key(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, rename="camel"):
    """What is known of a key beside its private part; times in ms since the epoch.

    ``public`` is its JWK (RFC 7517) and ``thumbprint`` that of RFC 7638, both empty for a secret; ``certificate`` is PEM;
    ``made_at`` is 0 where nobody knows.
    """

    use: Use
    kid: Kid
    made_at: Ms
    rotated_at: Ms | None = None
    revoked_at: Ms | None = None
    reason: str = ""
    public: dict[str, Any] = msgspec.field(default_factory=dict)
    thumbprint: str = ""
    certificate: str = ""

    @property
    def state(self) -> State:
        """CURRENT signs; ROTATED had a successor; REVOKED is not believed for anything since ``revoked_at``."""
        if self.revoked_at is not None:
            return "revoked"
        return "current" if self.rotated_at is None else "rotated"


class KeyRing:
    """All keys of one connector. What it hands out is of now, so that holders ask each time and keep nothing."""

    def __init__(self, keys: Iterable[Key], signing: Iterable[SigningKey], secrets: Mapping[str, bytes], overlap_ms: int) -> None:
        """``secrets`` by kid. A rotated key stays published for ``overlap_ms``. Raises InvariantBroken unless each use that has
        keys has one current key, with its private part."""
        known = {key.kid: key for key in keys}
        self._keys = {key.kid: key for key in sorted(known.values(), key=_order)}
        self._signing = {key.kid: key for key in signing}
        self._secrets = dict(secrets)
        self._overlap_ms = overlap_ms
        self._current: dict[Use, Key] = {}
        for key in self._keys.values():
            if key.state != "current":
                continue
            held: Mapping[str, object] = self._signing if key.use in ALGORITHMS else self._secrets
            if key.use in self._current or key.kid not in held:
                raise InvariantBroken("key-ring", f"the use {key.use} has two current keys, or one without its private part")
            self._current[key.use] = key

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self._keys)})"

    def become(self, other: KeyRing) -> None:
        """Have the keys of ``other`` from now on: everybody who holds this ring sees them with the next question."""
        self._keys, self._signing, self._secrets = other._keys, other._signing, other._secrets
        self._overlap_ms, self._current = other._overlap_ms, other._current

    def current(self, use: Use) -> Key:
        """What is known of the key that ``use`` has now. Raises NotFound."""
        found = self._current.get(use)
        if found is None:
            raise NotFound("key-missing", f"there is no key for {use}; make one: carnet keys rotate")
        return found

    def signing(self, use: Use) -> SigningKey:
        """The key that signs for ``use`` now. Raises NotFound, and InvariantBroken for a use that does not sign."""
        if use not in ALGORITHMS:
            raise InvariantBroken("key-use", f"{use} is a secret and signs nothing")
        return self._signing[self.current(use).kid]

    def held(self, use: Use) -> Mapping[str, SigningKey]:
        """By their ids the keys of ``use`` whose private part is here: that of now, and of LOG those that did not hand over."""
        return {kid: key for kid, key in self._signing.items() if kid in self._keys and self._keys[kid].use is use}

    def secret(self, use: Use, kid: str | None = None) -> bytes:
        """The 32 bytes of SUBJECTS or PSEUDONYMS: those of now, or older ones by their id for what was made with them.

        Raises NotFound, and InvariantBroken for a use that signs.
        """
        if use in ALGORITHMS:
            raise InvariantBroken("key-use", f"{use} signs and has no secret to share")
        return self._secrets[self.current(use).kid if kid is None else self._known(use, kid).kid]

    def older(self, use: Use) -> tuple[bytes, ...]:
        """Every secret that SUBJECTS or PSEUDONYMS had before the one of now, the newest first."""
        now = self._current.get(use)
        found = [key.kid for key in self._keys.values() if key.use is use and key is not now]
        return tuple(self._secrets[kid] for kid in found if kid in self._secrets)

    def published(self, now_ms: int) -> tuple[tuple[Use, Mapping[str, Any]], ...]:
        """Public JWKs that others may believe now, the current one of each use before the rotated: never one that is revoked."""
        shown = [key for key in self._keys.values() if key.use in ALGORITHMS and self._is_published(key, now_ms)]
        return tuple((key.use, MappingProxyType(key.public)) for key in shown)

    def verifying(self, use: Use, kid: str) -> Mapping[str, Any]:
        """The public JWK of any key that we ever had, for old evidence. Raises NotFound.

        That of a revoked key has the member ``revoked`` with ``revoked_at`` (seconds since the epoch, rounded down) and
        ``reason``, as the historical keys of OpenID Federation 1.0 have: what was signed since then proves nothing.
        """
        key = self._known(use, kid)
        if use not in ALGORITHMS:
            raise InvariantBroken("key-use", f"{use} signs nothing")
        if key.revoked_at is None:
            return MappingProxyType(key.public)
        return {**key.public, "revoked": {"revoked_at": key.revoked_at // 1000, "reason": key.reason}}

    @property
    def thumbprints(self) -> Mapping[str, str]:
        """Thumbprints (RFC 7638) of all keys that sign or signed, by kid."""
        return {key.kid: key.thumbprint for key in self._keys.values() if key.thumbprint}

    def listing(self) -> tuple[dict[str, Any], ...]:
        """Every key for people and programs, nothing private: ``until`` is when it stops (or stopped) being published, in ms."""
        return tuple(
            {
                "use": key.use.value,
                "kid": key.kid,
                "thumbprint": key.thumbprint or None,
                "algorithm": ALGORITHMS.get(key.use),
                "state": key.state,
                "since": key.made_at or None,
                "until": self._until(key),
                "rotatedAt": key.rotated_at,
                "revokedAt": key.revoked_at,
                "reason": key.reason or None,
                "certificate": key.certificate or None,
            }
            for key in self._keys.values()
        )

    def _known(self, use: Use, kid: str) -> Key:
        key = self._keys.get(kid)
        if key is None or key.use is not use:
            raise NotFound("key-unknown", f"there is no key of this id for {use}; see: carnet keys list")
        return key

    def _until(self, key: Key) -> int | None:
        ends = [key.revoked_at, None if key.rotated_at is None else key.rotated_at + self._overlap_ms]
        return min((end for end in ends if end is not None), default=None)

    def _is_published(self, key: Key, now_ms: int) -> bool:
        if key.revoked_at is not None:
            return False
        until = self._until(key)
        return until is None or now_ms < until


def _order(key: Key) -> tuple[int, bool, int]:
    return list(Use).index(key.use), key.state != "current", -key.made_at
