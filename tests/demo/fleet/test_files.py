"""Files: Parquet with row groups, CSV as the Vehicle Energy Dataset has it, and the command."""

from __future__ import annotations

import ast
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as parquet
import pytest
from click.testing import CliRunner

import connector.demo.fleet
from connector.demo.fleet import ENVIROCAR, KIT, simulate, vins, write_parquet, write_ved
from connector.demo.fleet.__main__ import main
from connector.demo.fleet.writing import GROUP_ROWS

HEADER = (
    "DayNum,VehId,Trip,Timestamp(ms),Latitude[deg],Longitude[deg],Vehicle Speed[km/h],MAF[g/sec],Engine RPM[RPM],"
    "Absolute Load[%],Outside Air Temperature[DegC],Fuel Rate[L/hr],Air Conditioning Power[kW],Air Conditioning Power[Watts],"
    "Heater Power[Watts],HV Battery Current[A],HV Battery SOC[%],HV Battery Voltage[V],Short Term Fuel Trim Bank 1[%],"
    "Short Term Fuel Trim Bank 2[%],Long Term Fuel Trim Bank 1[%],Long Term Fuel Trim Bank 2[%]"
)


def all_rows(vehicles: int, days: int) -> Any:
    return pa.Table.from_batches(list(simulate(ENVIROCAR, vehicles, days, 3)))


def test_parquet_holds_the_rows_that_were_made(tmp_path: Path) -> None:
    path = tmp_path / "trips.parquet"
    written = write_parquet(path, ENVIROCAR, 70, 5, 3)
    table, made = parquet.read_table(path), all_rows(70, 5)
    assert table.column_names == made.column_names
    for name in table.column_names:
        assert made.column(name).cast(table.schema.field(name).type).equals(table.column(name)), name
    assert written.rows == table.num_rows
    assert written.vehicles == len(table.column(0).unique())
    assert written.trips == len(table.column("trip").unique())
    assert written.km == pytest.approx(sum(table.column("Vehicle.Speed").to_pylist()) * 5 / 3_600)


def test_row_groups_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "trips.parquet"
    write_parquet(path, KIT, 40, 4, 1)
    metadata = parquet.ParquetFile(path).metadata
    sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    assert len(sizes) > 1
    assert max(sizes) < 2 * GROUP_ROWS


def test_ved_files_hold_the_same_trips(tmp_path: Path) -> None:
    written = write_ved(tmp_path, ENVIROCAR, 12, 9, 3)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["VED_260225_week.csv", "VED_260304_week.csv"]
    assert {file.read_text().splitlines()[0] for file in files} == {HEADER}
    read = [row for file in files for row in pa_csv.read_csv(file).to_pylist()]
    rows = all_rows(12, 9).to_pylist()
    assert len(read) == len(rows) == written.rows
    numbers = {code: number + 1 for number, code in enumerate(vins(ENVIROCAR, 12, 3).to_pylist())}
    found = {(row["VehId"], instant(row)): row for row in read}
    assert len(found) == len(read)
    for row in rows:
        other = found[numbers[row["Vehicle.VehicleIdentification.VIN"]], row["time"]]
        assert other["Vehicle Speed[km/h]"] == row["Vehicle.Speed"]
        assert other["Latitude[deg]"] == pytest.approx(row["Vehicle.CurrentLocation.Latitude"], abs=1e-7)
        assert other["Trip"] == int(row["trip"].split("-")[1]) + 1


def instant(row: dict[str, Any]) -> datetime:
    """When a row of the format was measured, by the description of the data set."""
    shown = datetime(2017, 11, 1) + timedelta(days=row["DayNum"] - 1)  # noqa: DTZ001  # it is a clock on a wall
    began = shown.replace(tzinfo=ZoneInfo("America/Detroit")).astimezone(UTC)
    exact = began + timedelta(milliseconds=row["Timestamp(ms)"])
    return datetime.fromtimestamp(round(exact.timestamp(), 2), UTC)


def test_what_is_missing_is_said_in_the_words_of_the_format(tmp_path: Path) -> None:
    write_ved(tmp_path, ENVIROCAR, 2, 1, 3)
    [file] = tmp_path.iterdir()
    first = dict(zip(HEADER.split(","), file.read_text().splitlines()[1].split(","), strict=True))
    assert first["MAF[g/sec]"] == "NaN"
    assert (first["HV Battery SOC[%]"] == "NaN") != (first["Engine RPM[RPM]"] == "NaN")


def test_the_command_says_what_it_wrote(tmp_path: Path) -> None:
    out = tmp_path / "trips.parquet"
    given = ["--profile", "envirocar", "--vehicles", "5", "--days", "2", "--seed", "4", "--out", str(out)]
    done = CliRunner().invoke(main, given)
    assert done.exit_code == 0, done.output
    assert f"{parquet.ParquetFile(out).metadata.num_rows:,} rows of 5 vehicles" in done.output
    assert "rows/s" in done.output


def test_the_fleet_knows_nothing_of_the_connector() -> None:
    folder = Path(connector.demo.fleet.__file__).parent
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("connector"):
                assert (node.module or "").startswith("connector.demo.fleet"), path.name
