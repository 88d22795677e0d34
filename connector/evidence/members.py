"""What a bundle is made of: members that were written down (sources), and members that follow from those (derived).

Who verifies a bundle makes the derived members anew and compares: so the readable contract, the history of the offers and the
statement say what the agreement, the opened lines of the log, the receipts and the meters say, or it is seen. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import orjson
from cryptography.exceptions import UnsupportedAlgorithm

from connector.evidence import history
from connector.evidence.history import LANGUAGES, Document
from connector.evidence.page import Contract, Signer, contract_page
from connector.evidence.readme import readme_page, readme_text
from connector.flow.statements import Account, made_at, statement_of
from connector.identity import jades
from connector.identity.jades import Claim, SignatureRefused
from connector.identity.snapshots import SnapshotWrong, key_of
from connector.store.evidence import Receipt
from policies import dsp
from policies.errors import PolicyInvalid

AGREEMENT: Final = "agreement.json"
CONTRACT: Final = "contract.json"
RECORD: Final = "record.json"
SIGNATURES: Final = "signatures.json"
METERS: Final = "meters.json"
ERASURES: Final = "erasures.json"
CHECKPOINT: Final = "checkpoint"
VKEYS: Final = "vkeys"
STATEMENT: Final = "statement.json"
FOLDERS: Final = ("receipts/", "keys/", "leaves/", "payloads/", "proofs/", "cosigned/", "consistency/", "handover/")
OPENED: Final = frozenset({"agreement", "signature", "decision", "termination"})
"""Types of lines whose payloads a bundle opens, beside protocol messages: those that cannot name a vehicle."""
_SOURCES: Final = frozenset({AGREEMENT, CONTRACT, RECORD, SIGNATURES, METERS, ERASURES, CHECKPOINT, VKEYS})
_TOLD: Final = frozenset({CONTRACT, RECORD, METERS, ERASURES})
_TOLD_FOLDERS: Final = ("receipts/", "keys/", "payloads/")
_CODEC: Final = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE


@dataclass(frozen=True, slots=True)
class Kept:
    """A key that stands in a bundle, with the name of its member."""

    member: str
    participant: str
    kid: str
    snapshot: Document


def may_be_opened(leaf: Document) -> bool:
    """Whether what stands beside a line of the log belongs into a bundle."""
    return "payload" in leaf and (leaf["type"] in OPENED or (leaf["type"] == "message" and leaf.get("channel") == "dsp"))


def told(document: Any) -> bytes:
    """JSON as members have it: indented, names in order."""
    return orjson.dumps(document, option=_CODEC)


def is_source(name: str) -> bool:
    """Whether a member of that name was written down, and does not follow from others."""
    return name in _SOURCES or name.startswith(FOLDERS)


def is_told(name: str) -> bool:
    """Whether a member of that name is JSON as `told` writes it."""
    return (name in _TOLD or name.startswith(_TOLD_FOLDERS)) and name.endswith(".json")


def derived(sources: Mapping[str, bytes]) -> dict[str, bytes]:
    """The members that follow. Raises what comes of sources that are not of the form that `gathering` gives them: KeyError,
    TypeError, ValueError, AttributeError."""
    facts, record = orjson.loads(sources[CONTRACT]), orjson.loads(sources[RECORD])
    agreement = orjson.loads(sources[AGREEMENT])
    lines = history.lines_of(sources)
    offers = history.offers(lines, record, agreement)
    found = {f"offers/{each['number']:03}.json": told(each) for each in offers}
    found |= {name: told(message) for name, message in history.messages(lines)}
    found["decisions.json"] = told(history.decisions(lines, record))
    found["termination.json"] = told(history.ending(lines, record))
    contract = Contract(sources[AGREEMENT], facts, claims(sources), signers(sources), offers)
    found |= {f"contract.{language}.html": contract_page(contract, language) for language in LANGUAGES}
    with suppress(PolicyInvalid):  # terms that cannot be read have no price
        found[STATEMENT] = told(statement_of(account(sources)))
    names = sorted({*sources, *found})
    found["README.txt"], found["README.html"] = readme_text(facts, names), readme_page(facts, names)
    return found


def account(sources: Mapping[str, bytes]) -> Account:
    """What the statement is reckoned from. Raises PolicyInvalid."""
    facts, meters = orjson.loads(sources[CONTRACT]), orjson.loads(sources[METERS])
    agreement = orjson.loads(sources[AGREEMENT])
    return Account(
        agreement=facts["agreement"],
        counterparty=facts["counterparty"],
        role=facts["role"],
        policy=dsp.read(agreement),
        receipts={each.transfer: each for each in receipts(sources)},
        meters=meters["counted"],
        made=made_at(agreement, facts["createdAt"]),
        now=meters["at"],
        distinct={(each["from"], each["to"]): each["vehicles"] for each in meters["distinct"]},
    )


def account_told(known: Account) -> Document:
    """The meters of an account, as their member has them: of each delivery what is reckoned with, and nothing else."""
    counted: Document | None = None
    if known.meters is not None:
        names = ("transfer", "firstByteAt", "meters", "permission")
        listed = [{name: each[name] for name in names if name in each} for each in known.meters.get("deliveries", [])]
        counted = {"deliveries": listed}
    distinct = [{"from": begin, "to": end, "vehicles": known.distinct[begin, end]} for begin, end in sorted(known.distinct)]
    return {"at": known.now, "counted": counted, "distinct": distinct}


def receipts(sources: Mapping[str, bytes]) -> list[Receipt]:
    """The receipts of a bundle, as far as they count in a statement."""
    found = []
    for name in sorted(each for each in sources if each.startswith("receipts/")):
        told_ = orjson.loads(sources[name])
        found.append(
            Receipt(
                transfer=told_["transfer"],
                id=told_["content"]["id"],
                role=told_["role"],
                counterparty=told_["counterparty"],
                agreement=told_["agreement"],
                state=told_["state"],
                content=orjson.dumps(told_["content"]).decode(),
                signed=told_["signed"],
                answer=told_["answer"] or "",
                created_at=told_["createdAt"],
                updated_at=told_["createdAt"],
            )
        )
    return found


def receipt_told(receipt: Receipt) -> Document:
    """A receipt as its member has it."""
    return {
        "transfer": receipt.transfer,
        "role": receipt.role,
        "counterparty": receipt.counterparty,
        "agreement": receipt.agreement,
        "state": receipt.state,
        "createdAt": receipt.created_at,
        "content": orjson.loads(receipt.content),
        "signed": receipt.signed,
        "answer": receipt.answer or None,
        "differences": orjson.loads(receipt.findings),
    }


def keys(sources: Mapping[str, bytes]) -> list[Kept]:
    """The keys of a bundle, those that were kept first first."""
    found = []
    for name in (each for each in sources if each.startswith("keys/")):
        snapshot = orjson.loads(sources[name])
        found.append(Kept(name, snapshot["participant"], snapshot["kid"], snapshot))
    return sorted(found, key=lambda each: (each.snapshot["at"], each.member))


def claims(sources: Mapping[str, bytes]) -> dict[str, Document]:
    """What the register had of each party, as it was first kept."""
    found: dict[str, Document] = {}
    for each in keys(sources):
        known = (each.snapshot.get("registry") or {}).get("claims")
        if known is not None:
            found.setdefault(each.participant, known)
    return found


def signers(sources: Mapping[str, bytes]) -> list[Signer]:
    """Who is said to have signed the agreement, by the names of their keys. Nothing is verified here."""
    if SIGNATURES not in sources:
        return []
    try:
        signed = jades.opened(sources[SIGNATURES])
    except SignatureRefused:
        return []
    facts, found = orjson.loads(sources[CONTRACT]), []
    for claim in signed.claims:
        known = kept_of(keys(sources), claim)
        participant = known.participant if known is not None else claim.kid.partition("#")[0]
        found.append(Signer(participant, "" if known is None else _thumbprint(known), claim.signed_at_s))
    order = (facts["us"], facts["counterparty"]) if facts["role"] == "provider" else (facts["counterparty"], facts["us"])
    return sorted(found, key=lambda each: order.index(each.participant) if each.participant in order else 2)


def named(kept: Iterable[Kept], kid: str, participant: str | None = None) -> Kept | None:
    """The key of that full name."""
    return next((each for each in kept if each.kid == kid and participant in (None, each.participant)), None)


def kept_of(kept: Iterable[Kept], claim: Claim) -> Kept | None:
    """The key with which a signature is said to be made. Of several of its name, as names without a DID may be,
    the one that the signature's certificate is of."""
    found = [each for each in kept if each.kid == claim.kid]
    return next((each for each in found if _is_certified(each, claim)), found[0] if found else None)


def _is_certified(kept: Kept, claim: Claim) -> bool:
    try:
        return bool(key_of(kept.snapshot).key == claim.certificate.public_key())
    except (SnapshotWrong, ValueError, UnsupportedAlgorithm):
        return False


def _thumbprint(kept: Kept) -> str:
    try:
        return key_of(kept.snapshot).thumbprint
    except SnapshotWrong:
        return ""
