"""What two policies say otherwise: a redline term by term, and the comparison of two documents as they stand.

``contains`` of ``policies/containment.py`` is offered here too. A redline pairs the rules of both sides that are most alike, and
in them the terms on the same operand. Imports the model and containment.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

from policies.containment import affordable, contains, implies, includes
from policies.model import ODRL, AnyConstraint, Asset, Compound, Logic, Party, Policy
from policies.plain import plain, plain_rule, resolved
from policies.walk import Placed, Rule, duties, numbered, rules

__all__ = ["Change", "contains", "differences", "redline"]

_BINDING: Final = ("target", "profile", "permission", "prohibition", "obligation")
_NAMES: Final = frozenset({"@id", "@type", "@context", "uid"})

Kind = Literal["added", "removed", "changed", "narrowed", "widened"]
Node = AnyConstraint | Rule | Asset | Party | str
"""What stands somewhere: a part of the model, or a text for an IRI."""
_N = TypeVar("_N")
_Conditions = list[tuple[str, AnyConstraint]]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. ``before`` and ``after`` are what stood there (None: nothing), ``path`` and ``other_path`` where.

    ``narrowed``: by this term less is permitted afterwards, or more is owed; ``widened``: the opposite; ``changed``: neither can
    be shown. What a term that was added or removed does follows from where it stands. ``term`` is the IRI of the operand, the
    action, the logic or the member.
    """

    kind: Kind
    term: str
    path: str | None
    other_path: str | None
    before: Node | None
    after: Node | None


def redline(one: Policy, other: Policy) -> tuple[Change, ...]:
    """What ``other`` says otherwise than ``one``, in the order of the rules; nothing where they plainly say the same.

    What a policy is called, its kind, and who it is from and for are not terms of it. In policies that are too large to hold
    every rule against every other, a rule that changed is one that was removed and one that was added.
    """
    found = [*_members(one, other)]
    likeness = _likeness if affordable(one, other) else _unlike
    for before, after in _paired(_unassigned(one), _unassigned(other), _bare_rule, likeness):
        found += _rule_changes(before, after)
    return tuple(found)


def differences(left: Mapping[str, Any], right: Mapping[str, Any]) -> list[str]:
    """What ``right`` says otherwise than ``left``, one sentence for each binding member; empty means the same terms.

    Compared are documents as they stand, for those members that bind. What only identifies (``@id``, ``@type``, ``@context``,
    assigner, assignee, timestamp) is not a term. An absent list and an empty one are the same.
    """
    found: list[str] = []
    for member in _BINDING:
        one, other = _bare(left.get(member)), _bare(right.get(member))
        if one != other:
            found.append(f"{member} is not the same")
    return found


def _bare(value: Any, ordered: bool = False) -> Any:
    """Comparable form: names are dropped inside rules, a single value equals a list of it, lists of rules have no order.

    Where a node is a value (a reference, a typed literal), its ``@id`` and ``@type`` are what it says, not what it is called.
    """
    if isinstance(value, Mapping):
        said = value if "@value" in value or value.keys() <= {"@id", "@type"} else value.keys() - _NAMES
        bare = {key: _bare(value[key], key == Logic.AND_SEQUENCE) for key in said}
        return {key: inner for key, inner in bare.items() if inner is not None}
    if isinstance(value, list):
        if not value:
            return None
        items = [_bare(item) for item in value]
        if len(items) == 1:
            return items[0]
        return items if ordered else sorted(items, key=_written)
    return value


def _written(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=repr)


def _unassigned(policy: Policy) -> list[Placed]:
    """The rules with the target of the policy. Its own parties are names of the contract's sides and stay out of it."""
    return list(rules(resolved(policy, parties=False)))


def _members(one: Policy, other: Policy) -> Iterator[Change]:
    """The members of the policy itself that bind."""
    for member, left, right in (
        ("profile", one.profiles, other.profiles),
        ("inheritFrom", one.inherits, other.inherits),
        ("conflict", _texts(one.conflict), _texts(other.conflict)),
    ):
        if sorted(left) != sorted(right):
            yield _change(
                ODRL + member, (f"/{member}", ", ".join(sorted(left)) or None), (f"/{member}", ", ".join(sorted(right)) or None)
            )


def _texts(text: str | None) -> tuple[str, ...]:
    return () if text is None else (text,)


def _change(
    name: str, before: tuple[str, Node | None] | None, after: tuple[str, Node | None] | None, shown: Kind = "changed"
) -> Change:
    """A change of what stands on one side, or on both, where it is as ``shown``."""
    path, left = before if before and before[1] is not None else (None, None)
    other_path, right = after if after and after[1] is not None else (None, None)
    kind: Kind = "added" if left is None else "removed" if right is None else shown
    return Change(kind, name, path, other_path, left, right)


