"""Entries of the registry, made up and drawn, and a registry without a database."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import strategies as st

from connector.identity.participants import Admission, Claims, Participant, Profile, Recognised

CITY, INSURER, NOBODY = "did:web:city.example", "did:web:insurer.example", "did:web:nobody.example"
# No text of the registry has a NUL or half a surrogate pair in it.
_letters = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
_texts = st.text(_letters, min_size=1, max_size=20)
_addresses = st.from_regex(r"https://[a-z]{1,8}\.example(/[a-z0-9]{1,5}){0,2}", fullmatch=True)
_many = st.lists(_addresses, max_size=3).map(tuple)
_keys = st.dictionaries(st.sampled_from(["kty", "crv", "x", "y", "kid"]), st.text("abc", max_size=5))
_times = st.integers(0, 2**53)


def claims() -> st.SearchStrategy[Claims]:
    """Claims of every form."""
    return st.builds(
        Claims,
        kind=st.sampled_from([None, "company", "public-body", "research", "sme"]),
        sector=st.none() | _texts,
        membership=st.lists(_texts, max_size=3).map(tuple),
        country=st.sampled_from([None, "DE", "FR"]),
        gatekeeper=st.booleans(),
    )


def profiles() -> st.SearchStrategy[Profile]:
    """Profiles of every form; their keys are not meant to verify anything."""
    return st.builds(
        Profile,
        addresses=_many,
        announced=_many,
        keys=st.lists(_keys, max_size=2).map(tuple),
        issuer=st.none() | _addresses,
        tokens=st.sampled_from(["dpop", "bearer"]),
    )


def participants(ids: st.SearchStrategy[str] = _texts) -> st.SearchStrategy[Participant]:
    """Entries of every form."""
    return st.builds(
        Participant,
        id=ids,
        state=st.sampled_from(Admission),
        revision=st.integers(1, 2**53),
        profile=profiles(),
        claims=claims(),
        vouched_by=st.none() | _texts,
        vouched_at=st.none() | _times,
        reason=st.none() | _texts,
        recognised=st.none() | st.builds(Recognised, assurance=_texts, key=_texts, at=_times),
        created_at=_times,
        updated_at=_times,
    )


class KnownEntries:
    """A registry that is a dictionary."""

    def __init__(self, entries: Iterable[Participant] = ()) -> None:
        self.entries = {entry.id: entry for entry in entries}

    async def find(self, participant_id: str) -> Participant | None:
        """See Registry."""
        return self.entries.get(participant_id)


def reached_at(participant_id: str, *addresses: str) -> Participant:
    """An admitted participant with these addresses."""
    return Participant(id=participant_id, state=Admission.ADMITTED, profile=Profile(addresses=addresses))
