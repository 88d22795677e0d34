"""A bundle verified, offline, by what is in it: a numbered ceremony that ends at the first step that fails.

What is verified is what was there, in this order: the zip, the manifest, its seal, the agreement, its signatures, the offers, the
receipts, the statement, the lines of the log with their payloads and proofs, the heads and who cosigned them, and the pages for
people. Whose a key is, the bundle cannot prove by itself: that is what ``Known`` is for. Reads the one file; no network, no
database, no clock but the one that is passed in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import orjson

from catalog.canonical import canonical_bytes
from catalog.errors import DocumentError
from catalog.wire import parse
from connector.audit.ceremony import Ceremony, Flaw, NotDone, Place, Remarks, Step
from connector.evidence import history, manifest, members
from connector.evidence.checks_agreement import check_receipts, check_signatures
from connector.evidence.checks_log import LogChecks
from connector.evidence.manifest import Manifest, ManifestWrong, read_manifest, release
from connector.evidence.zipped import ZipRefused, read_zip
from connector.identity import seal
from connector.identity.seal import SealRefused
from connector.identity.snapshots import SnapshotWrong, key_of
from connector.protocol.errors import CarnetError

MAX_AGREEMENT_BYTES: Final = 1_048_576
MAX_KEYS: Final = 256
"""Those of two parties; each is looked at for each receipt."""
UNREADABLE: Final = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    CarnetError,
    DocumentError,
)
"""What members raise that are not of the form that bundles have."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the verifier knows from elsewhere. ``keys``: thumbprints (RFC 7638) of which one must be the exporter's; ``vkeys``:
    keys of the log, of which one must be in its chain. None of either: what the bundle says is taken, and that is said.
    ``witnesses``: vkeys of who may have cosigned, beside those in the bundle. ``now_ms``: signatures of the future are refused;
    None: not looked at."""

    keys: frozenset[str] = frozenset()
    vkeys: tuple[str, ...] = ()
    witnesses: tuple[str, ...] = ()
    now_ms: int | None = None


def verify_bundle(path: Path, known: Known | None = None, *, told: Callable[[Step], None] = lambda _: None) -> tuple[Step, ...]:
    """The steps, all passed or not to be done; ``told`` hears of each. Raises NotProven at the first that fails, and OSError
    where the file cannot be read."""
    run = _Run(path, known or Known(), Ceremony(told))
    return run.steps()


class _Run:
    """One verification: what a step has established stands here for the next."""

    def __init__(self, path: Path, known: Known, ceremony: Ceremony) -> None:
        self._path = path
        self._known = known
        self._ceremony = ceremony
        self._members: dict[str, bytes] = {}
        self._manifest: Manifest | None = None
        self._made: dict[str, bytes] = {}
        self._thumbprint = ""

    def steps(self) -> tuple[Step, ...]:
        step = self._ceremony.step
        step("zip", "The file is a plain zip within its bounds", self._zip)
        step("manifest", "Every member is listed, and is as it is listed", self._listed)
        step("seal", "The exporter has signed the manifest", self._seal)
        step(
            "agreement",
            "The agreement is in its canonical form, and the one that all members name",
            self._named(self._agreement, "agreement.json"),
        )
        step("signatures", "The parties have signed these very bytes", self._named(self._signatures, "signatures.json"))
        step("offers", "The offers end in the agreement: the same terms", self._named(self._offers, "offers"))
        step("receipts", "Deliveries are signed by who received and who provided", self._named(self._receipts, "receipts"))
        log = LogChecks(self._members, self._known.vkeys, self._known.witnesses, self._sealed_by)
        step(
            "heads",
            "The heads of the log are signed by its keys, and each continues the one before",
            self._named(log.heads, "checkpoint"),
        )
        step("leaves", "Each line is of the form of the log, and in the log", self._named(log.leaves, "leaves"))
        step("payloads", "Each opened payload is the one that its line commits to", self._named(log.payloads, "payloads"))
        step("contents", "What the lines were about is this agreement", self._named(log.contents, "leaves"))
        step("cosignature", "The counterparty has cosigned a head of the log", self._named(log.cosigned, "cosigned"))
        step("statement", "The statement is what receipts and meters come to", self._named(self._statement, "statement.json"))
        step("pages", "What is for people says what the rest says", self._named(self._pages, "contract.en.html"))
        return self._ceremony.steps

    @staticmethod
    def _named(work: Callable[[Remarks], str], where: str) -> Callable[[Remarks], str]:
        """The work; members that are not of the form that bundles have fail the step."""

        def named(remarks: Remarks) -> str:
            try:
                return work(remarks)
            except UNREADABLE as error:
                reason = f"a member is not of the form that a bundle has ({type(error).__name__})"
                raise Flaw("member-form", reason, Place(where)) from error

        return named

    # -- 1 to 3: the container --------------------------------------------------------------------------------------------

    def _zip(self, _: Remarks) -> str:
        try:
            self._members.update(read_zip(self._path))
        except ZipRefused as refused:
            raise Flaw(refused.code, refused.reason, Place(refused.member or self._path.name)) from refused
        return f"{len(self._members)} members, {sum(map(len, self._members.values()))} bytes"

    def _listed(self, _: Remarks) -> str:
        content = self._members.get(manifest.NAME)
        if content is None:
            raise Flaw("manifest-missing", "there is no manifest", Place(manifest.NAME))
        try:
            found = read_manifest(content)
        except ManifestWrong as wrong:
            raise Flaw("manifest-form", str(wrong), Place(manifest.NAME)) from wrong
        there = self._members.keys() - {manifest.NAME, manifest.SEAL}
        for name in sorted(found.members.keys() - there):
            raise Flaw("member-missing", "the manifest lists it, and it is not there", Place(name))
        for name in sorted(there - found.members.keys()):
            raise Flaw("member-added", "it is there, and the manifest does not list it", Place(name))
        for name, digest in sorted(found.members.items()):
            if sha256(self._members[name]).hexdigest() != digest:
                raise Flaw("member-changed", "its SHA-256 is not the one in the manifest", Place(name))
        for name in sorted(there):
            if members.is_told(name) and not _is_spelled(self._members[name]):
                raise Flaw("member-spelling", "it is not in the one form of its JSON, and readers could differ", Place(name))
        if sum(name.startswith("keys/") for name in there) > MAX_KEYS:
            raise Flaw("keys-many", f"a bundle has at most {MAX_KEYS} keys", Place("keys"))
        self._manifest = found
        return f"schema {found.schema}, made at {found.made_at} by release {found.release}"

    def _seal(self, remarks: Remarks) -> str:
        found, place = self._of_manifest(), Place(manifest.SEAL)
        try:
            sealed = seal.opened(self._members.get(manifest.SEAL, b"").decode("ascii", "replace"), manifest.TYPE, found.exporter)
        except SealRefused as refused:
            raise Flaw(refused.code, refused.reason, place) from refused
        try:
            kept = members.named(members.keys(self._members), sealed.kid, found.exporter)
        except UNREADABLE as error:
            raise Flaw("key-form", "a kept key is not of the form that a bundle has", Place("keys")) from error
        if kept is None:
            raise Flaw("key-missing", "the key of the seal is not in the bundle", place)
        try:
            thumbprint = seal.verify(sealed, key_of(kept.snapshot))
        except (SealRefused, SnapshotWrong) as refused:
            raise Flaw(refused.code, refused.reason, place) from refused
        if sealed.content != manifest.sealed_content(found):
            raise Flaw("seal-content", "the seal is on another manifest", place)
        if not self._known.keys:
            remarks.add("no key of the exporter was given: compare its thumbprint with what you have from the exporter itself")
        elif thumbprint not in self._known.keys:
            raise Flaw("key-unknown", "the key of the seal is none of those that were given", Place(kept.member))
        self._thumbprint = thumbprint
        return f"sealed by {found.exporter} with the key {thumbprint}"

    def _sealed_by(self) -> str | None:
        return None if self._known.keys else self._thumbprint

    def _of_manifest(self) -> Manifest:
        if self._manifest is None:
            raise ValueError("the manifest comes first")
        return self._manifest

    # -- 4 to 7: the contract ---------------------------------------------------------------------------------------------

    def _agreement(self, _: Remarks) -> str:
        content, place = self._members.get(members.AGREEMENT), Place(members.AGREEMENT)
        if content is None:
            raise Flaw("member-missing", "there is no agreement", place)
        try:
            document = parse(content, max_bytes=MAX_AGREEMENT_BYTES)
            canonical = canonical_bytes(document)
        except DocumentError as error:
            raise Flaw("agreement-form", "it is not one JSON object that every reader reads alike", place) from error
        if canonical != content:
            raise Flaw("agreement-not-canonical", "it is not in its canonical form (RFC 8785)", place)
        listed, facts, record = self._of_manifest(), self._read(members.CONTRACT), self._read(members.RECORD)
        said = (listed.agreement, listed.exporter, listed.counterparty, listed.role)
        if document.get("@id") != listed.agreement:
            raise Flaw("agreement-other", "it is another agreement than the manifest names", place)
        if (facts["agreement"], facts["us"], facts["counterparty"], facts["role"]) != said:
            raise Flaw(
                "contract-other", "it is about another agreement or other parties than the manifest", Place(members.CONTRACT)
            )
        if (record["us"], record["counterparty"], record["role"]) != said[1:]:
            raise Flaw("record-other", "it is about other parties than the manifest", Place(members.RECORD))
        provider, consumer = said[1:3] if listed.role == "provider" else (said[2], said[1])
        parties = (document.get("assigner"), document.get("assignee"), document.get("target"))
        if parties != (provider, consumer, facts["dataset"]):
            raise Flaw("agreement-parties", "it is between other parties, or about other data, than the manifest says", place)
        return f"SHA-256 {sha256(content).hexdigest()}, between {provider} and {consumer}"

    def _signatures(self, remarks: Remarks) -> str:
        return check_signatures(self._members, self._read(members.CONTRACT), self._known.now_ms, remarks)

    def _offers(self, _: Remarks) -> str:
        lines, record = history.lines_of(self._members), self._read(members.RECORD)
        offers = history.offers(lines, record, self._read(members.AGREEMENT))
        for change in history.ends_in(offers):
            place = Place(f"offers/{len(offers):03}.json", member=str(change["path"]))
            raise Flaw("offer-other", "the agreement does not say what the last offer said", place)
        if len(offers) == 1:
            raise NotDone(
                "no offer stands in the bundle: the agreement was made without a negotiation, or before there was a log"
            )
        changed = sum(bool(each["redline"]) for each in offers)
        return f"{len(offers) - 1} offers, {changed} of them with changes; the last has the terms of the agreement"

    def _receipts(self, remarks: Remarks) -> str:
        return check_receipts(self._members, self._read(members.CONTRACT), remarks)

    # -- 13 and 14: what follows ------------------------------------------------------------------------------------------

    def _statement(self, _: Remarks) -> str:
        self._made = members.derived({name: each for name, each in self._members.items() if members.is_source(name)})
        if (self._members.get(members.STATEMENT) or b"") != self._made.get(members.STATEMENT, b""):
            found, made = (each.get(members.STATEMENT, b"") for each in (self._members, self._made))
            if _numbers(found) != _numbers(made):
                raise Flaw("statement-other", "receipts and meters come to something else", Place(members.STATEMENT))
        if members.STATEMENT not in self._made:
            raise NotDone("the terms cannot be read, so that there is nothing to reckon")
        totals = orjson.loads(self._made[members.STATEMENT])["totals"]
        return ", ".join(f"{amount} {currency}" for currency, amount in totals.items()) or "nothing is owed in money"

    def _pages(self, _: Remarks) -> str:
        listed = self._of_manifest()
        given = {name: each for name, each in self._members.items() if not members.is_source(name)}
        for each in (manifest.NAME, manifest.SEAL):
            given.pop(each, None)
        if listed.release != release():
            raise NotDone(f"release {listed.release} has written them, this is {release()}: their words may differ")
        for name in sorted(given.keys() ^ self._made.keys()):
            raise Flaw("page-missing" if name in self._made else "page-added", "it does not follow from the rest", Place(name))
        for name, content in sorted(self._made.items()):
            if given[name] != content:
                raise Flaw("page-other", "it says something else than what it follows from", Place(name))
        return f"{len(self._made)} members follow from the others"

    def _read(self, name: str) -> dict[str, Any]:
        if name not in self._members:
            raise Flaw("member-missing", "every bundle has it", Place(name))
        found = orjson.loads(self._members[name])
        if not isinstance(found, dict):
            raise Flaw("member-form", "it is no JSON object", Place(name))
        return found


def _is_spelled(content: bytes) -> bool:
    """Whether JSON is as we write it: no member twice, of which one reader takes the first and another the last."""
    try:
        return members.told(orjson.loads(content)) == content
    except (ValueError, TypeError):
        return False


def _numbers(statement: bytes) -> Any:
    """What a statement says in numbers: its words may be another release's."""
    if not statement:
        return None
    found = orjson.loads(statement)
    for line in found["lines"]:
        line.pop("note", None)
    return found
