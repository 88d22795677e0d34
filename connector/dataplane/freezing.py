"""What a buyer has of a raw table already, and what therefore may not leave beside it. No I/O.

Aggregates that overlap can be subtracted from each other, and rows tell what an aggregate hides. So one buyer gets of one stretch
of time of one table either positions in rows, or cells of a single grid; and a cell stays what it was when it first left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from connector.dataplane.deliveries import MAX_RELEASED, Held
from connector.dataplane.plan.model import Plan
from connector.dataplane.query.job import Made
from connector.dataplane.tables.model import LATITUDE, LONGITUDE, Table

Kind = Literal["rows", "cells"]
FIRST_S: Final = -(2**53)
LAST_S: Final = 2**53
MAX_HELD: Final = MAX_RELEASED
"""So many releases are read; where there may be more, it is not known what they were."""


class Frozen(Exception):
    """``code``: ``grid-differs``, ``rows-held``, ``cells-held`` or ``releases-too-many``."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


_REASONS: Final = {
    "grid-differs": "cells of another grid were delivered of this time; two grids could be subtracted from each other",
    "rows-held": "rows with positions were delivered of this time; cells beside them would hide nothing",
    "cells-held": "cells were delivered of this time; rows with positions beside them would tell what the cells hide",
}


def freezes(plan: Plan) -> Kind | None:
    """Under which rule a plan falls: cells, or rows that say where a vehicle was, if only by the area that they were asked for.
    None: neither."""
    if plan.form == "cells":
        return "cells"
    return "rows" if plan.form == "rows" and (plan.areas or {LATITUDE, LONGITUDE} & set(plan.columns)) else None


def check(plan: Plan, held: Sequence[Held], flow_id: str) -> None:
    """Raises Frozen if the buyer has of the same time what this must not stand beside. Its own rows do not matter."""
    kind = freezes(plan)
    if kind is not None and len(held) >= MAX_HELD:
        raise Frozen("releases-too-many", "this table was delivered so often that nobody can say what may leave beside it")
    after, before = plan.after_s, plan.before_s
    for other in held:
        if kind is None or not _overlap(after, before, other):
            continue
        if kind != other.kind and other.flow_id != flow_id:
            code = "rows-held" if other.kind == "rows" else "cells-held"
            raise Frozen(code, _REASONS[code])
        if kind == "cells" and other.kind == "cells" and other.grid != plan.grid:
            raise Frozen("grid-differs", _REASONS["grid-differs"])


def _overlap(after_s: int | None, before_s: int | None, other: Held) -> bool:
    after = FIRST_S if after_s is None else after_s
    before = LAST_S if before_s is None else before_s
    return after < other.before_s and other.after_s < before


def covered(plan: Plan, table: Table, made: Made, flow_id: str, generation: int, keep_file: str | None) -> Held | None:
    """What the buyer has once this has left; None where nothing has to be remembered.

    Of cells the whole steps that were computed, with the file that was kept; of rows the time that was asked for.
    """
    kind = freezes(plan)
    if kind is None:
        return None
    if kind == "cells":
        if made.covers is None:
            return None
        after, before = made.covers
        return Held(flow_id, generation, "cells", plan.grid, after, before, plan.areas, keep_file)
    # The table may have grown since it was looked at: what was read counts.
    first, last = made.covers or (table.first_s, None if table.last_s is None else table.last_s + 1)
    after = plan.after_s if plan.after_s is not None else (FIRST_S if first is None else first)
    before = plan.before_s if plan.before_s is not None else (LAST_S if last is None else last)
    return Held(flow_id, generation, "rows", plan.grid, after, before, plan.areas, None) if after < before else None
