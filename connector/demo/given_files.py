"""A folder as somebody gave it: which of its files are the table, which are something else, and what the columns mean."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from connector.client.local import Document
from connector.demo.given_counts import Counted
from connector.protocol.errors import CallerError


class NotTaken(CallerError):
    """Nothing can be made of what was given: ``code`` and ``reason`` as ever, and in ``remedy`` what to do, one or more lines."""

    def __init__(self, code: str, reason: str, remedy: tuple[str, ...]) -> None:
        super().__init__(code, reason)
        self.remedy = remedy


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What was found. ``table``: the file or folder to publish; ``roots``: what ``data.source_roots`` must hold beside the
    provider's own folder. ``mapping_file``: the mapping as it was guessed or given, to be changed and given with ``--mapping``.
    ``notes``: lines to print: the files, the mapping, what was ignored and what is missing.
    """

    origin: str
    table: Path
    roots: tuple[Path, ...]
    mapping: Document
    mapping_file: Path
    counted: Counted
    sampling_ms: int | None
    notes: tuple[str, ...]


def survey(path: Path, mapping: Path | None, place: Path) -> Survey:
    """Look at a CSV or Parquet file, or a folder of them, with the mapping of a JSON file or one that is guessed.

    Writes ``mapping.json`` into ``place``; where the guess fails, a skeleton of it to be filled in, and raises NotTaken with its
    place. Blocks, for large files long.
    """
    raise NotImplementedError
