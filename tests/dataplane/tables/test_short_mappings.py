"""A mapping that somebody wrote by hand: of a known signal its path is enough."""

from __future__ import annotations

from pathlib import Path

import ibis
import pytest

from connector.dataplane.tables.look import look
from connector.dataplane.tables.model import Column, Mapping, TimeColumn
from connector.dataplane.tables.read import canonical
from connector.dataplane.tables.recognise import completed, recognise
from connector.dataplane.tables.refused import TableRefused

SPEED = "Vehicle.Speed"


def mapping(*columns: Column) -> Mapping:
    return Mapping(origin="given", vehicle="who", trip="run", time=TimeColumn("when"), columns=columns)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text("who,run,when,v_mph,due\na,1,2020-01-01T00:00:00Z,50,true\na,1,2020-01-01T00:00:01Z,60,false\n")
    return path


def test_type_unit_and_category_are_those_of_the_signal(file: Path) -> None:
    table = look(file, mapping(Column("v_mph", SPEED), Column("due", "Vehicle.Service.IsServiceDue")))
    assert table.mapping.columns == (
        Column("v_mph", SPEED, "number", "km/h", "driving-behaviour"),
        Column("due", "Vehicle.Service.IsServiceDue", "flag", None, "diagnostics"),
    )
    connection = ibis.duckdb.connect()
    try:
        found = canonical(connection, table).order_by("at").to_pyarrow().to_pylist()
    finally:
        connection.disconnect()
    assert [round(row[SPEED], 3) for row in found] == [80.467, 96.561]
    assert [row["Vehicle.Service.IsServiceDue"] for row in found] == [True, False]


def test_what_was_said_wrong_is_not_mended(file: Path) -> None:
    with pytest.raises(TableRefused) as refused:
        look(file, mapping(Column("v_mph", SPEED, "number", "km/h", "diagnostics")))
    assert refused.value.code == "column-path"


def test_paths_that_are_not_known_are_left(file: Path) -> None:
    own = mapping(Column("v_mph", "Vehicle.Private.Mine"))
    assert completed(own) == own
    assert look(file, own).mapping == own


def test_half_a_guess_says_what_it_has() -> None:
    found = recognise([("vin", "string"), ("trip", "string"), ("speed_mph", "string")], {})
    assert found.mapping is None
    assert found.roles == {"vehicle": "vin", "trip": "trip"}
    assert [(column.header, column.path) for column in found.columns] == [("speed_mph", SPEED)]
