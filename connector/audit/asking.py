"""Questions to a verified log: which of its lines are about something, what their payloads say, and a proof for each.

Lines are picked in the pass that verifies them, and handed out only when the verification came to its end. Names of parties,
assets and agreements are salted in the lines, so that who asks by a name needs the salt. May import `connector.log`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from connector.audit.ceremony import Flaw, Step
from connector.audit.lines import Line, line_of
from connector.audit.opening import Keys, open_payload
from connector.audit.verifying import Surroundings, Trust, Verified, verify_log
from connector.log import payloads as payload_file
from connector.log.folder import LogFolder
from connector.log.layout import read_salt
from connector.log.leaf import contract_name, salted
from connector.log.merkle import check_inclusion, leaf_hash
from connector.log.payloads import Payloads
from connector.log.proofs import inclusion, tlog_proof
from connector.log.tiles import LogDamaged
from connector.protocol.errors import CallerError, Conflict, NotFound

MAX_PICKED: Final = 200_000
"""Lines of one answer."""
ROLES: Final = ("provider", "consumer")


@dataclass(frozen=True, slots=True)
class Scope:
    """Which lines. Names are as people know them; "" or None: not asked for. Times in ms since the epoch, the end exclusive."""

    party: str = ""
    asset: str = ""
    agreement: str = ""
    from_ms: int | None = None
    until_ms: int | None = None
    events: frozenset[str] = frozenset()

    def document(self) -> dict[str, Any]:
        """For programs: what is asked for."""
        found: dict[str, Any] = {"party": self.party, "asset": self.asset, "agreement": self.agreement}
        found |= {"fromMs": self.from_ms, "untilMs": self.until_ms, "events": sorted(self.events)}
        return {name: value for name, value in found.items() if value not in ("", None, [])}


@dataclass(frozen=True, slots=True)
class Log:
    """A log to ask: its folder, what opens its payloads, and what it is verified with."""

    folder: Path
    trust: Trust = field(default_factory=Trust)
    around: Surroundings = field(default_factory=Surroundings)
    told: Callable[[Step], None] = lambda _: None

    @property
    def keys(self) -> Keys:
        """What opens payloads."""
        return self.around.keys

    def salt(self) -> bytes:
        """The salt of its names. Raises CallerError where it is not there."""
        try:
            return read_salt(self.folder)
        except LogDamaged as error:
            raise CallerError(
                "salt-missing", "the log can be asked by names only where its salt is; use the whole folder"
            ) from error

    def entries(self, size: int) -> Iterator[Line]:
        """The lines as they stand there, not verified."""
        for number, raw in enumerate(LogFolder(self.folder).entries(0, size)):
            yield line_of(number, raw)


class Opener:
    """The payloads of a log while they are asked for."""

    def __init__(self, log: Log) -> None:
        path = log.folder / payload_file.FILE
        self._payloads = Payloads(path, read_only=True) if path.is_file() else None
        self._keys = log.keys

    def payload(self, line: Line) -> dict[str, Any] | None:
        """What was written; None where there is nothing, or nobody has the key. Raises Flaw."""
        return open_payload(line, self._payloads, self._keys)

    def row(self, digest: str) -> bytes | None:
        """The bytes beside the log of this digest, checked by the verification."""
        return None if self._payloads is None else self._payloads.get(digest)

    def __enter__(self) -> Opener:
        return self

    def __exit__(self, *_: object) -> None:
        if self._payloads is not None:
            self._payloads.close()


@dataclass(frozen=True, slots=True)
class Answer:
    """Lines of a verified log, in order."""

    verified: Verified
    lines: tuple[Line, ...]


def pick(log: Log, wanted: Callable[[Line], bool]) -> Answer:
    """Verify the log, and give the lines that are wanted. Raises NotProven, and CallerError for more than MAX_PICKED."""
    picked: list[Line] = []

    def watch(lines: Sequence[Line]) -> None:
        picked.extend(line for line in lines if line.said and wanted(line))
        if len(picked) > MAX_PICKED:
            raise CallerError("answer-too-large", f"more than {MAX_PICKED} lines answer; ask for a party, an agreement or a time")

    verified = verify_log(log.folder, log.trust, log.around, told=log.told, watch=watch)
    return Answer(verified, tuple(picked))


def lines_in(log: Log, scope: Scope) -> Answer:
    """The lines of a scope. Raises as `pick`, and NotFound for an agreement that is not in the log."""
    return pick(log, filter_of(log, scope))


def filter_of(log: Log, scope: Scope) -> Callable[[Line], bool]:
    """Whether a line is in the scope."""
    names: dict[str, frozenset[str]] = {}
    if scope.party or scope.asset or scope.agreement:
        salt = log.salt()
        if scope.party:
            names["party"] = frozenset([salted(salt, "party", scope.party)])
        if scope.asset:
            names["asset"] = frozenset([salted(salt, "asset", scope.asset)])
        if scope.agreement:
            names["contract"] = contracts(log, salt, scope)

    def wanted(line: Line) -> bool:
        said = line.said
        if scope.events and said.get("type") not in scope.events:
            return False
        if any(said.get(member) not in allowed for member, allowed in names.items()):
            return False
        if scope.from_ms is None and scope.until_ms is None:
            return True
        try:
            at = line.at_ms
        except (KeyError, TypeError, ValueError):
            return False
        return (scope.from_ms is None or at >= scope.from_ms) and (scope.until_ms is None or at < scope.until_ms)

    return wanted


def contracts(log: Log, salt: bytes, scope: Scope) -> frozenset[str]:
    """The salted names of an agreement: by its party if that is known, else by the payloads of the lines of agreements.

    What is read here is not verified yet: it gives names to look for, and nothing else. Raises NotFound.
    """
    if scope.party:
        return frozenset(contract_name(salt, role, scope.party, scope.agreement) for role in ROLES)
    size = LogFolder(log.folder).size()
    found: set[str] = set()
    with Opener(log) as opener:
        for line in log.entries(size):
            if line.said.get("type") == "agreement" and (said := _opened(opener, line)) is not None:
                party, role = said.get("counterparty"), line.said.get("role")
                if _id(said.get("agreement")) == scope.agreement and isinstance(party, str) and isinstance(role, str):
                    found.add(contract_name(salt, role, party, scope.agreement))
    if not found:
        reason = "no agreement of this id is in the log, or its payload cannot be opened; name its party, too (--party)"
        raise NotFound("agreement-unknown", reason)
    return frozenset(found)


def _opened(opener: Opener, line: Line) -> dict[str, Any] | None:
    try:
        return opener.payload(line)
    except (Flaw, KeyError, TypeError):
        return None  # damage is found, with its place, by the verification


def _id(document: Any) -> str:
    return str(document.get("@id", "")) if isinstance(document, dict) else ""


def proof_of(answer: Answer, line: Line) -> str:
    """A .tlog-proof of a line, checked. Raises ProofWrong and LogDamaged."""
    verified = answer.verified
    size, root = verified.checkpoint.size, verified.checkpoint.root
    path = inclusion(LogFolder(verified.folder), line.number, size)
    check_inclusion(leaf_hash(line.raw), line.number, size, path, root)
    return tlog_proof(line.number, path, verified.note)


def write_proofs(answer: Answer, lines: Iterable[Line], folder: Path) -> int:
    """For each line its bytes and its .tlog-proof, in a new or empty folder. Gives how many. Raises Conflict for one that has
    something in it, and OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise Conflict("file-exists", f"{folder} is not empty; choose another name")
    written = 0
    for line in lines:
        (folder / f"{line.number}.json").write_bytes(line.raw)
        (folder / f"{line.number}.tlog-proof").write_text(proof_of(answer, line), encoding="utf-8")
        written += 1
    return written
