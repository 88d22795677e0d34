"""The tree of purposes, by IRI, in versions. A purpose is itself and all its broader ones.

DSP has no field for a purpose: a buyer *narrows* the purpose of an offer to one concept, and ``narrowed`` reads it from there.
Concepts of the Data Privacy Vocabulary keep their IRIs; the tree is ours. Imports the model only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

from policies.model import CARNET, DPV, ODRL, AnyConstraint, Compound, Logic, Operator, Policy, Ref

VERSION: Final = 1
PURPOSE: Final = f"{ODRL}purpose"


@dataclass(frozen=True, slots=True)
class Purpose:
    """A concept: its IRI, the one above it (None for the root), its label by language, and the version that brought it."""

    iri: str
    broader: str | None
    en: str
    de: str
    fr: str
    since: int = 1


_ROWS: Final = (
    ("dpv:Purpose", None, "any purpose", "jeder Zweck", "toute finalité"),
    ("dpv:ServiceProvision", "dpv:Purpose", "service provision", "Erbringung eines Dienstes", "fourniture d'un service"),
    ("vdx:Insurance", "dpv:ServiceProvision", "insurance", "Versicherung", "assurance"),
    (
        "vdx:UsageBasedInsurance",
        "vdx:Insurance",
        "usage-based insurance",
        "nutzungsabhängige Versicherung",
        "assurance à l'usage",
    ),
    (
        "vdx:PayAsYouDrive",
        "vdx:UsageBasedInsurance",
        "insurance by distance",
        "Versicherung nach Strecke",
        "assurance au kilomètre",
    ),
    (
        "vdx:PayHowYouDrive",
        "vdx:UsageBasedInsurance",
        "insurance by driving style",
        "Versicherung nach Fahrweise",
        "assurance à la conduite",
    ),
    ("dpv:RepairImpairments", "dpv:ServiceProvision", "repair", "Reparatur", "réparation"),
    (
        "vdx:PredictiveMaintenance",
        "dpv:RepairImpairments",
        "preventive maintenance",
        "vorbeugende Wartung",
        "maintenance préventive",
    ),
    ("vdx:FleetManagement", "dpv:ServiceProvision", "fleet management", "Flottenmanagement", "gestion de flotte"),
    (
        "vdx:AgreedWithUser",
        "dpv:ServiceProvision",
        "what the user agreed to",
        "das mit der nutzenden Person Vereinbarte",
        "ce qui est convenu avec l'utilisateur",
    ),
    (
        "vdx:RequestedService",
        "vdx:AgreedWithUser",
        "the service that the user asked for",
        "der von der nutzenden Person verlangte Dienst",
        "le service demandé par l'utilisateur",
    ),
    ("dpv:SellProducts", "dpv:ServiceProvision", "selling products", "Verkauf von Produkten", "vente de produits"),
    (
        "dpv:SellInsightsFromData",
        "dpv:SellProducts",
        "selling insights from data",
        "Verkauf von Erkenntnissen aus Daten",
        "vente d'analyses tirées des données",
    ),
    (
        "dpv:SellDataToThirdParties",
        "dpv:SellProducts",
        "selling data to third parties",
        "Verkauf von Daten an Dritte",
        "vente de données à des tiers",
    ),
    (
        "dpv:ServiceOptimisation",
        "dpv:ServiceProvision",
        "improving a service",
        "Verbesserung eines Dienstes",
        "amélioration d'un service",
    ),
    (
        "dpv:ResearchAndDevelopment",
        "dpv:Purpose",
        "research and development",
        "Forschung und Entwicklung",
        "recherche et développement",
    ),
    (
        "dpv:ScientificResearch",
        "dpv:ResearchAndDevelopment",
        "scientific research",
        "wissenschaftliche Forschung",
        "recherche scientifique",
    ),
    (
        "vdx:CompetingConnectedProduct",
        "dpv:ResearchAndDevelopment",
        "a competing connected product",
        "ein konkurrierendes vernetztes Produkt",
        "un produit connecté concurrent",
    ),
    ("vdx:PublicInterest", "dpv:Purpose", "public interest", "öffentliches Interesse", "intérêt public"),
    ("vdx:MobilityPlanning", "vdx:PublicInterest", "mobility planning", "Verkehrsplanung", "planification de la mobilité"),
    ("vdx:RoadSafety", "vdx:PublicInterest", "road safety", "Verkehrssicherheit", "sécurité routière"),
    ("dpv:Marketing", "dpv:Purpose", "marketing", "Marketing", "marketing"),
    ("dpv:Advertising", "dpv:Marketing", "advertising", "Werbung", "publicité"),
    ("dpv:DirectMarketing", "dpv:Marketing", "direct marketing", "Direktmarketing", "marketing direct"),
)

_EXACTLY: Final = frozenset({f"{ODRL}{Operator.EQ.value}"})
_BINDING: Final = frozenset(f"{ODRL}{operator.value}" for operator in (Operator.EQ, Operator.IS_A, Operator.IS_ANY_OF))


def _full(short: str) -> str:
    prefix, local = short.split(":")
    return {"dpv": DPV, "vdx": CARNET}[prefix] + local


PURPOSES: Final = {
    _full(short): Purpose(_full(short), None if broader is None else _full(broader), en, de, fr)
    for short, broader, en, de, fr in _ROWS
}


@cache
def _line(iri: str) -> tuple[str, ...]:
    above = PURPOSES[iri].broader
    return (iri,) if above is None else (iri, *_line(above))


def line(iri: str) -> tuple[str, ...]:
    """A known purpose and all broader ones, nearest first; nothing for one that is not known."""
    return _line(iri) if iri in PURPOSES else ()


def is_a(iri: str, broader: str) -> bool:
    """Whether one purpose is the other, or narrower. What is not known is nothing, not even itself."""
    return broader in line(iri)


def narrowed(policy: Policy) -> str | None:
    """The one known purpose that every permission of a policy is bound to, or None where they leave a choice or say nothing.

    Where a permission names one with ``eq``, as a buyer adds it, that is what the buyer wants; whether it fits what else the
    permission says of purposes is for the evaluation to tell.
    """
    found = {concept for rule in policy.permissions for concept in _stated(rule.constraints)}
    only = found.pop() if len(found) == 1 else ""
    return only if only in PURPOSES else None


def _stated(constraints: tuple[AnyConstraint, ...]) -> set[str]:
    return {*_bound(constraints, _EXACTLY)} or {*_bound(constraints, _BINDING)} or {""}


def _bound(constraints: tuple[AnyConstraint, ...], operators: frozenset[str]) -> Iterator[str]:
    for constraint in constraints:
        if isinstance(constraint, Compound):
            if constraint.logic is Logic.AND:
                yield from _bound(constraint.parts, operators)
        elif constraint.left == PURPOSE and constraint.operator in operators:
            for value in constraint.right:
                yield value.iri if isinstance(value, Ref) else value.text
