"""What is declared of a source is what can be kept of it, and nothing else."""

from __future__ import annotations

import msgspec

from connector.dataplane.plan.agreed import READ
from connector.dataplane.plan.declared import declared, declared_for_file, every
from policies.compile import needs_data_plane
from policies.model import CARNET, ODRL
from policies.terms.consent import USER_REQUEST
from policies.terms.registry import REGISTRY
from policies.terms.term import Bucket
from tests.dataplane.plan.plans import BLIND, TABLE

PLACED = {f"{CARNET}{name}" for name in ("boundingBox", "spatialResolution", "sensitivePlaces", "minGroupSize")}


def test_terms_about_places_need_places_and_terms_about_ends_need_trips() -> None:
    assert declared(TABLE) == every()
    assert every() - declared(BLIND) == PLACED | {f"{ODRL}spatial", f"{CARNET}tripEndCut"}
    tripless = msgspec.structs.replace(TABLE, mapping=msgspec.structs.replace(TABLE.mapping, trip=None))
    assert every() - declared(tripless) == {f"{CARNET}tripEndCut", f"{CARNET}tripEndCutTime"}


def test_a_file_is_counted_and_not_shaped() -> None:
    assert declared_for_file() == {f"{ODRL}count", f"{CARNET}bytes", f"{ODRL}timeInterval"}
    assert declared_for_file() < every()


def test_all_that_shapes_is_declared_and_read() -> None:
    shaping = {iri for iri in every() if REGISTRY[iri].bucket is Bucket.SHAPE}
    assert shaping | {USER_REQUEST} == READ
    assert all(any(point.of_data_plane for point in REGISTRY[iri].points) for iri in every())
    only_here = {iri for iri, found in REGISTRY.items() if needs_data_plane(found)}
    assert only_here == every()
