"""What an auditor is given of a log: all that proves it, and the payloads of one scope with a key for each of them alone.

A view is a folder, or a zip of one: `view.jws`, the manifest signed with the connector's key for agreements, which says for whom
and until when; `keys.ndjson`; and `log/`, a copy of checkpoint, tiles, entries and salt with the payloads in scope. Keys of
subjects are never in it, so that nothing out of scope can be opened, and what is erased at the source stays closed only there:
the end of a view is kept by who reads it with our tools. Blocks. May import `connector.log` and `connector.identity.seal`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import orjson

from connector.audit.asking import Answer, Log, Opener, Scope, lines_in
from connector.audit.ceremony import Ceremony, Flaw, NotProven, Place, Remarks, Step
from connector.audit.files import read_file
from connector.audit.lines import Line
from connector.audit.notes import files_by_size
from connector.audit.opening import PayloadKeys
from connector.audit.unpacking import names, packed, unpacked
from connector.audit.verifying import Surroundings, Trust, Verified, verify_log
from connector.audit.witnessed import COSIGNED
from connector.identity import seal
from connector.identity.gate import KeyRefused, base64url, public_key
from connector.identity.seal import SealRefused
from connector.identity.signing import SigningKey
from connector.log import payloads as payload_file
from connector.log.folder import CHECKPOINT, LogFolder
from connector.log.layout import HANDOVER, SALT, VKEYS
from connector.log.leaf import moment
from connector.log.note import NoteRefused, origin_of
from connector.log.payloads import Payloads
from connector.log.tiles import MAX_LEVEL, bundle_path, encode_bundle, tile_path, tiles_of
from connector.protocol.errors import Conflict

TYPE: Final = "carnet-audit-view+jws"
MANIFEST: Final = "view.jws"
KEYS: Final = "keys.ndjson"
README: Final = "README.txt"
LOG: Final = "log"
DAY_MS: Final = 86_400_000
MAX_DAYS: Final = 366
MAX_KEYS_BYTES: Final = 67_108_864
MAX_NAME_CHARS: Final = 200
MAX_MOMENT_MS: Final = 253_402_300_799_999
"""The end of the year 9999, after which there are no dates."""
_PORTION: Final = 500
_FORMS: Final[Mapping[str, type]] = {
    "participant": str,
    "auditor": str,
    "validUntilMs": int,
    "scope": dict,
    "keysSha256": str,
    "checkpointSha256": str,
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What a view is to be: for whom, for how many days from ``now_ms`` on, of which scope."""

    auditor: str
    days: int
    scope: Scope
    now_ms: int


@dataclass(frozen=True, slots=True)
class Signs:
    """Who makes the view: participant id, its key for agreements and the key's full name."""

    participant: str
    key: SigningKey
    kid: str


@dataclass(frozen=True, slots=True)
class View:
    """A view that was verified: its manifest and its log."""

    manifest: dict[str, Any]
    log: Log
    verified: Verified
    steps: tuple[Step, ...]


def export_view(log: Log, wish: Wish, signs: Signs, out: Path) -> dict[str, Any]:
    """Write a view of a log, which is verified for it, into the new folder or zip ``out``; gives its manifest.

    Raises NotProven, Conflict where ``out`` is there, OSError.
    """
    if out.exists():
        raise Conflict("file-exists", f"{out} is there already; choose another name")
    answer = lines_in(log, wish.scope)
    with TemporaryDirectory(prefix=".view-", dir=out.absolute().parent) as made:
        folder = Path(made) / "view"
        _copy(answer.verified, folder / LOG)
        keys = _payloads(log, answer, folder)
        manifest = _manifest(answer, wish, signs, keys, folder)
        (folder / MANIFEST).write_text(seal.seal(signs.key, signs.kid, TYPE, manifest), encoding="ascii")
        (folder / README).write_text(_readme(manifest), encoding="utf-8")
        if out.suffix == ".zip":
            packed(folder, Path(made) / "view.zip").rename(out)
        else:
            folder.rename(out)
    return manifest


