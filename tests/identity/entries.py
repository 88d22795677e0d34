"""Entries of the registry, made up and drawn, and a registry without a database."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import strategies as st
from msgspec.structs import replace

from connector.identity.participants import Admission, Claims, Participant, Profile, Recognised

CITY, INSURER, NOBODY = "did:web:city.example", "did:web:insurer.example", "did:web:nobody.example"
# No text of the registry has a NUL or half a surrogate pair in it.
_letters = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
_texts = st.text(_letters, min_size=1, max_size=6)
_addresses = st.sampled_from(
    ["https://a.example", "https://a.example/dsp/2025-1", "http://127.0.0.1:8282/x/", "https://b.example:444"]
)
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


PUBLIC_JWKS = (
    {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    {
        "kty": "EC",
        "crv": "P-256",
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
        "kid": "one",
    },
)
_ids = st.sampled_from([CITY, INSURER, NOBODY, "did:web:localhost%3A8282:a", "urn:participant:7", "städte"])


@st.composite
def kept(draw: st.DrawFn) -> Participant:
    """An entry as the registry may hold it: its keys are keys, and whoever has claims was vouched for."""
    entry = draw(participants(_ids))
    vouched = (
        draw(st.booleans()) if entry.state in (Admission.SUSPENDED, Admission.EXPELLED) else entry.state is Admission.ADMITTED
    )
    keys = draw(st.lists(st.sampled_from(PUBLIC_JWKS), max_size=2, unique_by=str).map(tuple))
    return replace(
        entry,
        revision=1,
        recognised=None,
        profile=replace(entry.profile, keys=keys),
        claims=entry.claims if vouched else Claims(),
        vouched_by=draw(_texts) if vouched else None,
        vouched_at=draw(_times) if vouched else None,
    )


def registries() -> st.SearchStrategy[list[Participant]]:
    """All the entries of a registry, in order of their ids."""
    return st.lists(kept(), max_size=3, unique_by=lambda entry: entry.id).map(
        lambda all_: sorted(all_, key=lambda entry: entry.id)
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
