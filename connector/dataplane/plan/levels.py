"""What a plan would let out, to whom and at which level, in sentences for who publishes: English, German and French. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from connector.dataplane.plan.model import COARSE_LEVEL, EDGES_M, Plan
from connector.dataplane.plan.periods import said
from connector.dataplane.tables.model import LATITUDE, LONGITUDE, Table
from policies.shown import label
from policies.terms.term import Language

_Words = Mapping[Language, str]


def _said(en: str, de: str, fr: str) -> _Words:
    return {"en": en, "de": de, "fr": fr}


_WHAT: Final[Mapping[str, _Words]] = {
    "rows L1": _said(
        "L1: rows of single vehicles under a pseudonym. They are personal data.",
        "L1: Zeilen einzelner Fahrzeuge unter einem Pseudonym. Es sind personenbezogene Daten.",
        "L1 : lignes de véhicules distincts sous pseudonyme. Ce sont des données personnelles.",
    ),
    "rows L2": _said(
        "L2: rows of single trips, which are not linked to each other.",
        "L2: Zeilen einzelner Fahrten, die nicht miteinander verbunden sind.",
        "L2 : lignes de trajets distincts, sans lien entre eux.",
    ),
    "cells L3": _said(
        "L3: figures by cell of the map and step of time, each of at least {least} vehicles.",
        "L3: Angaben je Kartenzelle und Zeitschritt, jede von mindestens {least} Fahrzeugen.",
        "L3 : chiffres par cellule et pas de temps, chacun d'au moins {least} véhicules.",
    ),
    "features L1": _said(
        "L1: features of driving by vehicle and month under a pseudonym, without places and speeds.",
        "L1: Merkmale der Fahrweise je Fahrzeug und Monat unter einem Pseudonym, ohne Orte und Geschwindigkeiten.",
        "L1 : caractéristiques de conduite par véhicule et par mois sous pseudonyme, sans lieux ni vitesses.",
    ),
    "score L1": _said(
        "L1: distance and a score by vehicle under a pseudonym, and nothing else.",
        "L1: Strecke und ein Wert je Fahrzeug unter einem Pseudonym, sonst nichts.",
        "L1 : distance et score par véhicule sous pseudonyme, et rien d'autre.",
    ),
}
_TO: Final = _said("To: {who}.", "An: {who}.", "À : {who}.")
_COLUMNS: Final = _said("Columns: {what}.", "Spalten: {what}.", "Colonnes : {what}.")
_NO_COLUMNS: Final = _said("No column of the table.", "Keine Spalte der Tabelle.", "Aucune colonne de la table.")
_ANONYMOUS: Final = _said("It is called anonymous.", "Es wird anonym genannt.", "Le produit est dit anonyme.")
_CONSENT: Final = _said(
    "Only vehicles with a grant for {what}, for the purpose: {purpose}, on the basis: {bases}.",
    "Nur Fahrzeuge mit einer Erlaubnis für {what}, zum Zweck: {purpose}, auf der Grundlage: {bases}.",
    "Seuls les véhicules avec un accord pour {what}, pour la finalité : {purpose}, sur la base : {bases}.",
)
_REQUEST: Final = _said(
    "Only vehicles whose user asked for this recipient to have {what}, for the purpose: {purpose} (requests: {count}).",
    "Nur Fahrzeuge, deren nutzende Person das für den Empfänger verlangt: {what}, zum Zweck: {purpose} (genannt: {count}).",
    "Seuls les véhicules dont l'usager a demandé {what} pour ce destinataire, pour la finalité : {purpose} (cités : {count}).",
)
_CATEGORIES: Final[Mapping[str, _Words]] = {
    "location": _said("location", "Standort", "localisation"),
    "driving-behaviour": _said("driving behaviour", "Fahrweise", "conduite"),
    "mileage": _said("mileage", "Fahrleistung", "kilométrage"),
    "diagnostics": _said("diagnostics", "Diagnose", "diagnostic"),
    "energy": _said("energy", "Energie", "énergie"),
    "environment": _said("environment", "Umgebung", "environnement"),
    "identity": _said("identity", "Identität", "identité"),
}
_NO_CONSENT: Final = _said(
    "Without consent of the people concerned: another basis is on record.",
    "Ohne Einwilligung der Betroffenen: Eine andere Grundlage ist vermerkt.",
    "Sans consentement des personnes concernées : une autre base est enregistrée.",
)
_ENROLLED: Final = _said(
    "Only vehicles that the recipient enrolled, with its own reference.",
    "Nur Fahrzeuge, die der Empfänger angemeldet hat, mit seiner eigenen Referenz.",
    "Seuls les véhicules inscrits par le destinataire, avec sa propre référence.",
)
_EPOCHS: Final[Mapping[str, _Words]] = {
    "": _said(
        "A vehicle has one pseudonym for the whole agreement.",
        "Ein Fahrzeug hat ein Pseudonym für die ganze Vereinbarung.",
        "Un véhicule garde un pseudonyme pendant tout l'accord.",
    ),
    "day": _said(
        "A vehicle has a new pseudonym each day.",
        "Ein Fahrzeug hat jeden Tag ein neues Pseudonym.",
        "Un véhicule change de pseudonyme chaque jour.",
    ),
    "month": _said(
        "A vehicle has a new pseudonym each month.",
        "Ein Fahrzeug hat jeden Monat ein neues Pseudonym.",
        "Un véhicule change de pseudonyme chaque mois.",
    ),
    "year": _said(
        "A vehicle has a new pseudonym each year.",
        "Ein Fahrzeug hat jedes Jahr ein neues Pseudonym.",
        "Un véhicule change de pseudonyme chaque année.",
    ),
}
_CUT: Final = _said(
    "Both ends of each trip are cut by {metres} m and {seconds} s.",
    "Beide Enden jeder Fahrt sind um {metres} m und {seconds} s gekürzt.",
    "Les deux bouts de chaque trajet sont coupés de {metres} m et {seconds} s.",
)
_PLACES: Final[Mapping[str, _Words]] = {
    "precise": _said("Positions are precise.", "Positionen sind genau.", "Les positions sont précises."),
    "cells": _said(
        "Places are cells with an edge of {metres} m (level {level}).",
        "Orte sind Zellen mit {metres} m Kante (Stufe {level}).",
        "Les lieux sont des cellules de {metres} m de côté (niveau {level}).",
    ),
}
_AREAS: Final = _said("Only from {count} agreed area(s).", "Nur aus {count} Gebiet(en).", "Seulement de {count} zone(s).")
_SENSITIVE: Final[Mapping[str, _Words]] = {
    "removed": _said("Sensitive places are removed.", "Sensible Orte sind entfernt.", "Les lieux sensibles sont retirés."),
    "coarsened": _said(
        "Near sensitive places positions have an edge of {metres} m.",
        "Nahe sensiblen Orten haben Positionen {metres} m Kante.",
        "Près des lieux sensibles, les positions sont arrondies à {metres} m.",
    ),
}
_STEP: Final = _said(
    "Times are steps of {seconds} s.", "Zeiten sind Schritte von {seconds} s.", "Le temps avance par {seconds} s."
)
_SAMPLE: Final = _said(
    "Of each trip at most one row in {seconds} s.",
    "Von jeder Fahrt höchstens eine Zeile in {seconds} s.",
    "De chaque trajet au plus une ligne en {seconds} s.",
)
_AFTER: Final = _said("Measured from {moment} on.", "Gemessen ab {moment}.", "Mesuré à partir du {moment}.")
_BEFORE: Final = _said("Measured before {moment}.", "Gemessen vor {moment}.", "Mesuré avant le {moment}.")
_BANDS: Final = _said("Speed is given in bands.", "Geschwindigkeit steht in Stufen.", "La vitesse est donnée par tranches.")


def sentences(plan: Plan, table: Table, language: Language) -> tuple[str, ...]:
    """What leaves, to whom, at which level, of whom, and what was taken away, in the order of the plan's steps."""
    return tuple(words[language].format(**filled) for words, filled in _sentences(plan, table, language))


