"""Actions of duties: each is kept by a clock or a record, and the evidence that stands for it."""

from __future__ import annotations

from typing import Final

from policies.model import CARNET, ODRL
from policies.terms.given import said
from policies.terms.term import Bucket, Point, Term

COMPENSATE: Final = f"{ODRL}compensate"
DELETE: Final = f"{ODRL}delete"
INFORM: Final = f"{ODRL}inform"
ATTRIBUTE: Final = f"{ODRL}attribute"
OBTAIN_CONSENT: Final = f"{ODRL}obtainConsent"
ATTEST: Final = f"{CARNET}attest"

TERMS: Final = (
    Term(
        COMPENSATE,
        "duty",
        Bucket.DUTY,
        said("pay", "bezahlen", "payer"),
        evidence="statement from receipts signed by both",
        remedy="settle what is due",
    ),
    Term(
        DELETE,
        "duty",
        Bucket.DUTY,
        said("delete the data", "die Daten löschen", "supprimer les données"),
        evidence="signed attestation of deletion",
        remedy="delete the data and attest it",
    ),
    Term(
        ATTEST,
        "duty",
        Bucket.DUTY,
        said("attest what was done", "das Getane bestätigen", "attester ce qui a été fait"),
        evidence="signed attestation",
        remedy="send the attestation",
    ),
    Term(
        INFORM,
        "duty",
        Bucket.DUTY,
        said("inform", "informieren", "informer"),
        evidence="signed notice",
        remedy="send the notice",
    ),
    Term(
        ATTRIBUTE,
        "duty",
        Bucket.DUTY,
        said("name the source", "die Quelle nennen", "citer la source"),
        evidence="signed attestation of use",
        remedy="name the source and attest it",
    ),
    Term(
        OBTAIN_CONSENT,
        "duty",
        Bucket.DUTY,
        said(
            "obtain the consent of the people concerned",
            "die Einwilligung der Betroffenen einholen",
            "obtenir le consentement des personnes concernées",
        ),
        points=(Point.QUERY,),
        remedy="record the consents before rows are delivered",
    ),
)
