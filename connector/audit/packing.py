"""The files of an auditor's pack: each register as CSV, all of them as JSON, and one page that a person can read and print.

Everything that others wrote is escaped; a cell that a spreadsheet would take for a formula begins with an apostrophe. May import
the pack.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Final

from connector.audit.pack import CONSENTS, RECIPIENTS, REGISTER, Pack, Row

FILES: Final = ("register.csv", "consents.csv", "recipients.csv", "pack.json", "checkpoint", "index.html")
_FORMULA: Final = re.compile(r"(^|[;,\t\r\n])(?=\s*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20])")
"""Where a spreadsheet would begin a formula: at the beginning of a cell, or after what it may take for the end of one."""
_TABLES: Final = (
    ("Register of processing", "One row an agreement (GDPR, article 30).", REGISTER),
    ("Consents", "Batches of the ledger, by its numbers; whose they are stands in the ledger alone.", CONSENTS),
    ("Recipients", "Who was given data, how often and how much (GDPR, articles 15 and 19).", RECIPIENTS),
)
_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:80rem;padding:0 1rem;color:#16202a;background:#fff}"
    "table{border-collapse:collapse;font-size:13px;margin:.5rem 0 2rem}th,td{border:1px solid #9aa5b1;padding:.3rem .5rem;"
    "text-align:left;vertical-align:top;overflow-wrap:anywhere}th{background:#eef2f6}.wide{overflow-x:auto}"
    "pre{background:#eef2f6;padding:.7rem;white-space:pre-wrap;overflow-wrap:anywhere}@media print{body{max-width:none;margin:0}}"
)


def write_pack(pack: Pack, folder: Path) -> None:
    """Write the files into a new folder. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True)
    registers = (pack.register, pack.consents, pack.recipients)
    for name, (_, _, columns), rows in zip(FILES, _TABLES, registers, strict=False):
        (folder / name).write_text(_csv(columns, rows), encoding="utf-8", newline="")
    (folder / "pack.json").write_text(json.dumps(pack.document(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "checkpoint").write_text(pack.verified.note, encoding="utf-8")
    (folder / "index.html").write_text(_page(pack), encoding="utf-8")


def _csv(columns: Sequence[str], rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([_cell(row[name]) for name in columns] for row in rows)
    return text.getvalue()


def _cell(value: object) -> str:
    return _FORMULA.sub(r"\1'", _plain(value))


def _plain(value: object) -> str:
    """Without signs that turn the order of writing, or act on who shows it; lines end where they ended."""
    return "".join(each if each.isprintable() or each == "\n" else "\ufffd" for each in str(value))


def _page(pack: Pack) -> str:
    checkpoint = pack.verified.checkpoint
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Auditor\'s pack</title>',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<style>{_STYLE}</style></head><body><main><h1>Auditor's pack</h1>",
        f"<p>Computed from the contract log <b>{escape(checkpoint.origin)}</b>, verified with {checkpoint.size} lines. ",
        "The same log gives the same pack: <code>carnet audit pack</code>.</p>",
    ]
    for (title, about, columns), rows in zip(_TABLES, (pack.register, pack.consents, pack.recipients), strict=True):
        parts.append(f"<h2>{title}</h2><p>{escape(about)}</p>{_table(columns, rows)}")
    parts.append(f"<h2>Checkpoint</h2><pre>{escape(pack.verified.note)}</pre><h2>How it was verified</h2><ol>")
    parts += [f"<li>{escape(step.title)}: {escape(step.said)} ({step.result})</li>" for step in pack.verified.steps]
    return "".join([*parts, "</ol></main></body></html>\n"])


def _table(columns: Sequence[str], rows: Sequence[Row]) -> str:
    if not rows:
        return "<p>Nothing.</p>"
    head = "".join(f'<th scope="col">{name}</th>' for name in columns)
    body = "".join(f"<tr>{''.join(f'<td>{escape(_plain(row[name]))}</td>' for name in columns)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
