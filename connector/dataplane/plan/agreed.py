"""What the terms of delivery come to: every item that shapes, read, and several about one thing combined to the strictest.

A term that is not read here refuses, and so do terms that no delivery can keep together. Nothing of the table or of the request
is looked at: ``plan/make.py`` holds the result against both. No I/O.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Final

from connector.dataplane.plan.model import Box, Epoch
from connector.dataplane.plan.places import Place, Places, meet
from connector.dataplane.plan.refused import PlanRefused
from policies.delivery import Delivery, Item
from policies.model import CARNET, DPV, Operator
from policies.terms import consent, privacy
from policies.terms.duties import OBTAIN_CONSENT
from policies.terms.place import BOUNDING_BOX, SPATIAL, box
from policies.terms.time import DELAY_PERIOD
from policies.terms.values import Duration, amount, duration, name, number, truth

LEVELS: Final = frozenset({"L1", "L2", "L3"})
CONSENTS: Final = frozenset({f"{DPV}Consent", f"{DPV}ExplicitConsent"})
"""Bases that are consent. Who allows consent allows explicit consent."""

_LOWER: Final = {Operator.GTEQ: 0, Operator.GT: 1}
_UPPER: Final = {Operator.LTEQ: 0, Operator.LT: 1}
_EXCLUDING: Final = frozenset({Operator.NEQ, Operator.IS_NONE_OF})
_INCLUDING: Final = frozenset({Operator.EQ, Operator.IS_A, Operator.IS_ANY_OF, Operator.IS_PART_OF})
_EPOCHS: Final[Mapping[Duration, Epoch]] = {
    Duration(0, 86_400_000): "day",
    Duration(1, 0): "month",
    Duration(12, 0): "year",
}
_LONGEST_MONTH_S: Final = 31 * 86_400
_SHORTEST_MONTH_S: Final = 28 * 86_400
_MOST: Final = 10**9
"""No number of vehicles or of metres is larger than this: it comes to the same."""

Paths = Mapping[str, str]
Items = tuple[Item, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """The terms that shape one permission's delivery; None or empty where they are silent.

    ``levels`` (of ``LEVELS``) and ``details`` (IRIs): one of these. ``least``: distinct vehicles. ``sampled_s``: the longest time
    between samples that is promised; ``sample_s``: the shortest. ``delays``: how old data are at least. ``named`` and
    ``excluded`` are VSS paths. ``bases``: IRIs. ``by_consent``: there is a duty to obtain consent.
    ``requests``: ids of requests of users, of whose vehicles rows may leave. ``paths``: where each operand is spoken of.
    """

    levels: frozenset[str] | None = None
    anonymous: bool = False
    details: frozenset[str] | None = None
    least: int | None = None
    cell_level: int | None = None
    step_s: int | None = None
    sampled_s: int | None = None
    sample_s: int | None = None
    cut_m: float = 0
    cut_s: int = 0
    named: frozenset[str] | None = None
    excluded: frozenset[str] = frozenset()
    sensitive: str | None = None
    no_offences: bool = False
    areas: tuple[tuple[Box, ...], ...] = ()
    delays: tuple[Duration, ...] = ()
    bases: frozenset[str] | None = None
    by_consent: bool = False
    requests: frozenset[str] | None = None
    enrolled: bool = False
    epoch: Epoch | None = None
    paths: Paths = field(default_factory=dict)

    def path(self, iri: str) -> str:
        """Where an operand is spoken of first; empty where it is not."""
        return self.paths.get(iri, "")


def agreed(delivery: Delivery, places: Places) -> Agreed:
    """What the items of ``delivery`` that shape come to, and whose requests its gates name. Raises PlanRefused."""
    found: dict[str, list[Item]] = {}
    for item in (*delivery.shape, *(gate for gate in delivery.gates if gate.term == consent.USER_REQUEST)):
        found.setdefault(item.term, []).append(item)
    read: dict[str, object] = {}
    for iri, items in found.items():
        reader = _READERS.get(iri) if all(item.kind == "constraint" for item in items) else None
        if reader is None:
            raise not_enforceable(items[0].path, f"nothing here keeps {iri}")
        read |= reader(tuple(items), places)
    areas = (*_areas(read.pop("spatial", ())), *_areas(read.pop("boxes", ())))
    _check_meeting(areas, found)
    return Agreed(
        areas=areas,
        by_consent=any(item.term == OBTAIN_CONSENT for item in delivery.duties),
        paths={iri: items[0].path for iri, items in found.items()},
        **read,  # type: ignore[arg-type] # each reader names fields of Agreed and gives values of their types; tested for all
    )


def not_enforceable(path: str, reason: str) -> PlanRefused:
    """A term that cannot be kept of this delivery."""
    return PlanRefused("not-enforceable", path, reason, "leave the term out, or deliver something of which it can be kept")


def contradicting(path: str, reason: str) -> PlanRefused:
    """Terms that nothing can keep together."""
    return PlanRefused("terms-contradict", path, reason, "leave one of the terms out, or make them agree")


# --- readers: the items of one operand -> fields of Agreed ------------------------------------------------------------


Reader = Callable[[Items, Places], dict[str, object]]


def _names(items: Items, what: str) -> frozenset[str]:
    """The concepts that all of the items allow."""
    left = frozenset(name(value) for value in items[0].values)
    for item in items[1:]:
        left &= {name(value) for value in item.values}
    if not left:
        raise contradicting(items[-1].path, f"the terms leave no {what}")
    return left


def _level(items: Items, places: Places) -> dict[str, object]:
    left, anonymous = LEVELS, False
    for item in items:
        said = {name(value).removeprefix(CARNET) for value in item.values}
        anonymous |= "Anonymous" in said
        left &= (said - {"Anonymous"}) | ({"L2", "L3"} if "Anonymous" in said else set())
    if not left:
        raise contradicting(items[-1].path, "the terms leave no release level")
    return {"levels": left, "anonymous": anonymous}


def _detail(items: Items, places: Places) -> dict[str, object]:
    return {"details": _names(items, "detail")}


def _bases(items: Items, places: Places) -> dict[str, object]:
    allowed = _names(items, "legal basis")
    return {"bases": allowed | CONSENTS if f"{DPV}Consent" in allowed else allowed}


def _requests(items: Items, places: Places) -> dict[str, object]:
    return {"requests": _names(items, "request of a user")}


def _columns(items: Items, places: Places) -> dict[str, object]:
    out = {name(value) for item in items if item.operator in _EXCLUDING for value in item.values}
    listed = tuple(item for item in items if item.operator not in _EXCLUDING)
    return {"named": _names(listed, "column") if listed else None, "excluded": frozenset(out)}


def _sensitive(items: Items, places: Places) -> dict[str, object]:
    left = _names(items, "treatment of sensitive places")
    return {"sensitive": "removed" if f"{CARNET}Removed" in left else "coarsened"}


def _truth(items: Items) -> bool:
    """The one truth that all items say."""
    said = {truth(item.values[0]) is (item.operator is Operator.EQ) for item in items}
    if len(said) != 1:
        raise contradicting(items[-1].path, "the terms say both yes and no")
    return said.pop()


def _offences(items: Items, places: Places) -> dict[str, object]:
    if _truth(items):
        raise not_enforceable(items[0].path, "data on offences never leave")
    return {"no_offences": True}


def _enrolled(items: Items, places: Places) -> dict[str, object]:
    return {"enrolled": _truth(items)}


def _epoch(items: Items, places: Places) -> dict[str, object]:
    said = [(item, length) for item in items if (length := duration(item.values[0])) in _EPOCHS and length is not None]
    if len(said) != len(items):
        raise not_enforceable(items[0].path, "a pseudonym stays the same for a day, a month or a year")
    shortest = min((length for _, length in said), key=lambda length: (length.months, length.ms))
    if any(item.operator is Operator.EQ and length != shortest for item, length in said):
        raise contradicting(items[-1].path, "the terms name several times for which a pseudonym stays the same")
    return {"epoch": _EPOCHS[shortest]}


def _delay(items: Items, places: Places) -> dict[str, object]:
    return {"delays": tuple(found for item in items if (found := duration(item.values[0])) is not None)}


def _lower(items: Items, read: Callable[[Item], Decimal | int]) -> Decimal | int | None:
    """The largest of what the items ask at least; ``gt`` asks one more."""
    return max((read(item) + _LOWER.get(_op(item), 0) for item in items if _op(item) not in _UPPER), default=None)


def _upper(items: Items, read: Callable[[Item], Decimal | int]) -> Decimal | int | None:
    """The smallest of what the items allow at most; ``lt`` allows one less."""
    return min((read(item) - _UPPER.get(_op(item), 0) for item in items if _op(item) not in _LOWER), default=None)


def _check_bounds(items: Items, read: Callable[[Item], Decimal | int]) -> None:
    low, high = _lower(items, read), _upper(items, read)
    if low is not None and high is not None and low > high:
        raise contradicting(items[-1].path, f"the terms ask for {low} at least and {high} at most")


def _op(item: Item) -> Operator:
    return item.operator or Operator.EQ


def _number(item: Item) -> Decimal:
    return number(item.values[0]) or Decimal(0)


def _metres(item: Item) -> Decimal:
    return amount(item.values[0]) or Decimal(0)


def _seconds(item: Item, month_s: int = _LONGEST_MONTH_S) -> int:
    length = duration(item.values[0]) or Duration(0, 0)
    return length.months * month_s + length.ms // 1000


def _at_least(fact: str, read: Callable[[Item], Decimal | int], made: Callable[[Decimal | int], object]) -> Reader:
    def reader(items: Items, places: Places) -> dict[str, object]:
        _check_bounds(items, read)
        return {fact: made(_lower(items, read) or 0)}

    return reader


def _cell_level(items: Items, places: Places) -> dict[str, object]:
    _check_bounds(items, _number)
    finest = _upper(items, _number)
    if finest is None or finest < 0:
        raise contradicting(items[-1].path, "no level of cells is coarse enough")
    return {"cell_level": int(finest)}


def _sampling(items: Items, places: Places) -> dict[str, object]:
    _check_bounds(items, _seconds)
    promised = _upper(items, partial(_seconds, month_s=_SHORTEST_MONTH_S))
    return {"sampled_s": promised, "sample_s": _lower(items, _seconds) or None}


def _few(value: Decimal | int) -> int:
    return min(math.ceil(value), _MOST)


_READERS: Final[Mapping[str, Reader]] = {
    privacy.RELEASE_LEVEL: _level,
    privacy.DETAIL: _detail,
    privacy.MIN_GROUP_SIZE: _at_least("least", _number, _few),
    privacy.SPATIAL_RESOLUTION: _cell_level,
    privacy.TEMPORAL_RESOLUTION: _at_least("step_s", _seconds, lambda found: int(found) or None),
    privacy.SAMPLING_INTERVAL: _sampling,
    privacy.TRIP_END_CUT: _at_least("cut_m", _metres, lambda found: min(float(found), float(_MOST))),
    privacy.TRIP_END_CUT_TIME: _at_least("cut_s", _seconds, int),
    privacy.COLUMNS: _columns,
    privacy.SENSITIVE_PLACES: _sensitive,
    privacy.OFFENCE_DATA: _offences,
    privacy.PSEUDONYM_EPOCH: _epoch,
    privacy.ENROLMENT: _enrolled,
    consent.LEGAL_BASIS: _bases,
    consent.USER_REQUEST: _requests,
    DELAY_PERIOD: _delay,
    SPATIAL: lambda items, places: {"spatial": tuple(area for item in items for area in _of_places(item, places))},
    BOUNDING_BOX: lambda items, places: {"boxes": tuple(_of_box(item) for item in items)},
}
READ: Final = frozenset(_READERS)
"""Every operand that is read here."""


# --- places ----------------------------------------------------------------------------------------------------------


def _of_places(item: Item, places: Places) -> tuple[tuple[Box, ...], ...]:
    """The areas that a constraint on the place comes to: rows lie in each of them."""
    found = [_known(item, name(value), places) for value in item.values]
    if _op(item) in _EXCLUDING:
        return tuple(place.outside for place in found)
    if _op(item) is Operator.IS_ALL_OF:
        return tuple(place.within for place in found)
    if _op(item) not in _INCLUDING:
        raise not_enforceable(item.path, "no selection of rows keeps this operator of places")
    return (tuple(box for place in found for box in place.within),)


def _known(item: Item, iri: str, places: Places) -> Place:
    found = places.find(iri)
    if found is None:
        said = f"nobody said where {iri} is"
        raise PlanRefused("place-unknown", item.path, said, "add the place to the places of this data plane, or use boundingBox")
    return found


def _of_box(item: Item) -> tuple[Box, ...]:
    edges = box(item.values[0])
    if edges is None:
        raise not_enforceable(item.path, "the area is not one that can be read")
    return (Box(*(float(edge) for edge in edges)),)


def _areas(read: object) -> tuple[tuple[Box, ...], ...]:
    return read if isinstance(read, tuple) else ()


def _check_meeting(areas: tuple[tuple[Box, ...], ...], found: Mapping[str, list[Item]]) -> None:
    """Refuses areas of which two have nothing in common."""
    for index, one in enumerate(areas):
        for other in areas[:index]:
            if not any(meet(left, right) for left in one for right in other):
                path = [items[-1].path for iri, items in found.items() if iri in (SPATIAL, BOUNDING_BOX)][-1]
                raise contradicting(path, "the areas that the terms name have nothing in common")
