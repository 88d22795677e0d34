"""Which policies have a normal form in DSP: what is hoisted from rules, and what is refused with its remedy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from policies import dsp, nodes
from policies.errors import PolicyInvalid
from policies.model import (
    ODRL,
    Action,
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
)

EQ = f"{ODRL}eq"
USE = Action(f"{ODRL}use")
RULES = (Permission(USE),)

# --- hoisting --------------------------------------------------------------------------------------------------------


def test_what_all_rules_say_is_said_once() -> None:
    here, owner, buyer = Asset("t"), Party("p"), Party("c")
    duty = Duty(Action(f"{ODRL}delete"), target=here, assignee=buyer)
    rule = Permission(USE, duties=(duty,), target=here, assigner=owner, assignee=buyer)
    ban = Prohibition(Action(f"{ODRL}sell"), target=here, assignee=buyer)
    policy = Policy("Offer", "o", (rule,), (ban,), (replace(duty, target=None),), assigner=owner)
    bare = Duty(Action(f"{ODRL}delete"))
    said_once = Policy(
        "Offer",
        "o",
        (Permission(USE, duties=(bare,)),),
        (Prohibition(ban.action),),
        (bare,),
        target=here,
        assigner=owner,
        assignee=buyer,
    )
    assert dsp.normal(policy) == said_once
    assert dsp.read(dsp.write(policy)) == said_once


@pytest.mark.parametrize(
    ("policy", "paths"),
    [
        (Policy("Offer", "o", (Permission(USE, target=Asset("a")), Permission(USE, target=Asset("b")))), [0, 1]),
        (Policy("Offer", "o", (Permission(USE, target=Asset("a")), Permission(USE))), [0]),
        (Policy("Offer", "o", (Permission(USE, target=Asset("a")),), target=Asset("b")), [0]),
    ],
)
def test_rules_about_different_things_have_no_form(policy: Policy, paths: list[int]) -> None:
    problems = dsp.without_form(policy)
    assert [(problem.code, problem.path) for problem in problems] == [
        ("function-of-rule", f"/permission/{index}/target") for index in paths
    ]


# --- what has no form ------------------------------------------------------------------------------------------------

_ATOM = Constraint(f"{ODRL}purpose", EQ, (Ref("urn:x"),))
_DUTY = Duty(Action(f"{ODRL}delete"))


def under(*constraints: Any) -> Policy:
    """An offer with one permission under ``constraints``."""
    return Policy("Offer", "o", (Permission(USE, tuple(constraints)),))


def nested(levels: int) -> Any:
    inner: Any = _ATOM
    for _ in range(levels):
        inner = Compound(Logic.AND, (inner,))
    return inner


@pytest.mark.parametrize(
    ("policy", "code", "path"),
    [
        (Policy("Set", "o", RULES), "kind", "/@type"),
        (Policy("Offer", "o", obligations=(_DUTY,)), "rule-missing", ""),
        (Policy("Offer", "", RULES), "name", "/uid"),
        (Policy("Offer", "@type", RULES), "name", "/uid"),
        (Policy("Offer", "odrl:x", RULES), "name", "/uid"),
        (Policy("Offer", "u" * 2_049, RULES), "name", "/uid"),
        (Policy("Offer", "o", RULES, profiles=("urn:a", "xsd:b")), "name", "/profile/1"),
        (Policy("Offer", "o", RULES, conflict=Conflict.PERM), "conflict", "/conflict"),
        (Policy("Offer", "o", RULES, inherits=("urn:base",)), "inherits", "/inheritFrom"),
        (Policy("Agreement", "o", RULES, assigner=Party("p"), assignee=Party("c")), "function-missing", "/target"),
        (Policy("Offer", "o", RULES, target=Asset("t", collection=True)), "collection", "/target"),
        (Policy("Offer", "o", RULES, assignee=Party("t", refinements=(_ATOM,))), "collection", "/assignee"),
        (
            Policy("Offer", "o", prohibitions=(Prohibition(USE, target=Asset("t", collection=True)),)),
            "collection",
            "/prohibition/0/target",
        ),
        (Policy("Offer", "o", (Permission(USE, target=Asset("@id")),)), "name", "/permission/0/target"),
        (Policy("Offer", "o", (Permission(Action("purpose")),)), "name", "/permission/0/action"),
        (Policy("Offer", "o", (Permission(USE, uid="odrl:x"),)), "name", "/permission/0/uid"),
        (Policy("Offer", "o", (Permission(Action("urn:x", (_ATOM,))),)), "refinement", "/permission/0/action/refinement"),
        (
            Policy("Offer", "o", (Permission(USE, parties=((f"{ODRL}informedParty", Party("p")),)),)),
            "party",
            "/permission/0/informedParty",
        ),
        (Policy("Offer", "o", prohibitions=(Prohibition(USE, remedies=(_DUTY,)),)), "remedy", "/prohibition/0/remedy"),
        (
            Policy("Offer", "o", (Permission(USE, duties=(replace(_DUTY, constraints=(_ATOM,)),)),)),
            "condition",
            "/permission/0/duty/0/constraint",
        ),
        (
            Policy("Offer", "o", RULES, obligations=(replace(_DUTY, consequences=(_DUTY,)),)),
            "consequence",
            "/obligation/0/consequence",
        ),
        (
            Policy("Offer", "o", RULES, obligations=(replace(_DUTY, target=Asset("t")),)),
            "function-of-rule",
            "/obligation/0/target",
        ),
        (under(replace(_ATOM, left="odrl:purpose")), "name", "/permission/0/constraint/0/leftOperand"),
        (under(replace(_ATOM, left="purpose")), "name", "/permission/0/constraint/0/leftOperand"),
        (under(replace(_ATOM, operator="urn:op")), "operator", "/permission/0/constraint/0/operator"),
        (under(replace(_ATOM, right=())), "empty", "/permission/0/constraint/0/rightOperand"),
        (under(replace(_ATOM, right=(), reference="urn:v")), "reference", "/permission/0/constraint/0/rightOperandReference"),
        (under(replace(_ATOM, status=Lit("1"))), "status", "/permission/0/constraint/0/status"),
        (under(replace(_ATOM, unit="purpose")), "name", "/permission/0/constraint/0/unit"),
        (under(replace(_ATOM, right=(Ref("odrl:x"),))), "name", "/permission/0/constraint/0/rightOperand/0"),
        (under(replace(_ATOM, right=(Lit("x", "xsd:x"),))), "name", "/permission/0/constraint/0/rightOperand/0"),
        (under(_ATOM, Compound(Logic.XONE, ())), "empty", "/permission/0/constraint/1"),
        (under(nested(dsp.MAX_NESTING + 1)), "document-too-deep", "/permission/0/constraint/0" + "/and/0" * dsp.MAX_NESTING),
        (under(replace(_ATOM, right=(Lit("a" * (nodes.MAX_TEXT_CHARS + 1)),))), "document-too-large", ""),
        (under(*[_ATOM] * nodes.MAX_VALUES), "document-too-large", ""),
    ],
)
def test_what_has_no_form_is_named(policy: Policy, code: str, path: str) -> None:
    (problem,) = dsp.without_form(policy)
    assert (problem.code, problem.path) == (code, path)
    with pytest.raises(PolicyInvalid) as caught:
        dsp.write(policy)
    assert (caught.value.code, caught.value.path) == ("form-missing", path)
    assert problem.remedy in caught.value.reason


def test_the_deepest_constraint_has_a_form() -> None:
    policy = under(nested(dsp.MAX_NESTING))
    assert dsp.read(dsp.write(policy)) == policy
