"""Actions of permissions and prohibitions: ODRL 2.2's (vocabulary, section 3.7) and our own, with what includes them.

To read what is delivered is enforced; what a recipient does with it afterwards is a promise, labelled legal only.
"""

from __future__ import annotations

from typing import Final

from policies.model import CARNET, ODRL
from policies.terms.given import said
from policies.terms.term import Bucket, Point, Term

USE: Final = f"{ODRL}use"
READ: Final = f"{ODRL}read"
TRANSFER: Final = f"{ODRL}transfer"
_ENFORCED: Final = (Point.TRANSFER, Point.DATA_REQUEST)

# name, what includes it, the words for it
_PROMISED: Final = (
    (f"{ODRL}transfer", None, "give the ownership away", "das Eigentum abgeben", "céder la propriété"),
    (f"{ODRL}sell", TRANSFER, "sell the data", "die Daten verkaufen", "vendre les données"),
    (f"{ODRL}give", TRANSFER, "give the data away for nothing", "die Daten verschenken", "donner les données"),
    (
        f"{ODRL}distribute",
        USE,
        "pass the data on to others",
        "die Daten an andere weitergeben",
        "transmettre les données à des tiers",
    ),
    (
        f"{ODRL}derive",
        USE,
        "derive something new from the data",
        "aus den Daten Neues ableiten",
        "dériver quelque chose des données",
    ),
    (
        f"{ODRL}aggregate",
        USE,
        "combine the data with others",
        "die Daten mit anderen verbinden",
        "agréger les données à d'autres",
    ),
    (f"{ODRL}anonymize", USE, "anonymise the data", "die Daten anonymisieren", "anonymiser les données"),
    (f"{ODRL}modify", USE, "change the data", "die Daten verändern", "modifier les données"),
    (f"{ODRL}transform", USE, "convert the data", "die Daten umwandeln", "convertir les données"),
    (f"{ODRL}index", USE, "index the data", "die Daten indexieren", "indexer les données"),
    (f"{ODRL}archive", USE, "archive the data", "die Daten archivieren", "archiver les données"),
    (f"{ODRL}reproduce", USE, "copy the data", "die Daten vervielfältigen", "reproduire les données"),
    (
        f"{ODRL}extract",
        f"{ODRL}reproduce",
        "extract parts of the data",
        "Teile der Daten entnehmen",
        "extraire une partie des données",
    ),
    (f"{ODRL}grantUse", USE, "let others use the data", "anderen die Nutzung erlauben", "autoriser l'usage à d'autres"),
    (
        f"{CARNET}reidentify",
        USE,
        "find out whom the data are about",
        "herausfinden, wen die Daten betreffen",
        "réidentifier les personnes",
    ),
    (f"{CARNET}profile", USE, "build profiles of people", "Profile von Menschen bilden", "établir des profils de personnes"),
    (
        f"{CARNET}train",
        USE,
        "train a model on the data",
        "mit den Daten ein Modell trainieren",
        "entraîner un modèle sur les données",
    ),
)

TERMS: Final = (
    Term(USE, "action", Bucket.GATE, said("use the data", "die Daten nutzen", "utiliser les données"), points=_ENFORCED),
    Term(
        READ,
        "action",
        Bucket.GATE,
        said("read the data", "die Daten lesen", "lire les données"),
        points=_ENFORCED,
        included_in=USE,
    ),
    *(
        Term(iri, "action", Bucket.LEGAL, said(en, de, fr), legal_only=True, included_in=included_in)
        for iri, included_in, en, de, fr in _PROMISED
    ),
)
