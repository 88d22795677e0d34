"""What the contract log is told of receipts and erasures: drafts of leaves.

Pure. A leaf about a delivery says numbers of our own data plane only: what the other side claims stands in its receipt, which is
in the payload. Of an erasure there is neither a pseudonym nor a reference, and no document that has one: its digest instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final

import orjson

from connector.log.leaf import Draft, moment
from connector.protocol.messages import Document
from connector.store.evidence import Duty, Receipt

_NONE: Final[Mapping[str, Any]] = MappingProxyType({})
_LAST: Final = ("countersigned", "disputed")
_COUNT_MOST: Final = 2**53 - 1
_VEHICLES: Final = ("pseudonyms", "references")


def of_receipt(receipt: Receipt, record: Mapping[str, Any] = _NONE, keys: Sequence[Document] = ()) -> Draft:
    """A receipt has got into a state. ``record`` is what our data plane knows of the delivery; ``keys`` the other side's key as
    it was found when the signature was verified.

    Its last state repeats both signed documents, so that nothing else is needed to verify them.
    """
    own = record or (orjson.loads(receipt.content) if receipt.role == "consumer" else _NONE)
    said: Document = {"counterparty": receipt.counterparty, "transfer": receipt.transfer, "receipt": receipt.id}
    if receipt.state in ("signed", "received", *_LAST):
        said |= {"content": orjson.loads(receipt.content), "signed": receipt.signed}
    if receipt.answer:
        said["answer"] = receipt.answer
    if receipt.state in _LAST:
        said |= {"findings": orjson.loads(receipt.findings), "thumbprint": receipt.thumbprint}
    if keys:
        said["keys"] = [*keys]
    return Draft(
        "receipt",
        {"state": receipt.state, "role": receipt.role, **_numbers(own)},
        process=receipt.transfer,
        party=receipt.counterparty,
        agreement=receipt.agreement,
        role=receipt.role,
        payload=said,
        at=receipt.updated_at,
    )


def _numbers(own: Mapping[str, Any]) -> dict[str, str | int]:
    """How much was delivered and when that began, as far as our own side knows it."""
    meters = own.get("meters")
    found: dict[str, Any] = {name: own.get(name) for name in ("rows", "bytes")}
    found["vehicles"] = meters.get("vehicles") if isinstance(meters, dict) else None
    index = own.get("vehicleIndex")
    if isinstance(index, dict):
        found |= {"index": index.get("sha256"), "vehicles": index.get("vehicles")}
    if _is_count(own.get("firstByteAt")):
        found["first"] = moment(own["firstByteAt"])
    return {name: value for name, value in found.items() if _is_count(value) or (name in ("index", "first") and value)}


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _COUNT_MOST


def of_duty(duty: Duty, stage: str, at_ms: int, code: str = "") -> Draft:
    """An erasure has come to a stage. ``code``: why not, where it did not."""
    content = orjson.loads(duty.content)
    members: dict[str, str | int] = {"stage": stage, "kind": duty.kind, "role": duty.role}
    named = max((_many(content.get(name)) for name in _VEHICLES), default=0)
    if named:
        members["vehicles"] = named
    if duty.due_at is not None:
        members["due"] = moment(duty.due_at)
    said: Document = {"counterparty": duty.counterparty, "duty": duty.id, "agreementId": duty.agreement, "digest": duty.digest}
    said |= {name: content[name] for name in ("transfers", "reason", "ledger") if name in content}
    said |= {
        f"{name}Sha256": _digest(text) for name, text in (("notice", duty.notice), ("attestation", duty.attestation)) if text
    }
    if duty.outcome:
        said["files"] = {name: len(listed) for name, listed in orjson.loads(duty.outcome).items()}
    if duty.thumbprint:
        said["thumbprint"] = duty.thumbprint
    if code:
        said["code"] = code
    return Draft(
        "erasure",
        members,
        party=duty.counterparty,
        agreement=duty.agreement,
        role=duty.role,
        payload=said,
        at=at_ms,
    )


def _many(value: Any) -> int:
    """How many there are, or were: of a fulfilled duty the number is kept alone."""
    return value if isinstance(value, int) else len(value or ())


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
