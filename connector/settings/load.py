"""From a TOML file and the environment to checked settings.

Owns the order of the sources (file, then environment) and the refusal of unknown names; the rules that span several settings
are those of `connector.settings.rules`. Reads the settings file and the files of secrets, and nothing else. May import
`connector.settings` and msgspec only.
"""

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from connector.settings.model import Settings
from connector.settings.rules import check
from connector.settings.secret import Secret, SettingsError, check_token, read_token

_MAX_FILE_BYTES = 1_048_576
_PREFIX = "CARNET_"
# Names with our prefix that are addressed to the scripts and the tests around the connector.
_NOT_SETTINGS = frozenset({"CARNET_CA_FILE", "CARNET_CONFIG", "CARNET_FULL", "CARNET_KEY", "CARNET_REQUIRE_ALL", "CARNET_URL"})
# A key in place of its file, for each use; settings are shown to people, keys to nobody.
_KEYS = frozenset(f"CARNET_KEY_{use}" for use in ("OAUTH", "AGREEMENT", "LOG", "SUBJECTS", "PSEUDONYMS"))
_NOT_SETTINGS_PREFIX = "CARNET_TEST_"

Raw = dict[str, Any]
_Section = TypeVar("_Section", bound=msgspec.Struct)


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """The settings of the file at `path` (None: no file), overridden by `CARNET_SECTION__KEY` in `environ`.

    Relative paths are taken from `data_dir`, and a relative `data_dir` from the folder of the file (without
    one: from the working directory). Files of tokens and secrets are read. Nothing is created or written.

    Raises SettingsError, which names the setting and what to do, and never repeats a refused value.
    """
    raw = _read(path) if path is not None else {}
    _refuse_unknown(raw, Settings, "")
    _merge_environment(raw, environ)
    settings = _convert(raw)
    base = path.absolute().parent if path is not None else Path.cwd()
    settings = _resolve(settings, base)
    settings = msgspec.structs.replace(
        settings,
        peers=tuple(
            _with_secrets(peer, f"peers[{n}]", ("inbound_token", "outbound_token")) for n, peer in enumerate(settings.peers)
        ),
        issuers=tuple(_with_secrets(issuer, f"issuers[{n}]", ("client_secret",)) for n, issuer in enumerate(settings.issuers)),
    )
    check(settings)
    return settings


def unwrap(annotation: object) -> tuple[Any, list[msgspec.Meta]]:
    """The plain type of an annotation, and every `Meta` around it; `X | None` gives X."""
    metas: list[msgspec.Meta] = []
    kind: Any = annotation
    while True:
        if get_origin(kind) is Annotated:
            kind, *extra = get_args(kind)
            metas.extend(meta for meta in extra if isinstance(meta, msgspec.Meta))
        elif get_origin(kind) in (Union, UnionType):
            (kind,) = (member for member in get_args(kind) if member is not NoneType)
        else:
            return kind, metas


def is_section(kind: object) -> bool:
    """Whether a type is one of our structs."""
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _read(path: Path) -> Raw:
    try:
        with path.open("rb") as opened:
            content = opened.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise SettingsError(
            "file-unreadable", "", f"cannot read {path}: {error.strerror}; make one with `carnet init`"
        ) from error
    if len(content) > _MAX_FILE_BYTES:
        raise SettingsError("file-too-large", "", f"{path} is larger than {_MAX_FILE_BYTES} bytes")
    try:
        return tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        raise SettingsError("invalid-toml", "", f"{path} is not UTF-8 text") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        # The message of the parser may quote the line, so only the position is repeated.
        where = re.search(r"line \d+, column \d+", str(error))
        at = f" at {where.group()}" if where else ""
        raise SettingsError("invalid-toml", "", f"{path} is not valid TOML{at}; correct it there") from None


def _refuse_unknown(raw: Raw, section: type[msgspec.Struct], prefix: str) -> None:
    hints = get_type_hints(section, include_extras=True)
    for key, value in raw.items():
        path = f"{prefix}{key}"
        if key not in hints:
            raise SettingsError("unknown-setting", path, f"there is no such setting{_nearest(key, hints)}")
        kind, _ = unwrap(hints[key])
        if is_section(kind) and isinstance(value, dict):
            _refuse_unknown(value, kind, f"{path}.")
        elif get_origin(kind) is tuple and is_section(get_args(kind)[0]) and isinstance(value, list):
            for number, item in enumerate(value):
                if isinstance(item, dict):
                    _refuse_unknown(item, get_args(kind)[0], f"{path}[{number}].")


