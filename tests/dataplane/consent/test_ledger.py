"""What is decided holds at its number and after it, and what is withdrawn is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.dataplane.consent.bits import Ordinals
from connector.dataplane.consent.ledger import Ledger
from connector.dataplane.consent.model import Enrolment, Key, Withdrawn
from connector.dataplane.problems import Refusal
from tests.dataplane.consent.ledgers import (
    CITY,
    CONSENT,
    CONTRACT,
    INSURANCE,
    INSURER,
    NOW,
    ROADS,
    TEXT,
    UBI,
    VIN,
    asked,
    entry,
    ledger_in,
    let_through,
    row,
    write_csv,
)

KEY = Key("driving-behaviour", UBI, INSURER, CONSENT)


async def test_an_empty_ledger_lets_nobody_through(tmp_path: Path) -> None:
    async with ledger_in(tmp_path) as ledger:
        assert await ledger.number() == 0
        population = await ledger.population(asked())
        assert (population.granted, population.ordinals, population.recent) == (((),), (), ())
        assert (await ledger.population(None)).granted is None
        assert await ledger.counts() == []


async def test_a_grant_holds_from_its_number_to_the_withdrawal(tmp_path: Path) -> None:
    async with ledger_in(tmp_path) as ledger:
        assert await ledger.decide([entry(), entry("other", recipient=CITY)]) == 1
        assert await ledger.decide([entry(given=False)]) == 2
        seen = [await let_through(ledger, asked(), [VIN, "other"], number, tmp_path) for number in (0, 1, 2, None)]
        assert seen == [set(), {VIN}, set(), set()]
        with pytest.raises(Refusal) as refused:
            await ledger.population(asked(), 3)
        assert refused.value.code == "ledger-number"


async def test_every_category_is_needed_and_one_purpose_and_basis_of_several(tmp_path: Path) -> None:
    async with ledger_in(tmp_path) as ledger:
        await ledger.decide([entry(), entry(category="location", purpose=INSURANCE, basis=CONTRACT), entry("half")])
        both = asked("driving-behaviour", "location", purposes=(UBI, INSURANCE), bases=(CONSENT, CONTRACT))
        assert await let_through(ledger, both, [VIN, "half"], None, tmp_path) == {VIN}
        assert await let_through(ledger, asked("location", purposes=(UBI, INSURANCE)), [VIN], None, tmp_path) == set()
        assert await let_through(ledger, asked("driving-behaviour", "energy"), [VIN], None, tmp_path) == set()


async def test_a_withdrawal_is_told_with_its_keys_and_ordinal_before_it_returns(tmp_path: Path) -> None:
    told: list[Withdrawn] = []
    async with ledger_in(tmp_path, told) as ledger:
        await ledger.decide([entry("first"), entry(), entry(category="location", recipient=CITY, purpose=ROADS)])
        done = await ledger.withdraw(VIN, recipient=INSURER)
        assert told == [done]
        assert (done.number, done.affected, list(done.ordinals)) == (2, (KEY,), [1])
        assert await ledger.held(VIN) == [Key("location", ROADS, CITY, CONSENT)]
        assert await ledger.withdrawn_since(0) == [(2, 1)]
        assert await ledger.withdrawn_since(2) == []
        again = await ledger.withdraw(VIN, recipient=INSURER)
        assert (again.number, again.affected, len(told)) == (2, (), 2)
        assert await ledger.vehicles([0, 1, 77]) == {0: "first", 1: VIN}


@pytest.mark.parametrize("purpose", [INSURANCE, "vdx:UsageBasedInsurance", "vdx:PayAsYouDrive"])
async def test_a_purpose_is_withdrawn_with_what_would_allow_it(tmp_path: Path, purpose: str) -> None:
    async with ledger_in(tmp_path) as ledger:
        await ledger.decide([entry(), entry(purpose=ROADS)])
        done = await ledger.withdraw(VIN, purpose=purpose, decided_by="renter")
        assert done.affected == (KEY,)
        assert [key.purpose for key in await ledger.held(VIN)] == [ROADS]
        assert (await ledger.vehicle(VIN))[0].decided_by == "renter"


async def test_whom_the_ledger_does_not_know_it_says_without_the_name(tmp_path: Path) -> None:
    async with ledger_in(tmp_path) as ledger:
        for call in (ledger.withdraw(VIN), ledger.vehicle(VIN), ledger.held(VIN)):
            with pytest.raises(Refusal) as refused:
                await call
            assert refused.value.code == "vehicle-unknown"
            assert VIN not in str(refused.value)


async def test_the_subject_reads_imports_and_decisions_newest_first(tmp_path: Path) -> None:
    async with ledger_in(tmp_path) as ledger:
        await ledger.import_file(write_csv(tmp_path / "in.csv", [row(), row("other")]))
        await ledger.decide([entry(given=False, decided_by="owner")])
        noted = await ledger.vehicle(VIN)
        assert [(each.number, each.given, each.decided_by, each.text_sha256, each.at) for each in noted] == [
            (2, False, "owner", None, NOW),
            (1, True, "driver", TEXT, NOW - 1000),
        ]


async def test_a_grant_that_says_it_is_older_than_a_withdrawal_is_refused_whole(tmp_path: Path) -> None:
    async with ledger_in(tmp_path) as ledger:
        await ledger.import_file(write_csv(tmp_path / "in.csv", [row(given="0", text_sha256="", at_ms=NOW - 10)]))
        with pytest.raises(Refusal) as refused:
            await ledger.decide([entry("other"), entry(at_ms=NOW - 10)])
        assert (refused.value.code, refused.value.status) == ("grant-late", 409)
        assert "entry 2" in refused.value.detail
        assert await ledger.number() == 1
        assert await ledger.decide([entry(at_ms=NOW - 9)]) == 2
        await ledger.decide([entry(given=False, at_ms=NOW - 9)])
        with pytest.raises(Refusal):
            await ledger.decide([entry(at_ms=NOW - 9)])
        assert await ledger.decide([entry()]) == 4


async def test_an_old_dump_does_not_bring_back_what_was_withdrawn_since(tmp_path: Path) -> None:
    async with ledger_in(tmp_path) as ledger:
        dump = write_csv(tmp_path / "in.csv", [row(), row("other")])
        await ledger.import_file(dump)
        await ledger.withdraw(VIN)
        done = await ledger.import_file(dump)
        assert (done.late, done.withdrawn, done.new_vehicles) == (1, 0, 0)
        assert await let_through(ledger, asked(), [VIN, "other"], None, tmp_path) == {"other"}
        await ledger.import_file(
            write_csv(tmp_path / "newer.csv", [row("other", given="false", text_sha256="", at_ms=NOW - 500)])
        )
        assert (await ledger.import_file(dump)).late == 2
        assert await ledger.counts() == []


async def test_a_withdrawal_by_file_is_told_for_each_key_with_those_that_had_agreed(tmp_path: Path) -> None:
    told: list[Withdrawn] = []
    async with ledger_in(tmp_path, told) as ledger:
        names = [f"V{number:03}" for number in range(100)]
        await ledger.import_file(write_csv(tmp_path / "in.csv", [row(name) for name in names[:60]]))
        rows = [row(name, given="false", text_sha256="", at_ms=NOW) for name in names[50:]]
        rows += [row(names[1], category="location")]
        done = await ledger.import_file(write_csv(tmp_path / "gone.csv", rows))
        assert (done.entries, done.new_vehicles, done.withdrawn) == (51, 40, 10)
        assert [(each.number, each.affected, list(each.ordinals)) for each in told] == [(2, (KEY,), list(range(50, 60)))]
        assert await ledger.withdrawn_since(1) == [(2, ordinal) for ordinal in range(50, 60)]
        assert [each.vehicles for each in await ledger.counts(1)] == [60]
        assert [each.vehicles for each in await ledger.counts()] == [50, 1]


async def test_of_rows_about_the_same_the_latest_holds_and_a_withdrawal_of_the_same_time(tmp_path: Path) -> None:
    gone = {"given": "false", "text_sha256": ""}
    async with ledger_in(tmp_path) as ledger:
        rows = [row("back", at_ms=5), row("back", at_ms=4, **gone), row("tie", at_ms=5), row("tie", at_ms=5, **gone)]
        await ledger.import_file(write_csv(tmp_path / "in.csv", [*rows, row("left", at_ms=6, **gone), row("left", at_ms=5)]))
        assert await let_through(ledger, asked(), ["back", "tie", "left"], None, tmp_path) == {"back"}


def enrolment(vehicle: str = VIN, reference: str = "contract 7") -> Enrolment:
    return Enrolment(vehicle=vehicle, recipient=INSURER, reference=reference, text_sha256=TEXT)


async def test_an_enrolment_lasts_until_the_last_consent_to_the_buyer_goes(tmp_path: Path) -> None:
    async with ledger_in(tmp_path) as ledger:
        await ledger.decide([entry(), entry(category="mileage"), entry("other"), entry(recipient=CITY, purpose=ROADS)])
        assert await ledger.enrol([enrolment(), enrolment("other", "contract 8")]) == 2
        assert await ledger.enrol([enrolment(reference="contract 9")]) == 3
        await ledger.withdraw(VIN, category="mileage")
        await ledger.withdraw(VIN, recipient=CITY)
        assert await ledger.references(INSURER) == ((0, "contract 9"), (1, "contract 8"))
        await ledger.decide([entry(given=False)])
        assert await ledger.references(INSURER) == ((1, "contract 8"),)
        rows = [row("other", given="false", text_sha256="", at_ms=NOW)]
        await ledger.import_file(write_csv(tmp_path / "in.csv", rows))
        assert await ledger.references(INSURER) == ()
        assert await ledger.references(INSURER, 2) == ((0, "contract 7"), (1, "contract 8"))
        assert await ledger.references(CITY, 3) == ()


async def test_a_vehicle_without_consents_leaves_its_buyer_by_name(tmp_path: Path) -> None:
    async with ledger_in(tmp_path) as ledger:
        await ledger.enrol([enrolment()])
        done = await ledger.withdraw(VIN, recipient=INSURER)
        assert (done.number, done.affected) == (2, ())
        assert await ledger.references(INSURER) == ()
        assert await ledger.withdrawn_since(0) == [(2, 0)]


async def test_a_key_is_made_once_and_never_again(tmp_path: Path) -> None:
    async with ledger_in(tmp_path) as ledger:
        first = await ledger.pseudonym_key(INSURER, "urn:agreement:1")
        assert len(bytes.fromhex(first)) == 32
        assert await ledger.pseudonym_key(INSURER, "urn:agreement:1") == first
        others = [await ledger.pseudonym_key(CITY, "urn:agreement:1"), await ledger.pseudonym_key(INSURER, "urn:agreement:2")]
        assert len({first, *others}) == 3
        await ledger.forget_key(INSURER, "urn:agreement:1")
        with pytest.raises(Refusal) as refused:
            await ledger.pseudonym_key(INSURER, "urn:agreement:1")
        assert refused.value.code == "key-forgotten"


async def test_sets_and_vehicles_move_into_files_and_nothing_changes(tmp_path: Path) -> None:
    names = [f"V{number:03}" for number in range(60)]
    async with ledger_in(tmp_path, tail=5, recent=7) as ledger:
        for place, name in enumerate(names):
            await ledger.decide([entry(name)])
            if place % 3 == 0:
                await ledger.decide([entry(name, given=False)])
        population = await ledger.population(asked())
        assert population.granted is not None
        [[bits]] = population.granted
        assert bits.file is not None
        assert len(bits.added) + len(bits.taken) <= 6
        assert len(population.recent) <= 8
        assert population.ordinals
        holding = {name for place, name in enumerate(names) if place % 3}
        assert await let_through(ledger, asked(), names, None, tmp_path) == holding
        assert await ledger.vehicles(range(60)) == dict(enumerate(names))
        assert [each.vehicles for each in await ledger.counts()] == [40]
    async with ledger_in(tmp_path, tail=5, recent=7) as ledger:
        assert await let_through(ledger, asked(), names, None, tmp_path) == holding
        assert await let_through(ledger, asked(), names, 1, tmp_path) == {"V000"}


async def test_files_of_vehicles_become_one(tmp_path: Path) -> None:
    async with ledger_in(tmp_path, recent=0) as ledger:
        names = [f"V{number:03}" for number in range(40)]
        for name in names:
            await ledger.decide([entry(name)])
        assert len((await ledger.population(None)).ordinals) <= 33
        assert await let_through(ledger, asked(), names, None, tmp_path) == set(names)


async def test_a_hook_that_fails_fails_the_call_and_the_withdrawal_holds(tmp_path: Path) -> None:
    async def fail(_: Withdrawn) -> None:
        raise OSError("disk")

    async with ledger_in(tmp_path) as ledger:
        await ledger.decide([entry()])
        ledger.on_withdrawn = fail
        with pytest.raises(OSError, match="disk"):
            await ledger.withdraw(VIN)
        assert await ledger.held(VIN) == []
        assert await ledger.withdrawn_since(1) == [(2, 0)]


async def test_two_ledgers_of_one_folder_do_not_clear_each_others_work(tmp_path: Path) -> None:
    async with ledger_in(tmp_path) as ledger:
        (tmp_path / "ledger" / "9-being-written.bits").write_bytes(b"1")
        other = Ledger(ledger._records._engine, tmp_path / "ledger", lambda: NOW)
        await other.open()
        assert (tmp_path / "ledger" / "9-being-written.bits").exists()
        await other.close()
    async with ledger_in(tmp_path):
        assert not (tmp_path / "ledger" / "9-being-written.bits").exists()


async def test_a_ledger_whose_files_are_gone_does_not_open(tmp_path: Path) -> None:
    async with ledger_in(tmp_path) as ledger:
        await ledger.import_file(write_csv(tmp_path / "in.csv", [row()]))
    next((tmp_path / "ledger").glob("*.bits")).unlink()
    with pytest.raises(Refusal, match="consents-missing"):
        async with ledger_in(tmp_path):
            pass


def test_a_set_of_ordinals_is_what_it_was_made_of() -> None:
    import numpy as np

    some = [4_000_000_000, 7, 8, 9, 4_000_000_000]
    chosen = Ordinals.of([8, 9, 70])
    assert (list(chosen), len(chosen), 8 in chosen, 10 in chosen, 0 in chosen) == ([8, 9, 70], 3, True, False, False)
    assert chosen.among(np.array(some, np.uint32)).tolist() == [8, 9]
    assert list(Ordinals.of([])) == []
    assert list(Ordinals.of(some)) == [7, 8, 9, 4_000_000_000]
