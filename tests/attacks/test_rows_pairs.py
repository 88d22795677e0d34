"""What may stand beside what, for one buyer of one raw table, whatever the agreements are called: every pair."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from connector.dataplane import freezing
from connector.dataplane.deliveries import Held
from connector.dataplane.plan.model import Box, Plan
from connector.dataplane.query.job import Made
from connector.dataplane.tables.model import LATITUDE, LONGITUDE, SPEED, Table
from tests.dataplane.query.small import START, TEMPERATURE, row, table_of

HOUR_S: Final = 3600
BOX: Final = ((Box(8.0, 50.0, 8.1, 50.1),),)
CELLS: Final[dict[str, Any]] = {"form": "cells", "level": "L3", "cell_level": 7, "step_s": HOUR_S, "least": 5}
FORMS: Final[dict[str, dict[str, Any]]] = {
    "cells": CELLS,
    "cells, other columns": CELLS | {"columns": (TEMPERATURE,)},
    "cells, other area": CELLS | {"areas": BOX},
    "cells, parent": CELLS | {"cell_level": 6},
    "cells, child": CELLS | {"cell_level": 8},
    "cells, other step": CELLS | {"step_s": 2 * HOUR_S},
    "cells, larger groups": CELLS | {"least": 6},
    "cells, bands": CELLS | {"bands": True},
    "cells, cut": CELLS | {"cut_s": 60},
    "cells, sampled": CELLS | {"sample_s": 60},
    "rows": {"columns": (LATITUDE, LONGITUDE)},
    "rows, half a position": {"columns": (LATITUDE,)},
    "rows, rounded": {"columns": (LATITUDE, LONGITUDE, SPEED), "cell_level": 5},
    "rows, L2": {"level": "L2", "columns": (LATITUDE, LONGITUDE)},
    "rows, by area only": {"areas": BOX},
    "rows, placeless": {},
    "features": {"form": "features", "columns": ()},
}
SAME_GRID: Final = {"cells", "cells, other columns", "cells, other area"}
FREE: Final = {"rows, placeless", "features"}
PERIODS: Final = {
    "same": (START, START + HOUR_S),
    "a second of it": (START + HOUR_S - 1, START + 3 * HOUR_S),
    "open": (None, None),
    "until": (None, START + 1),
    "next": (START + HOUR_S, START + 2 * HOUR_S),
    "before": (START - HOUR_S, START),
}


def plan_of(table: Table, name: str, period: tuple[int | None, int | None] = PERIODS["same"]) -> Plan:
    known: dict[str, Any] = {"level": "L1", "form": "rows", "columns": (SPEED,)}
    after_s, before_s = period
    named = {"dataset": f"ds-{name}", "table": table.id, "schema": table.schema, "agreement": f"urn:{name}", "recipient": "buyer"}
    return Plan(**(named | known | FORMS[name]), after_s=after_s, before_s=before_s)


def code_of(plan: Plan, held: list[Held]) -> str | None:
    try:
        freezing.check(plan, held, "another")
    except freezing.Frozen as frozen:
        return frozen.code
    return None


def expected(first: str, second: str) -> str | None:
    if {first, second} & FREE:
        return None
    kinds = [name.partition(",")[0] for name in (first, second)]
    if kinds[0] != kinds[1]:
        return "cells-held" if kinds[0] == "cells" else "rows-held"
    if kinds == ["rows", "rows"] or first == second or {first, second} <= SAME_GRID:
        return None
    return "grid-differs"


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return table_of(tmp_path, [row(at=START), row(at=START + HOUR_S - 1)])


def made_of(plan: Plan, **more: Any) -> Made:
    covers = (START, START + HOUR_S) if plan.form == "cells" else None
    known: dict[str, Any] = {
        "rows": 1,
        "bytes": 1,
        "sha256": "",
        "rows_digest": "",
        "vehicles": 1,
        "columns": (),
        "covers": covers,
    }
    return Made(**(known | more))


@pytest.mark.parametrize("period", PERIODS)
def test_every_pair(period: str, table: Table) -> None:
    for first, second in product(FORMS, FORMS):
        one, two = plan_of(table, first), plan_of(table, second, PERIODS[period])
        held = freezing.covered(one, table, made_of(one), "first", 1, "kept")
        meets = period not in ("next", "before")
        assert code_of(two, [held] if held else []) == (expected(first, second) if meets else None), (first, second)


def test_rows_are_remembered_to_the_end_of_what_was_read(table: Table) -> None:
    """Of an open period: what the table was when it was looked at, or more where it had grown."""
    plan = plan_of(table, "rows", (None, None))
    as_looked = freezing.covered(plan, table, made_of(plan), "f", 1, None)
    grown = freezing.covered(plan, table, made_of(plan, covers=(START - 10, START + 9 * HOUR_S)), "f", 1, None)
    assert as_looked is not None
    assert grown is not None
    assert (as_looked.after_s, as_looked.before_s) == (START, START + HOUR_S)
    assert (grown.after_s, grown.before_s) == (START - 10, START + 9 * HOUR_S)
    empty = msgspec.structs.replace(table, first_s=None, last_s=None)
    unknown = freezing.covered(plan, empty, made_of(plan), "f", 1, None)
    assert unknown is not None
    assert (unknown.after_s, unknown.before_s) == (freezing.FIRST_S, freezing.LAST_S)
