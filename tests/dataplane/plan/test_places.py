"""Places have boxes within and a box around; a deployment adds its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.dataplane.plan.model import Box
from connector.dataplane.plan.places import COUNTRY, NUTS, PLACE, WORLD, Place, Places, covered, meet

PLACES = Places.of()


def inside(lon: float, lat: float, boxes: tuple[Box, ...]) -> bool:
    return any(box.west <= lon < box.east and box.south <= lat < box.north for box in boxes)


@pytest.mark.parametrize("iri", sorted(PLACES.known))
def test_what_lies_within_lies_in_what_is_around(iri: str) -> None:
    place = PLACES.known[iri]
    assert place.within
    assert all(covered(box, (place.around,)) for box in place.within)
    assert not any(meet(box, beside) for box in place.within for beside in place.outside)


@pytest.mark.parametrize(
    ("code", "lon", "lat"),
    [
        ("FRA", 3.88, 43.61),
        ("DEU", 8.4, 49.01),
        ("DEU", 7.62, 51.96),
        ("ESP", -3.7, 40.42),
        ("ITA", 9.19, 45.46),
        ("NLD", 5.12, 52.09),
        ("BEL", 4.35, 50.85),
        ("CHE", 8.54, 47.37),
        ("AUT", 16.37, 48.21),
        ("LUX", 6.13, 49.61),
        ("GBR", -0.13, 51.51),
        ("POL", 21.01, 52.23),
    ],
)
def test_cities_lie_in_their_country_and_in_no_other(code: str, lon: float, lat: float) -> None:
    countries = {
        iri.removeprefix(COUNTRY)
        for iri, place in PLACES.known.items()
        if iri.startswith(COUNTRY) and inside(lon, lat, place.within)
    }
    assert countries == {code}


@pytest.mark.parametrize(
    ("lon", "lat"), [(7.59, 47.56), (6.14, 46.2), (8.68, 47.7), (7.42, 43.74), (13.05, 47.8), (12.453, 41.903)]
)
def test_what_lies_at_a_border_is_in_no_country_rather_than_in_the_wrong_one(lon: float, lat: float) -> None:
    allowed = {"CHE", "AUT"}
    found = {
        iri.removeprefix(COUNTRY)
        for iri, place in PLACES.known.items()
        if iri.startswith(COUNTRY) and inside(lon, lat, place.within)
    }
    assert found <= allowed


def test_regions_are_known_by_both_forms_of_their_code() -> None:
    assert len({id(PLACES.find(start + "DE")) for start in NUTS}) == 2
    assert {PLACES.find(start + "DE") for start in NUTS} == {PLACES.find(f"{COUNTRY}DEU")}
    karlsruhe, germany = PLACES.find(f"{NUTS[0]}DE122"), PLACES.find(f"{COUNTRY}DEU")
    assert karlsruhe is not None
    assert germany is not None
    assert covered(karlsruhe.within[0], germany.within)
    assert PLACES.find(f"{NUTS[0]}XX") is None


def test_a_deployment_adds_places_and_mends_them() -> None:
    boxes = (Box(0, 0, 1, 1), Box(2, 2, 3, 3))
    places = Places.of({f"{PLACE}NEW": boxes, f"{PLACE}FRA_MPL": boxes})
    assert places.find(f"{PLACE}NEW") == places.find(f"{PLACE}FRA_MPL") == Place(boxes, Box(0, 0, 3, 3))
    assert places.find(f"{COUNTRY}FRA") == PLACES.find(f"{COUNTRY}FRA")


edges = st.integers(-5, 5)
boxes = st.builds(lambda w, s, x, y: Box(w, s, w + x, s + y), edges, edges, st.integers(1, 5), st.integers(1, 5))


@given(boxes, st.lists(boxes, max_size=5))
def test_a_box_is_covered_when_every_point_is(box: Box, others: list[Box]) -> None:
    points = [
        (lon + 0.5, lat + 0.5) for lon in range(int(box.west), int(box.east)) for lat in range(int(box.south), int(box.north))
    ]
    assert covered(box, tuple(others)) == all(inside(lon, lat, tuple(others)) for lon, lat in points)


@given(boxes, st.integers(-1790, 1790), st.integers(-890, 890))
def test_the_outside_of_a_place_is_the_rest_of_the_world(box: Box, lon: int, lat: int) -> None:
    place = Place((box,), box)
    assert inside(lon / 10, lat / 10, (box,)) != inside(lon / 10, lat / 10, place.outside)
    assert Place((WORLD,), WORLD).outside == ()
