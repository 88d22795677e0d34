"""The laboratories' story, played once: what it says is counted again from the raw table, and what it deleted is gone.

The files of the laboratories are copied while the story runs, for they do not outlive it.
"""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import sqlite3
from base64 import urlsafe_b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from joserfc import jws
from joserfc.jwk import import_key

from examples.research.story import OFFER, SCIENCE, Deleted, Loan, Result, play
from tests.examples.playing import Played, played, quotes_hold
from tests.governed import checks
from tests.governed.opened import LAT, LON, SPEED, Opened, Raw

pytestmark = pytest.mark.timeout(300)
VIN: Final = "Vehicle.VehicleIdentification.VIN"
CUT_M: Final = 400
SAFE: Final = 1.01
MANY: Final = 50_000
CATEGORIES: Final = ("location", "driving-behaviour")
DAY_MS: Final = 86_400_000
ELSEWHERE: Final = {"lab_a": "kept-a.parquet", "lab_b": "kept-b.parquet"}


_MAY: Final = """
    CREATE TABLE may AS
    WITH ended AS (SELECT vehicle, trip, arg_min(lat, at_s) AS lat_1, arg_min(lon, at_s) AS lon_1,
                          arg_max(lat, at_s) AS lat_2, arg_max(lon, at_s) AS lon_2 FROM raw GROUP BY ALL)
    SELECT raw.*, vehicle || ' ' || at_s // 86400 AS car_day,
           CASE WHEN speed < 50 THEN '<50' WHEN speed < 90 THEN '50-90' WHEN speed <= 130 THEN '90-130' ELSE '>130' END AS band,
           least(metres(lat, lon, lat_1, lon_1), metres(lat, lon, lat_2, lon_2)) AS far
    FROM raw JOIN ended USING (vehicle, trip) JOIN agreed USING (vehicle) WHERE far >= ?"""


_STRANGE: Final = f"""
    SELECT count(*) FROM out ANTI JOIN may
    ON may.at_s = out.at_s AND lat = o_lat AND lon = o_lon AND band = out."{SPEED}\""""  # noqa: S608 - constants


_STUDY: Final = """
    SELECT at_s % 86400 // 3600, count(*), round(count(*) FILTER (band = '<50') / count(*), 4),
           round(count(*) FILTER (band = '50-90') / count(*), 4), round(count(*) FILTER (band = '90-130') / count(*), 4),
           round(count(*) FILTER (band = '>130') / count(*), 4)
    FROM came GROUP BY 1 HAVING count(DISTINCT car_day) >= 5 ORDER BY 1"""


class Copied:
    """The story, and a copy of each laboratory's file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told: Played[Result] = played(lambda town, say: play(town, self._copying(say)), folder / "town")
        self.result = self.told.result
        self.raw = Raw(self.result.fleet, f'"{VIN}"', 'epoch("time")', "trip", f'"{LAT}"', f'"{LON}"', f'"{SPEED}"')

    def _copying(self, say: Callable[[str], None]) -> Callable[[str], None]:
        def heard(line: str) -> None:
            for name, copy in ELSEWHERE.items():
                file = self.folder / "town" / name / "received" / "drives.parquet"
                if file.exists() and not (self.folder / copy).exists():
                    shutil.copy(file, self.folder / copy)
            say(line)

        return heard

    def file(self, loan: Loan) -> Path:
        return self.folder / ELSEWHERE[loan.lab.name]

    def consented(self, loan: Loan) -> set[str]:
        """Vehicles whose latest word on both categories, for science and this laboratory, is yes."""
        last: dict[tuple[str, str], bool] = {}
        with self.result.consents.open(encoding="utf-8") as lines:
            for row in sorted(csv.DictReader(lines), key=lambda row: int(row["at_ms"])):
                if (row["recipient"], row["purpose"]) == (loan.lab.did, SCIENCE):
                    last[row["vehicle"], row["category"]] = row["given"] == "true"
        return {vehicle for vehicle, _ in last if all(last.get((vehicle, category)) for category in CATEGORIES)}

    def key(self, loan: Loan) -> bytes:
        """The key of a laboratory's pseudonyms, which only the manufacturer has."""
        with sqlite3.connect(self.result.fleet.parent / "data.db") as database:
            query = "SELECT secret FROM pseudonym_key WHERE recipient = ? AND agreement = ?"
            [(secret,)] = database.execute(query, (loan.lab.did, loan.agreement.id)).fetchall()
        return bytes(secret)

    def opened(self, loan: Loan) -> Opened:
        """The laboratory's rows, the raw table, and by this test's own count ``may``, the raw rows that it may have, with their
        distance from the nearer end of the trip (``far``), and ``came``, those of them that it has."""
        opened = Opened(self.file(loan), self.raw)
        opened.put("agreed", [(vehicle,) for vehicle in sorted(self.consented(loan))], vehicle="VARCHAR")
        opened.base.execute(_MAY, [CUT_M])
        opened.base.execute(
            "CREATE TABLE came AS SELECT may.* FROM may SEMI JOIN out ON may.at_s = out.at_s AND lat = o_lat AND lon = o_lon"
        )
        return opened


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Copied:
    return Copied(tmp_path_factory.mktemp("research"))


