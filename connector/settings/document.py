"""The settings written out for people: the tables of the README beside it and the file that `carnet init` makes.

Both come from the structs of `connector.settings.model`, so that neither can be out of date unnoticed.
Pure text; may import `connector.settings` only.
"""

import json
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from connector.settings.load import is_section, unwrap
from connector.settings.model import Settings
from connector.settings.secret import Secret, SettingsError

_TYPES = {bool: "true or false", int: "integer", str: "text", Path: "path", Secret: "token"}
_WIDTH = 100


class Row(msgspec.Struct, frozen=True):
    """One setting as text. `default` is TOML, or empty when the setting is required or has none."""

    name: str
    type: str
    default: str
    meaning: str


class Section(msgspec.Struct, frozen=True):
    """One table of settings; `name` is what stands in the brackets, empty for the top of the file."""

    name: str
    repeated: bool
    meaning: str
    rows: tuple[Row, ...]


def sections() -> list[Section]:
    """Every section in the order of the structs, the top of the file first."""
    return list(_walk(Settings, "", repeated=False))


def reference() -> str:
    """The settings as Markdown, one table a section."""
    parts = []
    for section in sections():
        title = f"[[{section.name}]]" if section.repeated else f"[{section.name}]"
        head = f"**`{title}`**: {section.meaning}" if section.name else "**Top of the file**"
        lines = ["| key | value | default | meaning |", "| --- | --- | --- | --- |"]
        for row in section.rows:
            default = f"`{row.default}`" if row.default else ""
            cells = (f"`{row.name}`", row.type, default, row.meaning)
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        parts.append(f"{head}\n\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"


def template(participant_id: str, chosen: Mapping[str, str] | None = None) -> str:
    """A complete settings file: `participant_id` set, everything else commented out with its default.

    What is `chosen` (`section.key` to a TOML value) is set as well; SettingsError `unknown-setting` for what is no setting
    of a plain section. The development section is left out: it belongs into files written on purpose.
    """
    left = {"participant_id": json.dumps(participant_id), **(chosen or {})}
    parts = ["# Settings of a Carnet connector. What is commented out shows the default."]
    for section in sections():
        if section.name.startswith("development"):
            continue
        lines = []
        if section.name:
            title = f"# [[{section.name}]]" if section.repeated else f"[{section.name}]"
            lines = [f"# {section.meaning}", title]
        for row in section.rows:
            lines += textwrap.wrap(f"{row.meaning} ({row.type})", _WIDTH, initial_indent="# ", subsequent_indent="# ")
            value = None if section.repeated else left.pop(f"{section.name}.{row.name}".lstrip("."), None)
            if value is not None:
                lines.append(f"{row.name} = {value}")
            else:
                lines.append(f"# {row.name} = {row.default or '...'}")
        parts.append("\n".join(lines))
    for unknown in left:
        raise SettingsError("unknown-setting", unknown, "there is no such setting; see the table of settings")
    return "\n\n".join(parts) + "\n"


def _walk(section: type[msgspec.Struct], name: str, *, repeated: bool) -> Iterator[Section]:
    hints = get_type_hints(section, include_extras=True)
    rows: list[Row] = []
    inner: list[Section] = []
    for field in msgspec.structs.fields(section):
        kind, metas = unwrap(hints[field.name])
        path = f"{name}.{field.name}" if name else field.name
        item: Any = get_args(kind)[0] if get_origin(kind) is tuple else None
        if is_section(kind):
            inner += _walk(kind, path, repeated=False)
        elif is_section(item):
            inner += _walk(item, path, repeated=True)
        else:
            meaning = next((meta.description for meta in metas if meta.description), "")
            rows.append(Row(field.name, _type(kind, metas), _default(field.default), meaning))
    yield Section(name, repeated, (section.__doc__ or "").split("\n")[0].rstrip("."), tuple(rows))
    yield from inner


def _type(kind: Any, metas: list[msgspec.Meta]) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(f'"{choice}"' for choice in get_args(kind))
    if get_origin(kind) is tuple:
        return "list of text"
    low = next((meta.ge for meta in metas if meta.ge is not None), None)
    high = next((meta.le for meta in metas if meta.le is not None), None)
    if kind is int and low is not None:
        return f"integer, {low} to {high}" if high is not None else f"integer, at least {low}"
    return _TYPES[kind]


def _default(value: object) -> str:
    if value is msgspec.NODEFAULT:
        return ""
    if value is None:
        return '""'
    if isinstance(value, tuple):
        return json.dumps([str(item) for item in value])
    return json.dumps(str(value) if isinstance(value, Path) else value)
