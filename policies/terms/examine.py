"""Whether a constraint, or the action of a rule, says something that somebody here can keep; and if not, what is wrong."""

from __future__ import annotations

from typing import Final, NamedTuple

from policies.model import ODRL, XSD, Constraint, Lit, Operator
from policies.terms.registry import term
from policies.terms.term import Term
from policies.terms.values import SETS, VALUES_MOST, Values

_OPERATORS: Final = {f"{ODRL}{operator.value}": operator for operator in Operator}
_STRING: Final = f"{XSD}string"
_SHOWN_MOST: Final = 120
_INCLUSIONS_MOST: Final = 16


class Fault(NamedTuple):
    """What is wrong: a stable code, the member that it is about, and a sentence."""

    code: str
    member: str
    sentence: str


class Understood(NamedTuple):
    """A constraint of which every part is known; ``right`` has the datatypes that the constraint declares."""

    term: Term
    operator: Operator
    right: Values


def understand(constraint: Constraint) -> Understood | Fault:
    """A constraint with its term and operator, or the first thing about it that nobody here understands.

    A ``status`` that somebody wrote is no evidence; what is the case comes from our own records.
    """
    known = term(constraint.left)
    if known is None or known.kind != "operand" or known.values is None:
        return Fault("operand-unknown", "leftOperand", f"the operand {_shown(constraint.left)} is not known here")
    operator = _OPERATORS.get(constraint.operator)
    if operator is None:
        return Fault("operator-unknown", "operator", f"the operator {_shown(constraint.operator)} is not known here")
    if operator not in known.operators:
        return Fault("operator-unsupported", "operator", f"{_shown(constraint.left)} cannot be compared by {operator.value}")
    if constraint.reference is not None:
        return Fault(
            "reference-unsupported", "rightOperandReference", "a value that stands elsewhere is not looked up; write it out"
        )
    if constraint.unit is not None and constraint.unit not in known.units:
        return Fault("unit-unknown", "unit", f"the unit {_shown(constraint.unit)} is not known for {_shown(constraint.left)}")
    right = constraint.right if constraint.datatype is None else _typed(constraint.right, constraint.datatype)
    if len(right) != 1 and not (operator in SETS and 1 < len(right) <= VALUES_MOST):
        return Fault("value-count", "rightOperand", f"{operator.value} cannot take {len(right)} values")
    wrong = known.values(right)
    return Understood(known, operator, right) if wrong is None else Fault("value-invalid", "rightOperand", wrong)


def _typed(values: Values, datatype: str) -> Values:
    return tuple(Lit(one.text, datatype) if isinstance(one, Lit) and one.datatype == _STRING else one for one in values)


def included(action: str, wider: str) -> bool:
    """Whether one known action is the other or included in it (ODRL 2.2, vocabulary: ``includedIn``)."""
    found = term(action)
    for _ in range(_INCLUSIONS_MOST):
        if found is None or found.kind == "operand":
            break
        if found.iri == wider:
            return True
        found = None if found.included_in is None else term(found.included_in)
    return False


def action_known(iri: str) -> bool:
    """Whether an action of a permission or prohibition is known. The actions of duties are among them."""
    found = term(iri)
    return found is not None and found.kind != "operand"


def _shown(iri: str) -> str:
    return f"<{iri[:_SHOWN_MOST]}>"
