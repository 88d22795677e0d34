"""Which places lie in which, and which can overlap: by the codes of the EU's authorities and of NUTS, and by boxes.

Known without a map: a country and its places, a NUTS region and those whose code begins with its own, boxes of coordinates. Two
different entries of the place authority are two localities, which do not overlap. What is not known may overlap and lies in
nothing but itself. Imports the model and how terms read places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from policies.model import Value
from policies.terms.place import box
from policies.terms.values import name

_AUTHORITY: Final = "http://publications.europa.eu/resource/authority/"
_NUTS: Final = ("http://data.europa.eu/nuts/code/", "http://data.europa.eu/nuts/")

_COUNTRIES: Final = {
    "AL": "ALB", "AT": "AUT", "BE": "BEL", "BG": "BGR", "CH": "CHE", "CY": "CYP", "CZ": "CZE", "DE": "DEU", "DK": "DNK",
    "EE": "EST", "EL": "GRC", "ES": "ESP", "FI": "FIN", "FR": "FRA", "HR": "HRV", "HU": "HUN", "IE": "IRL", "IS": "ISL",
    "IT": "ITA", "LI": "LIE", "LT": "LTU", "LU": "LUX", "LV": "LVA", "ME": "MNE", "MK": "MKD", "MT": "MLT", "NL": "NLD",
    "NO": "NOR", "PL": "POL", "PT": "PRT", "RO": "ROU", "RS": "SRB", "SE": "SWE", "SI": "SVN", "SK": "SVK", "TR": "TUR",
    "UK": "GBR",
}  # fmt: skip
"""Country codes of NUTS to those of the EU's authorities."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A place that could be read: its country (three letters), its NUTS code, and its own code in the place authority."""

    country: str
    nuts: str = ""
    locality: str = ""


def within(inner: Value, outer: Value) -> bool:
    """Whether all of ``inner`` is known to lie in ``outer``."""
    if name(inner) == name(outer):
        return True
    small, large = box(inner), box(outer)
    if small is not None and large is not None:
        return large[0] <= small[0] and large[1] <= small[1] and small[2] <= large[2] and small[3] <= large[3]
    one, other = _read(inner), _read(outer)
    if one is None or other is None or one.country != other.country or other.locality:
        return False
    return len(other.nuts) <= 2 or (bool(one.nuts) and one.nuts.startswith(other.nuts))


def meet(one: Value, other: Value) -> bool:
    """Whether two places may overlap; True where nothing says that they do not."""
    if within(one, other) or within(other, one):
        return True
    left, right = box(one), box(other)
    if left is not None and right is not None:
        return left[0] < right[2] and right[0] < left[2] and left[1] < right[3] and right[1] < left[3]
    here, there = _read(one), _read(other)
    if here is None or there is None:
        return True
    apart = here.country != there.country or (here.nuts and there.nuts) or (here.locality and there.locality)
    return not apart


def _read(value: Value) -> _Place | None:
    iri = name(value)
    for prefix in _NUTS:
        if iri.startswith(prefix):
            code = iri.removeprefix(prefix)
            return _Place(_COUNTRIES[code[:2]], nuts=code) if code[:2] in _COUNTRIES and code.isalnum() else None
    if not iri.startswith(_AUTHORITY):
        return None
    kind, _, code = iri.removeprefix(_AUTHORITY).partition("/")
    if kind == "country" and code:
        return _Place(code)
    country, _, local = code.partition("_")
    return _Place(country, locality=code) if kind == "place" and country and local else None
