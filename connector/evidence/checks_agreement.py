"""Who has signed what in a bundle: the agreement by its parties, each delivery by who received and who provided.

Keys are those that the bundle has kept, each in the document in which it was found. Pure; raises Flaw.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from catalog.canonical import digest
from connector.audit.ceremony import Flaw, NotDone, Place, Remarks
from connector.evidence import members
from connector.flow.seals import TYPES
from connector.identity import jades, seal
from connector.identity.gate import PublicKey
from connector.identity.jades import Claim, SignatureRefused
from connector.identity.seal import Sealed, SealRefused
from connector.identity.snapshots import SnapshotWrong, key_of

Document = dict[str, Any]
_ALWAYS_S: Final = 1 << 40
"""Later than any moment, for who has no clock (s)."""
_UNSIGNED: Final = "weaker evidence: nobody has signed the agreement; the messages by which it was made stand in its place"
_ONE: Final = "weaker evidence: the exporter alone has signed; of the other party there are its messages, as they came"


def check_signatures(found: Mapping[str, bytes], facts: Document, now_ms: int | None, remarks: Remarks) -> str:
    """The signatures hold, are of the bytes in agreement.json, and of whom contract.json says. Raises Flaw."""
    place = Place(members.SIGNATURES)
    if members.SIGNATURES not in found:
        if facts["evidence"] != "unsigned":
            raise Flaw("signatures-missing", "contract.json speaks of signatures, and there are none", place)
        raise NotDone(_UNSIGNED)
    try:
        signed = jades.opened(found[members.SIGNATURES])
    except SignatureRefused as refused:
        raise Flaw(refused.code, refused.reason, place) from refused
    if signed.content != found[members.AGREEMENT]:
        raise Flaw("signatures-other", "what was signed is not agreement.json, byte for byte", place)
    now_s = _ALWAYS_S if now_ms is None else now_ms // 1000
    by = [_signer(found, facts, claim, index, now_s) for index, claim in enumerate(signed.claims)]
    if len(set(by)) != len(by):
        raise Flaw("signature-twice", "one party has signed twice", place)
    expected = {"countersigned": {facts["us"], facts["counterparty"]}, "own-only": {facts["us"]}}.get(facts["evidence"])
    if set(by) != expected:
        raise Flaw("signature-missing", "these are not the signatures of which contract.json speaks", place)
    if facts["evidence"] != "countersigned":
        remarks.add(_ONE)
    for each in members.signers(found):
        remarks.add(
            f"{each.participant}: key {each.thumbprint}, as the exporter kept it; compare it with what the party publishes"
        )
    return f"signed by {' and '.join(by)}"


def _signer(found: Mapping[str, bytes], facts: Document, claim: Claim, index: int, now_s: int) -> str:
    """The participant whose signature this is."""
    place = Place(members.SIGNATURES, index)
    kept = members.kept_of(members.keys(found), claim)
    if kept is None or kept.participant not in (facts["us"], facts["counterparty"]):
        raise Flaw("key-missing", "the key of this signature is not in the bundle as a key of a party", place)
    try:
        jades.verify(claim, kept.participant, key_of(kept.snapshot), now_s)
    except SignatureRefused as refused:
        raise Flaw(refused.code, refused.reason, place) from refused
    except SnapshotWrong as wrong:
        raise Flaw(wrong.code, wrong.reason, Place(kept.member)) from wrong
    return kept.participant


def check_receipts(found: Mapping[str, bytes], facts: Document, remarks: Remarks) -> str:
    """Each receipt is about this agreement, and signed as its state says. Raises Flaw; NotDone if there is none."""
    names = sorted(each for each in found if each.startswith("receipts/"))
    if not names:
        raise NotDone("nothing was delivered, or nobody has signed for it")
    states: dict[str, int] = {}
    for name in names:
        receipt = orjson.loads(found[name])
        _check_receipt(found, facts, name, receipt, remarks)
        states[receipt["state"]] = states.get(receipt["state"], 0) + 1
    return ", ".join(f"{number} {state}" for state, number in sorted(states.items()))


def _check_receipt(found: Mapping[str, bytes], facts: Document, name: str, receipt: Document, remarks: Remarks) -> None:
    us, them, role = facts["us"], facts["counterparty"], facts["role"]
    provider, consumer = (us, them) if role == "provider" else (them, us)
    said = (receipt["agreement"], receipt["counterparty"], receipt["role"])
    content = receipt["content"]
    parties = (content.get("agreementId"), content.get("provider"), content.get("consumer"))
    if said != (facts["agreement"], them, role) or parties != (facts["agreement"], provider, consumer):
        raise Flaw("receipt-other", "it is about another agreement, or between others", Place(name))
    if content.get(f"{role}Pid") != receipt["transfer"]:
        raise Flaw("receipt-other", "it is about another transfer", Place(name, member="content"))
    sealed = _opened(receipt["signed"], "Receipt", consumer, Place(name, member="signed"))
    if sealed.content != content:
        raise Flaw("receipt-content", "what the consumer has signed is something else", Place(name, member="content"))
    if receipt["state"] in ("received", "unverified", "invalid"):
        remarks.add(f"{name}: its signature was not verified by the exporter ({receipt['state']}), and counts for nothing")
        return
    _verify(found, sealed, consumer, Place(name, member="signed"))
    if receipt["state"] in ("countersigned", "disputed"):
        _check_answer(found, provider, name, receipt, sealed)
    elif receipt["state"] not in ("signed", "sent", "answered"):
        raise Flaw("receipt-state", "a receipt has no such state", Place(name, member="state"))


def _check_answer(found: Mapping[str, bytes], provider: str, name: str, receipt: Document, sealed: Sealed) -> None:
    place = Place(name, member="answer")
    answer = _opened(receipt["answer"] or "", "ReceiptAnswer", provider, place)
    _verify(found, answer, provider, place)
    said = answer.content
    about = (said.get("receipt"), said.get("receiptDigest"), said.get("agreementId"))
    if about != (sealed.content.get("id"), digest(sealed.content), sealed.content.get("agreementId")):
        raise Flaw("answer-other", "the provider has answered another receipt", place)
    if said.get("verdict") != receipt["state"]:
        raise Flaw("answer-verdict", "the provider has said something else than the state of the receipt", place)
    if receipt["differences"] != said.get("differences", []):
        raise Flaw("answer-differences", "the provider has named other differences", Place(name, member="differences"))


def _opened(raw: str, message: str, signer: str, place: Place) -> Sealed:
    try:
        return seal.opened(raw, TYPES[message], signer)
    except SealRefused as refused:
        raise Flaw(refused.code, refused.reason, place) from refused


def _verify(found: Mapping[str, bytes], sealed: Sealed, signer: str, place: Place) -> None:
    try:
        seal.verify(sealed, _key(found, sealed.kid, signer, place))
    except SealRefused as refused:
        raise Flaw(refused.code, refused.reason, place) from refused


def _key(found: Mapping[str, bytes], kid: str, participant: str, place: Place) -> PublicKey:
    kept = members.named(members.keys(found), kid, participant)
    if kept is None:
        raise Flaw("key-missing", "the key of this signature is not in the bundle", place)
    try:
        return key_of(kept.snapshot)
    except SnapshotWrong as wrong:
        raise Flaw(wrong.code, wrong.reason, Place(kept.member)) from wrong