def _copy(verified: Verified, log: Path) -> None:
    """The log as it was verified, and nothing of what it has grown to since, without payloads and keys."""
    log.mkdir(parents=True)
    source, size = LogFolder(verified.folder), verified.checkpoint.size
    for level in range(MAX_LEVEL + 1):
        for tile in tiles_of(size, level):
            _write(log / tile_path(*tile), source.hash_tile(*tile))
            if level == 0:
                bundle = encode_bundle(source.bundle(tile.number, tile.width))
                _write(log / bundle_path(tile.number, tile.width), bundle)
    for name in (HANDOVER, COSIGNED):
        for of_size, path in files_by_size(verified.folder, name):
            if of_size <= size:
                _write(log / name / path.name, path.read_bytes())
    shutil.copyfile(verified.folder / SALT, log / SALT)
    _write(log / VKEYS, "".join(f"{key.vkey}\n" for key in verified.keys).encode())
    _write(log / CHECKPOINT, verified.note.encode())


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _payloads(log: Log, answer: Answer, folder: Path) -> int:
    """The payloads of the lines, and the key of each. Gives how many; those that nobody can open any more are left out."""
    written = 0
    rows: list[tuple[str, bytes]] = []
    with (
        Opener(log) as opener,
        Payloads(folder / LOG / payload_file.FILE) as into,
        (folder / KEYS).open("w", encoding="ascii") as keys,
    ):
        for line in answer.lines:
            named = line.said.get("payload")
            if named is None:
                continue
            key, row = log.keys.key_of(line), opener.row(named["sha256"])
            if key is None or row is None:
                continue
            keys.write(json.dumps({"id": line.said["id"], "key": key.hex()}) + "\n")
            rows.append((named["sha256"], row))
            written += 1
            if len(rows) >= _PORTION:
                into.put(rows)
                rows = []
        into.put(rows)
    return written


def _manifest(answer: Answer, wish: Wish, signs: Signs, keys: int, folder: Path) -> dict[str, Any]:
    jwk = {name: value for name, value in signs.key.public_jwk.items() if name in ("kty", "crv", "x", "y")}
    return {
        "@type": "AuditView",
        "version": 1,
        "participant": signs.participant,
        "auditor": wish.auditor,
        "madeAt": moment(wish.now_ms),
        "validUntil": moment(wish.now_ms + wish.days * DAY_MS),
        "validUntilMs": wish.now_ms + wish.days * DAY_MS,
        "scope": wish.scope.document(),
        "lines": len(answer.lines),
        "payloads": keys,
        "checkpointSha256": sha256(answer.verified.note.encode()).hexdigest(),
        "keysSha256": sha256((folder / KEYS).read_bytes()).hexdigest(),
        "key": jwk,
    }


def _readme(manifest: dict[str, Any]) -> str:
    return (
        f"A view of the contract log of {manifest['participant']}, made for {manifest['auditor']} on {manifest['madeAt']},\n"
        f"to be read until {manifest['validUntil']}.\n\n"
        "Verify it offline:        carnet audit verify PATH\n"
        "Ask it:                   carnet audit query PATH\n\n"
        "log/ is a C2SP tlog-tiles log; any tool for these verifies it with the key in log/log.vkey. view.jws says, signed,\n"
        "what this view is of. keys.ndjson has a key for each payload in scope (log/payloads.db); no other can be opened.\n"
    )


def is_view(path: Path) -> bool:
    """Whether this is a folder with a view, or a zip of one."""
    return (path / MANIFEST).is_file() if path.is_dir() else names(path, MANIFEST)


@contextmanager
def opened_folder(path: Path) -> Iterator[Path]:
    """The folder of a view or another set of files: itself, or a zip of it unpacked for the while. Raises Flaw."""
    if path.is_dir():
        yield path
        return
    with TemporaryDirectory(prefix="carnet-audit-") as folder:
        unpacked(path, Path(folder))
        yield Path(folder)


def verify_view(
    folder: Path, trust: Trust, now_ms: int, *, told: Callable[[Step], None] = lambda _: None, participant: str = ""
) -> View:
    """Verify a view and the log in it. ``participant``: of whom it must be; "": as it says. Raises NotProven, and does so, too,
    when the view has come to its end."""
    ceremony = Ceremony(told)
    run = _Reading(folder, now_ms, participant)
    ceremony.step("view", "the view is signed by who made it", run.sealed)
    ceremony.step("view-time", "the view has not come to its end", run.valid)
    ceremony.step("view-keys", "the keys of payloads are those that the view was made with", run.keyed)
    around = Surroundings(keys=PayloadKeys(run.keys), partial=True, now_ms=now_ms)
    log = Log(folder / LOG, trust, around, told)
    try:
        verified = verify_log(log.folder, trust, around, told=lambda _: None, watch=run.watch)
        ceremony.include(verified.steps)
    except NotProven as error:
        ceremony.include(error.steps)
        raise NotProven(ceremony.steps) from error
    ceremony.step(
        "view-signer",
        "the log names the key that signed the view",
        lambda remarks: run.signer(verified.checkpoint.origin, remarks),
    )
    return View(run.manifest, log, verified, ceremony.steps)


