"""The price: refinements of a duty to compensate. A meter counts, and a statement from receipts is the evidence."""

from __future__ import annotations

from typing import Final

from policies.model import CARNET, ODRL, Operator
from policies.terms.given import recorded, said
from policies.terms.term import Bucket, Term
from policies.terms.time import RUNNING
from policies.terms.values import amount, by_name, by_order, one_of, read_as

PAY_AMOUNT: Final = f"{ODRL}payAmount"
UNIT_OF_COUNT: Final = f"{ODRL}unitOfCount"
PRICE_BASIS: Final = f"{CARNET}priceBasis"

EURO: Final = "https://www.wikidata.org/entity/Q4916"
CURRENCIES: Final = {
    EURO: "EUR",
    "https://www.wikidata.org/entity/Q4917": "USD",
    "https://www.wikidata.org/entity/Q25224": "GBP",
    "https://www.wikidata.org/entity/Q25344": "CHF",
}
"""ISO 4217 codes by the IRI of the currency that a constraint names as its unit."""
UNITS: Final = frozenset(f"{CARNET}{unit}" for unit in ("Vehicle", "ApiCall", "Agreement", "Row", "Megabyte"))
BASES: Final = frozenset(f"{CARNET}{basis}" for basis in ("List", "CostOnly", "CostOnlyForSme", "Free"))

_EVIDENCE: Final = "statement from receipts signed by both"
_CHOICE: Final = frozenset({Operator.EQ, Operator.IS_A})

TERMS: Final = (
    Term(
        PAY_AMOUNT,
        "operand",
        Bucket.METER,
        said("The price {operator} {value}.", "Der Preis {operator} {value}.", "Le prix {operator} {value}."),
        operators=frozenset({Operator.EQ, Operator.LTEQ, Operator.GTEQ}),
        scopes=RUNNING,
        evidence=_EVIDENCE,
        values=read_as(amount, "an amount of money"),
        compare=by_order(amount),
        given=recorded(PAY_AMOUNT, "state the price in a duty to compensate"),
        remedy="settle what is due",
        units=frozenset(CURRENCIES),
    ),
    Term(
        UNIT_OF_COUNT,
        "operand",
        Bucket.METER,
        said("What is counted {operator} {value}.", "Gezählt {operator} {value}.", "Ce qui est compté {operator} {value}."),
        operators=_CHOICE,
        scopes=RUNNING,
        evidence=_EVIDENCE,
        values=one_of(UNITS, "something that is metered"),
        compare=by_name,
        given=recorded(UNIT_OF_COUNT, "state the unit in a duty to compensate"),
    ),
    Term(
        PRICE_BASIS,
        "operand",
        Bucket.METER,
        said(
            "The basis of the price {operator} {value}.",
            "Die Grundlage des Preises {operator} {value}.",
            "La base du prix {operator} {value}.",
        ),
        operators=_CHOICE,
        scopes=RUNNING,
        evidence=_EVIDENCE,
        values=one_of(BASES, "a basis of a price"),
        compare=by_name,
        given=recorded(PRICE_BASIS, "state the basis in a duty to compensate"),
    ),
)
