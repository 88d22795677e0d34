"""API keys: made, shown once, recognised, revoked.

A key is ``carnet_<id>_<secret>``; the store has the SHA-256 of the secret and nothing else of it: 32 random bytes need no slow
digest. Recognition is the numbered ceremony of :meth:`ApiKeys.caller`. May import callers, their store and the error tree.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from connector.access.caller import Caller, Role, scopes_of
from connector.protocol.errors import CallerError, NotAuthenticated
from connector.store.access import AccessStore, ApiKey

PREFIX: Final = "carnet"
SECRET_BYTES: Final = 32
ID_BYTES: Final = 8
MAX_NAME_CHARS: Final = 200
MAX_REMEMBERED: Final = 1024
"""Keys whose entries are remembered."""
REMEMBERED_MS: Final = 1000
"""How long an entry is believed: a key that another process revokes opens nothing after that."""
_FORM: Final = re.compile(r"carnet_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
_ID: Final = re.compile(r"[0-9a-f]{16}")
_PERSON: Final = re.compile(r"[A-Za-z0-9._:@+-]{1,200}")
_NOBODY: Final = sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made. ``text`` is the key itself: whoever has it is the caller, and nobody can be told it again."""

    entry: ApiKey
    text: str = field(repr=False)


def new_key(
    name: str,
    roles: Iterable[Role],
    *,
    now_ms: int,
    by: str,
    expires_at: int | None = None,
    vehicle: int | None = None,
    person: str = "",
) -> NewKey:
    """Make a key, of which nobody knows yet. Raises CallerError for what no key can be.

    ``by`` is the caller who makes it. ``person``: who is behind it; empty: somebody who is behind no other key.
    """
    named = tuple(sorted(role.value for role in set(roles)))
    if not 0 < len(name) <= MAX_NAME_CHARS or not name.isprintable():
        raise CallerError("key-name", f"a key needs a name that says whose it is, of at most {MAX_NAME_CHARS} characters")
    if not named:
        raise CallerError("key-roles", f"a key needs at least one role: {', '.join(Role)}")
    if (vehicle is not None) != (Role.DRIVER in named):
        raise CallerError("key-vehicle", "the role driver goes with the number of a vehicle, and no other role does")
    if expires_at is not None and expires_at <= now_ms:
        raise CallerError("key-expiry", "the key would have ended before it begins")
    if person and _PERSON.fullmatch(person) is None:
        raise CallerError("key-person", "a person is 1 to 200 of the characters A-Z a-z 0-9 . _ : @ + -")
    key_id, secret = secrets.token_hex(ID_BYTES), secrets.token_urlsafe(SECRET_BYTES)
    entry = entry_of(key_id, secret, name, named, now_ms, by, person, vehicle, expires_at)
    return NewKey(entry, f"{PREFIX}_{key_id}_{secret}")


def entry_of(
    key_id: str,
    secret: str,
    name: str,
    roles: tuple[str, ...],
    now_ms: int,
    by: str,
    person: str = "",
    vehicle: int | None = None,
    expires_at: int | None = None,
) -> ApiKey:
    """What the store keeps of a key."""
    digest = sha256(secret.encode()).hexdigest()
    return ApiKey(key_id, name, digest, roles, now_ms, by, person or f"key:{key_id}", vehicle, expires_at)


def parted(text: str) -> tuple[str, str] | None:
    """Id and secret of a key, or None for what has not its form."""
    found = _FORM.fullmatch(text)
    return None if found is None else (found.group(1), found.group(2))


class ApiKeys:
    """Who has which key. What is remembered of the store is a second old at most."""

    def __init__(self, store: AccessStore, now_ms: Callable[[], int]) -> None:
        self.store = store
        self._now_ms = now_ms
        self._remembered: OrderedDict[str, tuple[ApiKey, int]] = OrderedDict()
        # How often something was forgotten: what was read before that is not remembered after it.
        self._changes = 0

    async def caller(self, text: str) -> Caller:
        """Whose key this is. Raises NotAuthenticated; StoreUnavailable where the store does."""
        # 1. Its form: nothing else is looked up.
        parts = parted(text)
        if parts is None:
            raise NotAuthenticated("key-form", "an API key is carnet_ID_SECRET, whole and without blanks")
        return await self.known(*parts)

    async def known(self, key_id: str, secret: str) -> Caller:
        """The same for an id and the secret that goes with it."""
        # 2. Its entry, and its secret in constant time, also where there is no entry.
        entry = await self._entry(key_id) if _ID.fullmatch(key_id) else None
        given = sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
        same = hmac.compare_digest(given, _NOBODY if entry is None else entry.digest)
        if entry is None or not same:
            raise NotAuthenticated("key-unknown", "no such key is known here; ask the operator for one (`carnet access add`)")
        # 3. Only who knows the secret is told more.
        return self._standing(entry)

    async def now(self, key_id: str) -> Caller:
        """Whom a key makes a caller now: for what was issued to its holder earlier. Raises NotAuthenticated."""
        entry = await self._entry(key_id)
        if entry is None:
            raise NotAuthenticated("key-unknown", "the key that this token was issued for is not known here")
        return self._standing(entry)

    def forget(self, key_id: str) -> None:
        """The entry was changed here."""
        self._changes += 1
        self._remembered.pop(key_id, None)

    def _standing(self, entry: ApiKey) -> Caller:
        if entry.revoked_at is not None:
            raise NotAuthenticated("key-revoked", "this key was revoked; ask the operator for another")
        if entry.expires_at is not None and entry.expires_at <= self._now_ms():
            raise NotAuthenticated("key-expired", "this key has ended; ask the operator for another")
        return caller_with(entry)

    async def _entry(self, key_id: str) -> ApiKey | None:
        now = self._now_ms()
        found = self._remembered.get(key_id)
        if found is not None and 0 <= now - found[1] < REMEMBERED_MS:
            return found[0]
        changes = self._changes
        entry = await self.store.key(key_id)
        # Ids that nobody has are not remembered: they are as many as somebody sends.
        if entry is not None and changes == self._changes:
            self._remembered[key_id] = (entry, now)
            self._remembered.move_to_end(key_id)
            if len(self._remembered) > MAX_REMEMBERED:
                self._remembered.popitem(last=False)
        return entry


def caller_with(entry: ApiKey) -> Caller:
    """The caller who holds a key."""
    roles = frozenset(Role(role) for role in entry.roles)
    return Caller(f"key:{entry.id}", roles, scopes_of(roles), entry.vehicle, entry.person)
