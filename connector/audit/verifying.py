"""A log, verified offline step by step: from its checkpoint to each line, and from each line to what stands beside it.

Every file is read once, in order; memory is bounded by a tile a level and 22 bytes a line. What wants to know what the lines say
sees them in that same pass, and may use what it saw only if the ceremony came to its end. Blocks. Writes nothing. May import
`connector.log`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from connector.audit.beside import Beside, Erased
from connector.audit.ceremony import Ceremony, Flaw, NotDone, Place, Remarks, Step
from connector.audit.keychain import Announced, check_chain, check_salt, handover_sizes, listed_keys, parsed
from connector.audit.lines import TOLERANCE_MS, Forms, Ids, Line, Order, Watcher, line_of
from connector.audit.notes import Shown, opened_note, read_note
from connector.audit.opening import Keys, NoKeys
from connector.audit.queue import Queue, is_written
from connector.audit.regrowing import Regrown
from connector.audit.surplus import look
from connector.audit.witnessed import check_cosigned, check_seen, cosigned_sizes, own_keys, seen_files, seen_sizes, witness_of
from connector.log import payloads as payload_file
from connector.log.folder import CHECKPOINT, LogFolder
from connector.log.layout import VKEYS as VKEY_FILE
from connector.log.note import Checkpoint, NoteRefused, Verifier, body_of
from connector.log.payloads import Payloads
from connector.log.tiles import WIDTH, LogDamaged
from connector.protocol.errors import CarnetError

MAX_BEYOND: Final = 100_000


@dataclass(frozen=True, slots=True)
class Trust:
    """What a verification starts from. ``keys``: verifier keys (vkeys) of the log from a source of its own, at least one of which
    must be in its chain; none: `log.vkey` of the log itself is taken, and that is said. ``witnesses``: vkeys of those who may
    have cosigned. ``seen``: files or folders with checkpoints that another party kept."""

    keys: tuple[str, ...] = ()
    source: str = "given"
    witnesses: tuple[str, ...] = ()
    seen: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is at hand beside the folder. ``keys`` open payloads. ``database`` is the control database with the queue.
    ``partial``: a view. ``now_ms`` for times that have not come yet; None: not looked at."""

    keys: Keys = field(default_factory=NoKeys)
    database: Path | None = None
    partial: bool = False
    now_ms: int | None = None
    tolerance_ms: int = TOLERANCE_MS


@dataclass(frozen=True, slots=True)
class Verified:
    """A log that was verified. ``note`` is its newest checkpoint; ``keys`` are those of its chain, oldest first; ``queued`` is
    how many lines wait, None where that could not be told."""

    folder: Path
    checkpoint: Checkpoint
    note: str
    keys: tuple[Verifier, ...]
    steps: tuple[Step, ...]
    queued: int | None

    @property
    def verifiers(self) -> list[Verifier]:
        """The keys, for who checks a proof of this log."""
        return list(self.keys)


Watch = Callable[[Sequence[Line]], None]


def verify_log(
    folder: Path,
    trust: Trust | None = None,
    around: Surroundings | None = None,
    *,
    told: Callable[[Step], None] = lambda _: None,
    watch: Watch | None = None,
) -> Verified:
    """Verify the log in a folder. ``told`` hears of each step; ``watch`` sees the lines, in portions of at most 256.

    Raises NotProven at the first step that fails.
    """
    run = _Run(folder, trust or Trust(), around or Surroundings(), Ceremony(told), watch)
    try:
        return run.verified()
    finally:
        run.close()


class _Outcome:
    """A watcher whose first flaw is kept until the step that asks for it."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._flaw: Flaw | None = None

    def take(self, lines: Sequence[Line]) -> None:
        if self._flaw is None:
            try:
                self._watcher.take(lines)
            except Flaw as flaw:
                self._flaw = flaw

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong so far."""
        return self._flaw is None

    def end(self, remarks: Remarks) -> str:
        if self._flaw is not None:
            raise self._flaw
        return self._watcher.end(remarks)


