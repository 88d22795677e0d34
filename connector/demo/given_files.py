"""A folder as somebody gave it: which of its files are the table, which are something else, and what the columns mean.

Every file is spoken of: taken, or left out for a reason. Files with the same headers are one table; of several tables that with
the most rows is taken. Nothing is written to the folder. Blocks.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import duckdb

from connector.client.local import Document
from connector.dataplane.query.engine import Refused
from connector.dataplane.tables.files import Dialect, Headers, Kind, dialect_of, files_of, headers_of
from connector.dataplane.tables.look import Looked, engine, examine
from connector.dataplane.tables.model import Mapping, Table
from connector.dataplane.tables.read import Raw
from connector.dataplane.tables.recognise import Found, check, completed, recognise
from connector.dataplane.tables.refused import TableRefused
from connector.demo.given_mapping import (
    HOW_TO_FINISH,
    NotTaken,
    document,
    known_as,
    mapping_lines,
    read_mapping,
    used,
    write_mapping,
    write_unfinished,
)

SAMPLE_ROWS: Final = 50
MAX_ENTRIES: Final = 10_000
COPIES: Final = "given"
"""Folder for copies of the table's files, where it cannot be published as it lies."""
MARGIN_BYTES: Final = 1_073_741_824
"""So much room stays on the disk when files are copied."""
_TRIP: Final = re.compile("trip|track|journey|ride", re.IGNORECASE)
ONE_A_TRIP: Final = "one row a trip"
_NAMES_TOLD: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What was found. ``path``: the file or folder to publish; ``roots``: what ``data.source_roots`` must hold beside the
    provider's own folder. ``mapping_file``: the mapping as it was guessed or given, to be changed and given with ``--mapping``.
    ``files``: a line on each file; ``columns``: a line on each column; ``ignored``: headers that are not read.
    """

    origin: str
    path: Path
    roots: tuple[Path, ...]
    table: Table
    guessed: bool
    mapping: Document
    mapping_file: Path
    files: tuple[str, ...]
    columns: tuple[str, ...]
    ignored: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Alike:
    """Files with the same headers, and what those seem to be. ``why_not``: a sentence, where they are no table of rows."""

    files: tuple[Path, ...]
    kind: Kind
    headers: Headers
    found: Found
    why_not: str
    code: str = "column-missing"

    @property
    def bytes(self) -> int:
        """Of all the files."""
        return sum(file.stat().st_size for file in self.files)

    @property
    def name(self) -> str:
        """For people."""
        told = ", ".join(shown(file.name) for file in self.files[:_NAMES_TOLD])
        return told if len(self.files) <= _NAMES_TOLD else f"{told} and {len(self.files) - _NAMES_TOLD} more"


def survey(path: Path, mapping: Path | None, place: Path) -> Survey:
    """Look at a CSV or Parquet file, or a folder of them, with the mapping of a JSON file or one that is guessed.

    Writes ``mapping.json`` into the folder ``place``; where the guess fails, a file to be finished, and raises NotTaken with its
    place.
    """
    given = None if mapping is None else read_mapping(mapping)
    try:
        real = path.resolve(strict=True)
        files, said = _entries(real) if real.is_dir() else ([real], [])
    except (OSError, RuntimeError):
        raise NotTaken("data-missing", f"{path} cannot be opened", "name a file or folder of CSV or Parquet files") from None
    alike, unread = _alike(files, given)
    seen, failed = _looked([each for each in alike if not each.why_not], given, real, files, place)
    left = [each for each in alike if each.why_not] + failed
    if not seen:
        raise _nothing([*said, *unread], left, given, place)
    chosen, best = max(seen, key=lambda one: one[1].table.rows)
    fewer = [
        f"{each.name}: left out: rows too, but fewer ({other.table.rows:,}); to take them, name the file"
        for each, other in seen
        if each is not chosen
    ]
    said += [*fewer, *(f"{each.name}: left out: {each.why_not}" for each in left), *unread]
    return _survey(chosen, best, given is None, said, write_mapping(best.table.mapping, place))


def _survey(chosen: Alike, best: Looked, guessed: bool, said: Sequence[str], mapping_file: Path) -> Survey:
    table = best.table
    path = Path(table.files[0])
    at = path if len(table.files) == 1 else path.parent
    return Survey(
        origin=known_as(table.mapping),
        path=at,
        roots=(path.parent,),
        table=table,
        guessed=guessed,
        mapping=document(table.mapping),
        mapping_file=mapping_file,
        files=(f"{chosen.name}: taken: {table.rows:,} rows", *said),
        columns=tuple(mapping_lines(table.mapping)),
        ignored=tuple(header for header, _ in table.headers if header not in used(table.mapping)),
    )


def _entries(folder: Path) -> tuple[list[Path], list[str]]:
    """The CSV and Parquet files of a folder, and a line on everything else in it."""
    files, said = [], []
    for entry in sorted(os.scandir(folder), key=lambda each: each.name):
        name = shown(entry.name)
        if entry.is_symlink():
            said.append(f"{name}: left out: a link")
        elif entry.is_dir():
            said.append(f"{name}: left out: a folder; to take it, name it")
        elif entry.name.startswith("."):
            said.append(f"{name}: left out: hidden")
        elif not entry.name.lower().endswith((".csv", ".parquet")):
            said.append(f"{name}: left out: neither CSV nor Parquet")
        else:
            files.append(Path(entry.path))
        if len(files) + len(said) > MAX_ENTRIES:
            raise NotTaken("table-too-large", f"{folder} holds more than {MAX_ENTRIES} files", "name a folder with fewer")
    return files, said


def _alike(files: Sequence[Path], given: Mapping | None) -> tuple[list[Alike], list[str]]:
    """The files by their headers, and a line on each that cannot be read."""
    groups: dict[tuple[Kind, Headers], list[Path]] = {}
    said: list[str] = []
    for file in files:
        try:
            (real,), kind = files_of(file)
            headers = headers_of(real, kind, dialect_of([real]) if kind == "csv" else Dialect())
        except TableRefused as refused:
            said.append(f"{shown(file.name)}: left out: {refused.reason} ({refused.code})")
        else:
            groups.setdefault((kind, headers), []).append(file)
    return [_meant(tuple(each), kind, headers, given) for (kind, headers), each in groups.items()], said


def _meant(files: tuple[Path, ...], kind: Kind, headers: Headers, given: Mapping | None) -> Alike:
    """What files with these headers are, by the headers and a few rows of the first."""
    if given is not None:
        try:
            check(completed(given), headers)
        except TableRefused as refused:
            return Alike(files, kind, headers, Found(mapping=None), refused.reason, refused.code)
        return Alike(files, kind, headers, Found(mapping=given), "")
    name = str(files[0])
    with TemporaryDirectory(prefix="carnet-look-") as scratch:
        connection = engine(scratch, [name])
        try:
            raw = Raw(connection, [name], kind, headers, dialect_of([name]) if kind == "csv" else Dialect())
            found = recognise(headers, raw.samples(SAMPLE_ROWS))
            once = found.mapping is None and _once(raw, headers)
        except (duckdb.Error, Refused):
            return Alike(
                files, kind, headers, Found(mapping=None), "it is damaged, or its lines differ in length", "file-unreadable"
            )
        finally:
            connection.disconnect()
    return Alike(files, kind, headers, found, _why_not(found, headers, once=once))


def _once(raw: Raw, headers: Headers) -> bool:
    """Whether a column that is named for trips has another value in each of several rows."""
    for header, _ in headers:
        if _TRIP.search(header):
            counts = raw.rows.aggregate(rows=raw.rows.count(), different=raw[header].nunique()).to_pyarrow().to_pylist()[0]
            if counts["rows"] == counts["different"] > 1:
                return True
    return False


def _why_not(found: Found, headers: Headers, *, once: bool) -> str:
    if found.mapping is not None:
        return ""
    if once:
        return f"{ONE_A_TRIP}: what a trip was in all, not what was measured on the way"
    if not {"vehicle", "trip"} & found.roles.keys() and not any(_TRIP.search(header) for header, _ in headers):
        return "names neither vehicle nor trip: figures of many together, or something else"
    return _unrecognised(found)


def _unrecognised(found: Found) -> str:
    return f"not recognised, for want of: {', '.join(found.missing)}"


def _looked(
    fitting: Sequence[Alike], given: Mapping | None, real: Path, files: Sequence[Path], place: Path
) -> tuple[list[tuple[Alike, Looked]], list[Alike]]:
    """What the data plane sees in the tables, and those in which it sees none."""
    seen: list[tuple[Alike, Looked]] = []
    failed: list[Alike] = []
    for each in fitting:
        try:
            at = each.files[0] if len(each.files) == 1 else real if len(each.files) == len(files) else _copied(each, place)
            seen.append((each, examine(at, given)))
        except TableRefused as refused:
            failed.append(replace(each, why_not=refused.reason, code=refused.code))
    return seen, failed


def _copied(each: Alike, place: Path) -> Path:
    """A folder with copies of some files: one that holds others beside them is no table. Raises NotTaken."""
    folder = place / COPIES
    if shutil.disk_usage(place).free < each.bytes + MARGIN_BYTES:
        raise NotTaken("disk-full", f"{place} has no room for copies of {each.name}", "put the files into a folder of their own")
    folder.mkdir(mode=0o700, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for file in each.files:
        shutil.copyfile(file, folder / file.name)
    return folder


def _nothing(said: Sequence[str], left: Sequence[Alike], given: Mapping | None, place: Path) -> NotTaken:
    """The error when there is no table: about the files that come nearest to one."""
    if not left:
        return NotTaken("table-empty", "there is no CSV or Parquet file that can be read", *said)
    nearest = min(left, key=lambda each: (each.why_not.startswith(ONE_A_TRIP), len(each.found.missing), -each.bytes))
    others = [f"{each.name}: {each.why_not}" for each in left if each is not nearest] + list(said)
    reason = f"{nearest.name}: {nearest.why_not}"
    if given is not None:
        return NotTaken(nearest.code, reason, "change the mapping, or leave --mapping out to have one guessed", *others)
    if nearest.found.mapping is not None or nearest.code != "column-missing":
        return NotTaken(nearest.code, reason, "mend the file, or say with --mapping what its columns are", *others)
    if not nearest.why_not.startswith(ONE_A_TRIP):
        reason = f"{nearest.name}: {_unrecognised(nearest.found)}"
    begun = write_unfinished(nearest.headers, nearest.found, place)
    return NotTaken(nearest.code, reason, f"finish {begun} and give it with --mapping:", *HOW_TO_FINISH, *others)


def shown(name: str) -> str:
    """A file's name as it can be printed."""
    return name if name.isprintable() else ascii(name)[1:-1]
