"""Opening the payloads beside a log: which key opens which, found by the commitments in the lines and by nobody's name.

A folder of our own has its subjects' keys; a view has one key for each payload that it shows. May import `connector.log`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Protocol

from connector.audit.ceremony import Flaw, Place
from connector.audit.lines import Line, place_of
from connector.log.payloads import FILE, Payloads
from connector.log.sealing import PayloadWrong, commitment, opened, payload_key

MAX_MISSES: Final = 16
"""How often all keys are tried in vain for the payloads of one party."""


class Keys(Protocol):
    """Who has keys to payloads."""

    @property
    def complete(self) -> bool:
        """Whether these are all keys that are left, so that a payload that none of them opens was erased."""

    def key_of(self, line: Line, *, thorough: bool = False) -> bytes | None:
        """The key of the payload of this line, which fits the commitment in it; None: there is none, or, unless it is looked for
        ``thorough``ly, none was found without trying too many."""


class NoKeys:
    """Nothing can be opened."""

    complete: Final = False

    def key_of(self, line: Line, *, thorough: bool = False) -> bytes | None:
        """None."""
        del line, thorough
        return None


class SubjectsKeys:
    """The keys of subjects, as `SubjectKeys.every` gives them. Nothing says which one is a payload's, so that they are tried:
    that of the last payload of the same party first, then those that have opened any, and all others only some times for a
    party, for most are of vehicles."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        self._all = list(keys)
        self._used: dict[bytes, None] = {}
        self._last: dict[str, bytes] = {}
        self._misses: dict[str, int] = {}

    @property
    def complete(self) -> bool:
        """As the protocol says: where there is not one key, they were not given."""
        return bool(self._all)

    def key_of(self, line: Line, *, thorough: bool = False) -> bytes | None:
        """As the protocol says."""
        committed, leaf_id, party = line.said["payload"]["key"], line.said["id"], line.said.get("party", "")
        for subject_key in self._candidates(party, thorough):
            key = payload_key(subject_key, leaf_id)
            if commitment(key) == committed:
                self._last[party] = subject_key
                self._used[subject_key] = None
                return key
        self._misses[party] = self._misses.get(party, 0) + 1
        return None

    def _candidates(self, party: str, thorough: bool) -> Iterator[bytes]:
        if (last := self._last.get(party)) is not None:
            yield last
        yield from list(self._used)
        if thorough or self._misses.get(party, 0) < MAX_MISSES:
            yield from self._all


class PayloadKeys:
    """One key for each payload, by the id of its leaf: what a view has."""

    complete: Final = False

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = keys

    def key_of(self, line: Line, *, thorough: bool = False) -> bytes | None:
        """As the protocol says. Raises Flaw for a key that is not the one of the line."""
        del thorough
        key = self._keys.get(line.said["id"])
        if key is not None and commitment(key) != line.said["payload"]["key"]:
            raise Flaw("payload-key", "the key is not the one that the line commits to", place_of(line, "payload.key"))
        return key


def open_payload(line: Line, payloads: Payloads | None, keys: Keys) -> dict[str, Any] | None:
    """What the payload of a line says; None where it has none, or nobody has its key. Raises Flaw if it is another."""
    if payloads is None or "payload" not in line.said:
        return None
    key = keys.key_of(line)
    ciphertext = payloads.get(line.said["payload"]["sha256"])
    if key is None or ciphertext is None:
        return None
    try:
        return opened(ciphertext, key, line.said["id"])
    except PayloadWrong as error:
        raise Flaw(error.code, error.reason, Place(FILE, line.number, line.said["payload"]["sha256"])) from error
