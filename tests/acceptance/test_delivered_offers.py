"""The seven offers in earnest: what each delivers between real connectors, proved on the bytes by checkers that know no compiler.

The fleet is that of ``goods.py``. The key of the pseudonyms is taken from the seller's own database, as its owner could.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from connector.client import deals
from connector.client.deals import Declined
from connector.client.local import Document, Refused
from policies import dsp
from policies.model import CARNET
from policies.narrowing import for_purpose
from tests.acceptance.goods import FILE, TRIPS, people
from tests.acceptance.market import CITY, INSURER, House, Market, open_market
from tests.acceptance.seven import OFFERS, full
from tests.governed import checks
from tests.governed.opened import Opened, Raw

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]
BY_NUMBER: Final = {offered.number: offered for offered in OFFERS}
PURPOSES: Final = {
    INSURER: ("vdx:UsageBasedInsurance", "dpv:SellInsightsFromData"),
    CITY: ("dpv:RepairImpairments", "vdx:MobilityPlanning"),
}
VIN: Final = "Vehicle.VehicleIdentification.VIN"
LAT, LON = "Vehicle.CurrentLocation.Latitude", "Vehicle.CurrentLocation.Longitude"
TEMPERATURE: Final = "Vehicle.Exterior.AirTemperature"
MONTPELLIER: Final = (3.8, 43.56, 3.95, 43.66)


class Told(Market):
    """The market, and what the people of the fleet decided."""

    decided: dict[str, Any]

    def consented(self, buyer: str, purpose: str, *categories: str) -> set[str]:
        """Vehicles whose latest word on every category is yes."""
        last: dict[tuple[str, str], bool] = {}
        for row in sorted(self.decided[buyer].to_pylist(), key=lambda row: int(row["at_ms"])):
            if row["purpose"] == full(purpose):
                last[row["vehicle"], row["category"]] = row["given"]
        return {vehicle for vehicle, _ in last if all(last.get((vehicle, category)) for category in categories)}

    def key(self, buyer: str, agreement: str) -> bytes:
        """The key of a buyer's pseudonyms under an agreement."""
        with sqlite3.connect(self.seller.folder / "data.db") as database:
            query = "SELECT secret FROM pseudonym_key WHERE recipient = ? AND agreement = ?"
            [(secret,)] = database.execute(query, (buyer, agreement)).fetchall()
        return bytes(secret)

    @property
    def raw(self) -> Raw:
        """The fleet's table as its owner knows it."""
        return Raw(self.seller.folder / TRIPS, f'"{VIN}"', 'epoch("time")', "trip", f'"{LAT}"', f'"{LON}"', '"Vehicle.Speed"')

    async def agreed(self, buyer: House, number: str, purpose: str = "") -> str:
        """The agreement on an offer, narrowed to a purpose if that is given."""
        dataset = BY_NUMBER[number].target
        (offer,) = await self.offered(buyer, dataset)
        if purpose:
            narrowed = for_purpose(dsp.read(offer), full(purpose))
            assert narrowed is not None
            offer = {**offer, "permission": dsp.write(narrowed)["permission"]}
        process = await self.negotiated(buyer, dataset, offer)
        assert process["state"] == "FINALIZED", process
        return str(process["agreement"]["@id"])

    async def fetched(self, buyer: House, agreement: str, name: str, **ask: str) -> tuple[Path, Document]:
        """What a transfer brings: the file, and the process."""
        async with buyer.owner() as owner:
            begun = await owner.transfer(agreement, sink=name, ask=ask)
            done = await owner.wait(begun["id"], lambda now: bool(now["state"] in ENDS or _failed(now)), 60.0)
        assert done["state"] == "COMPLETED", done
        return buyer.folder / "received" / name, done

    async def refused(self, buyer: House, agreement: str, name: str, **ask: str) -> str:
        """Why a transfer brings nothing."""
        async with buyer.owner() as owner:
            begun = await owner.transfer(agreement, sink=name, ask=ask)
            done = await owner.wait(begun["id"], lambda now: bool(now["state"] in ENDS or _failed(now)), 60.0)
            assert done["state"] != "COMPLETED", done
            if done["state"] == "STARTED":
                await owner.act(begun["id"], "terminate", reason=["nothing comes"])
        assert not (buyer.folder / "received" / name).exists()
        return str(done.get("received") or done.get("ended"))


ENDS: Final = ("COMPLETED", "TERMINATED")


