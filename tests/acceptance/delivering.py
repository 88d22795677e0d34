"""From the terms of a contract to a file, without a connector around it: compiled, planned, run; consents are made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from connector.dataplane.plan.declared import declared
from connector.dataplane.plan.make import Who, make
from connector.dataplane.plan.model import Ask, Plan
from connector.dataplane.plan.places import Places
from connector.dataplane.query.job import Bits, Job, Made, Population
from connector.dataplane.query.run import run
from connector.dataplane.tables.model import Table
from policies import dsp
from policies.compile import compile_agreement
from policies.delivery import Capabilities
from policies.model import CARNET

NOW_MS: Final = 1_790_000_000_000
KEY: Final = bytes(range(32))
PAYD: Final = f"{CARNET}PayAsYouDrive"


def plan(
    table: Table,
    terms: list[tuple[str, str, str]],
    buyer: str = "did:web:insurer.example",
    purpose: str = PAYD,
    **ask: Any,
) -> Plan:
    """The plan of an agreement with these constraints (operand, operator, value), for what is asked."""
    constraints = [{"leftOperand": left, "operator": how, "rightOperand": right} for left, how, right in terms]
    agreement = {"@id": "urn:agreement:1", "@type": "Agreement", "target": "urn:dataset:1", "assigner": "did:web:oem.example",
                 "assignee": buyer, "timestamp": "2026-01-01T00:00:00Z",
                 "permission": [{"action": "use", "constraint": constraints}]}  # fmt: skip
    able = Capabilities(declared(table), table.paths, table.sampling_ms)
    delivery = compile_agreement(dsp.read(agreement), able)
    assert delivery.problems == (), delivery.problems
    who = Who("urn:dataset:1", "urn:agreement:1", buyer, purpose)
    return make(delivery, table, Ask(**ask), who, NOW_MS, Places.of({}))


def made(
    table: Table, wanted: Plan, consented: list[str], folder: Path, key: bytes = KEY, references: dict[str, str] | None = None
) -> tuple[Made, Path]:
    """Run the plan for vehicles that agreed to everything, and those of them that the buyer knows by a reference."""
    vehicles = folder / "vehicles.parquet"
    named = pa.table({"vehicle": sorted(consented), "ordinal": pa.array(range(len(consented)), pa.uint32())})
    pq.write_table(named, vehicles)
    (folder / "bits").write_bytes(b"\xff" * (len(consented) // 8 + 1))
    granted = None if wanted.consent is None else tuple((Bits(str(folder / "bits")),) for _ in wanted.consent.categories)
    scratch = folder / "scratch"
    scratch.mkdir()
    out = folder / f"out.{wanted.format}"
    known = (
        None
        if references is None
        else tuple((number, references[who]) for number, who in enumerate(sorted(consented)) if who in references)
    )
    population = Population(ordinals=(str(vehicles),), granted=granted, key=key.hex(), references=known)
    job = Job(plan=wanted, table=table, population=population, output=str(out), index=str(folder / "index"),
              scratch=str(scratch), keep=str(folder / "keep.parquet") if wanted.form == "cells" else None)  # fmt: skip
    found = run(msgspec.json.decode(msgspec.json.encode(job), type=Job))
    assert isinstance(found, Made), found
    return found, out