def _rule_changes(before: Placed | None, after: Placed | None) -> Iterator[Change]:
    """What differs between two rules that stand for each other, of which one may be missing."""
    if before is None or after is None:
        for present in filter(None, (before, after)):
            here = (present.path, present.rule)
            yield _change(present.rule.action.iri, here if before else None, here if after else None)
        return
    one, other = before.rule, after.rule
    if plain_rule(one) == plain_rule(other):
        return
    forbids = before.member == "prohibition"
    if one.action.iri != other.action.iri:
        less, more = includes(one.action.iri, other.action.iri), includes(other.action.iri, one.action.iri)
        shown = _shown(less, more, forbids) if before.member != "obligation" else "changed"
        yield _change(
            f"{ODRL}action", (f"{before.path}/action", one.action.iri), (f"{after.path}/action", other.action.iri), shown
        )
    yield from _function_changes(before, after)
    yield from _condition_changes(
        list(numbered(f"{before.path}/constraint", one.constraints)),
        list(numbered(f"{after.path}/constraint", other.constraints)),
        before.member != "permission",
    )
    yield from _condition_changes(
        list(numbered(f"{before.path}/action/refinement", one.action.refinements)),
        list(numbered(f"{after.path}/action/refinement", other.action.refinements)),
        forbids,
    )
    owed, owed_then = _owed(before), _owed(after)
    for left, right in _paired(owed, owed_then, _bare_rule, _likeness):
        yield from _rule_changes(left, right)


def _owed(placed: Placed) -> list[Placed]:
    return [Placed(path, "obligation", index, duty) for index, (path, duty) in enumerate(duties(placed.path, placed.rule))]


def _function_changes(before: Placed, after: Placed) -> Iterator[Change]:
    """The target and the parties of two rules, each as a whole."""
    for role in sorted({*_functions(before.rule), *_functions(after.rule)}):
        left, right = _functions(before.rule).get(role), _functions(after.rule).get(role)
        if left != right:
            member = role.removeprefix(ODRL)
            yield _change(role, (f"{before.path}/{member}", left), (f"{after.path}/{member}", right))


def _functions(rule: Rule) -> dict[str, Asset | Party]:
    named = {
        f"{ODRL}target": rule.target,
        f"{ODRL}assigner": rule.assigner,
        f"{ODRL}assignee": rule.assignee,
        **dict(rule.parties),
    }
    return {role: found for role, found in named.items() if found is not None}


def _condition_changes(left: _Conditions, right: _Conditions, reverse: bool) -> Iterator[Change]:
    """Differences of conditions; ``reverse``: what narrows the condition widens what is permitted."""
    for before, after in _paired(left, right, lambda placed: plain(placed[1]), _same_operand):
        if before is None or after is None:
            for present in filter(None, (before, after)):
                yield _change(_name(present[1]), before, after)
        elif plain(before[1]) != plain(after[1]):
            less, more = implies(after[1], before[1]), implies(before[1], after[1])
            yield _change(_name(after[1]), before, after, _shown(less, more, reverse))


def _shown(less: bool, more: bool, reverse: bool) -> Kind:
    if less == more:
        return "changed"
    return "narrowed" if less != reverse else "widened"


def _name(condition: AnyConstraint) -> str:
    return ODRL + condition.logic if isinstance(condition, Compound) else condition.left


def _same_operand(before: tuple[str, AnyConstraint], after: tuple[str, AnyConstraint]) -> int:
    """How much two conditions are alike: about the same, and one follows from the other."""
    if _name(before[1]) != _name(after[1]):
        return 0
    return 2 if implies(before[1], after[1]) or implies(after[1], before[1]) else 1


def _bare_rule(placed: Placed) -> tuple[str, Rule]:
    return placed.member, plain_rule(placed.rule)


def _likeness(before: Placed, after: Placed) -> int:
    """How much two rules are alike: of one kind, about related actions, with terms in common."""
    one, other = before.rule, after.rule
    related = (
        one.action.iri == other.action.iri
        or includes(one.action.iri, other.action.iri)
        or includes(other.action.iri, one.action.iri)
    )
    if before.member != after.member or not related:
        return 0
    same = {plain(part) for part in one.constraints} & {plain(part) for part in other.constraints}
    about = {_name(part) for part in one.constraints} & {_name(part) for part in other.constraints}
    owed = {plain_rule(duty) for _, duty in duties("", one)} & {plain_rule(duty) for _, duty in duties("", other)}
    return 1 + 4 * (one.action.iri == other.action.iri) + 2 * (len(same) + len(owed)) + len(about)


def _unlike(before: Placed, after: Placed) -> int:
    return 0


def _paired(
    left: Sequence[_N], right: Sequence[_N], bare: Callable[[_N], object], likeness: Callable[[_N, _N], int]
) -> Iterator[tuple[_N | None, _N | None]]:
    """Pairs of what is equal, else most alike; what has no counterpart stands alone. In the order of the left, then the right."""
    free = dict(enumerate(right))
    equals: dict[object, list[int]] = {}
    for index in reversed(free):
        equals.setdefault(bare(free[index]), []).append(index)
    found: dict[int, int] = {}
    for index, one in enumerate(left):
        if same := equals.get(bare(one)):
            found[index] = same.pop()
            del free[found[index]]
    for index, one in enumerate(left):
        if index not in found:
            scores = {at: likeness(one, candidate) for at, candidate in free.items()}
            best = max(scores, key=scores.__getitem__, default=None)
            if best is not None and scores[best] > 0:
                found[index] = best
                del free[best]
    for index, one in enumerate(left):
        yield one, right[found[index]] if index in found else None
    for one in free.values():
        yield None, one
