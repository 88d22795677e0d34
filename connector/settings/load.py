"""From a TOML file and the environment to checked settings.

Owns the order of the sources (file, then environment), the refusal of unknown names and the rules that span
several settings. Reads the settings file and the token files, and nothing else. May import
`connector.settings` and msgspec only.
"""

import difflib
import ipaddress
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from connector.settings.model import DEVELOPMENT_KEY, DevelopmentSettings, PeerSettings, Settings
from connector.settings.secret import Secret, SettingsError, check_token, read_token

_MAX_FILE_BYTES = 1_048_576
_PREFIX = "CARNET_"
# Names with our prefix that are addressed to the scripts and the tests around the connector.
_NOT_SETTINGS = frozenset({"CARNET_CONFIG", "CARNET_FULL", "CARNET_REQUIRE_ALL"})
_NOT_SETTINGS_PREFIX = "CARNET_TEST_"

Raw = dict[str, Any]
_Section = TypeVar("_Section", bound=msgspec.Struct)


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """The settings of the file at `path` (None: no file), overridden by `CARNET_SECTION__KEY` in `environ`.

    Relative paths are taken from `data_dir`, and a relative `data_dir` from the folder of the file (without
    one: from the working directory). Token files of peers are read. Nothing is created or written.

    Raises SettingsError, which names the setting and what to do, and never repeats a refused value.
    """
    raw = _read(path) if path is not None else {}
    _refuse_unknown(raw, Settings, "")
    _merge_environment(raw, environ)
    settings = _convert(raw)
    base = path.absolute().parent if path is not None else Path.cwd()
    settings = _resolve(settings, base)
    settings = msgspec.structs.replace(
        settings, peers=tuple(_with_tokens(peer, f"peers[{n}]") for n, peer in enumerate(settings.peers))
    )
    _check_peers(settings)
    _check_bounds(settings)
    _check_listeners(settings)
    _check_development(settings)
    return settings


def is_loopback(host: str) -> bool:
    """Whether `host` can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


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
        if not name.startswith(_PREFIX) or name in _NOT_SETTINGS or name.startswith(_NOT_SETTINGS_PREFIX):
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
        raise SettingsError("invalid-value", path, f"{reason}; see the settings table of the README") from None


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


def _with_tokens(peer: PeerSettings, path: str) -> PeerSettings:
    changes: dict[str, Secret] = {}
    for direction in ("inbound", "outbound"):
        file = getattr(peer, f"{direction}_token_file")
        if file is None:
            continue
        if getattr(peer, f"{direction}_token") is not None:
            raise SettingsError("conflicting-settings", f"{path}.{direction}_token", "set the token or its file, not both")
        changes[f"{direction}_token"] = read_token(file, f"{path}.{direction}_token_file")
    return msgspec.structs.replace(peer, **changes)


def _check_peers(settings: Settings) -> None:
    seen_ids: set[str] = set()
    seen_tokens: list[Secret] = []
    for number, peer in enumerate(settings.peers):
        path = f"peers[{number}]"
        if peer.id in seen_ids or peer.id == settings.participant_id:
            raise SettingsError("duplicate-peer", f"{path}.id", "is listed twice or is ourselves; remove one")
        seen_ids.add(peer.id)
        if peer.inbound_token is not None:
            if any(peer.inbound_token.matches(other.reveal()) for other in seen_tokens):
                raise SettingsError(
                    "duplicate-token",
                    f"{path}.inbound_token",
                    "another peer has the same token, so we could not tell them apart; give each its own",
                )
            seen_tokens.append(peer.inbound_token)


def _check_bounds(settings: Settings) -> None:
    dispatch, client = settings.dispatch, settings.client
    for path, low, high, other in (
        (
            "dispatch.per_peer_concurrency",
            dispatch.per_peer_concurrency,
            dispatch.concurrency,
            "dispatch.concurrency",
        ),
        (
            "client.connect_timeout_s",
            client.connect_timeout_s,
            client.total_timeout_s,
            "client.total_timeout_s",
        ),
    ):
        if low > high:
            raise SettingsError("conflicting-settings", path, f"must not be more than {other}")
    if dispatch.lease_s <= dispatch.attempt_timeout_s:
        # Otherwise a second worker claims the message while the first is still sending it.
        raise SettingsError("conflicting-settings", "dispatch.lease_s", "must be more than dispatch.attempt_timeout_s")


def _listeners(settings: Settings) -> Sequence[tuple[str, str]]:
    listeners = [
        ("protocol.host", settings.protocol.host),
        ("data.signaling_host", settings.data.signaling_host),
        ("data.public_host", settings.data.public_host),
    ]
    return [*listeners, ("local.host", settings.local.host)] if settings.local.host else listeners


def _check_listeners(settings: Settings) -> None:
    if settings.local.host and not is_loopback(settings.local.host):
        raise SettingsError("not-loopback", "local.host", "must be a loopback address, such as 127.0.0.1")
    if settings.data.managed and not is_loopback(settings.data.signaling_host):
        raise SettingsError("not-loopback", "data.signaling_host", "must be a loopback address while data.managed is true")
    for host_path, host, url_path, url in (
        ("protocol.host", settings.protocol.host, "protocol.public_url", settings.protocol.public_url),
        ("data.public_host", settings.data.public_host, "data.public_url", settings.data.public_url),
    ):
        if not url and not is_loopback(host):
            raise SettingsError(
                "missing-setting",
                url_path,
                f"is required because {host_path} is not loopback: what do others call?",
            )


def _check_development(settings: Settings) -> None:
    development = settings.development
    if development.key == DEVELOPMENT_KEY:
        for path, host in _listeners(settings):
            if not is_loopback(host):
                raise SettingsError(
                    "not-loopback",
                    path,
                    "must be a loopback address while development.key is set; remove the key",
                )
    elif development != DevelopmentSettings():
        raise SettingsError(
            "development-locked",
            "development",
            f'is for tests only; remove the section, or begin it with key = "{DEVELOPMENT_KEY}"',
        )