@pytest.fixture(params=["a", "b"])
def loan(story: Copied, request: pytest.FixtureRequest) -> Loan:
    found: Loan = getattr(story.result, request.param)
    return found


def test_the_offer_says_what_the_page_says() -> None:
    """Those terms that the checks below hold the files to."""
    (permission,) = OFFER["permission"]
    said = {term["leftOperand"].rpartition("#")[2]: term["rightOperand"] for term in permission["constraint"]}
    assert said["tripEndCut"]["@value"] == str(CUT_M)
    assert (said["pseudonymEpoch"]["@value"], said["offenceData"]["@value"]) == ("P1D", "false")
    assert set(said["columns"]) == {LAT, LON, SPEED}


def test_each_laboratory_gets_the_rows_that_it_may_have_and_all_of_them(story: Copied, loan: Loan) -> None:
    """Row by row: consented vehicles, outside the cut, speed in bands; nothing more, and nothing less but for rows in the 4 m
    beyond the cut, where the data plane is on the safe side."""
    assert hashlib.sha256(story.file(loan).read_bytes()).hexdigest() == loan.sha256
    consented, key = story.consented(loan), story.key(loan)
    with story.opened(loan) as opened:
        assert opened.rows == loan.rows >= MANY
        checks.no_vehicle_without_consent(opened, consented, key=key, epoch="day", least=MANY)
        checks.nothing_within_the_cut(opened, key=key, cut_m=CUT_M, least=MANY)
        checks.no_precise_speed(opened, least=MANY)
        checks.no_identifier_of_a_vehicle(opened, least=MANY)
        checks.no_column_outside(opened, {"pseudonym", "trip", "time", LAT, LON, SPEED}, least=MANY)
        assert opened.one(_STRANGE) == 0
        assert opened.one("SELECT count(*) FROM came") == opened.rows
        assert opened.one("SELECT count(*) FROM may ANTI JOIN came USING (vehicle, at_s) WHERE far > ?", CUT_M * SAFE) == 0
        assert opened.one("SELECT count(*) FROM raw") == story.result.raw_rows
        held_back = opened.one("SELECT count(DISTINCT vehicle) FROM raw WHERE vehicle NOT IN (SELECT vehicle FROM agreed)")
        assert held_back >= 10


def test_a_pseudonym_is_good_for_a_day(story: Copied, loan: Loan) -> None:
    with story.opened(loan) as opened:
        by_day = opened.all("SELECT at_s // 86400, count(DISTINCT pseudonym) FROM out GROUP BY 1 ORDER BY 1")
        expected = opened.all("SELECT at_s // 86400, count(DISTINCT vehicle) FROM came GROUP BY 1 ORDER BY 1")
        assert by_day == expected
        assert [count for _, count in by_day] == list(loan.names)
        days = opened.one("SELECT max(days) FROM (SELECT count(DISTINCT at_s // 86400) AS days FROM out GROUP BY pseudonym)")
        assert (days, len(by_day)) == (1, 2)
        both = opened.all("SELECT vehicle FROM came GROUP BY 1 HAVING count(DISTINCT at_s // 86400) = 2")
        assert len(both) >= 10, "hardly anybody drove on both days"


