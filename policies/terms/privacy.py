"""Privacy: how what leaves is shaped. All are parameters of the query plan; the agreement fixes their values.

Release levels: L1 pseudonymised rows, L2 rows that cannot be linked beyond a trip, L3 aggregates of at least k distinct
vehicles. ``Anonymous`` is a claim about the output, which publication examines.
"""

from __future__ import annotations

from typing import Final

from policies.model import CARNET, Operator
from policies.terms.given import by_data_plane, said
from policies.terms.term import Bucket, Point, Scope, Term
from policies.terms.values import SAME, Check, amount, duration, name, one_of, read_as, text, truth, whole

RELEASE_LEVEL: Final = f"{CARNET}releaseLevel"
MIN_GROUP_SIZE: Final = f"{CARNET}minGroupSize"
SPATIAL_RESOLUTION: Final = f"{CARNET}spatialResolution"
TEMPORAL_RESOLUTION: Final = f"{CARNET}temporalResolution"
SAMPLING_INTERVAL: Final = f"{CARNET}samplingInterval"
TRIP_END_CUT: Final = f"{CARNET}tripEndCut"
TRIP_END_CUT_TIME: Final = f"{CARNET}tripEndCutTime"
PSEUDONYM_EPOCH: Final = f"{CARNET}pseudonymEpoch"
ENROLMENT: Final = f"{CARNET}enrolment"
COLUMNS: Final = f"{CARNET}columns"
SENSITIVE_PLACES: Final = f"{CARNET}sensitivePlaces"
OFFENCE_DATA: Final = f"{CARNET}offenceData"
DETAIL: Final = f"{CARNET}detail"

LEVELS: Final = frozenset(f"{CARNET}{level}" for level in ("L1", "L2", "L3", "Anonymous"))
DETAILS: Final = frozenset(f"{CARNET}{detail}" for detail in ("ScoreAndMileageOnly", "FeaturesOnly", "FullDetail"))
TREATMENTS: Final = frozenset(f"{CARNET}{treatment}" for treatment in ("Removed", "Coarsened"))
EPOCHS: Final = frozenset({"P1D", "P1M", "P1Y"})
_FINEST_CELL: Final = 15
"""H3 has cells of the levels 0 to 15."""

_LEAST: Final = frozenset({Operator.EQ, Operator.GTEQ, Operator.GT})
_MOST: Final = frozenset({Operator.EQ, Operator.LTEQ, Operator.LT})
_LIST: Final = frozenset({Operator.EQ, Operator.IS_ANY_OF, Operator.IS_NONE_OF})
_CHOICE: Final = frozenset({Operator.EQ, Operator.IS_A, Operator.IS_ANY_OF})
_SPAN: Final = read_as(duration, "an ISO 8601 duration in whole seconds, such as PT1H")

_epoch: Final = read_as(lambda value: value if duration(value) and name(value) in EPOCHS else None, "one of P1D, P1M, P1Y")
_level: Final = read_as(
    lambda value: found if (found := whole(value)) is not None and found <= _FINEST_CELL else None, "a level from 0 to 15"
)

# operand, operators, check, what the sentence is about
_ROWS: Final[tuple[tuple[str, frozenset[Operator], Check, str, str, str], ...]] = (
    (
        RELEASE_LEVEL,
        _CHOICE,
        one_of(LEVELS, "a release level"),
        "The release level",
        "Die Freigabestufe",
        "Le niveau de diffusion",
    ),
    (
        MIN_GROUP_SIZE,
        _LEAST,
        read_as(whole, "a whole number of vehicles"),
        "The number of vehicles behind a figure",
        "Die Zahl der Fahrzeuge hinter einer Angabe",
        "Le nombre de véhicules derrière un chiffre",
    ),
    (SPATIAL_RESOLUTION, _MOST, _level, "The level of the map cells", "Die Stufe der Kartenzellen", "Le niveau des cellules"),
    (TEMPORAL_RESOLUTION, _LEAST, _SPAN, "The step of time", "Der Zeitschritt", "Le pas de temps"),
    (
        SAMPLING_INTERVAL,
        _LEAST | _MOST,
        _SPAN,
        "The time between two samples",
        "Die Zeit zwischen zwei Messungen",
        "Le temps entre deux mesures",
    ),
    (
        TRIP_END_CUT,
        _LEAST,
        read_as(amount, "a number of metres"),
        "The length in metres cut from both ends of a trip",
        "Die an beiden Enden einer Fahrt gekürzte Strecke in Metern",
        "La distance en mètres coupée aux deux bouts d'un trajet",
    ),
    (
        TRIP_END_CUT_TIME,
        _LEAST,
        _SPAN,
        "The time cut from both ends of a trip",
        "Die an beiden Enden einer Fahrt gekürzte Zeit",
        "Le temps coupé aux deux bouts d'un trajet",
    ),
    (
        PSEUDONYM_EPOCH,
        frozenset({Operator.EQ, Operator.LTEQ}),
        _epoch,
        "The time for which a pseudonym stays the same",
        "Die Zeit, für die ein Pseudonym gleich bleibt",
        "Le temps pendant lequel un pseudonyme reste le même",
    ),
    (
        ENROLMENT,
        SAME,
        read_as(truth, "true or false"),
        "The restriction to vehicles that the recipient enrolled, with its own reference,",
        "Die Beschränkung auf Fahrzeuge, die der Empfänger angemeldet hat, mit seiner eigenen Referenz,",
        "La restriction aux véhicules que le destinataire a inscrits, avec sa propre référence,",
    ),
    (COLUMNS, _LIST, read_as(text, "the name of a column"), "The columns", "Die Spalten", "Les colonnes"),
    (
        SENSITIVE_PLACES,
        _CHOICE,
        one_of(TREATMENTS, "how sensitive places are treated"),
        "The treatment of sensitive places",
        "Die Behandlung sensibler Orte",
        "Le traitement des lieux sensibles",
    ),
    (
        OFFENCE_DATA,
        SAME,
        read_as(truth, "true or false"),
        "The presence of data on offences",
        "Das Vorhandensein von Daten über Verstöße",
        "La présence de données d'infraction",
    ),
    (DETAIL, _CHOICE, one_of(DETAILS, "a level of detail"), "The detail", "Der Detailgrad", "Le détail"),
)

TERMS: Final = tuple(
    Term(
        iri,
        "operand",
        Bucket.SHAPE,
        said(f"{en} {{operator}} {{value}}.", f"{de} {{operator}} {{value}}.", f"{fr} {{operator}} {{value}}."),
        operators=operators,
        scopes=frozenset(Scope),
        points=(Point.QUERY,),
        values=check,
        given=by_data_plane(iri),
    )
    for iri, operators, check, en, de, fr in _ROWS
)
