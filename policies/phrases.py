"""The fixed words of explanations in each language: what is said about rules, decisions, deliveries and changes. Imports nothing
but the languages and the names of terms.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from policies.model import CARNET, DPV, Logic
from policies.terms.term import Language, Point

Words = Mapping[Language, str]


def _said(en: str, de: str, fr: str) -> Words:
    return {"en": en, "de": de, "fr": fr}


RULES: Final[Mapping[str, Words]] = {
    "permission": _said("Permitted: {what}.", "Erlaubt: {what}.", "Permis : {what}."),
    "prohibition": _said("Prohibited: {what}.", "Verboten: {what}.", "Interdit : {what}."),
    "obligation": _said("Owed: {what}.", "Geschuldet: {what}.", "Dû : {what}."),
    "duty": _said("In return: {what}.", "Dafür: {what}.", "En contrepartie : {what}."),
    "remedy": _said("If it is done nevertheless: {what}.", "Wird es doch getan: {what}.", "Si c'est fait malgré tout : {what}."),
    "consequence": _said("If it is not done: {what}.", "Wird es nicht getan: {what}.", "Si ce n'est pas fait : {what}."),
    "target": _said("About: {what}.", "Gegenstand: {what}.", "Objet : {what}."),
    "assigner": _said("From: {what}.", "Von: {what}.", "De : {what}."),
    "assignee": _said("For: {what}.", "Für: {what}.", "Pour : {what}."),
    "party": _said("{role}: {what}.", "{role}: {what}.", "{role} : {what}."),
    "profile": _said("Profile: {what}.", "Profil: {what}.", "Profil : {what}."),
    "inheritFrom": _said("Further terms: {what}.", "Weitere Bedingungen: {what}.", "Autres conditions : {what}."),
    "conflict": _said(
        "Where rules contradict each other: {what}.", "Wo Regeln sich widersprechen: {what}.", "En cas de contradiction : {what}."
    ),
}
LOGIC: Final[Mapping[Logic, Words]] = {
    Logic.AND: _said("All of these:", "All dies:", "Tout ceci :"),
    Logic.OR: _said("At least one of these:", "Mindestens eines davon:", "Au moins l'un de ceux-ci :"),
    Logic.XONE: _said("Exactly one of these:", "Genau eines davon:", "Exactement l'un de ceux-ci :"),
    Logic.AND_SEQUENCE: _said("These, one after the other:", "Dies, eines nach dem anderen:", "Ceci, l'un après l'autre :"),
}
UNKNOWN: Final = _said("a term that nobody here knows", "ein hier unbekannter Begriff", "un terme inconnu ici")
HIDDEN: Final = _said("(not shown)", "(nicht gezeigt)", "(non montré)")
SOMEBODY: Final = _said("a party that is not shown", "eine nicht gezeigte Partei", "une partie non montrée")
ELSEWHERE: Final = _said("what stands at {what}", "was bei {what} steht", "ce qui figure à {what}")
OR: Final = _said("or", "oder", "ou")
NOTHING: Final = _said("nothing", "nichts", "rien")
NO_CHANGE: Final = _said("The terms are the same.", "Die Bedingungen sind dieselben.", "Les conditions sont les mêmes.")

DECISIONS: Final[Mapping[str, Words]] = {
    "permit": _said("The request is permitted.", "Die Anfrage ist erlaubt.", "La demande est permise."),
    "deny": _said("The request is refused.", "Die Anfrage ist abgelehnt.", "La demande est refusée."),
    "owed": _said("Still owed: {what}.", "Noch geschuldet: {what}.", "Encore dû : {what}."),
    "required": _said("Not satisfied: {what}", "Nicht erfüllt: {what}", "Non satisfait : {what}"),
    "undecided": _said("Cannot be told: {what}", "Nicht feststellbar: {what}", "Indéterminable : {what}"),
    "forbidden": _said("What was asked is prohibited.", "Das Verlangte ist verboten.", "Ce qui est demandé est interdit."),
    "violated": _said(
        "A duty was not fulfilled: {what}.", "Eine Pflicht wurde verletzt: {what}.", "Une obligation n'est pas remplie : {what}."
    ),
    "none": _said("Nothing permits what was asked.", "Nichts erlaubt das Verlangte.", "Rien ne permet ce qui est demandé."),
    "action": _said(
        "The rule is about another action.", "Die Regel betrifft eine andere Handlung.", "La règle vise une autre action."
    ),
    "target": _said("The rule is about something else.", "Die Regel betrifft etwas anderes.", "La règle vise autre chose."),
    "assignee": _said("The rule is for somebody else.", "Die Regel gilt für jemand anderen.", "La règle vise quelqu'un d'autre."),
    "unclear": _said(
        "A part of the policy is not understood here.",
        "Ein Teil der Bedingungen ist hier unverständlich.",
        "Une partie des conditions n'est pas comprise ici.",
    ),
    "remedy": _said("To change that: {what}.", "Abhilfe: {what}.", "Pour y remédier : {what}."),
    "satisfy": _said(
        "It is satisfied where this holds: {what}", "Erfüllt ist es, wenn gilt: {what}", "C'est satisfait si : {what}"
    ),
    "final": _said("Nothing that you could do would change that.", "Daran lässt sich nichts ändern.", "Rien ne peut y remédier."),
}

OF_CODE: Final[Mapping[str, str]] = {
    "no-permission": "none",
    "action-other": "action",
    "target-other": "target",
    "assignee-other": "assignee",
    "prohibited": "forbidden",
}
"""Which decision sentence a code is said by; what is not named here is unclear, or has a sentence of its own."""

KEPT: Final[Mapping[str, Words]] = {
    "points": _said("enforced at: {what}", "durchgesetzt bei: {what}", "appliqué à : {what}"),
    "evidence": _said("evidenced by: {what}", "belegt durch: {what}", "attesté par : {what}"),
    "legal": _said("legal only", "nur rechtlich bindend", "juridique seulement"),
    "parts": _said("kept by its parts", "durch seine Teile", "tenu par ses parties"),
    "unkept": _said("nobody can keep this here", "hier nicht einzuhalten", "personne ne peut le tenir ici"),
    "problem": _said(
        "Cannot be kept at {where}: {what}", "Nicht einzuhalten bei {where}: {what}", "Intenable à {where} : {what}"
    ),
}
POINTS: Final[Mapping[Point, Words]] = {
    Point.CATALOGUE: _said("catalogue", "Katalog", "catalogue"),
    Point.NEGOTIATION: _said("negotiation", "Verhandlung", "négociation"),
    Point.PUBLICATION: _said("publication", "Veröffentlichung", "publication"),
    Point.AGREEMENT: _said("agreement", "Vertragsschluss", "accord"),
    Point.TRANSFER: _said("transfer", "Übertragung", "transfert"),
    Point.CLOCK: _said("clock", "Uhr", "horloge"),
    Point.DATA_REQUEST: _said("data request", "Datenabruf", "requête de données"),
    Point.QUERY: _said("query plan", "Abfrageplan", "plan de requête"),
    Point.METER: _said("meter", "Zähler", "compteur"),
}
EVIDENCE: Final[Mapping[str, Words]] = {
    found["en"]: found
    for found in (
        _said(
            "statement from receipts signed by both",
            "Abrechnung aus beiderseits signierten Quittungen",
            "relevé des reçus signés par les deux",
        ),
        _said("signed attestation of deletion", "signierte Löschbestätigung", "attestation signée d'effacement"),
        _said("signed attestation", "signierte Bestätigung", "attestation signée"),
        _said("signed notice", "signierte Mitteilung", "avis signé"),
        _said("signed attestation of use", "signierte Bestätigung der Nutzung", "attestation signée d'usage"),
    )
}
"""Translations of evidence; what is not here stays as its term says it."""

CHANGES: Final[Mapping[str, Words]] = {
    "added": _said("Added: {after}", "Hinzugefügt: {after}", "Ajouté : {after}"),
    "removed": _said("Removed: {before}", "Entfallen: {before}", "Supprimé : {before}"),
    "changed": _said("Changed: {before} → {after}", "Geändert: {before} → {after}", "Modifié : {before} → {after}"),
    "narrowed": _said("Narrowed: {before} → {after}", "Verengt: {before} → {after}", "Restreint : {before} → {after}"),
    "widened": _said("Widened: {before} → {after}", "Erweitert: {before} → {after}", "Élargi : {before} → {after}"),
}
UNITS_OF_TIME: Final[tuple[tuple[Words, Words], ...]] = (
    (_said("year", "Jahr", "an"), _said("years", "Jahre", "ans")),
    (_said("month", "Monat", "mois"), _said("months", "Monate", "mois")),
    (_said("day", "Tag", "jour"), _said("days", "Tage", "jours")),
    (_said("hour", "Stunde", "heure"), _said("hours", "Stunden", "heures")),
    (_said("minute", "Minute", "minute"), _said("minutes", "Minuten", "minutes")),
    (_said("second", "Sekunde", "seconde"), _said("seconds", "Sekunden", "secondes")),
)
"""One and many of each, from the longest."""
TRUTHS: Final[Mapping[bool, Words]] = {True: _said("yes", "ja", "oui"), False: _said("no", "nein", "non")}

CONCEPTS: Final[Mapping[str, Words]] = {
    f"{CARNET}Company": _said("company", "Unternehmen", "entreprise"),
    f"{CARNET}SmallOrMediumEnterprise": _said(
        "small or medium enterprise", "kleines oder mittleres Unternehmen", "petite ou moyenne entreprise"
    ),
    f"{CARNET}PublicBody": _said("public body", "öffentliche Stelle", "organisme public"),
    f"{CARNET}ResearchOrganisation": _said("research organisation", "Forschungseinrichtung", "organisme de recherche"),
    f"{CARNET}DmaGatekeeper": _said(
        "gatekeeper (Digital Markets Act)",
        "Torwächter (Gesetz über digitale Märkte)",
        "contrôleur d'accès (règlement sur les marchés numériques)",
    ),
    f"{CARNET}Vehicle": _said("vehicle", "Fahrzeug", "véhicule"),
    f"{CARNET}ApiCall": _said("request", "Abruf", "requête"),
    f"{CARNET}Agreement": _said("contract", "Vertrag", "contrat"),
    f"{CARNET}Row": _said("row", "Zeile", "ligne"),
    f"{CARNET}Megabyte": _said("megabyte", "Megabyte", "mégaoctet"),
    f"{CARNET}CostOnlyForSme": _said(
        "cost only for small and medium enterprises",
        "nur Kosten für kleine und mittlere Unternehmen",
        "coût seul pour les petites et moyennes entreprises",
    ),
    f"{CARNET}CostOnly": _said("cost only", "nur Kosten", "coût seul"),
    f"{CARNET}ScoreAndMileageOnly": _said(
        "score and mileage only", "nur Punktzahl und Kilometer", "score et kilométrage seulement"
    ),
    f"{CARNET}FeaturesOnly": _said("computed features only", "nur berechnete Merkmale", "caractéristiques calculées seulement"),
    f"{CARNET}PurposeEnded": _said("end of the purpose", "Ende des Zwecks", "fin de la finalité"),
    f"{CARNET}L1": _said("L1 (pseudonymised rows)", "L1 (pseudonymisierte Zeilen)", "L1 (lignes pseudonymisées)"),
    f"{CARNET}L2": _said(
        "L2 (rows unlinkable beyond a trip)",
        "L2 (über die Fahrt hinaus unverkettbare Zeilen)",
        "L2 (lignes non reliables au-delà d'un trajet)",
    ),
    f"{CARNET}L3": _said("L3 (aggregates)", "L3 (Aggregate)", "L3 (agrégats)"),
    f"{CARNET}Anonymous": _said("anonymous", "anonym", "anonyme"),
    f"{CARNET}EuropeanUnion": _said("European Union", "Europäische Union", "Union européenne"),
    f"{CARNET}EuropeanEconomicArea": _said(
        "European Economic Area", "Europäischer Wirtschaftsraum", "Espace économique européen"
    ),
    f"{DPV}Consent": _said("consent", "Einwilligung", "consentement"),
    f"{DPV}ExplicitConsent": _said("explicit consent", "ausdrückliche Einwilligung", "consentement explicite"),
    f"{DPV}Contract": _said("contract", "Vertrag", "contrat"),
    f"{DPV}LegalObligation": _said("legal obligation", "rechtliche Verpflichtung", "obligation légale"),
    f"{DPV}LegitimateInterest": _said("legitimate interest", "berechtigtes Interesse", "intérêt légitime"),
    f"{DPV}PublicInterest": _said("public interest", "öffentliches Interesse", "intérêt public"),
}
"""Labels of concepts but purposes, whose tree has its own."""
