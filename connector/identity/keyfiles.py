"""Where our keys are kept: a folder of the owner alone, or the environment.

``keys.json`` lists every key that we ever had, with its public part and without anything private; ``<kid>.jwk`` is the private
part of one. The private part of a key that signs is removed when the key is rotated or revoked, as nothing signs with it any
more; only that of the contract log stays after a rotation, until it has handed over to its successor. Secrets stay, for what was
made with them. Each change is one replacement of the list, under a lock; no link is followed.
``CARNET_KEY_OAUTH`` and its like hold a private JWK that is used in place of the folder's key.

Everything here blocks: from an event loop, call it in a thread. May import the settings' error and `connector.identity` only.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from connector.identity.keycodec import Held, environment_key, new_key, open_key
from connector.identity.keys import HOUR_MS, Key, KeyRing, Use
from connector.protocol.errors import CallerError, Conflict, NotFound
from connector.settings.secret import SettingsError

INDEX: Final = "keys.json"
MAX_FILE_BYTES: Final = 4_194_304
MAX_REASON_CHARS: Final = 500
_SETTING: Final = "keys.dir"
_MAKE: Final = "make what is missing: carnet keys rotate"
_OURS: Final = re.compile(rf"(?:{'|'.join(Use)})-[0-9a-f]{{12}}\.jwk|\..*\.new")


class _Index(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The list of keys. ``participant``: whom they were made for."""

    version: Literal[1] = 1
    participant: str
    keys: tuple[Key, ...] = ()


def variable(use: Use) -> str:
    """The name of the environment variable that may hold the key of ``use``."""
    return f"CARNET_KEY_{use.upper()}"


def make_keys(folder: Path, participant_id: str, now_ms: int) -> None:
    """A new folder with a key for every use. Raises SettingsError, and leaves nothing then."""
    with _told(folder):
        try:
            folder.mkdir(mode=0o700, parents=True)
        except FileExistsError:
            raise SettingsError("keys-exist", _SETTING, f"{folder} exists already; choose another folder or remove it") from None
    try:
        with _opened(folder, exclusive=True) as place:
            place.add(_Index(participant=participant_id), tuple(Use), now_ms)
    except BaseException:
        remove_keys(folder)
        raise


def remove_keys(folder: Path) -> None:
    """Take back what `make_keys` made. Anything else stays, and so does the folder then."""
    with suppress(OSError):
        for path in folder.iterdir():
            if path.name == INDEX or _OURS.fullmatch(path.name):
                path.unlink()
        folder.rmdir()


