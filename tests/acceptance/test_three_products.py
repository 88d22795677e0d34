"""Three products of one raw table of a simulated fleet: a city's cells, a laboratory's pseudonyms, an insurer's features."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from connector.dataplane.tables.look import look
from connector.dataplane.tables.model import Table
from connector.demo.fleet import KIT, Written, vins, write_parquet
from policies.model import CARNET, DPV
from tests.acceptance.delivering import made, plan
from tests.governed import checks
from tests.governed.opened import LAT, LON, SPEED, Opened, Raw

VEHICLES, SEED = 100, 3
TOWN: Final = replace(KIT, towns=1, spread_km=3.0, trip_km=(2.0, 4.0, 8.0))
CITY, LAB, OTHER_LAB, INSURER = (f"did:web:{name}.example" for name in ("city", "lab", "other-lab", "insurer"))
KEYS: Final = {LAB: b"l" * 32, OTHER_LAB: b"o" * 32, INSURER: b"i" * 32}
RESEARCH: Final = f"{DPV}ScientificResearch"
CELLS: Final = [(f"{CARNET}minGroupSize", "gteq", "10"), (f"{CARNET}spatialResolution", "lteq", "7"),
                (f"{CARNET}temporalResolution", "gteq", "PT1H"), (f"{CARNET}columns", "eq", SPEED)]  # fmt: skip
ROWS: Final = [(f"{CARNET}releaseLevel", "eq", f"{CARNET}L1"), (f"{CARNET}tripEndCut", "gteq", "400"),
               (f"{CARNET}tripEndCutTime", "gteq", "PT1M"), (f"{CARNET}pseudonymEpoch", "eq", "P1D"),
               (f"{CARNET}offenceData", "eq", "false")]  # fmt: skip
FEATURES: Final = [(f"{CARNET}detail", "eq", f"{CARNET}FeaturesOnly"), (f"{CARNET}enrolment", "eq", "true")]


class Fleet:
    """The raw table, looked at once, and who drives in it."""

    def __init__(self, folder: Path) -> None:
        self.written: Written = write_parquet(folder / "fleet.parquet", TOWN, VEHICLES, 1, SEED)
        self.table: Table = look(folder / "fleet.parquet")
        self.raw = Raw(folder / "fleet.parquet", '"Vehicle.VehicleIdentification.VIN"', 'epoch("time")', "trip", f'"{LAT}"',
                       f'"{LON}"', f'"{SPEED}"')  # fmt: skip
        everybody: list[str] = sorted(vins(TOWN, VEHICLES, SEED).to_pylist())
        self.everybody, self.consented = everybody, everybody[::2]
        self.contracts = {vehicle: f"contract-{number}" for number, vehicle in enumerate(everybody[::3])}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    return Fleet(tmp_path_factory.mktemp("fleet"))


def test_the_city_gets_cells_of_ten_vehicles(fleet: Fleet, tmp_path: Path) -> None:
    found, out = made(fleet.table, plan(fleet.table, CELLS, CITY), ["nobody"], tmp_path)
    with Opened(out, fleet.raw) as opened:
        checks.no_cell_under(opened, 10, cell_level=7, step_s=3_600, consented=fleet.everybody, least=5)
        checks.cells_are_whole(opened, 7, least=5)
        checks.time_is_whole(opened, 3_600, least=5)
        checks.no_identifier_of_a_vehicle(opened, least=5)
        checks.no_column_outside(opened, {"cell", "latitude", "longitude", "time", "vehicles", SPEED}, least=5)
    assert found.suppressed > 0


def test_a_laboratory_gets_pseudonyms_without_the_ends_of_trips(fleet: Fleet, tmp_path: Path) -> None:
    found, out = made(fleet.table, plan(fleet.table, ROWS, LAB, RESEARCH), fleet.consented, tmp_path, KEYS[LAB])
    with Opened(out, fleet.raw) as opened:
        checks.no_vehicle_without_consent(opened, fleet.consented, key=KEYS[LAB], epoch="day", least=10_000)
        checks.nothing_within_the_cut(opened, key=KEYS[LAB], cut_m=400, cut_s=60, least=10_000)
        checks.no_precise_speed(opened, least=10_000)
        checks.no_identifier_of_a_vehicle(opened, least=10_000)
    assert 0 < found.rows < fleet.written.rows


def test_two_laboratories_cannot_join_what_they_have(fleet: Fleet, tmp_path: Path) -> None:
    outs = []
    for lab in (LAB, OTHER_LAB):
        folder = tmp_path / lab.split(":")[2]
        folder.mkdir()
        outs.append(made(fleet.table, plan(fleet.table, ROWS, lab, RESEARCH), fleet.consented, folder, KEYS[lab])[1])
    with Opened(outs[0]) as one, Opened(outs[1]) as other:
        checks.no_pseudonym_in_common(one, other, least=20)


def test_the_insurer_gets_features_of_its_own_customers_who_agreed(fleet: Fleet, tmp_path: Path) -> None:
    _, out = made(fleet.table, plan(fleet.table, FEATURES, INSURER), fleet.consented, tmp_path, KEYS[INSURER], fleet.contracts)
    both = set(fleet.consented) & set(fleet.contracts)
    with Opened(out, fleet.raw) as opened:
        checks.no_vehicle_without_consent(opened, both, key=KEYS[INSURER], least=10)
        checks.no_reference_without_consent(opened, fleet.contracts, fleet.consented, least=10)
        checks.no_identifier_of_a_vehicle(opened, least=10)
        assert not {LAT, LON, SPEED} & set(opened.columns)
