"""From an agreement to its terms of delivery: each term goes to the bucket that its registry entry names, or is a problem.

What hangs on a duty or a prohibition (refinements, conditions, consequences) is kept with it, in its bucket. A conjunction
falls apart into its parts; a choice (``or``, ``xone``) stays whole and can only be of terms that are decided, not of those that
shape or count what is delivered: a choice of shapes is written as one permission for each. Imports the model, the terms and lint.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from policies.delivery import Capabilities, Delivery, Item, Kind
from policies.errors import Problem, excerpt
from policies.lint import lint
from policies.model import ODRL, AnyConstraint, Compound, Constraint, Duty, Logic, Policy, Prohibition
from policies.terms.examine import Fault, understand
from policies.terms.registry import profile_known, term
from policies.terms.term import Bucket, Point, Term
from policies.walk import OPERATORS, Placed, conditions, duties, parts, rules, shared

Use = Literal["delivery", "choice", "prohibition", "detail"]
"""What a condition is for: it governs the delivery, it is an alternative, it narrows a prohibition that is enforced, or it says
more about a duty or a promise."""

_REPLACED: Final = "leave it out, or register a term that says how it is kept"
_MENDED: Final = {
    "operator-unsupported": "use an operator that this operand takes",
    "operator-unknown": "use an operator of ODRL",
    "reference-unsupported": "write the value itself as rightOperand",
    "unit-unknown": "use a unit of this operand, or none",
    "value-count": "give one value, or several to an operator of sets",
    "value-invalid": "give the operand a value of its type",
}
"""What to do about each thing that can be wrong with a constraint; else it has to be replaced."""


def compile_agreement(agreement: Policy, capabilities: Capabilities) -> Delivery:
    """The terms of delivery of ``agreement`` for all its permissions, with all that cannot be kept here as problems.

    Never raises. Each plain constraint, logical constraint that is a choice, duty, prohibition and permitted action is exactly
    one item. ``Delivery.under`` narrows the result to the permissions that apply when somebody asks.
    """
    work = _Work(capabilities)
    items = [item for path, condition in shared(agreement) for item in work.conditions(path, condition)]
    for placed in rules(agreement):
        items += work.rule(placed)
    for index, iri in enumerate(agreement.profiles):
        if not profile_known(iri):
            said = f"the profile {excerpt(iri)} is not known here"
            work.problem("profile-unknown", f"/profile/{index}", said, "leave it out, or register the terms of the profile")
    for index, iri in enumerate(agreement.inherits):
        said = f"the policy {excerpt(iri)} is not looked up"
        work.problem("inherits-unsupported", f"/inheritFrom/{index}", said, "write its rules out")
    if not agreement.permissions:
        work.problem("permission-none", "/permission", "nothing is permitted, so nothing can be delivered", "add a permission")
    if capabilities.formats is not None and not capabilities.formats:
        work.problem("format-none", "", "the asset can be had in no transfer format here", "give the asset a distribution")
    return _sorted(agreement, items, (*work.problems, *lint(agreement, capabilities)))


def _sorted(agreement: Policy, items: list[Item], problems: tuple[Problem, ...]) -> Delivery:
    def of(bucket: Bucket | None) -> tuple[Item, ...]:
        return tuple(item for item in items if item.bucket is bucket)

    return Delivery(
        permissions=tuple(range(len(agreement.permissions))),
        gates=of(Bucket.GATE),
        shape=of(Bucket.SHAPE),
        meters=of(Bucket.METER),
        clocks=of(Bucket.CLOCK),
        duties=of(Bucket.DUTY),
        legal=of(Bucket.LEGAL),
        unkept=of(None),
        problems=problems,
    )


def needs_data_plane(known: Term) -> bool:
    """Whether nobody can keep a term without a data plane: it is kept by one alone, or what is delivered depends on it too."""
    return bool(known.points) and (Point.QUERY in known.points or all(point.of_data_plane for point in known.points))


@dataclass
class _Work:
    """One compilation: what can be done, and the problems found on the way."""

    capabilities: Capabilities
    problems: list[Problem] = field(default_factory=list)

    def problem(self, code: str, path: str, sentence: str, remedy: str) -> None:
        self.problems.append(Problem(code, path, sentence, remedy))

    def rule(self, placed: Placed) -> Iterator[Item]:
        if isinstance(placed.rule, Prohibition):
            yield self._prohibition(placed.path, placed.rule)
        elif isinstance(placed.rule, Duty):
            yield self._duty(placed.path, placed.rule)
        else:
            yield self._named(f"{placed.path}/action", "action", placed.rule.action.iri)
            for path, condition in conditions(placed.path, placed.rule):
                yield from self.conditions(path, condition)
            for path, duty in duties(placed.path, placed.rule):
                yield self._duty(path, duty)

    def conditions(self, path: str, condition: AnyConstraint, use: Use = "delivery") -> Iterator[Item]:
        """The items of a condition: one, or those of the parts of a conjunction."""
        if isinstance(condition, Constraint):
            yield self._atom(path, condition, use)
        elif condition.logic is Logic.AND:
            for inner_path, inner in parts(path, condition):
                yield from self.conditions(inner_path, inner, use)
        else:
            yield self._choice(path, condition, use)

    def _choice(self, path: str, choice: Compound, use: Use) -> Item:
        inner: Use = "choice" if use == "delivery" else use
        if not choice.parts:
            self.problem("choice-empty", path, "a choice between nothing cannot be met", "name what it is between")
        found = tuple(item for at, part in parts(path, choice) for item in self.conditions(at, part, inner))
        return Item(path, "logic", ODRL + choice.logic, _of_choice(found), parts=found)

    def _atom(self, path: str, constraint: Constraint, use: Use) -> Item:
        found = understand(constraint)
        item = Item(
            path, "constraint", constraint.left, None, OPERATORS.get(constraint.operator), constraint.right, constraint.unit
        )
        if isinstance(found, Fault):
            self.problem(found.code, f"{path}/{found.member}", found.sentence, _MENDED.get(found.code, _REPLACED))
            return item
        return item if self._impossible(path, found.term, use) else _kept(replace(item, values=found.right), found.term)

    def _impossible(self, path: str, known: Term, use: Use) -> bool:
        """Whether a term cannot be kept where it stands; if so, its problem is noted."""
        if use == "detail" or not needs_data_plane(known):
            return False
        if use == "choice":
            said = f"{known.iri} shapes or counts what is delivered and cannot be one of several alternatives"
            self.problem("choice-of-delivery", path, said, "write one permission for each alternative")
        elif use == "prohibition":
            said = f"{known.iri} shapes or counts what is delivered and cannot be the condition of a prohibition"
            self.problem("prohibition-of-delivery", path, said, "write the opposite as a constraint of the permission")
        elif known.iri not in self.capabilities.terms:
            said = f"no data plane here declares to keep {known.iri}"
            self.problem("not-enforceable", path, said, f"let a data plane declare {known.iri}, or leave the term out")
        else:
            return False
        return True

    def _named(self, path: str, kind: Kind, iri: str) -> Item:
        """The item of an action. An action of duties may be prohibited or permitted too, and the other way round."""
        known = term(iri)
        item = Item(path, kind, iri, None)
        if known is None or known.kind == "operand":
            said = f"the {kind} {excerpt(iri)} is not known here"
            self.problem("action-unknown", path, said, _REPLACED)
            return item
        return item if self._impossible(path, known, "delivery") else _kept(item, known)

    def _prohibition(self, path: str, prohibition: Prohibition) -> Item:
        item = self._named(path, "prohibition", prohibition.action.iri)
        use: Use = "detail" if item.legal_only else "prohibition"
        narrowed = [found for at, condition in conditions(path, prohibition) for found in self.conditions(at, condition, use)]
        return self._whole(item, narrowed, duties(path, prohibition))

    def _duty(self, path: str, duty: Duty) -> Item:
        item = self._named(path, "duty", duty.action.iri)
        details = [found for at, condition in conditions(path, duty) for found in self.conditions(at, condition, "detail")]
        return self._whole(item, details, duties(path, duty))

    def _whole(self, item: Item, details: list[Item], further: Iterable[tuple[str, Duty]]) -> Item:
        kept = details if item.bucket is None else [_kept_with(item, detail) for detail in details]
        return replace(item, parts=(*kept, *(self._duty(path, duty) for path, duty in further)))


def _kept(item: Item, known: Term) -> Item:
    return replace(item, bucket=known.bucket, points=known.points, evidence=known.evidence, legal_only=known.legal_only)


def _kept_with(whole: Item, part: Item) -> Item:
    """What says more about a duty or a prohibition is kept as that is: nobody enforces the period of a duty that is attested, or
    the purpose of a prohibition that is legal only. The conditions of an enforced prohibition decide, each where it says."""
    if part.bucket is None or (whole.kind == "prohibition" and whole.points):
        return part
    if part.kind == "logic":
        return replace(part, bucket=whole.bucket, parts=tuple(_kept_with(whole, inner) for inner in part.parts))
    return replace(part, bucket=whole.bucket, points=whole.points, evidence=whole.evidence, legal_only=whole.legal_only)


def _of_choice(found: tuple[Item, ...]) -> Bucket | None:
    """A choice is kept where it is decided: at a gate, and by a clock too if time can decide it."""
    buckets = {item.bucket for item in found}
    if None in buckets or not buckets:
        return None
    if buckets == {Bucket.LEGAL}:
        return Bucket.LEGAL
    return Bucket.CLOCK if Bucket.CLOCK in buckets else Bucket.GATE
