"""The part of a bundle that comes from the log: the lines about an agreement, their proofs, and the heads that cover them.

A line is proven against the newest head that the counterparty has cosigned, where that covers it, else against the newest there
is. Payloads are opened one by one with keys that open nothing else, and only of lines that cannot name a vehicle. Everything
blocks: from an event loop, call it in a thread.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from connector.evidence.members import may_be_opened
from connector.log.access import LogAccess
from connector.log.folder import LogFolder
from connector.log.layout import HANDOVER, VKEYS, read_salt
from connector.log.leaf import contract_name, salted
from connector.log.note import MAX_NOTE_BYTES, Checkpoint, body_of
from connector.log.payloads import Payloads
from connector.log.proofs import consistency, inclusion, tlog_proof
from connector.log.sealing import PayloadWrong, commitment, opened, payload_key
from connector.protocol.errors import CallerError

LEAVES_MOST: Final = 10_000
"""Lines of the log in one bundle."""
HEADS_MOST: Final = 1000
_ALWAYS: Final = (b'"type":"log"', b'"type":"log-key"')
_KEY: Final = (b'"type":"key"', b'"use":"agreement"')
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines: of an agreement in which our role is ``role``, and of our processes under it."""

    role: str
    party: str
    agreement: str
    processes: frozenset[str]


def log_members(log: LogAccess, wanted: Wanted) -> dict[str, bytes]:
    """Members ``leaves/``, ``payloads/``, ``proofs/``, ``cosigned/``, ``consistency/``, ``handover/``, ``checkpoint``, ``vkeys``;
    none where the log has no head yet. Raises CallerError for more lines than a bundle holds, LogDamaged."""
    note = log.folder.checkpoint()
    if note is None:
        return {}
    head = Checkpoint.parse(body_of(note))
    salt = read_salt(log.folder.path)
    lines = _lines(log.folder, wanted, salt, head.size)
    cosigned = _heads(log.folder.path / "cosigned", f".{salted(salt, 'party', wanted.party)}", head.size)
    found = {"checkpoint": note.encode(), "vkeys": (log.folder.path / VKEYS).read_bytes()}
    found |= {f"{HANDOVER}/{size}": text.encode() for size, text in _heads(log.folder.path / HANDOVER, "", head.size)}
    if cosigned:
        size, text = cosigned[-1]
        found[f"cosigned/{size}"] = text.encode()
        found[f"consistency/{size}"] = _path(consistency(log.folder, size, head.size))
    subject = log.subjects.find(f"party:{wanted.party}")
    for index, leaf in lines:
        at, covering = next(((size, text) for size, text in cosigned[-1:] if index < size), (head.size, note))
        found[f"leaves/{index:010}.json"] = leaf
        found[f"proofs/{index:010}.tlog-proof"] = tlog_proof(index, inclusion(log.folder, index, at), covering).encode()
        if may_be_opened(said := orjson.loads(leaf)) and subject is not None and subject.key is not None:
            payload = _opened(log.payloads, subject.key, said)
            if payload is not None:
                found[f"payloads/{index:010}.json"] = payload
    return found


def opened_payloads(log: LogAccess, wanted: Wanted, found: Mapping[str, bytes], types: Sequence[str]) -> Iterator[Document]:
    """The payloads of the lines of these types among members that `log_members` gave, for ourselves."""
    subject = log.subjects.find(f"party:{wanted.party}")
    if subject is None or subject.key is None:
        return
    for name in sorted(each for each in found if each.startswith("leaves/")):
        leaf = orjson.loads(found[name])
        payload = _opened(log.payloads, subject.key, leaf) if leaf["type"] in types else None
        if payload is not None:
            yield orjson.loads(payload)["payload"]


def _lines(folder: LogFolder, wanted: Wanted, salt: bytes, size: int) -> list[tuple[int, bytes]]:
    """The lines about the agreement, and those in which the log names its keys and those that sign agreements and bundles."""
    contract = contract_name(salt, wanted.role, wanted.party, wanted.agreement)
    marks = [f'"contract":"{contract}"'.encode(), *(f'"process":"{each}"'.encode() for each in sorted(wanted.processes))]
    found: list[tuple[int, bytes]] = []
    for index, leaf in enumerate(folder.entries(0, size)):
        if _is_about(leaf, contract, marks, wanted.processes):
            found.append((index, leaf))
        if len(found) > LEAVES_MOST:
            raise CallerError("evidence-too-large", f"a bundle holds {LEAVES_MOST} lines; export the whole log")
    return found


def _is_about(leaf: bytes, contract: str, marks: Sequence[bytes], processes: frozenset[str]) -> bool:
    # Leaves are canonical JSON, in which a member has one spelling; few are read for the one that has it.
    if any(mark in leaf for mark in _ALWAYS) or all(mark in leaf for mark in _KEY):
        return True
    if marks[0] not in leaf and b'"process":"' not in leaf:
        return False
    said = orjson.loads(leaf)
    return said.get("contract") == contract or said.get("process") in processes


def _opened(payloads: Payloads, subject_key: bytes, leaf: Document) -> bytes | None:
    """A payload with the key that opens it alone; None where another subject's key sealed it, or where it is not there."""
    if "payload" not in leaf:
        return None
    key = payload_key(subject_key, leaf["id"])
    ciphertext = payloads.get(leaf["payload"]["sha256"]) if commitment(key) == leaf["payload"]["key"] else None
    if ciphertext is None:
        return None
    try:
        payload = opened(ciphertext, key, leaf["id"])
    except PayloadWrong:
        return None
    option = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps({"key": key.hex(), "payload": payload}, option=option)


def _heads(folder: Path, end: str, most: int) -> list[tuple[int, str]]:
    """The heads in a folder, by size: of files that are called so, with this end."""
    if not folder.is_dir():
        return []
    named = [(each.name.removesuffix(end), each) for each in folder.iterdir() if each.name.endswith(end)]
    sizes = sorted((int(name), path) for name, path in named if name.isdecimal() and int(name) <= most)
    found = []
    for size, path in sizes[-HEADS_MOST:]:
        with path.open("rb") as opened_:
            found.append((size, opened_.read(MAX_NOTE_BYTES).decode()))
    return found


def _path(hashes: Sequence[bytes]) -> bytes:
    return "".join(f"{base64.b64encode(each).decode()}\n" for each in hashes).encode()
