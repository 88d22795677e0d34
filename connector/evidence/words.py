"""The fixed words of the readable contract in its three languages. What the terms say comes from `policies.explain`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from policies.terms.term import Language

Words = Mapping[Language, str]


def _said(en: str, de: str, fr: str) -> Words:
    return {"en": en, "de": de, "fr": fr}


WORDS: Final[Mapping[str, Words]] = {
    "title": _said("Data contract", "Datenvertrag", "Contrat de données"),
    "reading": _said(
        "A readable copy, made from the agreement by the same rules that are enforced. What binds is the agreement itself: the "
        "file agreement.json beside this page.",
        "Eine lesbare Abschrift, nach denselben Regeln aus der Vereinbarung gewonnen, die auch durchgesetzt werden. Verbindlich "
        "ist die Vereinbarung selbst: die Datei agreement.json neben dieser Seite.",
        "Une copie lisible, tirée de l'accord selon les règles mêmes qui sont appliquées. Seul l'accord fait foi : le fichier "
        "agreement.json à côté de cette page.",
    ),
    "parties": _said("Parties", "Parteien", "Parties"),
    "provider": _said("Provider", "Anbieter", "Fournisseur"),
    "consumer": _said("Consumer", "Nutzer", "Utilisateur"),
    "recognised": _said(
        "As the register of participants had it at signing",
        "Nach dem Teilnehmerregister bei der Unterschrift",
        "Selon le registre des participants à la signature",
    ),
    "kind": _said("Kind", "Art", "Type"),
    "sector": _said("Sector", "Branche", "Secteur"),
    "country": _said("Country", "Land", "Pays"),
    "membership": _said("Membership", "Mitgliedschaft", "Adhésion"),
    "gatekeeper": _said("Gatekeeper under the DMA", "Torwächter nach dem DMA", "Contrôleur d'accès au sens du DMA"),
    "company": _said("company", "Unternehmen", "entreprise"),
    "public-body": _said("public body", "öffentliche Stelle", "organisme public"),
    "research": _said("research", "Forschung", "recherche"),
    "sme": _said("small or medium-sized enterprise", "kleines oder mittleres Unternehmen", "petite ou moyenne entreprise"),
    "yes": _said("yes", "ja", "oui"),
    "data": _said("Data", "Daten", "Données"),
    "dataset": _said("Dataset", "Datensatz", "Jeu de données"),
    "name": _said("Title", "Titel", "Titre"),
    "dates": _said("Dates and state", "Zeitpunkte und Stand", "Dates et état"),
    "agreement": _said("Agreement", "Vereinbarung", "Accord"),
    "made": _said("Agreed", "Vereinbart", "Convenu"),
    "recorded": _said("Recorded here", "Hier verzeichnet", "Enregistré ici"),
    "state": _said("State", "Stand", "État"),
    "pending": _said("not concluded yet", "noch nicht geschlossen", "pas encore conclu"),
    "binding": _said("binding", "verbindlich", "en vigueur"),
    "void": _said("void", "nichtig", "sans effet"),
    "held": _said("held without a negotiation", "ohne Verhandlung gehalten", "tenu sans négociation"),
    "terms": _said("What was agreed", "Was vereinbart ist", "Ce qui est convenu"),
    "kept": _said("How each term is kept", "Wie jede Bedingung eingehalten wird", "Comment chaque condition est tenue"),
    "keptHere": _said(
        "As the connector that made this copy keeps it.",
        "So, wie der Connector sie einhält, der diese Abschrift gemacht hat.",
        "Telle que la tient le connecteur qui a fait cette copie.",
    ),
    "unread": _said(
        "The terms are written in a way that cannot be read here; they stand in agreement.json.",
        "Die Bedingungen sind so geschrieben, dass sie hier nicht gelesen werden können; sie stehen in agreement.json.",
        "Les conditions sont écrites d'une manière qui ne peut être lue ici ; elles figurent dans agreement.json.",
    ),
    "problems": _said("What cannot be kept here", "Was hier nicht eingehalten werden kann", "Ce qui ne peut être tenu ici"),
    "offers": _said("How it came about", "Wie es dazu kam", "Comment on y est parvenu"),
    "offer": _said("Offer", "Angebot", "Offre"),
    "same": _said("the same terms", "dieselben Bedingungen", "les mêmes conditions"),
    "signatures": _said("Signatures", "Unterschriften", "Signatures"),
    "signed": _said("Signed", "Unterschrieben", "Signé"),
    "key": _said("Key", "Schlüssel", "Clé"),
    "countersigned": _said(
        "Both parties have signed the same bytes.",
        "Beide Parteien haben dieselben Bytes unterschrieben.",
        "Les deux parties ont signé les mêmes octets.",
    ),
    "own-only": _said(
        "Weaker evidence: one party has signed, the other cannot sign; what it sent stands beside this page as it came.",
        "Schwächerer Nachweis: Eine Partei hat unterschrieben, die andere kann es nicht; was sie geschickt hat, liegt dieser "
        "Seite bei, wie es kam.",
        "Preuve plus faible : une partie a signé, l'autre ne le peut pas ; ses messages sont joints tels qu'ils sont arrivés.",
    ),
    "unsigned": _said(
        "Weaker evidence: nobody has signed the agreement; the messages by which it was made stand beside this page.",
        "Schwächerer Nachweis: Niemand hat die Vereinbarung unterschrieben; die Nachrichten, durch die sie zustande kam, liegen "
        "dieser Seite bei.",
        "Preuve plus faible : personne n'a signé l'accord ; les messages par lesquels il a été conclu sont joints à cette page.",
    ),
    "digest": _said("SHA-256 of agreement.json", "SHA-256 von agreement.json", "SHA-256 de agreement.json"),
    "exported": _said("Copy made", "Abschrift erstellt", "Copie établie"),
}
