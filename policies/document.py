"""The decision point for documents as the protocol has them: read in the normal form of DSP, then judged.

What the document itself says about the world is taken from it where the caller says nothing: when an agreement was made, and the
purpose to which it is narrowed. A document that is no policy permits nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from policies import dsp
from policies.decision import Decision, Reason
from policies.errors import PolicyInvalid
from policies.evaluate import evaluate
from policies.model import Lit
from policies.purposes import narrowed
from policies.terms.term import Request, World
from policies.terms.time import AGREED_AT
from policies.terms.values import instant


def evaluate_document(document: Mapping[str, Any], request: Request, world: World) -> Decision:
    """Judge ``request`` under an offer or agreement as JSON. Never raises for any JSON object."""
    try:
        policy = dsp.read(document)
    except PolicyInvalid as invalid:
        return Decision("deny", (Reason(invalid.code, invalid.path, invalid.reason),))
    if request.purpose is None:
        request = replace(request, purpose=narrowed(policy))
    stamp = document.get("timestamp")
    moment = instant(Lit(stamp)) if isinstance(stamp, str) else None
    if moment is not None and AGREED_AT not in world.facts:
        world = replace(world, facts={**world.facts, AGREED_AT: moment})
    return evaluate(policy, request, world)