def ensure_keys(folder: Path, participant_id: str, environ: Mapping[str, str], overlap_h: int, now_ms: int) -> KeyRing:
    """All keys, after making those that neither the folder nor the environment has. Raises SettingsError."""
    wanted = [use for use in Use if not environ.get(variable(use))]
    if wanted:
        with _told(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _opened(folder, exclusive=True) as place:
            index = place.index() or _Index(participant=participant_id)
            if index.participant != participant_id:
                raise SettingsError(
                    "keys-foreign", _SETTING, f"the keys in {folder} were made for {index.participant}; choose another folder"
                )
            has = {key.use for key in index.keys if key.state == "current"}
            if not has.issuperset(wanted):
                place.add(index, tuple(use for use in wanted if use not in has), now_ms)
    return load_keys(folder, environ, overlap_h)


def load_keys(folder: Path, environ: Mapping[str, str], overlap_h: int) -> KeyRing:
    """All keys; a rotated one counts as published for ``overlap_h`` hours. Writes nothing.

    Raises SettingsError: ``keys-missing``, ``keys-exposed`` when others have access to a file, ``keys-unreadable``,
    ``keys-damaged``, ``key-invalid`` for a variable of the environment.
    """
    given = [environment_key(use, variable(use), environ[variable(use)]) for use in Use if environ.get(variable(use))]
    held: list[Held] = []
    if len(given) < len(Use) or folder.exists():
        with _opened(folder, exclusive=False) as place:
            index = place.needed()
            held = [place.held(key) for key in _beside(index.keys, given)]
    everything = [*given, *held]
    missing = set(Use) - {each.key.use for each in everything if each.key.state == "current"}
    if missing:
        raise SettingsError("keys-missing", _SETTING, f"{folder} has no key for {', '.join(sorted(missing))}; {_MAKE}")
    return KeyRing(
        [each.key for each in everything],
        [each.signing for each in everything if each.signing is not None],
        {each.key.kid: each.secret for each in everything if each.secret is not None},
        overlap_h * HOUR_MS,
    )


def rotate(folder: Path, use: Use, now_ms: int) -> Key:
    """A new current key for ``use``; the one before it stays published for the overlap. Raises SettingsError."""
    with _opened(folder, exclusive=True) as place:
        index = place.needed()
        keys = [replace(key, rotated_at=now_ms) if key.use is use and key.state == "current" else key for key in index.keys]
        (made,) = place.add(replace(index, keys=tuple(keys)), (use,), now_ms)
        return made


def retire(folder: Path, kid: str) -> None:
    """Destroy the private part of a rotated key of the log, which has handed over. Nothing happens to another key, nor where
    there is no folder. Raises SettingsError."""
    if not folder.exists():
        return
    with _opened(folder, exclusive=True) as place:
        index = place.index()
        found = next((key for key in (index.keys if index else ()) if key.kid == kid), None)
        if found is not None and _may_be_kept(found):
            place.remove(f"{kid}.jwk")


def revoke(folder: Path, kid: str, now_ms: int, reason: str) -> Key | None:
    """Take a key out of everything that is published, at once. Gives its successor when it was the current one, else None.

    Raises SettingsError, NotFound, Conflict when it is revoked already, CallerError for a reason that is none.
    """
    if not (reason.strip() and reason.isprintable() and len(reason) <= MAX_REASON_CHARS):
        raise CallerError("reason-invalid", f"say why in at most {MAX_REASON_CHARS} characters, on one line")
    with _opened(folder, exclusive=True) as place:
        index = place.needed()
        found = next((key for key in index.keys if key.kid == kid), None)
        if found is None:
            raise NotFound("key-unknown", "there is no key of this id in the folder; see: carnet keys list")
        if found.state == "revoked":
            raise Conflict("key-revoked", "this key is revoked already")
        keys = tuple(replace(key, revoked_at=now_ms, reason=reason) if key is found else key for key in index.keys)
        made = place.add(replace(index, keys=keys), (found.use,) if found.state == "current" else (), now_ms)
        return made[0] if made else None


def _beside(keys: Sequence[Key], given: Sequence[Held]) -> Iterator[Key]:
    """The folder's keys where some are given by the environment: those stand back, as if rotated when they were made."""
    uses, kids = {each.key.use for each in given}, {each.key.kid for each in given}
    thumbprints = {each.key.thumbprint for each in given} - {""}
    for key in keys:
        same = key.kid in kids or key.thumbprint in thumbprints
        if same and key.state == "revoked":
            raise SettingsError("key-invalid", variable(key.use), f"holds a key that was revoked in {INDEX}; put a new one there")
        if not same:
            yield replace(key, rotated_at=key.made_at) if key.use in uses and key.state == "current" else key


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """OSError as SettingsError with what to do."""
    try:
        yield
    except FileNotFoundError:
        raise SettingsError("keys-missing", _SETTING, f"{path} is not there; {_MAKE}") from None
    except OSError as error:
        link = "; no part of it may be a link" if error.errno in (errno.ELOOP, errno.ENOTDIR) else ""
        reason = f"cannot use {path}: {error.strerror}{link}; see its owner, mode and disk"
        raise SettingsError("keys-unreadable", _SETTING, reason) from error


@contextmanager
def _opened(folder: Path, *, exclusive: bool) -> Iterator[_Place]:
    """The folder, locked until the end. Raises SettingsError, also for what goes wrong inside."""
    with _told(folder):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            _check_mode(descriptor, folder, "700")
            fcntl.flock(descriptor, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
            yield _Place(folder, descriptor)
        finally:
            os.close(descriptor)


def _check_mode(descriptor: int, path: Path, right: str) -> None:
    mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
    if mode & 0o077:
        reason = f"others have access to {path} (mode {mode:04o}); run: chmod {right} {path}"
        raise SettingsError("keys-exposed", _SETTING, reason)


@dataclass(frozen=True, slots=True)
class _Place:
    """The folder while it is open: every name is taken below its descriptor, so that nobody can put another in its place."""

    folder: Path
    descriptor: int

    def index(self) -> _Index | None:
        """The list, None where there is none. Raises SettingsError and OSError, as all here."""
        try:
            content = self._read(INDEX)
        except FileNotFoundError:
            return None
        try:
            index = msgspec.json.decode(content, type=_Index)
        except (ValueError, RecursionError):
            raise self._damaged(INDEX) from None
        current = [key.use for key in index.keys if key.state == "current"]
        if len({key.kid for key in index.keys}) < len(index.keys) or len(set(current)) < len(current):
            raise self._damaged(INDEX)
        return index

    def needed(self) -> _Index:
        """The list. Raises SettingsError where there is none, too."""
        index = self.index()
        if index is None:
            raise SettingsError("keys-missing", _SETTING, f"there are no keys in {self.folder}; {_MAKE}")
        return index

    def held(self, key: Key) -> Held:
        """A key of the list with its private part, as far as we still have it."""
        if not _kept(key):
            return Held(key)
        name = f"{key.kid}.jwk"
        try:
            return open_key(key, self._read(name))
        except FileNotFoundError:
            if _may_be_kept(key):
                return Held(key)
            raise self._damaged(name) from None
        except ValueError:
            raise self._damaged(name) from None

    def add(self, index: _Index, uses: Sequence[Use], now_ms: int) -> tuple[Key, ...]:
        """Write the list with a new key for each of the uses, private parts first; then remove those that nothing needs."""
        made = [new_key(use, index.participant, now_ms) for use in uses]
        for key, private in made:
            self._write(f"{key.kid}.jwk", private)
        keys = (*index.keys, *(key for key, _ in made))
        self._write(INDEX, msgspec.json.format(msgspec.json.encode(replace(index, keys=keys)), indent=1))
        needed = {f"{key.kid}.jwk" for key in keys if _kept(key)}
        for name in os.listdir(self.descriptor):
            if _OURS.fullmatch(name) and name not in needed:
                os.unlink(name, dir_fd=self.descriptor)
        return tuple(key for key, _ in made)

    def remove(self, name: str) -> None:
        """Take a file out of the folder, if it is there."""
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.descriptor)
        os.fsync(self.descriptor)

    def _read(self, name: str) -> bytes:
        # A pipe in the place of a file would hold us up for ever.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(name, flags, dir_fd=self.descriptor)
        with os.fdopen(descriptor, "rb") as opened:
            _check_mode(descriptor, self.folder / name, "600")
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise self._damaged(name)
            content = opened.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise self._damaged(name)
        return content

    def _write(self, name: str, content: bytes) -> None:
        """The whole file or nothing of it, on disk when this returns."""
        temporary = f".{name}.{secrets.token_hex(4)}.new"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o600, dir_fd=self.descriptor)
        try:
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(content)
                opened.flush()
                os.fsync(descriptor)
            os.rename(temporary, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
        except OSError:
            os.unlink(temporary, dir_fd=self.descriptor)
            raise
        os.fsync(self.descriptor)

    def _damaged(self, name: str) -> SettingsError:
        reason = f"{self.folder / name} is missing or not as it was written; restore it from a copy, or move the folder away and "
        return SettingsError("keys-damaged", _SETTING, f"{reason}{_MAKE}")


def _kept(key: Key) -> bool:
    """Whether the private part of a key is kept: of those that sign the current one's, of secrets every one; of the log's those
    that may have to hand over."""
    return key.state == "current" or not key.public or _may_be_kept(key)


def _may_be_kept(key: Key) -> bool:
    """Whether this is a rotated key of the log, whose private part is there until it has handed over."""
    return key.use is Use.LOG and key.state == "rotated"
