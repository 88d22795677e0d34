"""The lines of the log in a bundle: that they are in the log, that what was opened is what they commit to, and who saw the log.

The keys of the log are those of `vkeys`, tied to each other by heads that both the old and the new one have signed. The key with
which the counterparty cosigns stands in the document that was kept of it at signing. Pure; raises Flaw.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson

from catalog.canonical import canonical_bytes
from connector.audit.ceremony import Flaw, NotDone, Place, Remarks
from connector.audit.witnessed import own_keys, witness_of
from connector.evidence import history, members
from connector.evidence.manifest import SEAL
from connector.evidence.members import CHECKPOINT, VKEYS, may_be_opened
from connector.identity.gate import base64url
from connector.log.leaf import unfit
from connector.log.merkle import ProofWrong, check_consistency
from connector.log.note import COSIGNATURE, ED25519, Checkpoint, NoteRefused, Opened, Verifier, opened, origin_of
from connector.log.proofs import check_tlog_proof, read_tlog_proof
from connector.log.sealing import sealed
from connector.log.witness import witness_name

MAX_KEYS: Final = 64
Document = dict[str, Any]


class LogChecks:
    """The steps about the log, in their order. ``known``: vkeys of the log from elsewhere, ``witnesses``: vkeys of logs or
    witnesses whose owners may have cosigned it; ``sealed_by``: the thumbprint of the key of the bundle's seal, where nobody but
    the bundle says whose it is."""

    def __init__(
        self, found: Mapping[str, bytes], known: Sequence[str], witnesses: Sequence[str], sealed_by: Callable[[], str | None]
    ) -> None:
        self._found = found
        self._known = frozenset(known)
        self._sealed_by = sealed_by
        self._others = tuple(witnesses)
        self._keys: list[Verifier] = []
        self._witnesses: list[Verifier] = []
        self._heads: dict[str, Checkpoint] = {}
        """The heads that hold, by their notes."""

    def heads(self, remarks: Remarks) -> str:
        """The newest head and the cosigned ones are signed by the log, which has only grown between them."""
        facts = self._facts()
        self._needs_log(facts)
        self._keys = self._listed_keys(facts["us"])
        self._witnesses = self._keys_of_witness(facts["counterparty"])
        newest = self._head(CHECKPOINT)
        since = self._check_chain(remarks)
        if self._keys[-1] not in self._signers(CHECKPOINT):
            raise Flaw("key-stale", "the newest key of the log has not signed its newest head", Place(CHECKPOINT))
        if facts["queued"]:
            remarks.add(f"{facts['queued']} lines waited for the log when the bundle was made; a later one has them")
        if not self._known:
            remarks.add("no key of the log was given (--key): compare vkeys with what you have from the exporter itself")
        elif not self._known & {each.vkey for each in self._keys[since:]}:
            raise Flaw("vkey-unknown", "none of the keys that were given is one of this log", Place(VKEYS))
        for name in self._names("cosigned/"):
            self._check_growth(name, newest)
        for name in self._names("consistency/"):
            if name.replace("consistency/", "cosigned/") not in self._found:
                raise Flaw("head-missing", "there is a proof of growth, and not the head that it is from", Place(name))
        return f"{newest.origin}, {newest.size} lines, root {base64.b64encode(newest.root).decode()}"

    def leaves(self, remarks: Remarks) -> str:
        """Each line is one that a log of ours may have, and its proof leads to a head that holds."""
        self._needs_log(self._facts())
        seen: set[str] = set()
        names = self._names("leaves/")
        for name in names:
            leaf = self._found[name]
            said = orjson.loads(leaf)
            if not isinstance(said, dict) or unfit(said) is not None or canonical_bytes(said) != leaf:
                raise Flaw("leaf-form", "a line of a log does not say this", Place(name))
            if said["id"] in seen:
                raise Flaw("leaf-twice", "another line has the same id", Place(name))
            seen.add(said["id"])
            self._check_proof(name, leaf)
        stray = {each.replace("proofs/", "leaves/").replace(".tlog-proof", ".json") for each in self._names("proofs/")} - {*names}
        for name in sorted(stray):
            raise Flaw("leaf-missing", "there is a proof of a line, and not the line", Place(name))
        remarks.add("these are the lines that the exporter has put in; that none is missing shows its whole log alone")
        return f"{len(names)} lines are in the log"

    def payloads(self, remarks: Remarks) -> str:
        """What was opened hashes to what its line says, under the key that its line commits to."""
        self._needs_log(self._facts())
        names = self._names("payloads/")
        for name in names:
            leaf, told = self._found.get(name.replace("payloads/", "leaves/")), orjson.loads(self._found[name])
            if leaf is None:
                raise Flaw("leaf-missing", "there is a payload of a line, and not the line", Place(name))
            said = orjson.loads(leaf)
            made = sealed(told["payload"], bytes.fromhex(told["key"]), said["id"])
            if said.get("payload") != {"sha256": made.sha256, "key": made.key}:
                raise Flaw("payload-other", "the line commits to another payload or another key", Place(name))
        for name in self._names("leaves/"):
            said = orjson.loads(self._found[name])
            if may_be_opened(said) and name.replace("leaves/", "payloads/") not in self._found:
                remarks.add(f"{name}: what this {said['type']} says is not in the bundle, or its key was erased")
        return f"{len(names)} payloads are what their lines commit to"

    def contents(self, remarks: Remarks) -> str:
        """The lines are about one agreement, and where they say which, it is this one."""
        facts = self._facts()
        self._needs_log(facts)
        lines, record = history.lines_of(self._found), orjson.loads(self._found[members.RECORD])
        processes = {each["id"] for each in record["processes"]}
        contracts = {each.leaf["contract"] for each in lines if "contract" in each.leaf}
        if len(contracts) > 1:
            raise Flaw("leaf-other", "the lines are about several agreements", Place("leaves"))
        told = 0
        for line in lines:
            place = Place(f"leaves/{line.index:010}.json")
            ours = line.leaf.get("contract") in contracts or line.leaf.get("process") in processes
            if not _of_keys(line) and not ours:
                raise Flaw("leaf-other", "the line is about something else", place)
            if line.leaf["type"] == "agreement" and line.payload is not None and "agreement" in line.payload:
                told += 1
                if canonical_bytes(line.payload["agreement"]) != self._found[members.AGREEMENT]:
                    raise Flaw("agreement-logged", "the log has another agreement than agreement.json", place)
            if line.leaf["type"] == "signature":
                self._check_kept(line)
        self._check_signers(lines)
        self._check_receipts(lines)
        self._check_seal(lines, remarks)
        if not told:
            remarks.add("no opened line has the agreement itself: it is older than the log, or the key of its payload was erased")
        return f"the log has the agreement {told} times, as it stands in agreement.json"

    def cosigned(self, remarks: Remarks) -> str:
        """A head that the counterparty has cosigned covers lines of the agreement."""
        self._needs_log(self._facts())
        names = self._names("cosigned/")
        if not names:
            raise NotDone("the counterparty has cosigned no head that covers these lines")
        if not self._witnesses:
            raise NotDone("the key with which the counterparty cosigns is not known here")
        if not self._others:
            remarks.add(
                "the key is the one that the exporter kept of the counterparty: name it (--witness) if you have it from elsewhere"
            )
        for name in names:
            if not any(each.verifier in self._witnesses for each in self._opened(name).verified):
                raise Flaw(
                    "cosignature-missing", "the counterparty has not cosigned it with a key that was kept of it", Place(name)
                )
        return f"{self._witnesses[0].name} has cosigned {len(names)} heads"

    # -- parts ------------------------------------------------------------------------------------------------------------

    def _facts(self) -> Document:
        found = orjson.loads(self._found[members.CONTRACT])
        return found if isinstance(found, dict) else {}

    def _needs_log(self, facts: Document) -> None:
        if CHECKPOINT not in self._found:
            if facts["logged"] or self._known:
                raise Flaw(
                    "head-missing",
                    "contract.json, or a key that was given, speaks of a log, and there is no head of one",
                    Place(CHECKPOINT),
                )
            raise NotDone("there is no line of a log in this bundle: the agreement is older than the log")

    def _names(self, folder: str) -> list[str]:
        return sorted(each for each in self._found if each.startswith(folder))

    def _listed_keys(self, exporter: str) -> list[Verifier]:
        lines = self._found.get(VKEYS, b"").decode("utf-8", "replace").split()
        if not 1 <= len(lines) <= MAX_KEYS:
            raise Flaw("vkey-missing", f"a log has 1 to {MAX_KEYS} keys", Place(VKEYS))
        keys = []
        for number, line in enumerate(lines):
            try:
                keys.append(Verifier.parse(line))
            except NoteRefused as refused:
                raise Flaw(refused.code, refused.reason, Place(VKEYS, number)) from refused
            if keys[-1].kind != ED25519 or keys[-1].name != origin_of(exporter):
                raise Flaw("vkey-other", "it is not a key of the exporter's log", Place(VKEYS, number))
        return keys

    def _keys_of_witness(self, counterparty: str) -> list[Verifier]:
        """The keys with which the counterparty may have cosigned: given ones, or where none are, those in what was kept of it,
        which the exporter could have made."""
        name = witness_name(origin_of(counterparty))
        given = [witness_of(Verifier.parse(each)) for each in self._others]
        found = {each for each in given if each.name == name}
        for kept in () if found else members.keys(self._found):
            if kept.participant == counterparty:
                found |= {Verifier(name, COSIGNATURE, each) for each in _ed25519(kept.snapshot.get("document"))}
        return sorted(found, key=lambda each: each.vkey)

    def _opened(self, name: str) -> Opened:
        note = self._found.get(name, b"")
        try:
            shown = opened(note.decode(), [*own_keys(self._keys), *self._witnesses])
        except NoteRefused as refused:
            raise Flaw(refused.code, refused.reason, Place(name)) from refused
        except UnicodeDecodeError as error:
            raise Flaw("note-form", "a note is UTF-8", Place(name)) from error
        if not any(each.verifier.kind == ED25519 for each in shown.verified):
            raise Flaw("head-unsigned", "no key of the log has signed it", Place(name))
        return shown

    def _signers(self, name: str) -> set[Verifier]:
        return {each.verifier for each in self._opened(name).verified}

    def _head(self, name: str) -> Checkpoint:
        checkpoint = self._opened(name).checkpoint
        self._heads[self._found[name].decode()] = checkpoint
        return checkpoint

    def _check_chain(self, remarks: Remarks) -> int:
        """Each key of the log was announced by the one before: there is a head that both have signed. A key that was revoked
        announces nothing: gives the first key from which on each vouches for the next."""
        both = [self._signers(name) for name in self._names("handover/")]
        since = 0
        for number, (old, new) in enumerate(zip(self._keys, self._keys[1:], strict=False), 1):
            if any({old, new} <= signers for signers in both):
                continue
            if not any(new in signers for signers in both):
                raise Flaw("handover-missing", "no head announces this key", Place(VKEYS, number))
            remarks.add(f"key {number} of the log was not announced by the one before, which was revoked")
            since = number
        return since

    def _check_growth(self, name: str, newest: Checkpoint) -> None:
        older, proof = self._head(name), name.replace("cosigned/", "consistency/")
        if f"cosigned/{older.size}" != name:
            raise Flaw("head-size", "the head is of another size than its name", Place(name))
        if proof not in self._found:
            raise Flaw("proof-missing", "there is no proof that the log has only grown since", Place(proof))
        try:
            path = [base64.b64decode(each, validate=True) for each in self._found[proof].decode("ascii").split()]
            check_consistency(older.size, older.root, newest.size, newest.root, path)
        except ProofWrong as wrong:
            raise Flaw(wrong.code, wrong.reason, Place(proof)) from wrong
        except ValueError as error:
            raise Flaw("proof-form", "a proof of growth is lines of base64", Place(proof)) from error

    def _check_kept(self, line: history.Line) -> None:
        """The keys that the log kept at signing stand in the bundle as they were kept."""
        first: dict[tuple[str, str], Document] = {}
        for each in members.keys(self._found):
            first.setdefault((each.participant, each.kid), each.snapshot)
        for kept in (line.payload or {}).get("keys") or []:
            there = first.get((kept.get("participant"), kept.get("kid")))
            if kept and (there is None or there["at"] > kept["at"] or (there["at"] == kept["at"] and there != kept)):
                place = Place(f"leaves/{line.index:010}.json")
                raise Flaw("key-logged", "the log has kept another key, or another document of it, than the bundle", place)

    def _check_signers(self, lines: Sequence[history.Line]) -> None:
        """Who has signed the agreement did so with a key of which the log says that it has."""
        said: dict[str, set[str]] = {}
        for line in lines:
            if line.leaf["type"] == "signature" and "by" in line.leaf and "thumbprint" in line.leaf:
                said.setdefault(line.leaf["by"], set()).add(line.leaf["thumbprint"])
        facts = self._facts()
        for index, each in enumerate(members.signers(self._found)):
            other = "consumer" if facts["role"] == "provider" else "provider"
            by = facts["role"] if each.participant == facts["us"] else other
            if by in said and each.thumbprint not in said[by]:
                reason = "the log says that this party has signed with another key"
                raise Flaw("signature-logged", reason, Place(members.SIGNATURES, index))

    def _check_seal(self, lines: Sequence[history.Line], remarks: Remarks) -> None:
        """The log names the key that sealed the bundle: so who knows the log's key knows whose the bundle is."""
        thumbprint = self._sealed_by()
        changes = {line.leaf.get("thumbprint"): line.leaf.get("change") for line in lines if line.leaf["type"] == "key"}
        change = changes.get(thumbprint)
        if thumbprint is None or change in ("made", "rotated"):
            return
        reason = "no line of the log that is here names the key of the seal, or one says that it was revoked"
        if change is not None or self._known:
            raise Flaw("seal-unnamed", reason, Place(SEAL))
        remarks.add(reason)

    def _check_receipts(self, lines: Sequence[history.Line]) -> None:
        """No receipt that the log speaks of is left out."""
        there = {orjson.loads(self._found[name])["transfer"] for name in self._names("receipts/")}
        for line in lines:
            signed = line.leaf["type"] == "receipt" and line.leaf.get("state") in ("countersigned", "disputed")
            if signed and line.leaf.get("process") not in there:
                place = Place(f"leaves/{line.index:010}.json")
                raise Flaw("receipt-missing", "the log speaks of a receipt that is not in the bundle", place)

    def _check_proof(self, leaf_name: str, leaf: bytes) -> None:
        name = leaf_name.replace("leaves/", "proofs/").replace(".json", ".tlog-proof")
        content = self._found.get(name)
        if content is None:
            raise Flaw("proof-missing", "there is no proof that this line is in the log", Place(name))
        try:
            text = content.decode()
            index, _ = check_tlog_proof(text, leaf, [*own_keys(self._keys), *self._witnesses])
            note = read_tlog_proof(text).note
        except (ProofWrong, NoteRefused) as wrong:
            raise Flaw(wrong.code, wrong.reason, Place(name)) from wrong
        except UnicodeDecodeError as error:
            raise Flaw("proof-form", "a proof is a text", Place(name)) from error
        if f"leaves/{index:010}.json" != leaf_name:
            raise Flaw("proof-index", "it proves that the line stands elsewhere", Place(name))
        if note not in self._heads:
            raise Flaw("proof-head", "it leads to a head that is not in the bundle", Place(name))


def _of_keys(line: history.Line) -> bool:
    """Whether a line is about no agreement, but about keys that all of them are signed with."""
    return line.leaf["type"] in ("log", "log-key") or (line.leaf["type"] == "key" and line.leaf.get("use") == "agreement")


def _ed25519(document: Any) -> set[bytes]:
    """The Ed25519 keys in a DID document or in a list of pinned keys."""
    if not isinstance(document, dict):
        return set()
    methods = document.get("verificationMethod") or []
    jwks = [each.get("publicKeyJwk") for each in methods if isinstance(each, dict)] + list(document.get("keys") or [])
    found = set()
    for jwk in jwks:
        if isinstance(jwk, dict) and jwk.get("crv") == "Ed25519":
            octets = base64url(jwk["x"])
            if len(octets) == 32:
                found.add(octets)
    return found
