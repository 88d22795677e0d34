"""Our log as its witnesses see it, and what is kept of others' logs beside it: ``cosigned/``, ``seen/`` and ``split/``.

A participant has its salted name here, as it has in leaves. Files are written whole or not at all; to write one again changes
nothing. Blocking disk I/O: call it in a thread. May import the other modules of this package.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import orjson

from connector.log.folder import LogFolder
from connector.log.leaf import salted
from connector.log.note import Checkpoint, body_of
from connector.log.proofs import consistency, inclusion, root_of, tlog_proof
from connector.log.tiles import LogDamaged, width_at

SEEN_MOST: Final = 1024
"""Checkpoints of one participant's log that are kept; the newest says all that the others say, but for their times."""
HANDOVER_WITHIN: Final = 4096
"""Leaves before a handover among which the announcement of the key is looked for."""


class WitnessedLog:
    """A log and its witnesses. ``salt`` gives that of the log."""

    def __init__(self, folder: LogFolder, salt: Callable[[], bytes]) -> None:
        self._folder = folder
        self._salt = salt

    def newest(self) -> tuple[str, Checkpoint] | None:
        """The newest checkpoint with its note; None where nothing is in the log. Raises LogDamaged."""
        note = self._folder.checkpoint()
        if note is None:
            return None
        checkpoint = Checkpoint.parse(body_of(note))
        return (note, checkpoint) if checkpoint.size else None

    def since(self, old_size: int, size: int) -> tuple[bytes, list[bytes]]:
        """The root of the first ``old_size`` leaves, and the proof that those of ``size`` begin with them. Raises LogDamaged."""
        return root_of(self._folder, old_size), consistency(self._folder, old_size, size)

    def handover(self, old_size: int) -> str:
        """The newest announcement of a key of ours after that size, as a ``.tlog-proof`` with its leaf; empty: there is none."""
        folder = self._folder.path / "handover"
        sizes = [int(each.name) for each in folder.iterdir() if each.name.isdecimal()] if folder.is_dir() else []
        size = max(sizes, default=0)
        if size <= old_size:
            return ""
        note = (folder / str(size)).read_text(encoding="utf-8")
        first = max(0, size - HANDOVER_WITHIN)
        found = [(at, leaf) for at, leaf in enumerate(self._folder.entries(first, size), first) if _announces(leaf)]
        if not found:
            return ""
        index, leaf = found[-1]
        return tlog_proof(index, inclusion(self._folder, index, size), note, leaf)

    def hash_tile(self, level: int, number: int, width: int) -> bytes:
        """Hashes of a tile that the newest checkpoint covers. Raises LogDamaged for any other."""
        newest = self.newest()
        if newest is None or width > width_at(level, number, newest[1].size):
            raise LogDamaged("tile-missing", f"tile/{level}", "no checkpoint covers this tile")
        return self._folder.hash_tile(level, number, width)

    def keep_cosigned(self, size: int, witness: str, note: str) -> None:
        """Keep a checkpoint of ours with the line of a witness."""
        self._keep(Path("cosigned", f"{size}.{self._name(witness)}"), note)

    def keep_seen(self, party: str, size: int, note: str) -> None:
        """Keep a checkpoint of a participant that we cosign; the oldest of too many goes."""
        folder = Path("seen", self._name(party))
        self._keep(folder / str(size), note)
        files = [each for each in (self._folder.path / folder).iterdir() if each.name.isdecimal()]
        if len(files) > SEEN_MOST:
            # By when they were seen: the log of who began again, and was accepted, is smaller than what was seen before.
            files.sort(key=lambda each: (each.stat().st_mtime_ns, int(each.name)))
            for old in files[:-SEEN_MOST]:
                old.unlink(missing_ok=True)

    def keep_split(self, party: str, at_ms: int, evidence: bytes) -> None:
        """Keep what convicts the log of a participant."""
        self._keep(Path("split", self._name(party), f"{at_ms}.json"), evidence.decode())

    def _name(self, party: str) -> str:
        return salted(self._salt(), "party", party)

    def _keep(self, name: Path, text: str) -> None:
        target = self._folder.path / name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = target.with_name(f".{target.name}.new")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        new.replace(target)
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _announces(leaf: bytes) -> bool:
    said = orjson.loads(leaf) if b"log-key" in leaf else None
    return isinstance(said, dict) and said.get("type") == "log-key"
