"""Values as people read them: money with its currency, durations, moments, concepts by their label. Imports the terms."""

from __future__ import annotations

import re
from typing import Final

from policies.model import XSD, Lit, Value
from policies.phrases import CONCEPTS, OR, TRUTHS, UNITS_OF_TIME
from policies.purposes import PURPOSES
from policies.terms.price import CURRENCIES
from policies.terms.term import Language
from policies.terms.values import at, duration, instant, name, number

SHOWN_MOST: Final = 8
"""Values that a sentence names; more are counted."""
_LENGTH_MOST: Final = 120
_WORDS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_DAY_S: Final = 86_400


def listed(values: tuple[Value, ...], unit: str | None, language: Language) -> str:
    """Several values, the last after an "or"."""
    found = [shown(value, unit, language) for value in values[:SHOWN_MOST]]
    if len(values) > SHOWN_MOST:
        return f"{', '.join(found)} (+{len(values) - SHOWN_MOST})"
    return f" {OR[language]} ".join([", ".join(found[:-1]), found[-1]]) if len(found) > 1 else "".join(found)


def shown(value: Value, unit: str | None, language: Language) -> str:
    """One value; ``unit`` is the IRI of what it is counted in, as a currency."""
    if unit is not None and number(value) is not None:
        return f"{_decimal(name(value), language)} {_currency(unit)}"
    if isinstance(value, Lit):
        return _literal(value, language)
    return label(value.iri, language)


def label(iri: str, language: Language) -> str:
    """A concept by its label, else by the last part of its IRI."""
    if iri in PURPOSES:
        purpose = PURPOSES[iri]
        return {"en": purpose.en, "de": purpose.de, "fr": purpose.fr}[language]
    if iri in CONCEPTS:
        return CONCEPTS[iri][language]
    return local(iri)


def local(iri: str) -> str:
    """The last part of an IRI on the web, in words; other names as they are."""
    if not iri.startswith(("http://", "https://")):
        return iri[:_LENGTH_MOST]
    last = re.split(r"[#/]", iri.rstrip("#/"))[-1]
    return (last if "_" in last or last.isupper() else _WORDS.sub(" ", last).lower())[:_LENGTH_MOST]


def _literal(value: Lit, language: Language) -> str:
    if value.datatype == f"{XSD}boolean" and value.text in ("true", "false"):
        return TRUTHS[value.text == "true"][language]
    if (moment := instant(value)) is not None:
        return name(at(moment)).replace("T", " ").replace(".000Z", "Z").replace("Z", " UTC")
    if (length := duration(value)) is not None:
        return _duration(length.months, length.ms, language)
    if number(value) is not None:
        return _decimal(value.text, language)
    return label(value.text, language)


def _decimal(text: str, language: Language) -> str:
    return text if language == "en" else text.replace(".", ",")


def _currency(unit: str) -> str:
    return CURRENCIES.get(unit) or local(unit)


def _duration(months: int, ms: int, language: Language) -> str:
    years, months = divmod(months, 12)
    days, seconds = divmod(ms // 1000, _DAY_S)
    counts = (years, months, days, seconds // 3600, seconds // 60 % 60, seconds % 60)
    said = [
        f"{count} {(one if count == 1 else many)[language]}"
        for count, (one, many) in zip(counts, UNITS_OF_TIME, strict=True)
        if count
    ]
    return " ".join(said) or f"0 {UNITS_OF_TIME[-1][1][language]}"
