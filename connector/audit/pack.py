"""What an authority asks for across agreements: the register of processing, the consents, the recipients. Computed from the
verified log and the payloads beside it, and from nothing else.

GDPR, article 30 (register), 7 (consents), 15 and 19 (recipients). A term is read as the policies read it; what cannot be opened
any more has its salted name and says so. May import `connector.log`, `policies` and the asking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from connector.audit.asking import Log, Opener, Scope, filter_of, pick
from connector.audit.ceremony import Flaw
from connector.audit.lines import Line, place_of
from connector.audit.verifying import Verified
from connector.log.leaf import contract_name, moment, salted
from connector.protocol.errors import CarnetError
from policies import dsp
from policies.errors import PolicyInvalid
from policies.explain import explain_policy
from policies.model import AnyConstraint, Duty, Lit, Policy
from policies.walk import atoms, conditions, duties, rules

Row = dict[str, Any]
CLOSED: Final = "(closed)"
"""In the place of what stands in a payload that nobody can open any more."""
_LEVEL: Final = (
    "detail",
    "minGroupSize",
    "spatialResolution",
    "temporalResolution",
    "samplingInterval",
    "delayPeriod",
    "requestsPerVehicleDay",
)
_CATEGORIES: Final = ("dataCategory", "detail")
_AFFIRMING: Final = frozenset({"eq", "isA", "isAnyOf", "isAllOf", "isPartOf", "hasPart"})
"""Operators after which a value is what is permitted; it is not after any other."""
_DONE: Final = frozenset({"countersigned", "disputed"})
REGISTER: Final = (
    "agreement", "contract", "role", "counterparty", "dataset", "purposes", "categories", "recipients", "legalBases", "retention",
    "level", "terms", "made", "state", "ended", "deliveries", "rows", "bytes",
)  # fmt: skip
CONSENTS: Final = ("line", "time", "change", "ledger", "vehicles")
RECIPIENTS: Final = ("recipient", "agreements", "datasets", "deliveries", "rows", "bytes", "first", "last", "erasures", "overdue")


@dataclass(frozen=True, slots=True)
class Pack:
    """The three registers, as rows by the names above, and the log that they were computed from."""

    verified: Verified
    register: list[Row]
    consents: list[Row]
    recipients: list[Row]

    def document(self) -> Row:
        """For programs."""
        checkpoint = self.verified.checkpoint
        found: Row = {"origin": checkpoint.origin, "size": checkpoint.size, "root": checkpoint.root.hex()}
        found |= {"checkpoint": self.verified.note, "steps": [step.document() for step in self.verified.steps]}
        return {"log": found, "register": self.register, "consents": self.consents, "recipients": self.recipients}


@dataclass(slots=True)
class _Contract:
    row: Row
    deliveries: dict[str, Line] = field(default_factory=dict)


def make_pack(log: Log, scope: Scope) -> Pack:
    """The registers of a scope. Raises as `connector.audit.asking.lines_in`, and Flaw for a payload that contradicts its line.

    The times of a scope are those of deliveries, consents and erasures; an agreement of before that was not over is in the
    register. What was delivered or erased under an agreement need not name its dataset: the agreement does.
    """
    wanted = _Wanted(log, scope)
    answer = pick(log, wanted.takes)
    contracts: dict[str, _Contract] = {}
    consents: list[Row] = []
    erasures: dict[str, dict[str, set[str]]] = {}
    salt = _salt_of(log)
    with Opener(log) as opener:
        for line in answer.lines:
            match line.said["type"]:
                case "agreement":
                    _agreed(contracts, line, opener, salt)
                case "receipt":
                    if (known := contracts.get(line.said.get("contract", ""))) is not None:
                        known.deliveries[line.said.get("process", line.said["id"])] = _fuller(known, line)
                case "termination":
                    if (known := contracts.get(line.said.get("contract", ""))) is not None and line.said.get(
                        "kind"
                    ) == "negotiation":
                        known.row |= {"state": "ended", "ended": line.said["time"]}
                case "consents":
                    consents.append(_consents(line))
                case _:
                    stages = erasures.setdefault(line.said.get("contract", ""), {})
                    stages.setdefault(str(line.said.get("stage")), set()).add(line.said["id"])
    contracts = {name: each for name, each in contracts.items() if wanted.lasts(each)}
    register = [_counted(each) for each in contracts.values()]
    return Pack(answer.verified, register, consents, list(_recipients(contracts, erasures)))


class _Wanted:
    """The lines of a scope."""

    def __init__(self, log: Log, scope: Scope) -> None:
        self._from = "" if scope.from_ms is None else moment(scope.from_ms)
        agreed = replace(scope, from_ms=None)
        self._inside: dict[str, Callable[[Line], bool]] = {
            "agreement": filter_of(log, agreed),
            "termination": filter_of(log, replace(agreed, asset="")),
            "receipt": filter_of(log, replace(scope, asset="")),
            "erasure": filter_of(log, replace(scope, asset="")),
            "consents": filter_of(log, scope),
        }

    def takes(self, line: Line) -> bool:
        """Whether a line is looked at."""
        inside = self._inside.get(line.said["type"])
        return inside is not None and inside(line)

    def lasts(self, contract: _Contract) -> bool:
        """Whether an agreement was not over before the times of the scope, or something was delivered in them."""
        ended = contract.row["ended"]
        return not ended or ended >= self._from or bool(contract.deliveries)


def _salt_of(log: Log) -> bytes | None:
    """The salt of the names, where it is there."""
    try:
        return log.salt()
    except CarnetError:
        return None


def _check_names(line: Line, payload: Row, salt: bytes) -> None:
    """What a payload says of party, dataset and agreement is what its line names under the salt. Raises Flaw."""
    said = line.said
    party, agreement = payload.get("counterparty"), _text(payload.get("agreement"), "@id")
    names = {
        "party": salted(salt, "party", str(party)),
        "asset": salted(salt, "asset", str(payload.get("dataset"))),
        "contract": contract_name(salt, str(said.get("role", "")), str(party), agreement),
    }
    for member, name in names.items():
        if member in said and said[member] != name:
            reason = "what stands beside the line is about something else than the line"
            raise Flaw("payload-contradicts", reason, place_of(line, member))


def _agreed(contracts: dict[str, _Contract], line: Line, opener: Opener, salt: bytes | None) -> None:
    said = line.said
    name = said.get("contract", said["id"])
    state = str(said.get("state", ""))
    if name in contracts:
        contracts[name].row["state"] = state
        if state == "void":
            contracts[name].row["ended"] = said["time"]
        return
    payload = opener.payload(line) or {}
    if "counterparty" in payload and salt is not None:
        _check_names(line, payload, salt)
    row: Row = {
        "agreement": _text(payload.get("agreement"), "@id"),
        "contract": name,
        "role": said.get("role", ""),
        "counterparty": str(payload.get("counterparty") or CLOSED),
        "dataset": str(payload.get("dataset") or CLOSED),
        "made": said["time"],
        "state": state,
        "ended": "",
    }
    terms = _terms(payload.get("agreement"))
    row["recipients"] = row["counterparty"] if said.get("role") == "provider" else "us"
    contracts[name] = _Contract(row | terms)


def _text(document: Any, member: str) -> str:
    return str(document.get(member) or CLOSED) if isinstance(document, dict) else CLOSED


def _terms(document: Any) -> Row:
    """What the agreement says of purposes and the rest; each a text, several joined by semicolons."""
    names = ("purposes", "categories", "legalBases", "retention", "level", "terms")
    if not isinstance(document, dict):
        return dict.fromkeys(names, CLOSED)
    try:
        policy = dsp.read(document)
    except PolicyInvalid:
        return dict.fromkeys(names, "(not readable)")
    stated = list(_stated(policy))
    found = {
        "purposes": _purposes(policy),
        "categories": _joined(stated, _CATEGORIES, named=False),
        "legalBases": _joined(stated, ("legalBasis",), named=False),
        "retention": "; ".join(dict.fromkeys(_retention(policy))),
        "level": _joined(stated, _LEVEL, named=True),
    }
    found["terms"] = " ".join(statement.sentence for statement in explain_policy(policy))
    return {name: text or "not stated" for name, text in found.items()}


def _stated(policy: Policy) -> Iterator[tuple[str, str, str]]:
    """(operand, operator, values) of every condition of a permission, by their short names."""
    for placed in rules(policy):
        if placed.member == "permission":
            yield from _atoms(conditions(placed.path, placed.rule))


def _purposes(policy: Policy) -> str:
    """Those of all permissions; of one that states none, that any purpose is permitted by it."""
    each = [list(_atoms(conditions(placed.path, placed.rule))) for placed in rules(policy) if placed.member == "permission"]
    found = [_joined(stated, ("purpose",), named=False) for stated in each]
    return "; ".join(dict.fromkeys(text or "not limited" for text in found)) if any(found) else ""


def _retention(policy: Policy) -> Iterator[str]:
    for placed in rules(policy):
        owed = [(placed.path, placed.rule)] if isinstance(placed.rule, Duty) else []
        for path, duty in [*owed, *duties(placed.path, placed.rule)]:
            if _short(duty.action.iri) == "delete":
                said = [f"{name} {operator} {value}" for name, operator, value in _atoms(conditions(path, duty))]
                yield f"delete: {', '.join(said) or 'at the end'}"


def _atoms(found: Iterator[tuple[str, AnyConstraint]]) -> Iterator[tuple[str, str, str]]:
    for path, condition in found:
        for _, atom in atoms(path, condition):
            values = [value.text if isinstance(value, Lit) else _short(value.iri) for value in atom.right]
            yield _short(atom.left), _short(atom.operator), ", ".join(map(str, values))


def _joined(stated: list[tuple[str, str, str]], operands: tuple[str, ...], *, named: bool) -> str:
    found = [(name, operator, value) for name, operator, value in stated if name in operands]
    return "; ".join(
        dict.fromkeys(
            f"{name} {operator} {value}" if named else value if operator in _AFFIRMING else f"{operator} {value}"
            for name, operator, value in found
        )
    )


def _short(iri: str) -> str:
    return iri.replace("#", "/").rsplit("/", 1)[-1].rsplit(":", 1)[-1]


def _consents(line: Line) -> Row:
    said = line.said
    return {
        "line": line.number,
        "time": said["time"],
        "change": said.get("change", ""),
        "ledger": said.get("ledger", ""),
        "vehicles": said.get("vehicles", ""),
    }


def _fuller(known: _Contract, line: Line) -> Line:
    """Of two lines about one delivery, the later one that says how much it was."""
    before = known.deliveries.get(line.said.get("process", line.said["id"]))
    return line if before is None or "bytes" in line.said or line.said.get("state") in _DONE else before


def _counted(contract: _Contract) -> Row:
    counts = _sums(contract.deliveries)
    return {name: (contract.row | counts).get(name, "") for name in REGISTER}


def _sums(deliveries: Mapping[str, Line]) -> Row:
    said = [line.said for line in deliveries.values()]
    return {
        "deliveries": len(said),
        "rows": sum(each.get("rows", 0) for each in said),
        "bytes": sum(each.get("bytes", 0) for each in said),
    }


def _recipients(contracts: Mapping[str, _Contract], erasures: Mapping[str, Mapping[str, set[str]]]) -> Iterator[Row]:
    parties: dict[str, list[tuple[str, _Contract]]] = {}
    for name, contract in contracts.items():
        if contract.row["role"] == "provider":
            parties.setdefault(contract.row["counterparty"], []).append((name, contract))
    for party, held in sorted(parties.items()):
        deliveries = {process: line for _, contract in held for process, line in contract.deliveries.items()}
        times = sorted(line.said.get("first", line.said["time"]) for line in deliveries.values())
        stages = [erasures.get(name, {}) for name, _ in held]
        yield {
            "recipient": party,
            "agreements": len(held),
            "datasets": "; ".join(dict.fromkeys(contract.row["dataset"] for _, contract in held)),
            **_sums(deliveries),
            "first": times[0] if times else "",
            "last": times[-1] if times else "",
            "erasures": sum(len(each.get("attested", ())) for each in stages),
            "overdue": sum(len(each.get("overdue", ())) for each in stages),
        }
