"""Constraints that other connectors write: EDC's ``inForceDate``, and the time and connector of the Mobility Data Space.

A value of ``inForceDate`` is a moment, or ``contractAgreement+100d``: an offset in seconds, minutes, hours or days from when
the contract was made.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from policies.model import Operator, Value
from policies.terms.given import said
from policies.terms.party import PARTICIPANT
from policies.terms.party import TERMS as PARTY
from policies.terms.term import Bucket, Given, Request, Scope, Term, World
from policies.terms.time import DATE_TIME, EVERYWHERE, agreed_at
from policies.terms.time import TERMS as TIME
from policies.terms.values import ORDER, Values, at, in_order, instant, name, read_as

EDC: Final = "https://w3id.org/edc/v0.0.1/ns/"
IDSC: Final = "https://w3id.org/idsa/code/"
IN_FORCE_DATE: Final = f"{EDC}inForceDate"

_OFFSET: Final = re.compile(r"contractAgreement([+-])([0-9]{1,9})([smhd])", re.ASCII)
_UNIT_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def offset_ms(value: Value) -> int | None:
    """Milliseconds from when the contract was made; None for another form."""
    found = _OFFSET.fullmatch(name(value))
    if found is None:
        return None
    length = int(found[2]) * _UNIT_MS[found[3]]
    return -length if found[1] == "-" else length


def _given(request: Request, world: World) -> Given:
    """Now, and when the contract was made where that is known."""
    start = agreed_at(request, world)
    return (at(world.now_ms),) if start is None else (at(world.now_ms), at(start))


def _in_force(given: Values, operator: Operator, right: Values) -> bool | None:
    moments, limit = [instant(value) for value in given], instant(right[0]) if right else None
    if right and (offset := offset_ms(right[0])) is not None:
        start = moments[1] if len(moments) == 2 else None
        limit = None if start is None else start + offset
    return None if not moments or moments[0] is None or limit is None else in_order(moments[0], operator, limit)


_BASE: Final = {found.iri: found for found in (*PARTY, *TIME)}
_NAMESPACES: Final = ("", EDC, IDSC)

TERMS: Final = (
    Term(
        IN_FORCE_DATE,
        "operand",
        Bucket.CLOCK,
        said(
            "The contract is in force while the time {operator} {value}.",
            "Der Vertrag gilt, solange die Zeit {operator} {value}.",
            "Le contrat est en vigueur tant que la date {operator} {value}.",
        ),
        operators=ORDER,
        scopes=frozenset(Scope),
        points=EVERYWHERE,
        values=read_as(
            lambda value: value if instant(value) is not None or offset_ms(value) is not None else None,
            "a moment with its time zone, or an offset such as contractAgreement+100d",
        ),
        compare=_in_force,
        given=_given,
        remedy="ask within the period of the contract",
        moment=True,
    ),
    *(replace(_BASE[DATE_TIME], iri=f"{namespace}POLICY_EVALUATION_TIME") for namespace in _NAMESPACES),
    *(replace(_BASE[PARTICIPANT], iri=f"{namespace}REFERRING_CONNECTOR") for namespace in _NAMESPACES),
)
