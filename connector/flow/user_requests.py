"""Which requests of users are on record for a counterparty, as a fact for the terms that name them.

The data plane keeps the requests, because they name vehicles; the control plane learns ids only, and of those that a policy
names. A data plane that keeps no requests records none. May import the context and policies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from connector.flow.context import Context
from connector.protocol.errors import CallerError
from connector.protocol.messages import Document
from policies import dsp
from policies.errors import PolicyInvalid
from policies.model import Policy
from policies.purposes import narrowed
from policies.terms.consent import USER_REQUEST
from policies.terms.values import name
from policies.walk import atoms, conditions, rules, shared


async def on_record(
    context: Context, policy: Policy | Document, counterparty: str, purpose: str | None = None
) -> Mapping[str, Any]:
    """The fact about requests that the terms of ``policy`` ask for; nothing where they ask for none.

    A request counts that is not withdrawn, is made for this very counterparty, and covers the purpose (an IRI): the one given,
    else the one that the policy is bound to. Raises Unavailable if the data plane does not answer.
    """
    try:
        read = policy if isinstance(policy, Policy) else dsp.read(policy)
    except PolicyInvalid:
        return {}
    named = sorted(set(_named(read)))
    if not named:
        return {}
    asked: Document = {"requests": named, "recipient": counterparty, "purpose": purpose or narrowed(read)}
    try:
        answer = await context.seals.ask("POST", "/carnet/requests/held", asked)
    except CallerError:
        return {}
    return {USER_REQUEST: tuple(answer.get("held", ()))}


def _named(policy: Policy) -> Iterator[str]:
    """The ids of the requests that a policy names anywhere."""
    stated = [condition for placed in rules(policy) for condition in conditions(placed.path, placed.rule)]
    for path, condition in (*shared(policy), *stated):
        for _, constraint in atoms(path, condition):
            if constraint.left == USER_REQUEST:
                yield from map(name, constraint.right)
