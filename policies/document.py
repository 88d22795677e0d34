"""The decision point: a policy, a request and the state of the world give a decision with reasons.

Deny by default. What is understood so far is the plain permission to ``use``; every other action, constraint, duty,
prohibition or obligation is unknown, and unknown is never satisfied: in a permission it withholds, in a prohibition it
blocks, and the reason names it. Nothing is silently ignored. Pure; imports nothing of the project.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Scope = Literal["catalogue", "negotiation", "transfer", "ongoing"]
Outcome = Literal["permit", "deny"]

USE: Final = frozenset({"use", "odrl:use", "http://www.w3.org/ns/odrl/2/use"})
_BURDENS: Final = ("constraint", "duty", "refinement")


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks to do what with what, and when in the life of a contract. ``claims`` are verified, never the caller's own."""

    scope: Scope
    action: str
    target: str
    assignee: str
    claims: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class World:
    """What is the case, as far as a policy may ask: the time in milliseconds since the epoch, and named facts."""

    now_ms: int
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reason:
    """One step of the decision: a stable code, the JSON pointer of the term, and a sentence with what would satisfy it."""

    code: str
    path: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Permit or deny, and why."""

    outcome: Outcome
    reasons: tuple[Reason, ...]

    @property
    def permitted(self) -> bool:
        """Whether the request may go on."""
        return self.outcome == "permit"


def evaluate(policy: Mapping[str, Any], request: Request, world: World) -> Decision:
    """Judge ``request`` under ``policy``. Never raises for what a schema-valid policy can contain."""
    blocking = [*_unknown(policy, "prohibition"), *_unknown(policy, "obligation")]
    if blocking:
        return Decision("deny", tuple(blocking))
    reasons: list[Reason] = []
    for path, rule in _rules(policy, "permission"):
        found = list(_obstacles(path, rule, request))
        if not found:
            return Decision("permit", (Reason("permitted", path, f"the permission to {request.action} applies"),))
        reasons += found
    none = Reason("no-permission", "/permission", f"no permission lets anybody {request.action}; ask for an offer that does")
    return Decision("deny", tuple(reasons) or (none,))


def _rules(policy: Mapping[str, Any], member: str) -> Iterator[tuple[str, Any]]:
    rules = policy.get(member, [])
    for index, rule in enumerate(rules if isinstance(rules, list) else [rules]):
        yield f"/{member}/{index}", rule


def _unknown(policy: Mapping[str, Any], member: str) -> Iterator[Reason]:
    """Prohibitions and obligations: none is understood yet, so each one blocks."""
    for path, rule in _rules(policy, member):
        action = rule.get("action") if isinstance(rule, Mapping) else rule
        sentence = f"the {member} {action!s:.80} is not supported here; ask for an offer without it"
        yield Reason(f"{member}-unsupported", path, sentence)


def _obstacles(path: str, rule: Any, request: Request) -> Iterator[Reason]:
    if not isinstance(rule, Mapping):
        yield Reason("rule-invalid", path, "a permission must be an object with an action")
        return
    if rule.get("action") not in USE or request.action not in USE:
        yield Reason("action-unknown", f"{path}/action", f"the action {rule.get('action')!s:.80} is not supported; use is")
    for burden in _BURDENS:
        if rule.get(burden):
            yield Reason(f"{burden}-unsupported", f"{path}/{burden}", f"a {burden} is not supported here and counts as not met")