class _Run:
    def __init__(self, folder: Path, trust: Trust, around: Surroundings, ceremony: Ceremony, watch: Watch | None) -> None:
        self.folder, self.trust, self.around, self.ceremony, self.watch = folder, trust, around, ceremony, watch
        self.text = ""
        self.checkpoint = Checkpoint("", 0, b"")
        self.keys: list[Verifier] = []
        self.given: list[Verifier] = []
        self.witnesses: list[Verifier] = []
        self.newest: Shown | None = None
        self.seen: list[Path] = []
        self.queued: int | None = None
        self.roots: dict[int, bytes] = {}
        self.announced = Announced()
        self.payloads: Payloads | None = None
        self.watchers: dict[str, _Outcome] = {}

    def close(self) -> None:
        if self.payloads is not None:
            self.payloads.close()

    def verified(self) -> Verified:
        step = self.ceremony.step
        step("checkpoint", "the checkpoint has its form (C2SP tlog-checkpoint)", self._form)
        step("key", "the keys that the log may be signed with are known", self._keys)
        step("signature", "the newest key has signed the checkpoint", self._signature)
        step("entries", "every entry is in the tree: entries, tiles of all levels, root", self._entries)
        step("surplus", "nothing stands beside the tree that is not signed", self._surplus)
        step("lines", "every line is canonical, and of the closed table", self.watchers["lines"].end)
        step("ids", "no line stands in the log twice", self.watchers["ids"].end)
        step("order", f"time goes on, within {self.around.tolerance_ms // 1000} s", self.watchers["order"].end)
        step("key-chain", "each key was announced and handed over by the one before", self._chain)
        step("payloads", "payloads and indexes of vehicles are as their lines say", self.watchers["payloads"].end)
        step("erasures", "no key is left that a line calls erased", self.watchers["erasures"].end)
        step("cosignatures", "what others cosigned is of this tree", self._cosigned)
        step("seen", "what another party kept is of this tree: neither cut nor written anew", self._seen)
        step("queue", "lines that wait to be put into the log", self._queue)
        keys = tuple(key for _, key in self.announced.keys) or tuple(self.keys)
        return Verified(self.folder, self.checkpoint, self.text, keys, self.ceremony.steps, self.queued)

    def _form(self, remarks: Remarks) -> str:
        del remarks
        self.text = read_note(self.folder / CHECKPOINT, CHECKPOINT)
        try:
            self.checkpoint = Checkpoint.parse(body_of(self.text))
        except NoteRefused as error:
            raise Flaw(error.code, error.reason, Place(CHECKPOINT)) from error
        return f"{self.checkpoint.origin}, size {self.checkpoint.size}, root {self.checkpoint.root.hex()}"

    def _keys(self, remarks: Remarks) -> str:
        self.given = [parsed(text, Place("--key", number)) for number, text in enumerate(self.trust.keys)]
        self.witnesses = [
            witness_of(parsed(text, Place("--witness", number))) for number, text in enumerate(self.trust.witnesses)
        ]
        listed = listed_keys(self.folder)
        self.keys = list(dict.fromkeys([*listed, *self.given]))
        if not self.keys:
            raise Flaw("key-missing", "no key of the log was given, and there is none beside it", Place(VKEY_FILE))
        for number, key in enumerate(self.keys):
            if key.name != self.checkpoint.origin:
                where = Place(VKEY_FILE, number) if number < len(listed) else Place("--key", number - len(listed))
                raise Flaw("key-foreign", "the key has the name of another log", where)
        if not self.given:
            remarks.add("the keys came from the same place as the log (log.vkey): give one that you have from elsewhere (--key)")
        return f"{len(self.given)} {self.trust.source}, {len(listed)} beside the log"

    def _signature(self, remarks: Remarks) -> str:
        self.newest = opened_note(self.folder / CHECKPOINT, CHECKPOINT, [*own_keys(self.keys), *self.witnesses])
        if self.newest.text != self.text:
            # A connector that runs has published a newer one meanwhile.
            raise Flaw("checkpoint-moved", "the log has grown since the first step; verify it again", Place(CHECKPOINT))
        signers = [each for each in self.newest.signers if each in self.keys]
        if not signers:
            raise Flaw("note-unsigned", "none of the keys of the log has signed it", Place(CHECKPOINT))
        remarks.add(f"signed by {', '.join(each.vkey.split('+')[1] for each in signers)}")
        return f"the signature of {signers[-1].name} holds"

    def _entries(self, remarks: Remarks) -> str:
        size = self.checkpoint.size
        self.seen = seen_files(self.trust.seen, self.checkpoint.origin)
        wanted = {size, *handover_sizes(self.folder), *cosigned_sizes(self.folder), *seen_sizes(self.seen)}
        self._begin_watching()
        log = LogFolder(self.folder)
        tree = Regrown(log, wanted)
        try:
            for lines in _portions(log, size):
                tree.take([line.raw for line in lines])
                self._see(lines)
            root = tree.end()
        except LogDamaged as error:
            raise Flaw(error.code, error.reason, Place(error.place)) from error
        if tree.size != size:
            raise Flaw("entries-missing", f"there are {tree.size} entries of {size}", Place("tile/entries", tree.size))
        if root != self.checkpoint.root:
            raise Flaw(
                "root-mismatch", "the entries and tiles have another root than was signed", Place(CHECKPOINT, size, "root")
            )
        self.roots = tree.roots
        remarks.add(f"root {root.hex()}")
        return f"{size} entries make the root that was signed"

    def _see(self, lines: Sequence[Line]) -> None:
        """Nobody but the first rule sees a line that the table does not allow, nor anything after it: there it ends."""
        self.watchers["lines"].take(lines)
        if not self.watchers["lines"].holds:
            return
        for watcher in self.watchers.values():
            if watcher is not self.watchers["lines"]:
                watcher.take(lines)
        if self.watch is not None:
            self.watch(lines)

    def _begin_watching(self) -> None:
        path = self.folder / payload_file.FILE
        try:
            self.payloads = Payloads(path, read_only=True) if path.is_file() else None
        except CarnetError as error:
            raise Flaw("payloads-unusable", "the file of payloads cannot be read", Place(payload_file.FILE)) from error
        around = self.around
        self.watchers = {
            "lines": _Outcome(Forms()),
            "ids": _Outcome(Ids()),
            "order": _Outcome(Order(around.tolerance_ms, around.now_ms)),
            "payloads": _Outcome(Beside(self.payloads, around.keys, partial=around.partial)),
            "erasures": _Outcome(Erased(self.folder)),
            "key-chain": _Outcome(self.announced),
        }

    def _surplus(self, remarks: Remarks) -> str:
        found = look(self.folder, self.checkpoint.size, MAX_BEYOND)
        if found.older:
            remarks.add(f"{found.older} older partial files, each the beginning of its larger one")
        if found.place is None:
            return "no file beyond the signed size"
        queue = Queue(self.around.database)
        if not queue.holds([raw for _, raw in found.beyond]) and not is_written(self.folder):
            raise Flaw("entry-unsigned", "it is beyond the signed size, and nothing says that it waits to be signed", found.place)
        return f"{len(found.beyond)} entries are written and wait for their checkpoint"

    def _chain(self, remarks: Remarks) -> str:
        self.watchers["key-chain"].end(remarks)
        chain = [key for _, key in self.announced.keys]
        if not chain:
            if self.checkpoint.size:
                raise Flaw("key-missing", "no line of the log names its key", Place("tile/entries", 0, "vkey"))
            raise NotDone("the log is empty")
        listed = listed_keys(self.folder)
        if listed and listed != chain:
            at = next(
                (n for n, pair in enumerate(zip(listed, chain, strict=False)) if pair[0] != pair[1]), min(len(listed), len(chain))
            )
            raise Flaw("key-list-mismatch", "the list of keys is not that of the lines of the log", Place(VKEY_FILE, at))
        newest = self.newest
        if newest is None or chain[-1] not in newest.signers:
            raise Flaw("key-stale", "the checkpoint is not signed by the newest key of the log", Place(CHECKPOINT))
        first = check_chain(self.folder, self.announced, self.roots, newest, remarks)
        if self.given and not set(self.given) & set(chain[first:]):
            raise Flaw("key-untrusted", f"from no key that was {self.trust.source} follows the newest one", Place("--key", 0))
        check_salt(self.folder, self.announced, remarks)
        return f"{len(chain)} keys, from {chain[0].vkey.split('+')[1]} to {chain[-1].vkey.split('+')[1]}"

    def _cosigned(self, remarks: Remarks) -> str:
        grown = LogFolder(self.folder).size()
        return check_cosigned(self.folder, self.keys, self.witnesses, self.roots, (self.checkpoint.size, grown), remarks)

    def _seen(self, remarks: Remarks) -> str:
        return check_seen(self.seen, self.keys, self.witnesses, self.checkpoint, self.roots, remarks)

    def _queue(self, remarks: Remarks) -> str:
        del remarks
        self.queued = Queue(self.around.database).waiting()
        return f"{self.queued} lines wait"


def _portions(log: LogFolder, size: int) -> Iterator[list[Line]]:
    entries = enumerate(log.entries(0, size))
    while portion := [line_of(index, raw) for index, raw in islice(entries, WIDTH)]:
        yield portion
