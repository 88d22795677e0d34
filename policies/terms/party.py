"""Who asks, and to whom the data go: from verified claims only, never from what a caller says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from policies.model import CARNET, ODRL, Lit, Operator, Ref
from policies.terms.given import claimed, said
from policies.terms.term import Bucket, Given, Point, Request, Scope, Term, Unknown, World
from policies.terms.values import CONCEPTS, PARTS, Values, by_name, name, one_of, read_as, text

CONSUMER_KIND: Final = f"{CARNET}consumerKind"
MEMBERSHIP: Final = f"{CARNET}membership"
PARTICIPANT: Final = f"{CARNET}participant"
ASSIGNEE: Final = f"{ODRL}assignee"
RECIPIENT_COUNTRY: Final = f"{CARNET}recipientCountry"
INDUSTRY: Final = f"{ODRL}industry"
RECIPIENT: Final = f"{ODRL}recipient"

COMPANY: Final = f"{CARNET}Company"
SME: Final = f"{CARNET}SmallOrMediumEnterprise"
PUBLIC_BODY: Final = f"{CARNET}PublicBody"
RESEARCH: Final = f"{CARNET}ResearchOrganisation"
GATEKEEPER: Final = f"{CARNET}DmaGatekeeper"
EU: Final = f"{CARNET}EuropeanUnion"
EEA: Final = f"{CARNET}EuropeanEconomicArea"

_KINDS: Final = {"company": (COMPANY,), "sme": (SME, COMPANY), "public-body": (PUBLIC_BODY,), "research": (RESEARCH,)}
KINDS: Final = frozenset({COMPANY, SME, PUBLIC_BODY, RESEARCH, GATEKEEPER})
_EU: Final = frozenset(
    {"AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU"}
    | {"IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK"}
)
_EEA: Final = _EU | {"IS", "LI", "NO"}

_POINTS: Final = (Point.CATALOGUE, Point.NEGOTIATION, Point.TRANSFER, Point.DATA_REQUEST)
_ALWAYS: Final = frozenset(Scope)


def _read_country(value: Ref | Lit) -> str | None:
    found = name(value)
    return found if found in (EU, EEA) or (len(found) == 2 and found.isascii() and found.isupper()) else None


def kinds(claims: Mapping[str, Any]) -> Values:
    """All that a participant is by its claims; nothing where its kind is not verified."""
    known = _KINDS.get(str(claims.get("kind")), ())
    gatekeeper = (GATEKEEPER,) if known and claims.get("gatekeeper") else ()
    return tuple(Ref(iri) for iri in (*known, *gatekeeper))


def participant(request: Request, world: World) -> Given:
    """The id of the caller."""
    return (Ref(request.assignee),)


def _kind(request: Request, world: World) -> Given:
    return kinds(request.claims) or Unknown("have the claim 'kind' about you verified")


def _country(request: Request, world: World) -> Given:
    country = request.claims.get("country")
    if not isinstance(country, str):
        return Unknown("have the claim 'country' about you verified")
    unions = [Ref(iri) for iri, members in ((EU, _EU), (EEA, _EEA)) if country in members]
    return (Lit(country), *unions)


def _recipients(request: Request, world: World) -> Given:
    """Each recipient followed by what it is; without others the caller itself. ``facts`` has the claims of others by their id."""
    others = world.facts.get(RECIPIENT)
    known = others if isinstance(others, Mapping) else {}
    found: list[Ref | Lit] = []
    for party in request.recipients or (request.assignee,):
        claims = request.claims if party == request.assignee else known.get(party)
        found += (Ref(party), *kinds(claims if isinstance(claims, Mapping) else {}))
    return tuple(found)


def _by_recipient(given: Values, operator: Operator, right: Values) -> bool | None:
    """What holds for every recipient. None where it holds for some only, or asks for the kind of one that nobody verified."""
    groups: list[list[Ref | Lit]] = []
    for value in given:
        if name(value) in KINDS:
            groups[-1].append(value)
        else:
            groups.append([value])
    asks_kind = any(name(value) in KINDS for value in right)
    if not groups or (asks_kind and any(len(group) == 1 for group in groups)):
        return None
    verdicts = {by_name(tuple(group), operator, right) for group in groups}
    return verdicts.pop() if len(verdicts) == 1 else None


TERMS: Final = (
    Term(
        CONSUMER_KIND,
        "operand",
        Bucket.GATE,
        said(
            "The kind of consumer {operator} {value}.",
            "Die Art des Abnehmers {operator} {value}.",
            "Le type de consommateur {operator} {value}.",
        ),
        operators=CONCEPTS,
        scopes=_ALWAYS,
        points=_POINTS,
        values=one_of(KINDS, "a kind of participant"),
        compare=by_name,
        given=_kind,
        remedy="only participants of another kind may ask",
    ),
    Term(
        MEMBERSHIP,
        "operand",
        Bucket.GATE,
        said("The membership {operator} {value}.", "Die Mitgliedschaft {operator} {value}.", "L'adhésion {operator} {value}."),
        operators=CONCEPTS | {Operator.HAS_PART},
        scopes=_ALWAYS,
        points=_POINTS,
        values=read_as(text, "the name of a membership"),
        compare=by_name,
        given=claimed("membership"),
        remedy="have the membership verified",
    ),
    *(
        Term(
            iri,
            "operand",
            Bucket.GATE,
            said(
                "The participant {operator} {value}.", "Der Teilnehmer {operator} {value}.", "Le participant {operator} {value}."
            ),
            operators=CONCEPTS,
            scopes=_ALWAYS,
            points=_POINTS,
            values=read_as(text, "the id of a participant"),
            compare=by_name,
            given=participant,
        )
        for iri in (PARTICIPANT, ASSIGNEE)
    ),
    Term(
        RECIPIENT_COUNTRY,
        "operand",
        Bucket.GATE,
        said(
            "The country of the recipient {operator} {value}.",
            "Das Land des Empfängers {operator} {value}.",
            "Le pays du destinataire {operator} {value}.",
        ),
        operators=PARTS,
        scopes=_ALWAYS,
        points=_POINTS,
        values=read_as(_read_country, "a country by its two letters, or a union of countries"),
        compare=by_name,
        given=_country,
    ),
    Term(
        INDUSTRY,
        "operand",
        Bucket.GATE,
        said("The industry {operator} {value}.", "Die Branche {operator} {value}.", "Le secteur {operator} {value}."),
        operators=CONCEPTS,
        scopes=_ALWAYS,
        points=_POINTS,
        values=read_as(text, "the name of an industry"),
        compare=by_name,
        given=claimed("sector"),
    ),
    Term(
        RECIPIENT,
        "operand",
        Bucket.GATE,
        said("The recipient {operator} {value}.", "Der Empfänger {operator} {value}.", "Le destinataire {operator} {value}."),
        operators=CONCEPTS,
        scopes=frozenset({Scope.NEGOTIATION, Scope.TRANSFER, Scope.ONGOING}),
        points=(Point.NEGOTIATION, Point.TRANSFER),
        values=read_as(text, "a participant or a kind of participant"),
        compare=_by_recipient,
        given=_recipients,
        remedy="pass the data on to other recipients, or to nobody",
    ),
)
