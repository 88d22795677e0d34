"""Which addresses are a participant's, and who is asked about them."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from connector.identity.directory import Directory
from connector.identity.participants import Admission, Participant, Profile
from connector.protocol.errors import CallerError, NotFound
from tests.identity.entries import CITY, INSURER, NOBODY, KnownEntries, reached_at

BASE = "https://city.example/dsp/2025-1"
ENTRIES = KnownEntries([reached_at(CITY, BASE + "/", "https://second.example"), reached_at(INSURER)])


class Resolver:
    """Answers for participants that nobody wrote down, and notes who was asked for."""

    def __init__(self, *found: Participant) -> None:
        self.found = {participant.id: participant for participant in found}
        self.asked: list[str] = []

    async def __call__(self, participant_id: str) -> Participant | None:
        self.asked.append(participant_id)
        return self.found.get(participant_id)


async def test_an_address_is_one_of_the_participants_or_refused() -> None:
    directory = Directory(ENTRIES)
    assert await directory.known(CITY, None) == BASE
    assert await directory.known(CITY, BASE + "/tenant/") == BASE + "/tenant"
    assert await directory.owns(CITY, "https://second.example/x")
    with pytest.raises(CallerError) as foreign:
        await directory.known(CITY, "https://insurer.example/dsp/2025-1")
    assert foreign.value.code == "address-foreign"
    assert f"carnet peers update {CITY} --address" in foreign.value.reason


@pytest.mark.parametrize(("who", "command"), [(INSURER, "update"), (NOBODY, "add")])
async def test_who_cannot_be_reached_is_said_with_the_command_that_helps(who: str, command: str) -> None:
    with pytest.raises(NotFound) as unknown:
        await Directory(ENTRIES).address(who)
    assert unknown.value.code == "peer-unknown"
    assert f"`carnet peers {command} {who} --address URL`" in unknown.value.reason


async def test_whose_document_was_asked_in_vain_is_said() -> None:
    with pytest.raises(NotFound, match="its DID document gives none that can be used"):
        await Directory(ENTRIES, Resolver()).address(NOBODY)


@pytest.mark.parametrize("rest", ["/../../other", "/%2e%2e/other", "?x=1", "#x", "/a\\b", "-other", "/./x"])
async def test_what_could_lead_elsewhere_belongs_to_nobody(rest: str) -> None:
    assert not await Directory(ENTRIES).owns(CITY, BASE + rest)


async def test_who_is_not_known_and_says_where_to_look_is_asked_for() -> None:
    resolver = Resolver(Participant(id=NOBODY, state=Admission.UNVERIFIED, profile=Profile(announced=("https://new.example/",))))
    directory = Directory(ENTRIES, resolver)

    assert await directory.address(NOBODY) == "https://new.example"
    assert not await directory.owns(INSURER, BASE)
    assert resolver.asked == [NOBODY, INSURER]


@pytest.mark.parametrize(
    "known",
    [
        reached_at(CITY, BASE),
        replace(reached_at(CITY), profile=Profile(announced=(BASE,))),
        replace(reached_at(CITY), profile=Profile(keys=({"kty": "OKP"},))),
        replace(reached_at(CITY), profile=Profile(issuer="https://issuer.example")),
        replace(reached_at(CITY), state=Admission.SUSPENDED),
        replace(reached_at(CITY), state=Admission.EXPELLED),
    ],
)
async def test_nobody_is_asked_about_who_is_known_has_a_speaker_or_is_not_welcome(known: Participant) -> None:
    resolver = Resolver()
    await Directory(KnownEntries([known]), resolver).owns(CITY, "https://elsewhere.example")
    assert resolver.asked == []


async def test_nobody_is_asked_about_an_id_that_says_nothing_of_where() -> None:
    resolver = Resolver()
    with pytest.raises(NotFound):
        await Directory(ENTRIES, resolver).address("urn:uuid:1")
    assert resolver.asked == []
