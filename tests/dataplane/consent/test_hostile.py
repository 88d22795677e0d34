"""What is wrong is refused whole, with its place and without its value; nothing of it stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from connector.dataplane.consent.ledger import Ledger
from connector.dataplane.consent.model import COLUMNS, Enrolment
from connector.dataplane.problems import Refusal
from tests.dataplane.consent.ledgers import INSURER, NOW, TEXT, VIN, entry, ledger_in, row, write_csv

WRONG: list[tuple[str, Any]] = [
    ("vehicle", ""),
    ("vehicle", f"{VIN}\0"),
    ("vehicle", f"{VIN}\n{VIN}"),
    ("vehicle", VIN * 1000),
    ("category", "secret-category"),
    ("category", "location' OR '1'='1"),
    ("purpose", "vdx:SecretPurpose"),
    ("purpose", "https://w3id.org/dpv#NoSuch"),
    ("recipient", ""),
    ("recipient", "did:web:secret example"),
    ("recipient", "s" * 513),
    ("basis", "dpv:SecretBasis"),
    ("decided_by", "secret-salesman"),
    ("text_sha256", "A" * 64),
    ("text_sha256", "secret"),
]
FILE_ONLY: list[tuple[str, Any]] = [
    ("text_sha256", ""),
    ("at_ms", "secret"),
    ("at_ms", "-1"),
    ("at_ms", str(NOW + 3_600_000)),
    ("at_ms", "9" * 40),
    ("given", "perhaps-secret"),
    ("given", ""),
]


async def refused_whole(ledger: Ledger, path: Path) -> Refusal:
    """The refusal of an import that must leave nothing behind."""
    folder = ledger._folder.path
    before, number = sorted(folder.rglob("*")), await ledger.number()
    with pytest.raises(Refusal) as refused:
        await ledger.import_file(path)
    assert (sorted(folder.rglob("*")), await ledger.number()) == (before, number)
    assert refused.value.__cause__ is None
    # What the engine says quotes the file.
    assert not isinstance(refused.value.__context__, duckdb.Error)
    said = str(refused.value)
    assert VIN not in said
    assert "ecret" not in said
    assert len(said) < 600
    return refused.value


@pytest.mark.parametrize(("member", "value"), WRONG)
async def test_a_wrong_entry_is_refused_with_all_others(tmp_path: Path, member: str, value: Any) -> None:
    async with ledger_in(tmp_path) as ledger:
        wrong = entry(**{"vehicle": "third", member: value})
        with pytest.raises(Refusal) as refused:
            await ledger.decide([entry(), entry("second"), wrong])
        assert (refused.value.status, refused.value.code) == (400, "consent-entry")
        assert refused.value.detail.startswith(f"entry 3: {member} must be ")
        assert str(value) not in refused.value.detail or not value
        assert await ledger.number() == 0
        assert (await ledger.population(None)).recent == ()


async def test_entries_that_cannot_be_told_apart_or_are_too_many_are_refused(tmp_path: Path) -> None:
    async with ledger_in(tmp_path) as ledger:
        for entries in ([], [entry(), entry(given=False)], [entry(str(number)) for number in range(10_001)]):
            with pytest.raises(Refusal) as refused:
                await ledger.decide(entries)
            assert refused.value.code == "consent-entries"
        for vehicle in ("\ud800", "a\x7f"):
            with pytest.raises(Refusal, match="vehicle must be"):
                await ledger.decide([entry(vehicle)])
        with pytest.raises(Refusal, match="at_ms must be"):
            await ledger.decide([entry(at_ms=NOW + 3_600_000)])
        with pytest.raises(Refusal, match="text_sha256 must be"):
            await ledger.decide([entry(text_sha256=None)])
        with pytest.raises(Refusal, match="reference must be"):
            await ledger.enrol([Enrolment(vehicle=VIN, recipient=INSURER, reference="x\0", text_sha256=TEXT)])
        assert await ledger.number() == 0


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize(("member", "value"), [*WRONG, *FILE_ONLY])
async def test_one_bad_row_refuses_the_file_and_is_named(tmp_path: Path, kind: str, member: str, value: Any) -> None:
    rows = [row(f"V{number:05}") for number in range(300)]
    rows[123] = {**row(), member: value}
    rows[234] = row(category="also wrong")
    path = write_csv(tmp_path / "in.csv", rows)
    if kind == "parquet":
        path = tmp_path / "in.parquet"
        texts = [tuple(None if each[name] == "" else str(each[name]) for name in COLUMNS) for each in rows]
        with duckdb.connect() as connection:
            connection.execute(f"CREATE TABLE t ({', '.join(f'{name} VARCHAR' for name in COLUMNS)})")
            connection.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(COLUMNS))})", texts)  # noqa: S608  # our names
            connection.execute(f"COPY t TO '{path}' (FORMAT parquet)")
    async with ledger_in(tmp_path) as ledger:
        refused = await refused_whole(ledger, path)
    assert refused.code in {"consents-row", "consents-file"}
    if refused.code == "consents-row":
        assert refused.detail.startswith(f"row 124: {member} must be ")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"vehicle\nsecret\n",
        b"\xff\xfe" + ",".join(COLUMNS).encode("utf-16-le"),
        ",".join(COLUMNS[:-1]).encode() + b"\n",
        ",".join([*COLUMNS, "extra"]).encode() + b"\n",
        ",".join([*COLUMNS[:-1], 'given") AS x; DROP TABLE keys; --']).encode() + b"\n",
        ",".join(COLUMNS).encode() + b"\nsecret,too,few\n",
        ",".join(COLUMNS).encode() + b'\n"secret\n',
        ",".join(COLUMNS).encode() + b"\n" + b"secret" * 30_000 + b"\n",
        ",".join(COLUMNS).encode() + b"\n\xff\xfe\xfasecret,,,,,,,,\n",
        b"PAR1 secret, but no such file PAR1",
        b"PAR1" + b"\xff" * 1000 + b"\xff\xff\xff\x7fPAR1",
    ],
)
async def test_what_is_no_file_of_consents_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(content)
    async with ledger_in(tmp_path) as ledger:
        refused = await refused_whole(ledger, path)
        assert refused.code in {"consents-columns", "consents-file", "consents-row"}
        assert (await refused_whole(ledger, tmp_path)).code == "source_path"
        assert await ledger.decide([entry()]) == 1


async def test_columns_of_any_scalar_type_and_order_are_read(tmp_path: Path) -> None:
    path = tmp_path / "in[1]*.parquet"
    with duckdb.connect() as connection:
        connection.execute(
            "COPY (SELECT true AS given, 17::BIGINT AS at_ms, unhex(?) AS text_sha256, 'owner' AS decided_by, NULL AS basis,"
            " ? AS recipient, 'dpv:Marketing' AS purpose, 'energy' AS category, 4711 AS vehicle)"
            f" TO '{path}' (FORMAT parquet)",
            [TEXT, INSURER],
        )
    async with ledger_in(tmp_path / "[b]*?") as ledger:
        await ledger.import_file(path)
        [noted] = await ledger.vehicle("4711")
        assert (noted.at, noted.text_sha256, noted.decided_by, noted.basis[-8:]) == (17, TEXT, "owner", "#Consent")
        assert len(await ledger.held("4711")) == 1


async def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    async with ledger_in(tmp_path) as ledger:
        assert (await refused_whole(ledger, write_csv(tmp_path / "in.csv", []))).code == "consents-empty"