def test_the_laboratories_have_no_name_in_common_but_the_same_drives(story: Copied) -> None:
    met = story.result.met
    assert (met.rows_by_pseudonym, met.rows_by_trip, met.on_two_days) == (0, 0, 0)
    both = sorted(story.consented(story.result.a) & story.consented(story.result.b))
    with story.opened(story.result.a) as one, story.opened(story.result.b) as other:
        checks.no_pseudonym_in_common(one, other, least=30)
        one.put("twice", [(vehicle,) for vehicle in both], vehicle="VARCHAR")
        ((rows, names),) = one.all("SELECT count(*), count(DISTINCT car_day) FROM came JOIN twice USING (vehicle)")
    assert (met.rows_by_place, met.paired) == (rows, names)
    assert rows >= MANY // 2


def test_what_is_refused_and_what_is_a_promise(story: Copied) -> None:
    refused = story.result.refused
    assert refused["marketing"].startswith("policy-denied: ")
    assert "purpose" in refused["marketing"]
    assert refused["broker"].startswith("policy-denied: ")
    assert "have the claim 'kind' about you verified" in refused["broker"]
    assert refused["again"].startswith("use-ended: ")
    assert story.result.legal_only == "Prohibited: find out whom the data are about. — legal only"


def test_the_files_are_gone(story: Copied) -> None:
    left = [file for name in ELSEWHERE for file in (story.folder / "town" / name / "received").rglob("*") if file.is_file()]
    assert left == []


@pytest.mark.parametrize("which", ["a", "b"])
def test_a_deletion_is_attested_under_the_laboratory_s_signature(story: Copied, which: str) -> None:
    loan: Loan = getattr(story.result, which)
    deleted: Deleted = getattr(story.result, f"deleted_{which}")
    for side, role in ((deleted.ours, "consumer"), (deleted.theirs, "provider")):
        assert (side.role, side.kind, side.agreement, side.stage) == (role, "delete", loan.agreement.id, "fulfilled")
        assert (side.late, side.attestation) == (False, deleted.ours.attestation)
    assert deleted.theirs.attestation is not None
    content = signed_by(loan, deleted.theirs.attestation)
    assert (content["agreementId"], content["consumer"], content["kind"]) == (loan.agreement.id, loan.lab.did, "delete")
    (erased,) = content["erased"]
    assert (erased["transfer"], erased["rows"], erased["sha256Before"]) == (loan.transfer, loan.rows, loan.sha256)
    assert loan.transfer not in {each["transfer"] for each in content["outside"]}


def signed_by(loan: Loan, attestation: str) -> dict[str, Any]:
    """What an attestation says, once its signature holds under the laboratory's own key."""
    keys = [import_key(json.loads(file.read_text())) for file in (loan.lab.folder / "keys").glob("agreement-*.jwk")]
    (key,) = keys
    header = json.loads(urlsafe_b64decode(attestation.split(".")[0] + "=="))
    found = jws.deserialize_compact(attestation, key, algorithms=[header["alg"]])
    content: dict[str, Any] = json.loads(found.payload)
    return content


def test_one_is_deleted_at_its_event_and_the_other_in_time(story: Copied) -> None:
    a, b = story.result.deleted_a.ours.document, story.result.deleted_b.ours.document
    assert a["happenedAt"] is not None
    assert a["happenedAt"] <= a["fulfilledAt"]
    assert (b["happenedAt"], b["fulfilledAt"] <= b["dueAt"]) == (None, True)
    assert b["dueAt"] <= b["createdAt"] + story.result.seconds * 1_000
    owed = story.result.until_ms - b["createdAt"]
    assert 89 * DAY_MS < owed < 91 * DAY_MS


def test_what_the_laboratory_keeps_is_its_result(story: Copied) -> None:
    with story.opened(story.result.a) as opened:
        expected = opened.all(_STUDY)
    with story.result.study.open(encoding="utf-8") as lines:
        kept = [tuple(float(value) for value in row.values()) for row in csv.DictReader(lines)]
    assert kept == [tuple(float(value) for value in row) for row in expected]
    assert len(kept) >= 5


def test_the_account_does_not_call_the_rows_anonymous(story: Copied) -> None:
    """Points are drawn by chance, so the figure differs a little from run to run."""
    (measured,) = [line for line in story.told.said if "Four points single out" in line]
    share, counted = float(measured.split()[4]), int(measured.split()[7])
    assert share > 85
    with story.opened(story.result.a) as opened:
        assert counted <= opened.one("SELECT count(DISTINCT vehicle || ' ' || at_s // 86400) FROM raw")


def test_the_page_quotes_what_was_said(story: Copied) -> None:
    quotes_hold("research", story.told.said)
