"""Which keys a log was signed with, one after the other, and why each is to be believed.

The first line names the first key; a line `log-key` names the next one, and the checkpoint that covers it, kept under
`handover/`, is signed by both. So who trusts one key of the chain trusts those after it, from their line on. May import
`connector.log` and the lines of an audit; reads the files that it is given the folder of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from connector.audit.ceremony import Flaw, Place, Remarks
from connector.audit.files import read_file
from connector.audit.lines import Line, place_of
from connector.audit.notes import Shown, files_by_size, opened_file
from connector.log.layout import HANDOVER, SALT, folder_name, read_salt
from connector.log.layout import VKEYS as VKEY_FILE
from connector.log.note import Checkpoint, NoteRefused, Verifier
from connector.log.tiles import LogDamaged

MAX_VKEY_FILE_BYTES: Final = 1_048_576
MAX_KEYS: Final = 1000


def parsed(text: str, place: Place) -> Verifier:
    """A verifier key as it is written. Raises Flaw."""
    try:
        return Verifier.parse(text)
    except NoteRefused as error:
        raise Flaw("key-invalid", f"this is no verifier key: {error.reason}", place) from error


def listed_keys(folder: Path) -> list[Verifier]:
    """The keys of `log.vkey`, oldest first; none if it is not there. Raises Flaw."""
    try:
        lines = read_file(folder / VKEY_FILE, VKEY_FILE, MAX_VKEY_FILE_BYTES).decode("ascii", "replace").split()
    except FileNotFoundError:
        return []
    if len(lines) > MAX_KEYS:
        raise Flaw("key-list-long", f"it has more than {MAX_KEYS} keys", Place(VKEY_FILE))
    return [parsed(line, Place(VKEY_FILE, number, "line")) for number, line in enumerate(lines)]


@dataclass(slots=True)
class Announced:
    """The keys that lines name, with the number of each line; and what the first line says of the salt."""

    keys: list[tuple[int, Verifier]] = field(default_factory=list)
    salt: str = ""
    revoked: list[int] = field(default_factory=list)

    def take(self, lines: Sequence[Line]) -> None:
        """Notes the lines `log` and `log-key`. Raises Flaw."""
        for line in lines:
            if line.said.get("type") == "key" and (line.said.get("use"), line.said.get("change")) == ("log", "revoked"):
                self.revoked.append(line.number)
            if line.said.get("type") in ("log", "log-key"):
                text = line.said.get("vkey")
                if not isinstance(text, str):
                    raise Flaw("key-missing", "the line names no key", place_of(line, "vkey"))
                self.salt = self.salt or str(line.said.get("salt", ""))
                self.keys.append((line.number, parsed(text, place_of(line, "vkey"))))
                if len(self.keys) > MAX_KEYS:
                    raise Flaw("key-list-long", f"the log has more than {MAX_KEYS} keys", place_of(line))

    def end(self, remarks: Remarks) -> str:
        """How many there were."""
        del remarks
        return f"{len(self.keys)} keys"


def check_salt(folder: Path, announced: Announced, remarks: Remarks) -> None:
    """The salt beside the log is the one that its first line commits to. Raises Flaw."""
    if not (folder / SALT).exists():
        remarks.add("the salt is not here: salted names stay closed")
        return
    if not announced.salt:
        remarks.add("the first line says nothing of the salt, which was not checked")
        return
    try:
        salt = read_salt(folder)
    except LogDamaged as error:
        raise Flaw(error.code, error.reason, Place(SALT)) from error
    except OSError as error:
        raise Flaw("file-unreadable", error.strerror or "cannot be read", Place(SALT)) from error
    if folder_name(salt) != announced.salt:
        raise Flaw("salt-changed", "this is not the salt that the first line commits to", Place(SALT))


def handover_sizes(folder: Path) -> list[int]:
    """The sizes of the checkpoints under `handover/`."""
    return [size for size, _ in files_by_size(folder, HANDOVER)]


def check_chain(folder: Path, announced: Announced, roots: Mapping[int, bytes], newest: Shown, remarks: Remarks) -> int:
    """Each key after the first was announced by and taken over from the one before it. Gives the number of the first key of the
    chain that the newest one follows from. Raises Flaw.

    A revoked key hands nothing over: the next one signs alone, and the chain begins anew with it.
    """
    files = files_by_size(folder, HANDOVER)
    used: set[Path] = set()
    first = breaks = 0
    for number, ((_, before), (index, after)) in enumerate(zip(announced.keys, announced.keys[1:], strict=False)):
        there = [each for each in (*_covering(folder, files, index, [before, after]), newest) if each.checkpoint.size > index]
        shown = next((each for each in there if _signed(each, before, after)), None)
        if shown is None and breaks < len(announced.revoked):
            breaks += 1
            shown, first = next((each for each in there if _signed(each, after)), None), number + 1
            remarks.add(f"line {index}: key {_named(before)} was revoked; what it signed is vouched for by cosignatures alone")
        if shown is None:
            reason = "no checkpoint that covers this line is signed by the old and the new key"
            raise Flaw("handover-missing", reason, Place(HANDOVER, index))
        check_root(shown, roots)
        used.add(shown.path)
        remarks.add(f"line {index}: key {_named(before)} handed over to {_named(after)} at size {shown.checkpoint.size}")
    for _, path in files:
        if path not in used:
            raise Flaw("handover-surplus", "no line of the log announces this handover", Place(f"{HANDOVER}/{path.name}"))
    return first


def check_root(shown: Shown, roots: Mapping[int, bytes]) -> Checkpoint:
    """A checkpoint is one of this tree. Raises Flaw."""
    size = shown.checkpoint.size
    if roots.get(size) != shown.checkpoint.root:
        raise Flaw("root-mismatch", f"the tree of size {size} has another root", Place(shown.name, size, "root"))
    return shown.checkpoint


def _covering(folder: Path, files: Sequence[tuple[int, Path]], index: int, keys: Sequence[Verifier]) -> list[Shown]:
    # The first that covers the line: a later one would be a handover of a later key.
    first = next((path for size, path in files if size > index), None)
    return [] if first is None else [opened_file(folder, first, keys)]


def _signed(shown: Shown, *keys: Verifier) -> bool:
    return set(keys) <= set(shown.signers)


def _named(key: Verifier) -> str:
    return f"{key.name} {key.vkey.split('+')[1]}"
