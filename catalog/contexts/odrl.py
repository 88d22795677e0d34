"""Terms of the context that W3C publishes for ODRL 2.2, which owners write their policies with; no peer's message names it.

Our own table: what ODRL names, and what each member's strings are. Imports the names of ``policies`` alone.
"""

from __future__ import annotations

from typing import Any, Final

from policies.model import Logic, Operator
from policies.names import ACTIONS, LEFT_OPERANDS

URL: Final = "http://www.w3.org/ns/odrl.jsonld"
SECURE_URL: Final = "https://www.w3.org/ns/odrl.jsonld"
"""The same document; people write either."""

_CLASSES: Final = (
    *("Policy", "Set", "Offer", "Agreement", "Assertion", "Request", "Privacy", "Ticket", "Rule", "Permission", "Prohibition"),
    *("Duty", "Asset", "AssetCollection", "Party", "PartyCollection", "Action", "Constraint", "LogicalConstraint", "Operator"),
    *("LeftOperand", "RightOperand", "ConflictTerm", "perm", "prohibit", "invalid", "policyUsage"),
)
_PARTIES: Final = (
    *("assigner", "assignee", "assignerOf", "assigneeOf", "attributedParty", "attributingParty", "compensatedParty"),
    *("compensatingParty", "consentedParty", "consentingParty", "contractedParty", "contractingParty", "informedParty"),
    *("informingParty", "trackedParty", "trackingParty"),
)
_REFERENCES: Final = (
    *("profile", "inheritFrom", "hasPolicy", "target", "output", "relation", "partOf", "source", "includedIn", "implies"),
    *("permission", "prohibition", "obligation", "duty", "consequence", "remedy", "constraint", "refinement", "failure"),
)
_WORDS: Final = ("action", "leftOperand", "operator", "conflict", "function")


def _each(names: tuple[str, ...], **more: str) -> dict[str, Any]:
    return {name: {"@id": f"odrl:{name}", **more} for name in names}


CONTEXT: Final[dict[str, Any]] = (
    {
        "odrl": "http://www.w3.org/ns/odrl/2/",
        "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
        "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
        "skos": "http://www.w3.org/2004/02/skos/core#",
        "dct": "http://purl.org/dc/terms/",
        "xsd": "http://www.w3.org/2001/XMLSchema#",
        "foaf": "http://xmlns.com/foaf/0.1/",
        "schema": "http://schema.org/",
        "uid": "@id",
        "type": "@type",
    }
    | _each((*_CLASSES, *LEFT_OPERANDS, *ACTIONS, *(each.value for each in Operator)))
    | _each(("rightOperand", "unit", "status"))
    | _each((*_PARTIES, *_REFERENCES), **{"@type": "@id"})
    | _each(_WORDS, **{"@type": "@vocab"})
    | _each(("rightOperandReference",), **{"@type": "xsd:anyURI"})
    | _each(("dataType",), **{"@type": "xsd:anyType"})
    | _each(tuple(each.value for each in Logic), **{"@type": "@id", "@container": "@list"})
)
