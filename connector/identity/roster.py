"""The rules of the registry: who may move where, and entries as documents that are exported, looked at and imported.

Pure: an entry goes in, an entry or a list of problems comes out. Every problem of a document is named with its place, so that a
person mends a file once and not once for each mistake. Imports the entries, the gate (for keys) and the error tree only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeVar, cast

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from connector.identity.gate import KeyRefused, public_key
from connector.identity.participants import Address, Admission, Claims, Participant, Profile, Text
from connector.protocol.errors import CallerError, Conflict

MAX_IMPORTED: Final = 10_000
MAX_SAID: Final = 50
Document = dict[str, Any]
Form = TypeVar("Form", bound=Struct)
_Id = Annotated[str, Meta(min_length=1, max_length=2048, pattern=r"^[^\s\x00-\x1f\x7f]+$")]
_Reason = Annotated[str, Meta(min_length=1, max_length=2000)]
_Time = Annotated[int, Meta(ge=0, le=1 << 53)]

# From each state to the others; True: only by a person's explicit word ("again").
MOVES: Final[Mapping[Admission, Mapping[Admission, bool]]] = {
    Admission.UNVERIFIED: {Admission.ADMITTED: False, Admission.SUSPENDED: False, Admission.EXPELLED: False},
    Admission.ADMITTED: {Admission.SUSPENDED: False, Admission.EXPELLED: False},
    Admission.SUSPENDED: {Admission.ADMITTED: False, Admission.EXPELLED: False},
    Admission.EXPELLED: {Admission.ADMITTED: True},
}


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", forbid_unknown_fields=True):
    """An entry as a document. Times are ms since the epoch; those that are missing are the time of the import."""

    id: _Id
    state: Admission
    profile: Profile = field(default_factory=Profile)
    claims: Claims = field(default_factory=Claims)
    vouched_by: Text | None = None
    vouched_at: _Time | None = None
    reason: _Reason | None = None
    created_at: _Time | None = None
    updated_at: _Time | None = None


class ProfileChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The members of a profile that get another value; those that are left out stay."""

    addresses: Annotated[tuple[Address, ...], Meta(max_length=16)] | UnsetType = UNSET
    keys: Annotated[tuple[dict[str, Any], ...], Meta(max_length=16)] | UnsetType = UNSET
    issuer: Address | UnsetType | None = UNSET
    tokens: Literal["dpop", "bearer"] | UnsetType = UNSET

    def of(self, profile: Profile) -> Profile:
        """The changed profile."""
        given = {name: getattr(self, name) for name in self.__struct_fields__}
        return msgspec.structs.replace(profile, **{name: value for name, value in given.items() if value is not UNSET})


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong in which field of which document (``index``, from 0)."""

    index: int
    field: str
    reason: str

    def __str__(self) -> str:
        return f"{self.index}: {self.field}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of an entry; ``before`` is None for a new one."""

    before: Participant | None
    after: Participant

    @property
    def shuts_out(self) -> bool:
        """It was welcome, or unknown, and is not welcome any more."""
        return not self.after.state.welcome and (self.before is None or self.before.state.welcome)