def _failed(process: Document) -> bool:
    return bool((process.get("received") or {}).get("error"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def market(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Told]:
    async with open_market(tmp_path_factory.mktemp("market")) as opened:
        told = Told(opened.seller, opened.city, opened.insurer)
        object.__setattr__(told, "decided", {})
        for buyer, purposes in PURPOSES.items():
            file, told.decided[buyer] = people(opened.seller.folder, buyer, *map(full, purposes))
            async with opened.seller.owner() as owner:
                await owner.import_consents(str(file))
        for offered in OFFERS:
            await opened.publish(offered.target, offers=[offered.document])
        yield told


async def test_offer_1_gives_mileage_of_who_consented_twice_a_day(market: Told) -> None:
    agreement = await market.agreed(market.insurer, "1")
    allowed = market.consented(INSURER, "vdx:UsageBasedInsurance", "mileage")
    file, done = await market.fetched(market.insurer, agreement, "1a.parquet", purpose=full("vdx:PayAsYouDrive"))
    with Opened(file, market.raw) as opened:
        checks.no_vehicle_without_consent(opened, allowed, key=market.key(INSURER, agreement), least=1000)
        checks.no_column_outside(opened, {"pseudonym", "trip", "time", "Vehicle.TraveledDistance"}, least=1000)
        checks.no_identifier_of_a_vehicle(opened, least=1000)
        assert opened.one("SELECT count(DISTINCT pseudonym) FROM out") == len(allowed)
        assert opened.rows == done["received"]["rows"]
    again, _ = await market.fetched(market.insurer, agreement, "1b.csv", purpose=full("vdx:PayAsYouDrive"), format="csv")
    with Opened(again) as opened:
        assert opened.rows == done["received"]["rows"]
    why = await market.refused(market.insurer, agreement, "1c.csv", purpose=full("vdx:PayAsYouDrive"))
    assert "requestsPerVehicleDay" in why


async def test_offer_1_gives_nothing_for_another_purpose(market: Told) -> None:
    agreement = await market.agreed(market.insurer, "1")
    assert "purpose" in await market.refused(market.insurer, agreement, "1d.csv", purpose=full("dpv:Marketing"))


async def test_offer_2_gives_fault_codes_for_repair(market: Told) -> None:
    agreement = await market.agreed(market.city, "2")
    allowed = market.consented(CITY, "dpv:RepairImpairments", "diagnostics")
    file, _ = await market.fetched(market.city, agreement, "2.parquet", purpose=full("dpv:RepairImpairments"))
    with Opened(file, market.raw) as opened:
        checks.no_vehicle_without_consent(opened, allowed, key=market.key(CITY, agreement), least=1000)
        checks.no_column_outside(opened, {"pseudonym", "trip", "time", "Vehicle.Diagnostics.DTCCount"}, least=1000)


async def test_offer_3_gives_what_lies_in_the_city(market: Told) -> None:
    agreement = await market.agreed(market.city, "3")
    allowed = market.consented(CITY, "vdx:MobilityPlanning", "location", "environment")
    file, _ = await market.fetched(market.city, agreement, "3.arrow", format="arrow", purpose=full("vdx:MobilityPlanning"))
    with Opened(file, market.raw) as opened:
        checks.no_vehicle_without_consent(opened, allowed, key=market.key(CITY, agreement), least=1000)
        checks.no_row_outside(opened, areas=[[MONTPELLIER]], least=1000)
        checks.no_column_outside(opened, {"pseudonym", "trip", "time", LAT, LON, TEMPERATURE}, least=1000)


async def test_offer_4_gives_the_file_as_it_is(market: Told) -> None:
    agreement = await market.agreed(market.city, "4", "vdx:MobilityPlanning")
    file, _ = await market.fetched(market.city, agreement, "4.csv")
    assert file.read_bytes() == (market.seller.folder / FILE).read_bytes()
    assert "purpose" in await market.refused(market.city, agreement, "4b.csv", purpose=full("dpv:Marketing"))


async def test_offer_5_gives_scores_and_mileage_only(market: Told) -> None:
    agreement = await market.agreed(market.insurer, "5", "vdx:PayAsYouDrive")
    allowed = market.consented(INSURER, "vdx:UsageBasedInsurance", "driving-behaviour", "mileage")
    file, _ = await market.fetched(market.insurer, agreement, "5.ndjson", format="ndjson")
    with Opened(file, market.raw) as opened:
        checks.no_vehicle_without_consent(opened, allowed, key=market.key(INSURER, agreement), least=5)
        checks.no_column_outside(
            opened, {"pseudonym", "month", "first_month", "last_month", "months", "km", "score", "why"}, least=5
        )
        assert opened.one("SELECT count(DISTINCT pseudonym) FROM out") == len(allowed)
    assert "timeInterval" in await market.refused(market.insurer, agreement, "5b.ndjson", format="ndjson")


async def test_offer_6_gives_cells_of_ten_vehicles(market: Told) -> None:
    agreement = await market.agreed(market.insurer, "6")
    file, done = await market.fetched(market.insurer, agreement, "6.csv", format="csv", purpose=full("dpv:SellInsightsFromData"))
    with Opened(file, market.raw) as opened:
        everybody = {vehicle for (vehicle,) in opened.all("SELECT DISTINCT vehicle FROM raw")}
        checks.no_cell_under(opened, 10, cell_level=8, step_s=3600, consented=everybody, least=1)
        checks.cells_are_whole(opened, 8, least=1)
        checks.time_is_whole(opened, 3600, least=1)
    assert done["received"]["suppressed"] > 0


async def test_offer_7_gives_a_user_s_rows_to_whom_the_user_named(market: Told) -> None:
    dataset, city = BY_NUMBER["7"].target, market.city
    agreed = {"purpose": full("vdx:AgreedWithUser"), "recipient": CITY}
    (offer,) = await market.offered(city, dataset)
    with Opened(market.seller.folder / TRIPS, market.raw) as opened:
        one, other = (vehicle for (vehicle,) in opened.all("SELECT DISTINCT vehicle FROM raw ORDER BY 1 LIMIT 2"))
        expected = opened.one("SELECT count(*) FROM raw WHERE vehicle = ?", one)
    async with market.seller.owner() as owner:
        await owner.request_share(other, INSURER, "vdx:AgreedWithUser", id="urn:request:41")
        assert await why_not(market, offer) == NOBODY_ASKED
        await owner.request_share(one, **agreed, id="urn:request:42")
    # A gatekeeper does not even see it.
    assert await market.offered(market.insurer, dataset) == []
    agreement = await market.agreed(city, "7")
    file, done = await market.fetched(city, agreement, "7.parquet")
    with Opened(file, market.raw) as opened:
        checks.no_vehicle_without_consent(opened, {one}, key=market.key(CITY, agreement), least=100)
        checks.no_identifier_of_a_vehicle(opened, least=100)
        assert opened.one("SELECT count(DISTINCT pseudonym) FROM out") == 1
        assert opened.rows == expected == done["received"]["rows"]
    async with market.seller.owner() as owner:
        await owner.withdraw_request("urn:request:42")
    async with city.owner() as owner:
        with pytest.raises(Declined, match="no request of a user is on record for you"):
            await deals.fetch(owner, agreement, "7b.parquet")
    # Whether it was withdrawn, was never made, or is somebody else's: the answer is the same.
    assert await why_not(market, offer) == NOBODY_ASKED
    await erased(market.city)
    with Opened(file) as opened:
        assert opened.rows == 0


async def test_offer_7_with_exclusivity_is_published_for_nobody_and_agreed_with_nobody(market: Told) -> None:
    document = BY_NUMBER["7"].document
    document["permission"][0]["constraint"].append(
        {"leftOperand": "vdx:exclusive", "operator": "eq", "rightOperand": {"@value": "true", "@type": "xsd:boolean"}}
    )
    with pytest.raises(Refused, match="Data Act") as why:
        await market.publish(BY_NUMBER["7"].target, offers=[document])
    assert [finding["code"] for finding in why.value.findings] == ["exclusive-user-request"]
    (offer,) = await market.offered(market.city, BY_NUMBER["7"].target)
    offer["permission"][0]["constraint"].append({"leftOperand": f"{CARNET}exclusive", "operator": "eq", "rightOperand": "true"})
    process = await market.negotiated(market.city, BY_NUMBER["7"].target, offer)
    assert (process["state"], process["ended"]["code"]) == ("TERMINATED", "policy-unenforceable")
    assert "Data Act" in str(process["ended"]["reason"])


NOBODY_ASKED: Final = (
    "policy-denied",
    [
        "Not satisfied: The request of the user is urn:request:42. "
        "(To change that: have the user ask the provider for the share; no request of a user is on record for you.)"
    ],
)


async def erased(buyer: House) -> None:
    """Until the buyer's data plane has erased what it was told to."""
    async with asyncio.timeout(60), buyer.owner() as owner:
        while True:
            if any((duty["kind"], duty["stage"]) == ("erase", "fulfilled") for duty in await owner.duties()):
                return
            await asyncio.sleep(0.1)


async def why_not(market: Told, offer: Document) -> tuple[str, list[str]]:
    """With which code and reason the city is refused a contract."""
    process = await market.negotiated(market.city, BY_NUMBER["7"].target, offer)
    assert process["state"] == "TERMINATED"
    return process["ended"]["code"], process["ended"]["reason"]


async def test_two_buyers_cannot_join_their_pseudonyms(market: Told) -> None:
    first = await market.agreed(market.insurer, "1")
    second = await market.agreed(market.city, "2")
    one, _ = await market.fetched(market.insurer, first, "join1.parquet", purpose=full("vdx:PayAsYouDrive"))
    other, _ = await market.fetched(market.city, second, "join2.parquet", purpose=full("dpv:RepairImpairments"))
    with Opened(one) as ours, Opened(other) as theirs:
        checks.no_pseudonym_in_common(ours, theirs, least=20)
