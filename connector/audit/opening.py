"""Opening the payloads beside a log: which key opens which, found by the commitments in the lines and by nobody's name.

A folder of our own has its subjects' keys; a view has one key for each payload that it shows. May import `connector.log`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from connector.audit.ceremony import Flaw, Place
from connector.audit.lines import Line, place_of
from connector.log.payloads import FILE, Payloads
from connector.log.sealing import PayloadWrong, commitment, opened, payload_key


class Keys(Protocol):
    """Who has keys to payloads."""

    def key_of(self, line: Line) -> bytes | None:
        """The key of the payload of this line; None: there is none. Fits the commitment in the line."""


class NoKeys:
    """Nothing can be opened."""

    def key_of(self, line: Line) -> bytes | None:
        """None."""
        del line
        return None


class SubjectsKeys:
    """The keys of subjects, as `SubjectKeys.every` gives them; tried one after the other where nothing says which it is."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        self._all = list(keys)
        self._last: dict[str, bytes] = {}

    def key_of(self, line: Line) -> bytes | None:
        """As the protocol says. The key that opened the last payload of the same party is tried first."""
        committed, leaf_id = line.said["payload"]["key"], line.said["id"]
        party = line.said.get("party", "")
        first = self._last.get(party)
        for subject_key in ([first] if first is not None else []) + self._all:
            key = payload_key(subject_key, leaf_id)
            if commitment(key) == committed:
                self._last[party] = subject_key
                return key
        return None


class PayloadKeys:
    """One key for each payload, by the id of its leaf: what a view has."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = keys

    def key_of(self, line: Line) -> bytes | None:
        """As the protocol says. Raises Flaw for a key that is not the one of the line."""
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