class RosterRefused(CallerError):
    """Nothing was imported. ``problems`` has them all, the reason the first of them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        said = "; ".join(str(problem) for problem in problems[:MAX_SAID])
        more = f"; and {len(problems) - MAX_SAID} more" if len(problems) > MAX_SAID else ""
        super().__init__("import-invalid", f"nothing was imported (entry: field: what is wrong): {said}{more}")
        self.problems = tuple(problems)


def check_move(participant: Participant, to: Admission, *, again: bool) -> None:
    """Raises Conflict if a participant may not move there now."""
    reason = _why_not(participant.state, to, again=again)
    if reason is not None:
        raise Conflict("not-possible-now", f"{participant.id:.200} {reason}")


def _why_not(now: Admission, to: Admission, *, again: bool) -> str | None:
    needs_word = MOVES[now].get(to)
    if needs_word is None:
        may = ", ".join(state.value for state in MOVES[now])
        return f"is {now.value}, from where it can become: {may}"
    if needs_word and not again:
        return "is expelled; if it may come back, say so explicitly (again; on the command line --again)"
    return None


def document(participant: Participant) -> Document:
    """The entry as a document: everything but how it was last recognised here."""
    entry = Entry(
        id=participant.id,
        state=participant.state,
        profile=participant.profile,
        claims=participant.claims,
        vouched_by=participant.vouched_by,
        vouched_at=participant.vouched_at,
        reason=participant.reason,
        created_at=participant.created_at,
        updated_at=participant.updated_at,
    )
    return cast("Document", msgspec.json.decode(msgspec.json.encode(entry)))


def check_entry(participant: Participant) -> None:
    """Raises CallerError naming the first thing that is wrong with an entry."""
    _, problems = read_entry(0, document(participant))
    if problems:
        raise CallerError("entry-invalid", f"{problems[0].field}: {problems[0].reason}")


def read_entry(index: int, given: Any) -> tuple[Entry | None, list[Problem]]:
    """One document as an entry, or all that is wrong with it."""
    problems: list[Problem] = []
    entry = _read(Entry, given, "", index, problems)
    if entry is None:
        return None, problems
    problems += [Problem(index, where, reason) for where, reason in _contradictions(entry)]
    return (None if problems else entry), problems


def plan(
    documents: Sequence[Any], known: Mapping[str, Participant], *, own_id: str, again: bool, now_ms: int
) -> tuple[Change, ...]:
    """What importing ``documents`` changes, given the entries that are ``known``. Raises RosterRefused with every problem."""
    if len(documents) > MAX_IMPORTED:
        raise RosterRefused([Problem(MAX_IMPORTED, "-", f"at most {MAX_IMPORTED} entries at once; split the file")])
    problems: list[Problem] = []
    changes: list[Change] = []
    seen: set[str] = set()
    for index, given in enumerate(documents):
        entry, found = read_entry(index, given)
        problems += found
        if entry is None:
            continue
        before = known.get(entry.id)
        if entry.id in seen:
            problems.append(Problem(index, "id", "is in the list twice"))
        if entry.id == own_id:
            problems.append(Problem(index, "id", "is our own participant id; leave it out"))
        seen.add(entry.id)
        reason = None if before is None or before.state is entry.state else _why_not(before.state, entry.state, again=again)
        if reason is not None:
            problems.append(Problem(index, "state", reason))
        changes.append(Change(before, _becomes(before, entry, now_ms)))
    if problems:
        raise RosterRefused(problems)
    return tuple(change for change in changes if change.before != change.after)


def _becomes(before: Participant | None, entry: Entry, now_ms: int) -> Participant:
    base = before or Participant(
        id=entry.id,
        state=entry.state,
        created_at=now_ms if entry.created_at is None else entry.created_at,
        updated_at=now_ms if entry.updated_at is None else entry.updated_at,
    )
    after = msgspec.structs.replace(
        base,
        state=entry.state,
        profile=entry.profile,
        claims=entry.claims,
        vouched_by=entry.vouched_by,
        vouched_at=_vouched_at(before, entry, now_ms),
        reason=entry.reason,
    )
    # Of one that was not welcome before and is not now, updated_at goes on to say since when.
    same_door = before is None or after == before or (after.state is before.state and not after.state.welcome)
    return after if same_door else msgspec.structs.replace(after, updated_at=now_ms)


def _vouched_at(before: Participant | None, entry: Entry, now_ms: int) -> int | None:
    """When the word was given: as the document says, else when the same word was given before, else now."""
    if entry.vouched_by is None or entry.vouched_at is not None:
        return entry.vouched_at
    if before is not None and before.vouched_by == entry.vouched_by:
        return before.vouched_at
    return now_ms


def _read(form: type[Form], given: Any, prefix: str, index: int, problems: list[Problem]) -> Form | None:
    """A struct, field by field, so that one mistake does not hide the next."""
    if not isinstance(given, Mapping):
        problems.append(Problem(index, prefix.rstrip(".") or "-", "must be an object"))
        return None
    fields = {each.encode_name: each for each in msgspec.structs.fields(form)}
    before = len(problems)
    problems += [Problem(index, f"{prefix}{name}", "is not known here") for name in given if name not in fields]
    values: dict[str, Any] = {}
    for name, each in fields.items():
        if name not in given:
            if each.required:
                problems.append(Problem(index, f"{prefix}{name}", "is missing"))
        elif isinstance(each.type, type) and issubclass(each.type, Struct):
            values[each.name] = _read(each.type, given[name], f"{prefix}{name}.", index, problems)
        else:
            try:
                values[each.name] = msgspec.convert(given[name], each.type)
            except msgspec.ValidationError as error:
                problems.append(Problem(index, f"{prefix}{name}", str(error)))
            if _unstorable(given[name]):
                problems.append(Problem(index, f"{prefix}{name}", "has a character in it that cannot be stored (U+0000)"))
    return form(**values) if len(problems) == before else None


def _contradictions(entry: Entry) -> Iterator[tuple[str, str]]:
    for number, jwk in enumerate(entry.profile.keys):
        try:
            public_key(jwk)
        except KeyRefused as error:
            yield f"profile.keys[{number}]", error.reason
    if entry.state is Admission.ADMITTED and entry.vouched_by is None:
        yield "vouchedBy", "must say who has vouched for a participant that is admitted"
    if entry.state is Admission.UNVERIFIED and entry.vouched_by is not None:
        yield "vouchedBy", "must be left out for a participant that is unverified; or admit it"
    if entry.claims != Claims() and entry.vouched_by is None:
        yield "claims", "are what somebody has verified: say in vouchedBy who"
    if entry.vouched_at is not None and entry.vouched_by is None:
        yield "vouchedAt", "is the time of a word that nobody gave: say in vouchedBy who"


def _unstorable(value: Any) -> bool:
    """PostgreSQL keeps no text with a NUL in it, and UTF-8 no half of a pair."""
    match value:
        case str():
            return "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value)
        case Mapping():
            return any(_unstorable(name) or _unstorable(each) for name, each in value.items())
        case list() | tuple():
            return any(_unstorable(each) for each in value)
        case _:
            return False
