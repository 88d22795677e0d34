"""A small table of drives and what a buyer does with it: publish, agree, consent, ask, fetch."""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp

from .conftest import BUYER, VDX, Control, Plane, agreement, first_message, permitted, token_of, when

RESEARCH = "https://w3id.org/dpv#ScientificResearch"
SPEED, LAT, LON = "Vehicle.Speed", "Vehicle.CurrentLocation.Latitude", "Vehicle.CurrentLocation.Longitude"
VIN = "Vehicle.VehicleIdentification.VIN"
START = datetime(2026, 7, 1, 8, tzinfo=UTC)
CATEGORIES = ("location", "driving-behaviour")
RESEARCH_ONLY = when("odrl:purpose", "isA", "https://w3id.org/dpv#ResearchAndDevelopment")
COARSE = [when(f"{VDX}spatialResolution", "lteq", 7), when(f"{VDX}offenceData", "eq", "false")]


def drives(vehicles: int, *, rows: int = 60, first: int = 0, start: datetime = START) -> str:
    """CSV of one trip of each vehicle, a row a second, all in the same cell of level 7."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([VIN, "trip", "time", SPEED, LAT, LON])
    for vehicle in range(first, first + vehicles):
        for second in range(rows):
            at = (start + timedelta(seconds=second)).isoformat()
            place = (48.5 + vehicle / 1e5, 9.05 + second / 1e6)
            writer.writerow([f"CAR{vehicle:04}", f"t{vehicle}", at, 40 + vehicle % 50, *place])
    return text.getvalue()


@dataclass
class Reply:
    """What the public listener answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        import json

        return str(json.loads(self.body)["code"])

    @property
    def problem(self) -> dict[str, Any]:
        import json

        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def rows(self) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.body.decode())))


@dataclass
class Shop:
    """A provider with a table, its control plane, and transfers of one buyer."""

    plane: Plane
    control: Control
    addresses: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def publish(self, text: str, *, dataset: str = "ds", name: str = "drives.csv", **wish: Any) -> Any:
        path = self.plane.sources / name
        path.write_text(text)
        return await self.plane.done("PUT", f"/carnet/sources/{dataset}", {"path": str(path), "table": wish})

    async def consent(self, *vehicles: int, given: bool = True, recipient: str = BUYER) -> int:
        entries = [
            {
                "vehicle": f"CAR{vehicle:04}",
                "category": category,
                "purpose": RESEARCH,
                "recipient": recipient,
                "given": given,
                "decided_by": "owner",
                "text_sha256": hashlib.sha256(b"text").hexdigest(),
            }
            for vehicle in vehicles
            for category in CATEGORIES
        ]
        answer = await self.plane.done("POST", "/carnet/consents", {"entries": entries})
        return int(answer["number"])

    def agree(self, *permissions: list[dict[str, Any]], name: str = "urn:agreement:1", buyer: str = BUYER) -> dict[str, Any]:
        """What the control plane decides from now on for transfers that have no decision of their own."""
        self.control.decision = permitted(agreement(*permissions, name=name), purpose=RESEARCH, buyer=buyer)
        return self.control.decision

    async def begin(self, flow: str, *, decision: dict[str, Any] | None = None, dataset: str = "ds") -> None:
        if decision is not None:
            self.control.decisions[flow] = decision
        answer = await self.plane.done("POST", "/dataflows/start", first_message(flow, f"start-{flow}", dataset))
        self.addresses[flow] = answer["dataAddress"]

    async def get(self, flow: str, ask: dict[str, str] | None = None, **headers: str) -> Reply:
        """Ask until the file is made."""
        sent = {"Authorization": token_of(self.addresses[flow])} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        while True:
            async with self.plane.http.get(self.addresses[flow]["endpoint"], params=ask or {}, headers=sent) as answer:
                reply = Reply(answer.status, {k.lower(): v for k, v in answer.headers.items()}, await answer.read())
            if reply.status != 202:
                return reply

    async def fetch(self, flow: str, ask: dict[str, str] | None = None, **headers: str) -> Reply:
        """Begin a transfer and get its file as CSV, or the refusal."""
        if flow not in self.addresses:
            await self.begin(flow)
        return await self.get(flow, {"format": "csv", **(ask or {})}, **headers)

    async def record(self, flow: str) -> Any:
        return await self.plane.done("GET", f"/carnet/deliveries/{quote(flow, safe='')}")

    async def meters(self, name: str = "urn:agreement:1", buyer: str = BUYER) -> Any:
        found = await self.plane.done("GET", f"/carnet/meters?agreement={quote(name)}&counterparty={quote(buyer)}")
        return {each["period"]: each for each in found["periods"]}


def files_in(folder: Path) -> list[str]:
    """Names of what stands in a folder of the spool."""
    return sorted(path.name for path in folder.iterdir())


__all__ = ["COARSE", "RESEARCH_ONLY", "Reply", "Shop", "aiohttp", "drives", "files_in"]
