"""What others saw of a log: checkpoints that counterparties cosigned, kept by us or brought by them.

A copy that the other party kept tells what a log that was cut or written anew cannot: the tree that it was shown. May import
`connector.log.note` and the ceremony.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from connector.audit.ceremony import Flaw, NotDone, Place, Remarks
from connector.audit.keychain import check_root
from connector.audit.notes import MAX_NOTES_IN_FOLDER, Shown, files_by_size, opened_file, opened_note, read_note
from connector.log.note import COSIGNATURE, ED25519, Checkpoint, NoteRefused, Verifier, body_of, lines_of
from connector.log.witness import witness_name

COSIGNED: Final = "cosigned"


def witness_of(key: Verifier) -> Verifier:
    """Who checks the cosignatures of a connector, from its log's key or from the witness key itself."""
    if key.kind == COSIGNATURE:
        return key
    return Verifier(witness_name(key.name), COSIGNATURE, key.public)


def own_keys(keys: Sequence[Verifier]) -> list[Verifier]:
    """The keys of the log, and the same as they sign with the time of showing."""
    return [*keys, *(Verifier(key.name, COSIGNATURE, key.public) for key in keys if key.kind == ED25519)]


def cosigned_sizes(folder: Path) -> list[int]:
    """The sizes of the checkpoints that others cosigned."""
    return [size for size, _ in files_by_size(folder, COSIGNED)]


def check_cosigned(
    folder: Path,
    keys: Sequence[Verifier],
    witnesses: Sequence[Verifier],
    roots: Mapping[int, bytes],
    sizes: tuple[int, int],
    remarks: Remarks,
) -> str:
    """Each cosigned checkpoint is one of this tree, signed by the log and by a witness. ``sizes``: of what is verified, and of
    what the log has grown to meanwhile. Raises Flaw; NotDone if there is none."""
    files = files_by_size(folder, COSIGNED)
    if not files:
        raise NotDone("nobody has cosigned this log")
    checked: set[str] = set()
    unknown = 0
    for size, path in files:
        shown = opened_file(folder, path, [*own_keys(keys), *witnesses])
        _by_log(shown, keys)
        if sizes[0] < size <= sizes[1]:
            remarks.add(f"size {size} was cosigned while this ran, and was not looked at")
            continue
        if size > sizes[0]:
            raise Flaw("log-cut", f"{size} lines were cosigned, and there are {sizes[0]}", Place(shown.name, size, "size"))
        check_root(shown, roots)
        names = {each.name for each in shown.signers if each in witnesses}
        checked |= names
        unknown += not names
        if _cosigners(shown) == 0:
            raise Flaw("cosignature-missing", "nobody has cosigned this checkpoint", Place(shown.name))
    if unknown:
        remarks.add(f"{unknown} cosignatures are of parties whose key was not given (--witness), so that they were not checked")
    return f"{len(files)} cosigned checkpoints are of this tree; cosignatures of {len(checked)} witnesses hold"


def seen_files(paths: Sequence[Path], origin: str) -> list[Path]:
    """Files with checkpoints, and of folders with such those of this log. Raises Flaw."""
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        below = sorted(each for each in path.rglob("*") if each.is_file() and not each.name.startswith("."))
        found += [each for each in below if _claimed(each).origin == origin]
        if len(below) > MAX_NOTES_IN_FOLDER:
            raise Flaw("folder-full", f"there are more than {MAX_NOTES_IN_FOLDER} files", Place(str(path)))
    if paths and not found:
        raise Flaw("seen-foreign", "no checkpoint of this log is there", Place(str(paths[0])))
    return found


def seen_sizes(paths: Sequence[Path]) -> list[int]:
    """The sizes that the counterparty's checkpoints say they have, not believed yet. Raises Flaw."""
    return [_claimed(path).size for path in paths]


def check_seen(
    paths: Sequence[Path],
    keys: Sequence[Verifier],
    witnesses: Sequence[Verifier],
    newest: Checkpoint,
    roots: Mapping[int, bytes],
    remarks: Remarks,
) -> str:
    """What the other party kept is of this tree: the log was neither cut nor written anew since. Raises Flaw and NotDone."""
    if not paths:
        raise NotDone("no checkpoint was brought that another party kept (--seen)")
    for path in paths:
        claimed = _claimed(path)
        if claimed.origin != newest.origin:
            raise Flaw("seen-foreign", "this checkpoint is of another log", Place(str(path), member="origin"))
        try:
            shown = opened_note(path, str(path), [*own_keys(keys), *witnesses])
        except Flaw as flaw:
            if flaw.code != "note-unsigned":
                raise
            reason = "no key of this log has signed what the other party kept: the log was written anew with other keys"
            raise Flaw("history-rewritten", reason, flaw.place) from flaw
        by_witness = [each for each in shown.signers if each in witnesses]
        by_log = [each for each in shown.signers if each in keys]
        if not by_log and not by_witness:
            raise Flaw("history-rewritten", "no key of this log has signed what the other party kept", Place(str(path)))
        if not by_log:
            reason = "the other party cosigned it, and no key of this log has signed it: the log was written anew with other keys"
            raise Flaw("history-rewritten", reason, Place(str(path)))
        if claimed.size > newest.size:
            reason = f"the other party saw {claimed.size} lines, and there are {newest.size}: the end was cut off"
            raise Flaw("log-cut", reason, Place(str(path), claimed.size, "size"))
        if roots.get(claimed.size) != claimed.root:
            reason = f"the first {claimed.size} lines are others than the other party saw: history was written anew"
            raise Flaw("history-rewritten", reason, Place(str(path), claimed.size, "root"))
        remarks.add(f"size {claimed.size}: as the other party saw it{' and cosigned' if by_witness else ''}")
    return f"{len(paths)} checkpoints that another party kept are of this tree"


def _claimed(path: Path) -> Checkpoint:
    try:
        return Checkpoint.parse(body_of(read_note(path, str(path))))
    except NoteRefused as error:
        raise Flaw(error.code, error.reason, Place(str(path))) from error


def _by_log(shown: Shown, keys: Sequence[Verifier]) -> None:
    if not any(each in keys for each in shown.signers):
        raise Flaw("note-unsigned", "no key of this log has signed it", Place(shown.name))


def _cosigners(shown: Shown) -> int:
    return sum(1 for line in lines_of(shown.text) if line.split(" ")[1] != shown.checkpoint.origin)
