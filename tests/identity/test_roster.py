"""Who may move where in the registry, and entries as documents: nothing is lost, and every mistake is named."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from connector.identity import roster
from connector.identity.participants import Admission, Claims, Participant, Profile
from connector.identity.roster import Change, RosterRefused, check_entry, check_move, document, plan
from connector.protocol.errors import CallerError, Conflict
from tests.identity.entries import CITY, INSURER, PUBLIC_JWKS, reached_at, registries

OWN, NOW = "did:web:own.example", 1_700_000_000_000
U, A, S, E = Admission.UNVERIFIED, Admission.ADMITTED, Admission.SUSPENDED, Admission.EXPELLED
# Said again in other words, so that a slip in the table is seen.
LEGAL = {(U, A), (U, S), (U, E), (A, S), (A, E), (S, A), (S, E)}
BY_WORD = {(E, A)}


def make(documents: Any, *known: Participant, again: bool = False, now: int = NOW) -> tuple[Change, ...]:
    return plan(documents, {entry.id: entry for entry in known}, own_id=OWN, again=again, now_ms=now)


def applied(changes: tuple[Change, ...]) -> list[Participant]:
    return sorted((change.after for change in changes), key=lambda entry: entry.id)


def problems(documents: Any, *known: Participant, again: bool = False) -> list[tuple[int, str]]:
    with pytest.raises(RosterRefused) as refused:
        make(documents, *known, again=again)
    return [(problem.index, problem.field) for problem in refused.value.problems]


# -- moves ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("to", Admission)
@pytest.mark.parametrize("now", Admission)
def test_the_table_of_moves(now: Admission, to: Admission, again: bool) -> None:
    entry = replace(reached_at(CITY), state=now)
    if (now, to) in LEGAL or (again and (now, to) in BY_WORD):
        check_move(entry, to, again=again)
        return
    with pytest.raises(Conflict) as refused:
        check_move(entry, to, again=again)
    assert CITY in refused.value.reason
    assert ("explicitly" in refused.value.reason) is ((now, to) in BY_WORD)


@given(st.sampled_from(Admission), st.lists(st.tuples(st.sampled_from(Admission), st.booleans()), max_size=12))
def test_on_every_way_through_the_states(start: Admission, wishes: list[tuple[Admission, bool]]) -> None:
    entry, spoken = replace(reached_at(CITY), state=start), False
    for to, again in wishes:
        before = entry.state
        try:
            check_move(entry, to, again=again)
        except Conflict:
            continue
        entry, spoken = replace(entry, state=to), again
        assert to is not U, "nobody becomes unverified again"
        assert before is not to
        assert before is not E or (to is A and spoken), "who was expelled comes back as admitted, by a word"


@given(registries(), st.sampled_from(Admission), st.booleans())
def test_an_import_moves_as_the_acts_do(entries: list[Participant], to: Admission, again: bool) -> None:
    for entry in entries:
        wanted = replace(entry, state=to, vouched_by=None if to is U else "us", vouched_at=None, claims=Claims())
        allowed = entry.state is to or (entry.state, to) in LEGAL or (again and (entry.state, to) in BY_WORD)
        if allowed:
            assert all(change.after.state is to for change in make([document(wanted)], entry, again=again))
        else:
            assert problems([document(wanted)], entry, again=again) == [(0, "state")]


# -- round trip -------------------------------------------------------------------------------------------------------


@given(registries())
def test_what_was_exported_is_imported_as_it_was(entries: list[Participant]) -> None:
    documents = json.loads(json.dumps([document(entry) for entry in entries]))
    changes = make(documents)
    assert applied(changes) == entries
    assert [document(entry) for entry in applied(changes)] == documents
    assert all(change.shuts_out is not change.after.state.welcome for change in changes)


@given(registries())
def test_what_was_exported_changes_nothing_where_it_came_from(entries: list[Participant]) -> None:
    known = [replace(entry, revision=9) for entry in entries]
    assert make([document(entry) for entry in entries], *known) == ()


@given(registries(), registries())
def test_an_import_leaves_others_and_makes_its_own_what_they_say(before: list[Participant], told: list[Participant]) -> None:
    try:
        changes = make([document(entry) for entry in told], *before, again=True)
    except RosterRefused as refused:
        assert {problem.field for problem in refused.problems} == {"state"}  # noqa: PT017 - either outcome is fine
        return
    registry = {entry.id: entry for entry in before} | {change.after.id: change.after for change in changes}
    for entry in told:
        shown, wanted = document(registry[entry.id]), document(entry)
        for since in ("createdAt", "updatedAt"):
            shown.pop(since), wanted.pop(since)
        assert shown == wanted
    assert registry.keys() == {entry.id for entry in [*before, *told]}


def test_missing_times_are_now_and_a_word_keeps_its_own() -> None:
    told = {"id": CITY, "state": "admitted", "vouchedBy": "the board"}
    (new,) = applied(make([told]))
    assert (new.created_at, new.updated_at, new.vouched_at) == (NOW, NOW, NOW)
    assert make([told], new, now=NOW + 5) == ()
    (changed,) = applied(make([{**told, "vouchedBy": "the mayor", "createdAt": 1, "updatedAt": 2}], new, now=NOW + 5))
    assert (changed.created_at, changed.updated_at, changed.vouched_at) == (NOW, NOW + 5, NOW + 5)
    (unvouched,) = applied(make([{"id": CITY, "state": "suspended"}], new, now=NOW + 6))
    assert (unvouched.vouched_by, unvouched.vouched_at) == (None, None)


def test_since_when_somebody_is_not_welcome_is_kept() -> None:
    out = replace(reached_at(CITY), state=S, updated_at=7)
    (other_reason,) = make([{**document(out), "reason": "late"}], out)
    (expelled,) = make([{**document(out), "state": "expelled"}], out)
    assert (other_reason.after.updated_at, expelled.after.updated_at) == (7, NOW)
    assert not other_reason.shuts_out
    assert not expelled.shuts_out


# -- problems ---------------------------------------------------------------------------------------------------------

GOOD = {"id": CITY, "state": "admitted", "vouchedBy": "us"}


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        (7, ["-"]),
        ({}, ["id", "state"]),
        ({**GOOD, "id": ""}, ["id"]),
        ({**GOOD, "id": "two words"}, ["id"]),
        ({**GOOD, "state": "friend"}, ["state"]),
        ({**GOOD, "mood": 1, "revision": 2}, ["mood", "revision"]),
        ({**GOOD, "profile": []}, ["profile"]),
        (
            {
                **GOOD,
                "profile": {"addresses": ["ftp://x"], "tokens": "magic", "x": 1},
                "claims": {"kind": "club", "country": "de"},
            },
            ["profile.x", "profile.addresses", "profile.tokens", "claims.kind", "claims.country"],
        ),
        ({**GOOD, "profile": {"keys": [PUBLIC_JWKS[0], {"kty": "oct", "k": "AA"}]}}, ["profile.keys[1]"]),
        ({**GOOD, "profile": {"keys": [{**PUBLIC_JWKS[0], "d": "AA"}]}}, ["profile.keys[0]"]),
        ({**GOOD, "profile": {"keys": [{**PUBLIC_JWKS[0], "note": ["\0"]}]}}, ["profile.keys"]),
        ({**GOOD, "reason": "a\0b"}, ["reason"]),
        ({**GOOD, "reason": "\ud800"}, ["reason"]),
        ({**GOOD, "vouchedAt": -1}, ["vouchedAt"]),
        ({"id": CITY, "state": "admitted"}, ["vouchedBy"]),
        ({**GOOD, "state": "unverified"}, ["vouchedBy"]),
        ({"id": CITY, "state": "suspended", "claims": {"kind": "sme"}, "vouchedAt": 3}, ["claims", "vouchedAt"]),
        ({**GOOD, "id": OWN}, ["id"]),
    ],
)
def test_every_mistake_of_a_document_is_named(given: Any, fields: list[str]) -> None:
    assert problems([GOOD | {"id": INSURER}, given]) == [(1, field) for field in fields]


def test_every_mistake_of_all_documents_is_named_and_nothing_is_planned() -> None:
    expelled = replace(reached_at(INSURER), state=E)
    given = [GOOD, {}, GOOD, {**GOOD, "id": INSURER}]
    assert problems(given, expelled) == [(1, "id"), (1, "state"), (2, "id"), (3, "state")]


def test_the_text_says_the_first_and_how_many_more() -> None:
    with pytest.raises(RosterRefused) as refused:
        make([{}] * 40)
    assert refused.value.code == "import-invalid"
    assert "0: id: is missing" in refused.value.reason
    assert refused.value.reason.endswith("; and 30 more")


def test_how_many_are_imported_at_once_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster, "MAX_IMPORTED", 2)
    with pytest.raises(RosterRefused, match="at most 2"):
        make([GOOD] * 3)


def test_an_entry_is_checked_by_the_same_rules() -> None:
    good = Participant(id=CITY, state=A, vouched_by="us", vouched_at=1, profile=Profile(keys=PUBLIC_JWKS))
    check_entry(good)
    with pytest.raises(CallerError) as refused:
        check_entry(replace(good, vouched_by=None, claims=Claims(kind="sme")))
    assert (refused.value.code, refused.value.reason.partition(":")[0]) == ("entry-invalid", "vouchedBy")
