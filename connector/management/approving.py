"""Which people are asked before an offer of a contract definition binds us: a private property of the definition says it.

The same as `approval` of a dataset at ``/carnet/v1``, under our own name or plainly as ``approval``. Imports flow's rule and the
model.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from connector.flow.approvals import ApprovalRequest
from connector.management.documents import plain
from connector.management.model import EDC, ContractDefinition
from connector.protocol.errors import Invalid, Violation
from policies.model import CARNET

APPROVAL: Final = (f"{CARNET}approval", f"{EDC}approval")
_PLACE: Final = "privateProperties.approval"


def approval_of(definition: ContractDefinition) -> str:
    """The rule under which the offers of a contract definition stand, as it is kept with an offer; empty: the settings decide.

    Raises Invalid for one that cannot be kept.
    """
    said = [definition.private_properties[name] for name in APPROVAL if name in definition.private_properties]
    if not said:
        return ""
    if len(said) > 1:
        raise Invalid("approval-invalid", [Violation("say it once: with a prefix or without", _PLACE)])
    try:
        wanted = msgspec.convert(_object(said[0]), ApprovalRequest)
    except msgspec.ValidationError as error:
        raise Invalid("approval-invalid", [Violation(str(error)[:300], _PLACE)]) from error
    return msgspec.json.encode(wanted.rule).decode()


def _object(said: Any) -> Any:
    """What was said, by plain names. JSON-LD leaves an array of one away."""
    members = plain(said)
    if not isinstance(members, dict):
        return members
    found = {name.removeprefix(CARNET): each for name, each in members.items() if not name.startswith("@")}
    return {**found, "roles": [found["roles"]]} if isinstance(found.get("roles"), str) else found
