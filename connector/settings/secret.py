"""Values that must never be printed, and the one error of this package.

Owns the rule of what a bearer token may look like (RFC 6750 section 2.1, at least 16 characters) and that a
file holding one is its owner's alone. May import the errors of the protocol and the standard library only.
"""

import hmac
import os
import re
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from connector.protocol.errors import CallerError

_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]{16,4096}=*")
_MAX_TOKEN_FILE_BYTES = 8192
_NEW_TOKEN_BYTES = 32


class SettingsError(CallerError):
    """A setting cannot be used. `code` is stable, `path` names the setting, `reason` says what to do.

    The text never contains the value that was refused, for it may be a secret.
    """

    def __init__(self, code: str, path: str, reason: str) -> None:
        super().__init__(code, reason)
        self.path = path

    def __str__(self) -> str:
        return f"{self.path}: {self.reason} [{self.code}]" if self.path else f"{self.reason} [{self.code}]"


class Secret:
    """A value that neither `repr` nor `str` shows, and that only `matches` compares (in constant time)."""

    __slots__ = ("_value",)
    __hash__ = None  # type: ignore[assignment]  # a hash would be a way to compare

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself: for the header or signature that needs it, and nothing else."""
        return self._value

    def matches(self, candidate: str) -> bool:
        """Whether `candidate` is the secret; takes the same time wherever the two differ."""
        return hmac.compare_digest(self._value.encode(), candidate.encode("utf-8", "surrogateescape"))

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("secrets are compared with matches()")


def check_token(value: str, path: str) -> Secret:
    """`value` as a secret; SettingsError `invalid-token` unless it can stand in an Authorization header."""
    if not _TOKEN.fullmatch(value):
        raise SettingsError(
            "invalid-token",
            path,
            "a token is 16 to 4096 letters, digits or -._~+/ (RFC 6750); make one: `openssl rand -hex 32`",
        )
    return Secret(value)


def read_token(file: Path, path: str) -> Secret:
    """The token in `file`, without the line end.

    `path` names the setting in errors. Raises SettingsError: `secret-unreadable`, `secret-exposed` when
    anybody but the owner may read the file, `invalid-token`.
    """
    return check_token(_content(file, path), path)


def read_private(file: Path, path: str) -> Secret:
    """The one line of `file`, such as an address with a password in it. Raises SettingsError as `read_token`."""
    return Secret(_content(file, path))


def _content(file: Path, path: str) -> str:
    try:
        with file.open("rb") as opened:
            mode = stat.S_IMODE(file.stat().st_mode)
            content = opened.read(_MAX_TOKEN_FILE_BYTES)
    except OSError as error:
        raise SettingsError(
            "secret-unreadable",
            path,
            f"cannot read {file}: {error.strerror}; write the token there, mode 0600",
        ) from error
    if mode & 0o077:
        raise SettingsError("secret-exposed", path, f"{file} may be read by others (mode {mode:04o}); run: chmod 600 {file}")
    return content.decode("ascii", "replace").strip()


def make_private(file: Path, line: str) -> None:
    """A file of this line, mode 0600, under its name at once and whole, also after a power cut; one that is there already stays.

    Raises OSError.
    """
    draft = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as opened:
            opened.write(f"{line}\n")
            opened.flush()
            os.fsync(opened.fileno())
        with suppress(FileExistsError):
            os.link(draft, file)
    finally:
        draft.unlink()
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def own_token(file: Path, path: str) -> Secret:
    """As `read_token`, for a token between parts of our own: where there is no file yet, it is made, mode 0600."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except OSError:
        return read_token(file, path)
    with os.fdopen(descriptor, "w", encoding="ascii") as opened:
        opened.write(secrets.token_urlsafe(_NEW_TOKEN_BYTES) + "\n")
    return read_token(file, path)
