"""The log's own side of growing: what is on disk, in which order it gets there, and with which key it is signed.

Payloads first, then entries and tiles, then the checkpoint: whatever a power cut leaves is a whole log. After a cut, what is on
disk says how far it is, and `read` finishes what a change of the key had begun. One object belongs to the holder of the folder's
lock. Everything blocks: call it in a thread, one call at a time. May import `connector.log` and the errors.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from connector.log import layout
from connector.log.folder import LogFolder
from connector.log.leaf import Draft, leaf_of
from connector.log.merkle import Edge
from connector.log.note import Checkpoint, NoteRefused, NoteSigner, Verifier, opened, signed
from connector.log.payloads import FILE, Payloads
from connector.log.tiles import LogDamaged
from connector.protocol.errors import Unavailable
from connector.store.leaves import QueuedLeaf

MAX_IDS: Final = 1000
_NAMESPACE: Final = uuid.UUID("5c5e0a63-6b8e-4d39-9f4b-0f8b0d0ae8c1")


class LogRefused(Unavailable):
    """The log cannot go on with this folder, this database or these keys; going on could only fork it."""


class Signers(Protocol):
    """Our keys of the log, see `connector.log.signers`."""

    def now(self) -> NoteSigner:
        """Who signs now, or is to take over."""

    def of(self, verifier: Verifier) -> NoteSigner | None:
        """The private part of this key, if we still have it."""

    def known(self) -> list[Verifier]:
        """Every key that we ever had for the log."""

    def revoked(self, verifier: Verifier) -> bool:
        """Whether this key of ours was revoked."""

    def handed_over(self, verifier: Verifier) -> None:
        """This key signs nothing any more."""


class GrowingLog:
    """The log in ``folder`` (made by `layout.make_folder`, with a salt), to be written."""

    def __init__(self, folder: Path, origin: str, salt: bytes, signers: Signers) -> None:
        self._folder = LogFolder(folder)
        self._origin = origin
        self._salt = salt
        self._signers = signers
        self._payloads = Payloads(folder / FILE)
        self._edge = Edge.empty()
        self._keys: list[Verifier] = []
        self._retired: set[Verifier] = set()

    @property
    def size(self) -> int:
        """How many leaves are published."""
        return self._edge.size

    @property
    def succession(self) -> bool:
        """Whether another key is to sign than the one that does."""
        return bool(self._keys) and self._signers.now().verifier != self._keys[-1]

    def read(self) -> int:
        """What is on disk, after which the log can grow; gives its size. Raises LogDamaged, LogRefused, OSError."""
        path = self._folder.path
        note = self._folder.checkpoint()
        keys = layout.read_vkeys(path)
        if note is None:
            # Nothing was signed yet: the key of now is the first one, whatever was meant to be.
            first = [self._signers.now().verifier]
            if keys != first:
                layout.write_vkeys(path, first)
            self._edge, self._keys = Edge.empty(), first
            return 0
        if not keys:
            raise LogDamaged("keys-missing", layout.VKEYS, "the file is missing; restore it from a copy")
        checkpoint, keys = self._opened(note, keys)
        edge = self._folder.edge(checkpoint.size)
        if edge.root() != checkpoint.root:
            raise LogDamaged("root-wrong", "checkpoint", "the tiles have another root than the checkpoint; restore the folder")
        self._edge, self._keys = edge, keys
        return edge.size

    def _opened(self, note: str, keys: list[Verifier]) -> tuple[Checkpoint, list[Verifier]]:
        """The checkpoint, and our keys after what it says of them: one that a known key of ours has signed after the last of the
        list is the one by which that key took over."""
        later = [each for each in self._signers.known() if each not in keys]
        try:
            found = opened(note, [*keys, *later])
        except NoteRefused as error:
            raise LogDamaged("checkpoint-wrong", "checkpoint", f"{error.reason}; restore the folder from a copy") from error
        if found.checkpoint.origin != self._origin:
            raise LogRefused(
                "log-foreign", f"the log in {self._folder.path} is {found.checkpoint.origin}, and not {self._origin}"
            )
        signed_by = {each.verifier for each in found.verified}
        took_over = [each for each in later if each in signed_by]
        if took_over:
            keys = self._took_over(found.checkpoint.size, note, [*keys, *took_over])
        if keys[-1] not in signed_by:
            raise LogDamaged("checkpoint-key", "checkpoint", "it is not signed by the last key of the list; restore the folder")
        return found.checkpoint, keys

    def ids(self, start: int, stop: int) -> list[str]:
        """The ids of the leaves from ``start`` to before ``stop``. Raises LogDamaged."""
        return [str(json.loads(entry)["id"]) for entry in self._folder.entries(start, stop)]

    def announcement(self, now_ms: int) -> QueuedLeaf | None:
        """The leaf to queue before all others: that the log begins, or that another key takes over. None: there is none.

        Raises LogRefused where the key that has to sign it is gone.
        """
        if self._edge.size == 0:
            return self._announced("log", self._keys[-1], now_ms)
        if not self.succession:
            return None
        self._last_signer()
        return self._announced("log-key", self._signers.now().verifier, now_ms)

    def _announced(self, kind: str, verifier: Verifier, now_ms: int) -> QueuedLeaf:
        # The id comes from the key, so that the leaf is the same one after a cut.
        leaf_id = uuid.uuid5(_NAMESPACE, f"{kind} {verifier.vkey}").urn
        draft = Draft("log-key", {"vkey": verifier.vkey})
        if kind == "log":
            draft = Draft("log", {"vkey": verifier.vkey, "salt": layout.folder_name(self._salt)})
        return QueuedLeaf(leaf_id, leaf_of(draft, leaf_id, now_ms, self._salt, None), None, None, now_ms)

    def grow(self, batch: Sequence[QueuedLeaf]) -> int:
        """Put these leaves into the log and publish them; gives its size. Raises LogDamaged, LogRefused, Unavailable, OSError.

        After an exception call `read` before anything else.
        """
        successor = self._successor(batch[0])
        signers = [*self._last_signer(), *([] if successor is None else [successor])]
        if not signers:
            raise Unavailable("log-key-changed", "the key was revoked while leaves were on their way")
        self._payloads.put((each.sha256, each.payload) for each in batch if each.sha256 is not None and each.payload is not None)
        edge = self._folder.append(self._edge, [each.leaf for each in batch])
        note = signed(Checkpoint(self._origin, edge.size, edge.root()), signers)
        self._folder.publish(note)
        if successor is not None:
            self._keys = self._took_over(edge.size, note, [*self._keys, successor.verifier])
        self._edge = edge
        return edge.size

    def retire(self) -> None:
        """Destroy the private parts of the keys that handed over. Raises SettingsError."""
        for verifier in self._keys[:-1]:
            if verifier not in self._retired and self._signers.of(verifier) is not None:
                self._signers.handed_over(verifier)
            self._retired.add(verifier)

    def close(self) -> None:
        """Nothing more is written. Idempotent."""
        self._payloads.close()

    def _successor(self, first: QueuedLeaf) -> NoteSigner | None:
        """Who takes over with the checkpoint that covers this leaf."""
        said = json.loads(first.leaf)
        if said["type"] != "log-key":
            return None
        # As the leaf has it: the key of now may already be the one after it.
        return self._signers.of(Verifier.parse(said["vkey"]))

    def _last_signer(self) -> list[NoteSigner]:
        """Who signs the next checkpoint: the last key of the list; none, where that one was revoked."""
        last = self._keys[-1]
        signer = self._signers.of(last)
        if signer is not None:
            return [signer]
        if self._signers.revoked(last):
            return []
        raise LogRefused(
            "log-key-lost",
            f"the log is signed with the key {last.vkey}, whose private part is not here: put it back, or say that it is lost: "
            "carnet keys revoke",
        )

    def _took_over(self, size: int, note: str, keys: list[Verifier]) -> list[Verifier]:
        layout.write_handover(self._folder.path, size, note)
        layout.write_vkeys(self._folder.path, keys)
        return keys