def _sentences(plan: Plan, table: Table, language: Language) -> Iterator[tuple[_Words, dict[str, object]]]:
    yield _WHAT[f"{plan.form} {plan.level}"], {"least": plan.least}
    yield _TO, {"who": plan.recipient}
    if plan.anonymous:
        yield _ANONYMOUS, {}
    if plan.form in ("rows", "cells"):
        yield (_COLUMNS, {"what": ", ".join(plan.columns)}) if plan.columns else (_NO_COLUMNS, {})
    yield from _of_whom(plan, table, language)
    if plan.cut_m or plan.cut_s:
        yield _CUT, {"metres": f"{plan.cut_m:g}", "seconds": plan.cut_s}
    yield from _of_places(plan, table)
    yield from _of_times(plan)
    if plan.bands:
        yield _BANDS, {}


def _of_whom(plan: Plan, table: Table, language: Language) -> Iterator[tuple[_Words, dict[str, object]]]:
    if plan.consent is not None:
        bases = ", ".join(label(iri, language) for iri in plan.consent.bases)
        what = ", ".join(_CATEGORIES[category][language] for category in plan.consent.categories)
        purpose = label(plan.consent.purposes[0], language)
        if plan.consent.requests:
            yield _REQUEST, {"what": what, "purpose": purpose, "count": len(plan.consent.requests)}
        if bases:
            yield _CONSENT, {"what": what, "purpose": purpose, "bases": bases}
    elif plan.personal and table.personal:
        yield _NO_CONSENT, {}
    if plan.enrolled:
        yield _ENROLLED, {}
    if plan.level == "L1":
        yield _EPOCHS[plan.epoch or ""], {}


def _of_places(plan: Plan, table: Table) -> Iterator[tuple[_Words, dict[str, object]]]:
    if plan.cell_level is not None:
        yield _PLACES["cells"], {"metres": EDGES_M[plan.cell_level], "level": plan.cell_level}
    elif plan.form == "rows" and table.placed and {LATITUDE, LONGITUDE} & set(plan.columns):
        yield _PLACES["precise"], {}
    if plan.areas:
        yield _AREAS, {"count": len(plan.areas)}
    if plan.sensitive in _SENSITIVE:
        yield _SENSITIVE[plan.sensitive], {"metres": EDGES_M[COARSE_LEVEL]}


def _of_times(plan: Plan) -> Iterator[tuple[_Words, dict[str, object]]]:
    if plan.after_s is not None:
        yield _AFTER, {"moment": said(plan.after_s)}
    if plan.before_s is not None:
        yield _BEFORE, {"moment": said(plan.before_s)}
    if plan.step_s is not None:
        yield _STEP, {"seconds": plan.step_s}
    if plan.sample_s is not None:
        yield _SAMPLE, {"seconds": plan.sample_s}
