"""What policies, decisions, deliveries and redlines say, in sentences: English, German and French.

``full`` is for the owner of a policy. ``redacted`` is for the counterparty: it learns which terms there are and what would
satisfy them, but never an access list, the name of another party, or the value of a claim that it does not hold itself. Imports
the model, what it explains, and the words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from policies import phrases
from policies.compare import Change, Node
from policies.decision import ConstraintReport, Decision, DutyReport, DutyState, Reason, Satisfaction
from policies.delivery import Delivery, Item
from policies.model import ODRL, AnyConstraint, Asset, Compound, Constraint, Logic, Operator, Party, Policy, Ref, Value
from policies.shown import listed, local
from policies.terms import catenax, foreign, party
from policies.terms.registry import term
from policies.terms.term import Language, Request
from policies.terms.values import name
from policies.terms.wording import OPERATORS as WORDS
from policies.terms.wording import words
from policies.walk import OPERATORS, Rule, duties, numbered, parts, rules

View = Literal["full", "redacted"]

_CLAIMED: Final = frozenset(
    {
        *(found.iri for found in party.TERMS),
        *(iri for iri in (f"{space}REFERRING_CONNECTOR" for space in ("", foreign.EDC, foreign.IDSC))),
        *(f"{catenax.CX}{local_name}" for local_name in ("Membership", "BusinessPartnerNumber", "BusinessPartnerGroup")),
    }
)
"""Operands about who somebody is: their values are lists of access, or claims."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One sentence: the path of what it is about (in the later policy, for a redline), and how deeply it is nested."""

    path: str
    depth: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads, in which language. ``holds``: the id of a counterparty and what its verified claims come to, by name or IRI."""

    language: Language = "en"
    view: View = "full"
    holds: frozenset[str] = frozenset()

    def says(self, text: phrases.Words, **filled: str) -> str:
        return text[self.language].format(**filled)


OWNER: Final = Reader()


def counterparty(request: Request, language: Language = "en") -> Reader:
    """The one who asks, as a reader who may see what it is by its verified claims."""
    claims = request.claims.values()
    texts = {one for claim in claims for one in (claim if isinstance(claim, list | tuple) else (claim,)) if isinstance(one, str)}
    kinds = {name(value) for value in party.kinds(request.claims)}
    return Reader(language, "redacted", frozenset({request.assignee, *texts, *kinds}))


def explain_policy(policy: Policy, reader: Reader = OWNER) -> tuple[Statement, ...]:
    """All that a policy says, rule by rule."""
    return tuple(_Speaker(reader).policy(policy))


def explain_decision(decision: Decision, reader: Reader = OWNER) -> tuple[Statement, ...]:
    """Why a request is permitted and what is still owed; or why it is refused, and what would satisfy."""
    return tuple(_Speaker(reader).decision(decision))


def explain_delivery(delivery: Delivery, reader: Reader = OWNER) -> tuple[Statement, ...]:
    """Each term of delivery and how it is kept; then, for the owner, what cannot be kept, with its remedy, in English."""
    return tuple(_Speaker(reader).delivery(delivery))


def explain_redline(changes: Iterable[Change], reader: Reader = OWNER) -> tuple[Statement, ...]:
    """Each change, with what stood there before."""
    speaker = _Speaker(reader)
    return tuple(speaker.change(one) for one in changes) or (Statement("", 0, reader.says(phrases.NO_CHANGE)),)


@dataclass(frozen=True, slots=True)
class _Speaker:
    """Sentences for one reader."""

    reader: Reader

    # --- policies ----------------------------------------------------------------------------------------------------

    def policy(self, policy: Policy) -> Iterator[Statement]:
        says = self.reader.says
        for member, texts in (("profile", policy.profiles), ("inheritFrom", policy.inherits), ("conflict", policy.conflict)):
            if texts:
                what = texts if isinstance(texts, str) else ", ".join(texts)
                yield Statement(f"/{member}", 0, says(phrases.RULES[member], what=what))
        yield from self._functions("", 0, policy.target, policy.assigner, policy.assignee)
        for placed in rules(policy):
            yield from self.rule(placed.path, placed.member, placed.rule, 0)

    def rule(self, path: str, member: str, rule: Rule, depth: int) -> Iterator[Statement]:
        """A rule, its parties, what narrows it, and what hangs on it."""
        yield Statement(path, depth, self.reader.says(phrases.RULES[member], what=self._action(rule.action.iri)))
        yield from self._functions(path, depth + 1, rule.target, rule.assigner, rule.assignee, rule.parties)
        for at, condition in (
            *numbered(f"{path}/action/refinement", rule.action.refinements),
            *numbered(f"{path}/constraint", rule.constraints),
        ):
            yield from self.condition(at, condition, depth + 1)
        for at, duty in duties(path, rule):
            yield from self.rule(at, at.split("/")[-2], duty, depth + 1)

    def condition(self, path: str, condition: AnyConstraint, depth: int) -> Iterator[Statement]:
        if isinstance(condition, Constraint):
            yield Statement(path, depth, self.constraint(condition))
            return
        yield Statement(path, depth, self.reader.says(phrases.LOGIC[condition.logic]))
        for at, part in parts(path, condition):
            yield from self.condition(at, part, depth + 1)

    def constraint(self, found: Constraint) -> str:
        """The sentence of a plain constraint; the values are left out where the reader may not see them."""
        operator = OPERATORS.get(found.operator)
        said = local(found.operator) if operator is None else WORDS[operator][self.reader.language]
        values = found.right if found.reference is None else (Ref(found.reference),)
        value = self._values(found.left, values, found.unit)
        if found.reference is not None:
            value = self.reader.says(phrases.ELSEWHERE, what=value)
        return self._operand(found.left, operator, value, said)

    def _operand(self, iri: str, operator: Operator | None, value: str, said: str) -> str:
        known = term(iri)
        if known is None or known.kind != "operand":
            return f"{local(iri)} {said} {value} ({self.reader.says(phrases.UNKNOWN)})."
        said = said if operator is None else words(known, operator, self.reader.language)
        return known.sentence[self.reader.language].format(operator=said, value=value)

    def _values(self, operand: str, values: tuple[Value, ...], unit: str | None) -> str:
        """Values as this reader may see them."""
        language = self.reader.language
        known = term(operand)
        if self.reader.view == "full" or not (known is None or operand in _CLAIMED):
            return listed(values, unit, language)
        open_to_all = party.KINDS if operand == party.RECIPIENT else frozenset()
        own = tuple(value for value in values if name(value) in self.reader.holds | open_to_all)
        hidden = self.reader.says(phrases.HIDDEN)
        return hidden if not own else listed(own, unit, language) + (f" {hidden}" if len(own) < len(values) else "")

    def _functions(
        self,
        path: str,
        depth: int,
        target: Asset | None,
        assigner: Party | None,
        assignee: Party | None,
        others: tuple[tuple[str, Party], ...] = (),
    ) -> Iterator[Statement]:
        """The target and the parties of a rule, each with what narrows it."""
        named = [("target", f"{ODRL}target", target), ("assigner", f"{ODRL}assigner", assigner)]
        for word, role, found in (*named, ("assignee", f"{ODRL}assignee", assignee), *(("party", *other) for other in others)):
            if found is not None:
                at = f"{path}/{role.removeprefix(ODRL)}"
                yield Statement(at, depth, self.reader.says(phrases.RULES[word], what=self._named(found), role=local(role)))
                for inner, condition in numbered(f"{at}/refinement", found.refinements):
                    yield from self.condition(inner, condition, depth + 1)

    def _named(self, found: Asset | Party) -> str:
        if isinstance(found, Asset) or self.reader.view == "full" or found.iri in self.reader.holds:
            return found.iri
        return self.reader.says(phrases.SOMEBODY)

    def _action(self, iri: str) -> str:
        known = term(iri)
        if known is None or known.kind == "operand":
            return f"{local(iri)} ({self.reader.says(phrases.UNKNOWN)})"
        return known.sentence[self.reader.language]

    # --- decisions ---------------------------------------------------------------------------------------------------

    def decision(self, decision: Decision) -> Iterator[Statement]:
        says = self.reader.says
        yield Statement("", 0, says(phrases.DECISIONS[decision.outcome]))
        reported = dict(_reported(decision))
        if decision.permitted:
            for path, found in reported.items():
                if isinstance(found, DutyReport) and found.state is DutyState.PENDING and self._concerns(path, decision):
                    yield Statement(path, 1, says(phrases.DECISIONS["owed"], what=self._action(found.action)))
            return
        for reason in decision.reasons:
            yield Statement(reason.path, 1, self._reason(reason, reported.get(reason.path)))
            yield Statement(reason.path, 2, self._remedy(reason, reported.get(reason.path)))

    @staticmethod
    def _concerns(path: str, decision: Decision) -> bool:
        """Whether a duty is one of the permission that applies, or of the whole policy."""
        return path.startswith(("/obligation/", *(f"{reason.path}/" for reason in decision.reasons)))

    def _reason(self, reason: Reason, found: ConstraintReport | DutyReport | None) -> str:
        """Why not, without a word of the decision point's own sentence, which may name what the reader must not see."""
        says = self.reader.says
        if isinstance(found, DutyReport):
            return says(phrases.DECISIONS["violated"], what=self._action(found.action))
        if found is not None:
            said = "undecided" if found.satisfaction is Satisfaction.UNKNOWN else "required"
            return says(phrases.DECISIONS[said], what=self._inline(found.constraint))
        return says(phrases.DECISIONS[phrases.OF_CODE.get(reason.code, "unclear")])

    def _remedy(self, reason: Reason, found: ConstraintReport | DutyReport | None) -> str:
        """What would satisfy. Where the remedy is known in English only, the other languages repeat what is required."""
        says = self.reader.says
        if reason.remedy is None:
            return says(phrases.DECISIONS["final"])
        if self.reader.language == "en" or not isinstance(found, ConstraintReport):
            return says(phrases.DECISIONS["remedy"], what=reason.remedy)
        return says(phrases.DECISIONS["satisfy"], what=self._inline(found.constraint))

    def _inline(self, condition: AnyConstraint) -> str:
        """A condition in one line."""
        if isinstance(condition, Constraint):
            return self.constraint(condition)
        inner = " ".join(self._inline(part) for part in condition.parts) or self.reader.says(phrases.NOTHING)
        return f"{self.reader.says(phrases.LOGIC[condition.logic])} [{inner}]"

    # --- deliveries and changes --------------------------------------------------------------------------------------

    def delivery(self, delivery: Delivery) -> Iterator[Statement]:
        for item in delivery.items():
            yield from self._item(item, 0)
        for problem in delivery.problems if self.reader.view == "full" else ():
            sentence = self.reader.says(phrases.KEPT["problem"], where=problem.path or "/", what=problem.sentence)
            yield Statement(problem.path, 0, sentence)
            yield Statement(problem.path, 1, self.reader.says(phrases.DECISIONS["remedy"], what=problem.remedy))

    def _item(self, item: Item, depth: int) -> Iterator[Statement]:
        yield Statement(item.path, depth, f"{self._what(item)} — {self._kept(item)}")
        for part in item.parts:
            yield from self._item(part, depth + 1)

    def _what(self, item: Item) -> str:
        if item.kind == "constraint":
            said = "?" if item.operator is None else WORDS[item.operator][self.reader.language]
            return self._operand(item.term, item.operator, self._values(item.term, item.values, item.unit), said)
        if item.kind == "logic":
            return self.reader.says(phrases.LOGIC[Logic(item.term.removeprefix(ODRL))])
        member = {"action": "permission", "prohibition": "prohibition", "duty": "obligation"}[item.kind]
        return self.reader.says(phrases.RULES[member], what=self._action(item.term))

    def _kept(self, item: Item) -> str:
        says, language = self.reader.says, self.reader.language
        if item.bucket is None:
            return says(phrases.KEPT["unkept"])
        if item.points:
            return says(phrases.KEPT["points"], what=", ".join(phrases.POINTS[point][language] for point in item.points))
        if item.evidence is not None:
            evidence = phrases.EVIDENCE.get(item.evidence)
            return says(phrases.KEPT["evidence"], what=item.evidence if evidence is None else evidence[language])
        return says(phrases.KEPT["legal" if item.legal_only else "parts"])

    def change(self, change: Change) -> Statement:
        before, after = self._node(change.before, change.path), self._node(change.after, change.other_path)
        path = change.other_path or change.path or ""
        return Statement(path, 0, self.reader.says(phrases.CHANGES[change.kind], before=before, after=after))

    def _node(self, node: Node | None, path: str | None) -> str:
        """What stands somewhere, in one line."""
        if node is None or path is None:
            return self.reader.says(phrases.NOTHING)
        if isinstance(node, str):
            return self._action(node) if path.endswith("/action") else node
        if isinstance(node, Asset | Party):
            return self._named(node)
        if isinstance(node, Constraint | Compound):
            return self._inline(node)
        return " ".join(one.sentence for one in self.rule(path, path.split("/")[-2], node, 0))


def _reported(decision: Decision) -> Iterator[tuple[str, ConstraintReport | DutyReport]]:
    """Every constraint and duty of the report by its path."""
    report = decision.report
    for rule in (*report.permissions, *report.prohibitions):
        yield from _constraints(rule.constraints)
        yield from ((duty.path, duty) for duty in rule.duties)
    yield from ((duty.path, duty) for duty in report.obligations)


def _constraints(found: tuple[ConstraintReport, ...]) -> Iterator[tuple[str, ConstraintReport]]:
    for one in found:
        yield one.path, one
        yield from _constraints(one.parts)
