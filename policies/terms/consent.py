"""Consent and legal basis: on what ground each row leaves, and the request of a user that a share rests on (Data Act, art. 5).

A request is decided at a gate and shapes what is delivered: only rows of the vehicles leave that the named requests are about.
The fact says which requests are on record for this very buyer and its purpose. One that is unknown, of somebody else or withdrawn
is not among them, so that nobody learns which.
"""

from __future__ import annotations

from typing import Final

from policies.model import CARNET, DPV, Operator
from policies.terms.given import recorded, recorded_or_by_data_plane, said
from policies.terms.term import Bucket, Point, Scope, Term
from policies.terms.values import by_name, one_of, read_as, text

LEGAL_BASIS: Final = f"{CARNET}legalBasis"
USER_REQUEST: Final = f"{CARNET}userRequest"
BASES: Final = frozenset(
    f"{DPV}{basis}"
    for basis in (
        "Consent",
        "ExplicitConsent",
        "Contract",
        "LegalObligation",
        "LegitimateInterest",
        "PublicInterest",
        "VitalInterest",
    )
)
_CHOICE: Final = frozenset({Operator.EQ, Operator.IS_A, Operator.IS_ANY_OF})

TERMS: Final = (
    Term(
        LEGAL_BASIS,
        "operand",
        Bucket.SHAPE,
        said(
            "The legal basis {operator} {value}.", "Die Rechtsgrundlage {operator} {value}.", "La base légale {operator} {value}."
        ),
        operators=_CHOICE,
        scopes=frozenset(Scope),
        points=(Point.QUERY,),
        values=one_of(BASES, "a legal basis of the GDPR"),
        compare=by_name,
        given=recorded_or_by_data_plane(LEGAL_BASIS),
        remedy="ask for data with another legal basis",
    ),
    Term(
        USER_REQUEST,
        "operand",
        Bucket.GATE,
        said(
            "The request of the user {operator} {value}.",
            "Das Verlangen der nutzenden Person {operator} {value}.",
            "La demande de l'utilisateur {operator} {value}.",
        ),
        operators=_CHOICE,
        scopes=frozenset({Scope.NEGOTIATION, Scope.TRANSFER, Scope.ONGOING}),
        points=(Point.NEGOTIATION, Point.TRANSFER, Point.DATA_REQUEST, Point.QUERY),
        values=read_as(text, "the id of a request"),
        compare=by_name,
        given=recorded(USER_REQUEST, "record the request of the user"),
        remedy="have the user ask the provider for the share; no request of a user is on record for you",
    ),
)
