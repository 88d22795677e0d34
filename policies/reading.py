"""From a JSON document to a policy: the one reader behind ``policies.odrl`` and ``policies.dsp``, which say how names are read.

Takes ODRL 2.2 in all of its JSON-LD spellings that do not need a processor: compact and expanded, one value or an array of it,
names as strings or as ``{"@id"}``. Rules that name several actions, targets or parties are several rules, and what a compact
policy says once for all rules is copied into each (ODRL 2.2, section 2.7). A member that is not understood is refused with its
path: nothing is ever dropped. Imports ``policies`` siblings only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Final, TypeVar

from policies.errors import PolicyInvalid, below, excerpt
from policies.model import (
    ODRL,
    XSD,
    Action,
    AnyConstraint,
    Asset,
    Compound,
    Conflict,
    Constraint,
    Duty,
    Lit,
    Logic,
    Party,
    Permission,
    Policy,
    Prohibition,
    Ref,
    Value,
)
from policies.names import KINDS, RDF, Names, with_context
from policies.nodes import MAX_NAME_CHARS, Member, Node, measure, native

MAX_COPIES: Final = 64
"""Most rules that one rule with several actions, targets and parties may stand for."""

_RDF_VALUE: Final = f"{RDF}value"
_Function = TypeVar("_Function", Asset, Party)
_Functions = tuple[tuple[str, Party], ...]


@dataclass(frozen=True, slots=True)
class Dialect:
    """What sets DSP apart from ODRL: where strings stand for concepts, and where duties are narrowed.

    ``kind``: what a policy without a type is. ``strings_name``: a string that looks like an IRI names something.
    ``duties_refined``: the constraints of a duty say how it is done, so they refine its action. ``typed_actions``: an action
    object may hold its name as ``type``. ``passing``: members of a policy (IRIs) that are not part of what it says.
    """

    kind: str
    strings_name: bool = False
    duties_refined: bool = False
    typed_actions: bool = False
    passing: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Common:
    """What all rules have: one action, and what it is about, for each rule that a document's rule stands for."""

    facets: tuple[tuple[Action, Asset | None, Party | None, Party | None], ...]
    constraints: tuple[AnyConstraint, ...]
    parties: _Functions
    uid: str | None


