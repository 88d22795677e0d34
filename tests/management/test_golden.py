"""What is answered, byte for byte: a golden file for each kind of document and each version. They change with the version alone.

`python -m tests.management.test_golden` writes them anew; whoever does that looks at the difference.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from connector.management import addresses, documents, shapes
from connector.management.checks import DataPlane
from connector.management.desk_definitions import plane_shown
from connector.management.dialect import Dialect
from connector.management.model import EDC
from connector.management.planning import ChoiceStep, ConstraintStep, EvaluationPlan, RuleStep
from connector.management.plans_shown import plan_shown, validation_shown
from connector.management.v3 import V3
from connector.management.v4 import V4
from connector.protocol.states import Message, State
from tests.management import domain

GOLDEN: Final = Path(__file__).parent / "golden"
DIALECTS: Final[dict[str, Dialect]] = {"v3": V3(), "v4": V4()}
ODRL: Final = "http://www.w3.org/ns/odrl/2/"


def plan() -> EvaluationPlan:
    """A plan with every kind of step."""
    kept = ConstraintStep(False, (), "dateTime", ("dateTime", "lteq", "2027"))
    filtered = ConstraintStep(True, ("it is not evaluated in this scope",), None, ("purpose", "eq", "x"))
    duty = RuleStep(True, ("duties are reported, not evaluated",), (), ())
    permission = RuleStep(False, (), ("use",), (ChoiceStep("or", (kept, filtered)),), (duty,))
    return EvaluationPlan(("standing",), (permission,), (RuleStep(False, (), ("distribute",), ()),), (duty,), ())


SHOWN: Final[dict[str, Callable[[], dict[str, Any]]]] = {
    "id-response": lambda: shapes.created("trips", domain.NOW),
    "asset": lambda: shapes.asset_shown(domain.asset()),
    "policy-definition": lambda: shapes.policy_shown(domain.policy()),
    "policy-definition-empty": lambda: shapes.policy_shown(domain.empty_policy()),
    "policy-validation": lambda: validation_shown(()),
    "policy-plan": lambda: plan_shown(plan()),
    "contract-definition": lambda: shapes.definition_shown(domain.definition()),
    "secret": lambda: shapes.secret_shown(domain.secret()),
    "negotiation": lambda: shapes.negotiation_shown(domain.negotiation()),
    "negotiation-terminated": lambda: shapes.negotiation_shown(domain.negotiation(State.TERMINATED)),
    "negotiation-state": lambda: shapes.state_shown(domain.negotiation(State.REQUESTED, Message.TERMINATION), "NegotiationState"),
    "agreement": lambda: shapes.agreement_shown(domain.agreement(), domain.CONSUMER),
    "transfer": lambda: shapes.transfer_shown(domain.transfer()),
    "transfer-state": lambda: shapes.state_shown(domain.transfer(), "TransferState"),
    "edr-entry": lambda: shapes.reference_entry_shown(domain.entry()),
    "edr-address": lambda: shapes.reference_shown(domain.reference()),
    "data-plane": lambda: plane_shown(DataPlane("own", "http://127.0.0.1:1", "AVAILABLE", ("HttpData",), ("HttpData-PULL",), 1)),
}


def path_of(version: str, name: str) -> Path:
    """Where a golden file stands."""
    return GOLDEN / version / f"{name}.json"


def made(version: str, name: str) -> str:
    """What it is to hold."""
    return json.dumps(DIALECTS[version].shown(SHOWN[name]()), indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("version", DIALECTS)
@pytest.mark.parametrize("name", SHOWN)
def test_documents_are_as_their_golden_files(version: str, name: str) -> None:
    assert made(version, name) == path_of(version, name).read_text()


@pytest.mark.parametrize("version", DIALECTS)
def test_every_golden_file_is_looked_at(version: str) -> None:
    assert {each.stem for each in (GOLDEN / version).iterdir()} == set(SHOWN)


@pytest.mark.parametrize("version", DIALECTS)
@pytest.mark.parametrize("name", [name for name in SHOWN if name not in ("policy-plan", "policy-validation", "data-plane")])
def test_what_is_shown_expands_to_the_namespaces_of_edc(version: str, name: str) -> None:
    """Clients expand every answer: no member may be lost under the context that it carries, nor stand in another namespace."""
    document = DIALECTS[version].shown(SHOWN[name]())
    # The published context of version 4 does not know when things were made; clients that expand do without.
    plain = {key: value for key, value in document.items() if version == "v3" or key not in _UNKNOWN_IN_V4}
    expanded = documents.slow(plain)
    own = {key for key in expanded if not key.startswith("@")}
    assert all(key.startswith(EDC) for key in own)
    assert len(own) == len([key for key in plain if not key.startswith("@")])


_UNKNOWN_IN_V4: Final = {
    *("createdAt", "updatedAt", "stateTimestamp", "protocol", "profile", "counterPartyId", "counterPartyAddress"),
    *("endpoint", "authType", "authorization", "expiresIn", "endpointType", "dataDestination"),
}


@pytest.mark.parametrize("version", DIALECTS)
def test_what_is_shown_can_be_sent_back(version: str) -> None:
    """A document that was read is taken when it is written again, and says the same."""
    dialect = DIALECTS[version]

    def back(document: dict[str, Any], form: str) -> documents.Flat:
        return asyncio.run(dialect.read(json.dumps(dialect.shown(document)).encode(), form))

    asset = domain.asset()
    again = shapes.asset_of(back(shapes.asset_shown(asset), "Asset"))
    assert again.properties == asset.properties
    assert again.private_properties == asset.private_properties
    assert addresses.read(again.data_address or {}) == addresses.read(asset.data_address or {})
    policy = domain.policy()
    assert shapes.policy_of(back(shapes.policy_shown(policy), "PolicyDefinition")).policy == policy.policy
    definition = domain.definition()
    assert shapes.definition_of(back(shapes.definition_shown(definition), "ContractDefinition")).selector == definition.selector


if __name__ == "__main__":
    for each_version in DIALECTS:
        (GOLDEN / each_version).mkdir(parents=True, exist_ok=True)
        for each_name in SHOWN:
            path_of(each_version, each_name).write_text(made(each_version, each_name))
