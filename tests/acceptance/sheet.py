"""`python -m tests.acceptance.sheet` writes `offers.md`: the seven offers in three languages, and what each of their terms did.

For each offer: its sentences; what became of every condition at each step for the buyer who is meant and for the one who is not;
the reasons of the refusal; how each term is kept. Changes of this file are to be read before they are committed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, get_args

from policies.decision import ConstraintReport, Decision
from policies.delivery import Capabilities
from policies.explain import Reader, Statement, explain_decision, explain_delivery, explain_policy
from policies.simulation import STEPS, simulate
from policies.terms.term import Language
from tests.acceptance.seven import OFFERS, Offered

FILE: Final = Path(__file__).with_name("offers.md")
_LANGUAGES: Final = {"en": "English", "de": "Deutsch", "fr": "Français"}


def text() -> str:
    """The whole sheet."""
    lines = ["# The seven offers, and what each of their terms does", "", "Written by `python -m tests.acceptance.sheet`."]
    for offered in OFFERS:
        lines += ["", f"## Offer {offered.number}: {offered.policy.uid.rpartition(':')[2]}", ""]
        lines += _offer(offered)
    return "\n".join(lines) + "\n"


def _offer(offered: Offered) -> Iterator[str]:
    able = Capabilities(offered.enforced)
    for language in get_args(Language):
        yield f"### {_LANGUAGES[language]}"
        yield ""
        yield from _listed(explain_policy(offered.policy, Reader(language)))
        yield ""
    good, bad = (simulate(offered.policy, buyer.case(), able) for buyer in (offered.permitted, offered.refused))
    yield "### What each condition did"
    yield ""
    yield f"| condition | {' | '.join(f'{who}, {scope.value}' for who in ('permitted', 'refused') for scope in STEPS)} |"
    yield f"| --- |{' --- |' * 2 * len(STEPS)}"
    columns = [dict(_found(found.decisions[scope])) for found in (good, bad) for scope in STEPS]
    for path in columns[0]:
        yield f"| `{path}` | {' | '.join(column[path] for column in columns)} |"
    yield ""
    for language in get_args(Language):
        yield from _listed(explain_decision(bad.decisions[offered.refused_at], Reader(language, "redacted")))
        yield ""
    yield "### How each term is kept"
    yield ""
    if good.delivery is not None:
        yield from _listed(explain_delivery(good.delivery))


def _listed(statements: Iterable[Statement]) -> Iterator[str]:
    for one in statements:
        yield f"{'  ' * one.depth}- {one.sentence}"


def _found(decision: Decision) -> Iterator[tuple[str, str]]:
    for rule in (*decision.report.permissions, *decision.report.prohibitions):
        yield rule.path, rule.activation.value
        yield from _conditions(rule.constraints)
    for rule in decision.report.permissions:
        for duty in rule.duties:
            yield duty.path, duty.state.value


def _conditions(found: Iterable[ConstraintReport]) -> Iterator[tuple[str, str]]:
    for one in found:
        yield one.path, one.satisfaction.value
        yield from _conditions(one.parts)


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