class Reader:
    """Reads one document. ``names`` resolves its names, ``dialect`` says what its spellings mean."""

    def __init__(self, names: Names, dialect: Dialect) -> None:
        self._names = names
        self._dialect = dialect

    def policy(self, document: dict[str, Any]) -> Policy:
        """The policy that ``document`` is. Raises PolicyInvalid."""
        node = self._node(Member(document, ""))
        kind = self._kind(node)
        for iri in self._dialect.passing:
            node.take(iri)
        uid = self._id(node.must("@id"))
        actions = tuple(self._action(item) for item in node.all("action"))
        constraints = self._constraints(node, "constraint")
        conflict = node.take("conflict")

        def common(member: Member, types: str) -> tuple[Node, _Common]:
            return self._common(member, types, actions, constraints)

        policy = Policy(
            kind,
            uid,
            tuple(rule for member in node.all("permission") for rule in self._permissions(*common(member, "Permission"))),
            tuple(rule for member in node.all("prohibition") for rule in self._prohibitions(*common(member, "Prohibition"))),
            tuple(rule for member in node.all("obligation") for rule in self._duties(*common(member, "Duty"))),
            tuple(self._id(item) for item in node.all("profile")),
            self._only(node, "target", self._asset),
            self._only(node, "assigner", self._party),
            self._only(node, "assignee", self._party),
            None if conflict is None else self._conflict(conflict.one()),
            tuple(self._id(item) for item in node.all("inheritFrom")),
        )
        node.end()
        return policy

    # --- objects and names -------------------------------------------------------------------------------------------

    def _node(self, member: Member, *types: str) -> Node:
        """The object in ``member``, whose types, if it says any, are ``types`` (no types given: for the caller to read)."""
        raw, path = member.value, member.path
        if not isinstance(raw, dict):
            raise PolicyInvalid("object-expected", path, "an object belongs here; references to parts elsewhere are not followed")
        members: dict[str, Member] = {}
        for name, value in raw.items():
            where = below(path, name)
            iri = self._names.member(name, where)
            key = "@id" if iri == f"{ODRL}uid" else iri.removeprefix(ODRL)
            if value is None or key == "@context":
                continue  # JSON-LD: null is absent
            if key in members:
                raise PolicyInvalid("member-twice", where, f"two members here both mean {excerpt(key)}")
            members[key] = Member(value, where, self._names.coerced.get(name))
        node = Node(members, path)
        if types:
            allowed = {ODRL + name for name in types}
            for item in node.all("@type"):
                if self._word(item) not in allowed:
                    raise PolicyInvalid("type-unexpected", item.path, f"the type here is {' or '.join(types)}")
        return node

    def _kind(self, node: Node) -> str:
        kinds = {self._word(item): item.path for item in node.all("@type")}
        if len(kinds) > 1:
            kinds.pop(f"{ODRL}Policy", None)
        if len(kinds) > 1 or not kinds.keys() <= KINDS:
            raise PolicyInvalid("type-unexpected", below("", "@type"), "the type here is one kind of policy, such as Offer")
        return next(iter(kinds)).removeprefix(ODRL) if kinds else self._dialect.kind

    def _word(self, member: Member) -> str:
        """The IRI of a word: a string, ``{"@id"}`` or ``{"@value"}``."""
        text, given = self._text(member)
        if given == "@id" and not self._names.lenient:
            return self._names.concept(text, member.path)
        return self._names.word(text, member.path)

    def _id(self, member: Member) -> str:
        return self._names.iri(self._text(member)[0], member.path)

    def _text(self, member: Member) -> tuple[str, str | None]:
        """The name in ``member`` and whether it came as ``@id`` or ``@value``."""
        value, given = member.one().value, member.coerced
        if isinstance(value, dict) and len(value) == 1:
            (name,) = value
            given = self._names.member(name, member.path)
            value = value[name] if given in ("@id", "@value", f"{ODRL}uid") else None
        if not isinstance(value, str) or len(value) > MAX_NAME_CHARS:
            raise PolicyInvalid("value-invalid", member.path, f"a name of at most {MAX_NAME_CHARS} characters belongs here")
        return value, "@id" if given == f"{ODRL}uid" else given

    def _conflict(self, member: Member) -> Conflict:
        iri = self._word(member)
        try:
            return Conflict(iri.removeprefix(ODRL))
        except ValueError:
            raise PolicyInvalid("value-invalid", member.path, "conflict is perm, prohibit or invalid") from None

    # --- rules -------------------------------------------------------------------------------------------------------

    def _common(
        self, member: Member, type_name: str, actions: tuple[Action, ...] = (), constraints: tuple[AnyConstraint, ...] = ()
    ) -> tuple[Node, _Common]:
        """What a rule shares with all rules; ``actions`` and ``constraints`` are those of a compact policy."""
        node = self._node(member, type_name, "Rule")
        uid = node.take("@id")
        own = tuple(self._action(item) for item in node.all("action"))
        if bool(own) == bool(actions):
            reason = "the action is said by the policy and by the rule" if own else "action is missing here"
            raise PolicyInvalid("rule-ambiguous" if own else "member-missing", node.path, reason)
        parties: list[tuple[str, Party]] = []
        for name in [name for name in node.members if name.endswith("Party") and ":" not in name]:
            parties += ((ODRL + name, self._party(item)) for item in node.all(name))
        targets, assigners, assignees = (
            tuple(self._asset(item) for item in node.all("target")) or (None,),
            tuple(self._party(item) for item in node.all("assigner")) or (None,),
            tuple(self._party(item) for item in node.all("assignee")) or (None,),
        )
        done = own or actions
        copies = len(done) * len(targets) * len(assigners) * len(assignees)
        if copies > (MAX_COPIES if uid is None else 1):
            reason = f"a rule with a uid is one rule, and others stand for at most {MAX_COPIES}, not {copies}"
            raise PolicyInvalid("rule-ambiguous", node.path, reason)
        common = _Common(
            tuple(product(done, targets, assigners, assignees)),
            self._constraints(node, "constraint") + constraints,
            tuple(parties),
            None if uid is None else self._id(uid),
        )
        return node, common

    def _permissions(self, node: Node, common: _Common) -> Iterator[Permission]:
        duties = self._inner(node, "duty")
        node.end()
        for action, target, assigner, assignee in common.facets:
            yield Permission(action, common.constraints, duties, target, assigner, assignee, common.parties, common.uid)

    def _prohibitions(self, node: Node, common: _Common) -> Iterator[Prohibition]:
        remedies = self._inner(node, "remedy")
        node.end()
        for action, target, assigner, assignee in common.facets:
            yield Prohibition(action, common.constraints, remedies, target, assigner, assignee, common.parties, common.uid)

    def _duties(self, node: Node, common: _Common) -> Iterator[Duty]:
        consequences = self._inner(node, "consequence")
        node.end()
        for action, target, assigner, assignee in common.facets:
            done, constraints = action, common.constraints
            if self._dialect.duties_refined:
                done, constraints = Action(action.iri, action.refinements + constraints), ()
            yield Duty(done, constraints, target, assigner, assignee, common.parties, consequences, common.uid)

    def _inner(self, node: Node, name: str) -> tuple[Duty, ...]:
        return tuple(duty for member in node.all(name) for duty in self._duties(*self._common(member, "Duty")))

    def _action(self, member: Member) -> Action:
        """A name, or an object with ``rdf:value`` (ODRL), ``@id``, or the ``type`` of other connectors, and refinements."""
        if not isinstance(member.value, dict) or member.value.keys() in ({"@id"}, {"@value"}):
            return Action(self._word(member))
        node = self._node(member, "Action")
        names = [node.take(_RDF_VALUE), node.take("@id")]
        if self._dialect.typed_actions:
            names.append(node.take("type"))
        said = [name for name in names if name is not None]
        if len(said) != 1:
            raise PolicyInvalid("member-missing", member.path, "an action has one name, in rdf:value or @id")
        action = Action(self._word(said[0]), self._constraints(node, "refinement"))
        node.end()
        return action

    # --- parties and assets ------------------------------------------------------------------------------------------

    def _only(self, node: Node, name: str, read: Callable[[Member], _Function]) -> _Function | None:
        member = node.take(name)
        return None if member is None else read(member.one())

    def _party(self, member: Member) -> Party:
        return Party(*self._function(member, "Party"))

    def _asset(self, member: Member) -> Asset:
        return Asset(*self._function(member, "Asset"))

    def _function(self, member: Member, type_name: str) -> tuple[str, bool, tuple[AnyConstraint, ...]]:
        """The id of a party or an asset, whether it is a collection, and what narrows that."""
        if not isinstance(member.value, dict) or "@value" in member.value:
            return self._id(member), False, ()
        collection = f"{type_name}Collection"
        node = self._node(member)
        types = {self._word(item) for item in node.all("@type")}
        if not types <= {ODRL + type_name, ODRL + collection}:
            raise PolicyInvalid("type-unexpected", member.path, f"the type here is {type_name} or {collection}")
        said = [name for name in (node.take("@id"), node.take("source")) if name is not None]
        if len(said) != 1:
            raise PolicyInvalid("member-missing", member.path, "one id belongs here, in uid or source")
        refinements = self._constraints(node, "refinement")
        node.end()
        return self._id(said[0]), ODRL + collection in types or bool(refinements), refinements

    # --- constraints -------------------------------------------------------------------------------------------------

    def _constraints(self, node: Node, name: str) -> tuple[AnyConstraint, ...]:
        return tuple(self._constraint(member) for member in node.all(name))

    def _constraint(self, member: Member) -> AnyConstraint:
        node = self._node(member, "Constraint", "LogicalConstraint")
        uid = node.take("@id")
        name = None if uid is None else self._id(uid)
        logics = [logic for logic in Logic if logic in node.members]
        if logics:
            found = node.members[logics[0]]
            parts = self._constraints(node, logics[0])
            if not parts:
                raise PolicyInvalid("value-invalid", found.path, "a logical constraint has at least one part")
            node.end()
            return Compound(logics[0], parts, name)
        left, operator = self._word(node.must("leftOperand")), self._word(node.must("operator"))
        reference = self._maybe_word(node.take("rightOperandReference"))
        right = () if reference is not None and "rightOperand" not in node.members else self._right(node.must("rightOperand"))
        if right and reference is not None:
            raise PolicyInvalid("member-twice", member.path, "a constraint has a rightOperand or a rightOperandReference")
        unit, datatype = self._maybe_word(node.take("unit")), self._maybe_word(node.take("dataType"))
        status = node.take("status")
        node.end()
        return Constraint(
            left, operator, right, reference, unit, datatype, None if status is None else self._value(status.one()), name
        )

    def _maybe_word(self, member: Member | None) -> str | None:
        return None if member is None else self._word(member)

    def _right(self, member: Member) -> tuple[Value, ...]:
        values = tuple(self._value(item) for item in member.items())
        if not values:
            raise PolicyInvalid("value-invalid", member.path, "at least one value belongs here")
        return values

    def _value(self, member: Member) -> Value:
        raw, path = member.value, member.path
        if isinstance(raw, str):
            return self._string(raw, member)
        if not isinstance(raw, dict):
            text, datatype = native(raw, path)
            return Lit(text, datatype)
        parts = {self._names.member(name, below(path, name)): value for name, value in raw.items()}
        if parts.keys() in ({"@id"}, {f"{ODRL}uid"}):
            return Ref(self._concept(member))
        if not {"@value"} <= parts.keys() <= {"@value", "@type"}:
            raise PolicyInvalid("value-invalid", path, "a value is a string, a number, true or false, {@id}, or {@value, @type}")
        text, datatype = native(parts["@value"], path)
        if "@type" in parts:
            return Lit(text, self._word(Member(parts["@type"], below(path, "@type"))))
        return self._string(text, Member(text, path)) if datatype == f"{XSD}string" else Lit(text, datatype)

    def _concept(self, member: Member) -> str:
        return self._names.concept(self._text(member)[0], member.path)

    def _string(self, text: str, member: Member) -> Value:
        if member.coerced == "@vocab":
            return Ref(self._names.word(text, member.path))
        if member.coerced == "@id":
            return Ref(self._names.concept(text, member.path))
        if self._dialect.strings_name and self._names.is_iri(text):
            return Ref(self._names.iri(text, member.path))
        return Lit(text, member.coerced or f"{XSD}string")


def read(document: Any, names: Names, dialect: Dialect) -> Policy:
    """Read a parsed JSON ``document``, whose own ``@context`` adds to ``names``. Raises PolicyInvalid, and nothing else."""
    if not isinstance(document, Mapping):
        raise PolicyInvalid("object-expected", "", "a policy is a JSON object")
    measure(document)
    return Reader(with_context(names, document.get("@context")), dialect).policy(dict(document))