class _Reading:
    def __init__(self, folder: Path, now_ms: int, participant: str) -> None:
        self._folder = folder
        self._now_ms = now_ms
        self._participant = participant
        self._thumbprint = ""
        self._known: dict[str, str] = {}
        self.manifest: dict[str, Any] = {}
        self.keys: dict[str, bytes] = {}

    def sealed(self, remarks: Remarks) -> str:
        place = Place(MANIFEST)
        raw = self._read(MANIFEST, seal.MAX_SEAL_BYTES).decode("ascii", "replace")
        try:
            # Whose it must be is not known before it is opened: the kid is checked once more against what it says.
            signer = self._participant or _claimed(raw)
            found = seal.opened(raw, TYPE, signer)
            jwk = found.content.get("key")
            key = public_key(jwk if isinstance(jwk, dict) else {})
            self._thumbprint = seal.verify(found, key)
        except (SealRefused, KeyRefused) as error:
            raise Flaw(error.code, error.reason, place) from error
        self.manifest = found.content
        for name, form in _FORMS.items():
            if not isinstance(self.manifest.get(name), form):
                raise Flaw("view-form", "the manifest lacks a member", Place(MANIFEST, member=name))
        if not 0 <= self.manifest["validUntilMs"] <= MAX_MOMENT_MS:
            raise Flaw("view-form", "this is no moment", Place(MANIFEST, member="validUntilMs"))
        if self.manifest["participant"] != signer:
            raise Flaw("view-foreign", "the view is of another participant", Place(MANIFEST, member="participant"))
        remarks.add(f"for {self.manifest['auditor']}, scope {json.dumps(self.manifest['scope'], sort_keys=True)}")
        return f"signed by {signer}"

    def valid(self, remarks: Remarks) -> str:
        del remarks
        until = self.manifest["validUntilMs"]
        if self._now_ms >= until:
            reason = f"the view could be read until {moment(until)}; ask its maker for another"
            raise Flaw("view-ended", reason, Place(MANIFEST, member="validUntil"))
        return f"until {moment(until)}"

    def keyed(self, remarks: Remarks) -> str:
        del remarks
        raw = self._read(KEYS, MAX_KEYS_BYTES)
        if sha256(raw).hexdigest() != self.manifest["keysSha256"]:
            raise Flaw("view-keys", "these are not the keys that the manifest has the digest of", Place(KEYS))
        note = self._read(f"{LOG}/{CHECKPOINT}", seal.MAX_SEAL_BYTES)
        if sha256(note).hexdigest() != self.manifest["checkpointSha256"]:
            raise Flaw("view-checkpoint", "this is not the checkpoint that the view was made of", Place(f"{LOG}/{CHECKPOINT}"))
        for number, line in enumerate(raw.splitlines()):
            try:
                said = orjson.loads(line)
                self.keys[said["id"]] = bytes.fromhex(said["key"])
            except (ValueError, KeyError, TypeError) as error:
                raise Flaw("view-keys", "this is no key of a payload", Place(KEYS, number)) from error
        return f"{len(self.keys)} keys"

    def watch(self, lines: Sequence[Line]) -> None:
        """Notes what the log says of keys for agreements."""
        for line in lines:
            if line.said.get("type") == "key" and line.said.get("use") == "agreement" and "thumbprint" in line.said:
                self._known[line.said["thumbprint"]] = line.said.get("change", "")

    def signer(self, origin: str, remarks: Remarks) -> str:
        try:
            named = origin_of(self.manifest["participant"])
        except NoteRefused as error:
            raise Flaw("view-foreign", error.reason, Place(MANIFEST, member="participant")) from error
        if named != origin:
            raise Flaw("view-foreign", "the log in it is another participant's", Place(MANIFEST, member="participant"))
        if not self._known:
            remarks.add("the log names no keys: that this key is the participant's was not checked")
            return "the manifest brought its key itself"
        if self._known.get(self._thumbprint) not in ("made", "rotated"):
            raise Flaw(
                "view-signer", "the log names no such key for agreements, or calls it revoked", Place(MANIFEST, member="key")
            )
        return f"key {self._thumbprint}"

    def _read(self, name: str, most: int) -> bytes:
        try:
            return read_file(self._folder / name, name, most)
        except FileNotFoundError as error:
            raise Flaw("file-unreadable", error.strerror or "cannot be read", Place(name)) from error


def _claimed(raw: str) -> str:
    """Of whom a manifest says that it is. Not believed: it decides only which kid is let pass."""
    try:
        said = json.loads(base64url(raw.split(".")[1]))
        return str(said["participant"])
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        raise SealRefused("seal-form", "this is no signed manifest of a view") from None