def _nearest(key: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(key.lower(), known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else f"; known here: {', '.join(known)}"


def _merge_environment(raw: Raw, environ: Mapping[str, str]) -> None:
    for name, value in sorted(environ.items()):
        if not name.startswith(_PREFIX) or name in _NOT_SETTINGS | _KEYS or name.startswith(_NOT_SETTINGS_PREFIX):
            continue
        keys = [key.lower() for key in name.removeprefix(_PREFIX).split("__")]
        section: type[msgspec.Struct] = Settings
        target = raw
        for key in keys[:-1]:
            kind = _known(section, key, name)
            if not is_section(kind):
                raise SettingsError("unknown-setting", name, f"{key} is not a section; lists are set in the file")
            section = kind
            target = target.setdefault(key, {})
            if not isinstance(target, dict):
                raise SettingsError("invalid-value", key, f"is a section: write [{key}] in the file")
        target[keys[-1]] = _from_text(_known(section, keys[-1], name), value, name)


def _known(section: type[msgspec.Struct], key: str, name: str) -> Any:
    hints = get_type_hints(section, include_extras=True)
    if key not in hints:
        raise SettingsError("unknown-setting", name, f"there is no setting {key}{_nearest(key, hints)}")
    return unwrap(hints[key])[0]


def _from_text(kind: Any, value: str, name: str) -> object:
    if is_section(kind):
        raise SettingsError("invalid-value", name, f"is a section; set one of its keys: {name}__KEY")
    if get_origin(kind) is tuple:
        if is_section(get_args(kind)[0]):
            raise SettingsError("invalid-value", name, "is a list of tables, which is set in the file only")
        return [item.strip() for item in value.split(",") if item.strip()]
    if kind is bool:
        if value.lower() not in ("true", "false"):
            raise SettingsError("invalid-value", name, "must be true or false")
        return value.lower() == "true"
    if kind is int:
        if not re.fullmatch(r"-?[0-9]{1,18}", value):
            raise SettingsError("invalid-value", name, "must be a whole number")
        return int(value)
    return value


def _decode(kind: type, value: object) -> object:
    if not isinstance(value, str):
        raise TypeError("Expected `str`")
    if kind is Secret:
        try:
            return check_token(value, "")
        except SettingsError as error:
            raise ValueError(error.reason) from error  # msgspec adds the path
    return Path(value)


def _convert(raw: Raw) -> Settings:
    if "participant_id" not in raw:
        raise SettingsError("missing-setting", "participant_id", "is required: write who you are, as your peers name you")
    _empty_to_none(raw, Settings)
    try:
        return msgspec.convert(raw, Settings, dec_hook=_decode)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$")
        path = where.rstrip("`").lstrip(".")
        refused = error.__cause__.__cause__ if error.__cause__ is not None else None
        if isinstance(refused, SettingsError):
            raise SettingsError(refused.code, path, refused.reason) from None
        # A refused choice is quoted by msgspec; what was expected is in the table of settings.
        reason = "is not one of its choices" if reason.startswith("Invalid enum value") else reason
        raise SettingsError("invalid-value", path, f"{reason}; see the table of settings") from None


def _empty_to_none(raw: Raw, section: type[msgspec.Struct]) -> None:
    """TOML and the environment have no null: an empty text means *none* where none is the default."""
    hints = get_type_hints(section, include_extras=True)
    for field in msgspec.structs.fields(section):
        key = field.name
        kind, _ = unwrap(hints[key])
        value = raw.get(key)
        if is_section(kind) and isinstance(value, dict):
            _empty_to_none(value, kind)
        elif get_origin(kind) is tuple and is_section(get_args(kind)[0]) and isinstance(value, list):
            for item in value:
                if isinstance(item, dict):
                    _empty_to_none(item, get_args(kind)[0])
        elif value == "" and (field.default is None or kind is Path):
            raw[key] = None


def _resolve(settings: Settings, base: Path) -> Settings:
    data_dir = base / settings.data_dir
    return _absolute(msgspec.structs.replace(settings, data_dir=data_dir), data_dir)


def _absolute(section: _Section, base: Path) -> _Section:
    changes: dict[str, object] = {}
    for field in msgspec.structs.fields(section):
        value = getattr(section, field.name)
        if isinstance(value, Path):
            changes[field.name] = base / value
        elif isinstance(value, tuple) and value and isinstance(value[0], Path):
            changes[field.name] = tuple(base / item for item in value)
        elif isinstance(value, msgspec.Struct):
            changes[field.name] = _absolute(value, base)
        elif isinstance(value, tuple) and value and isinstance(value[0], msgspec.Struct):
            changes[field.name] = tuple(_absolute(item, base) for item in value)
    return msgspec.structs.replace(section, **changes)


def _with_secrets(section: _Section, path: str, names: Sequence[str]) -> _Section:
    """Each secret of these names that stands in a file of its own, read."""
    changes: dict[str, Secret] = {}
    for name in names:
        file = getattr(section, f"{name}_file")
        if file is None:
            continue
        if getattr(section, name) is not None:
            raise SettingsError("conflicting-settings", f"{path}.{name}", f"set it or {name}_file, not both")
        changes[name] = read_token(file, f"{path}.{name}_file")
    return msgspec.structs.replace(section, **changes)
