"""What a request sees of the registry: fresh entries, who is welcome, and whom the settings name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from connector.app import MIGRATIONS
from connector.identity import registry as module
from connector.identity.interface import Standing
from connector.identity.participants import Admission, Claims, Participant, Profile
from connector.identity.registry import FRESH_S, SETTINGS, Registry, check_welcome
from connector.protocol.errors import PolicyDenied, Unavailable
from connector.settings.model import PeerSettings
from connector.store.engine import LostRace, Statement
from connector.store.migrate import migrate
from connector.store.registry import RegistryStore, insert_participant, update_participant
from connector.store.sqlite import SqliteEngine
from tests.identity.entries import CITY, INSURER, NOBODY, reached_at

NOW = 1_700_000_000_000
BASE = "https://city.example/dsp"
SUSPENDED = replace(reached_at(CITY), state=Admission.SUSPENDED, reason="invoice 7 is open", updated_at=NOW)


class Watch:
    """A clock that stands still until the test moves it."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[RegistryStore]:
    engine = await SqliteEngine.open(tmp_path / "control.db")
    await migrate(engine, MIGRATIONS, 1)
    yield RegistryStore(engine)
    await engine.close()


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def registry(store: RegistryStore, watch: Watch) -> Registry:
    return Registry(store, lambda: NOW, watch)


async def enter(store: RegistryStore, *entries: Participant) -> None:
    await store.engine.commit([insert_participant(entry) for entry in entries])


async def test_an_entry_is_at_most_a_second_old(registry: Registry, store: RegistryStore, watch: Watch) -> None:
    await enter(store, reached_at(CITY))
    assert await registry.find(CITY) == reached_at(CITY)
    await store.engine.commit([update_participant(SUSPENDED)])

    watch.at += FRESH_S * 0.99
    assert await registry.find(CITY) == reached_at(CITY)
    watch.at += FRESH_S * 0.01
    assert await registry.find(CITY) == replace(SUSPENDED, revision=2)


async def test_our_own_change_is_seen_at_once(registry: Registry, store: RegistryStore) -> None:
    await enter(store, reached_at(CITY))
    await registry.find(CITY)
    await store.engine.commit([update_participant(SUSPENDED)])
    registry.forget(CITY)
    assert await registry.find(CITY) == replace(SUSPENDED, revision=2)


async def test_who_is_not_known_may_be_known_the_next_moment(registry: Registry, store: RegistryStore) -> None:
    assert await registry.find(CITY) is None
    await enter(store, reached_at(CITY))
    assert await registry.find(CITY) == reached_at(CITY)


async def test_what_was_read_while_the_entry_changed_is_not_kept(store: RegistryStore, watch: Watch) -> None:
    class Changing(RegistryStore):
        """The entry changes after it was read, before it is given back."""

        async def participant(self, participant_id: str) -> Participant | None:
            found = await super().participant(participant_id)
            if found is not None and found.revision == 1:
                await self.engine.commit([update_participant(SUSPENDED)])
                watched.forget(CITY)
            return found

    watched = Registry(Changing(store.engine), lambda: NOW, watch)
    await enter(store, reached_at(CITY))
    assert await watched.find(CITY) == reached_at(CITY)
    assert await watched.find(CITY) == replace(SUSPENDED, revision=2)


async def test_what_is_kept_is_bounded(
    registry: Registry, store: RegistryStore, monkeypatch: pytest.MonkeyPatch, watch: Watch
) -> None:
    monkeypatch.setattr(module, "MAX_KEPT", 2)
    names = [f"did:web:{number}.example" for number in range(4)]
    await enter(store, *(reached_at(name) for name in names))
    for name in names:
        await registry.find(name)
    assert list(registry._kept) == names[2:]


async def test_the_standing_of_a_caller(registry: Registry, store: RegistryStore) -> None:
    await enter(store, replace(reached_at(CITY), revision=7), replace(SUSPENDED, id=INSURER))
    assert await registry.standing_of(CITY) == Standing(7)
    assert await registry.standing_of(NOBODY) is None
    with pytest.raises(PolicyDenied) as refusal:
        await registry.standing_of(INSURER)
    assert refusal.value.code == "participant-suspended"


def test_who_is_not_welcome_is_said_with_since_when_and_what_would_help() -> None:
    for state in (Admission.UNVERIFIED, Admission.ADMITTED):
        check_welcome(replace(SUSPENDED, state=state))
    with pytest.raises(PolicyDenied) as refusal:
        check_welcome(SUSPENDED)
    for part in (CITY, "2023-11-14T22:13:20Z", "invoice 7 is open", f"carnet peers admit {CITY}"):
        assert part in refusal.value.reason
    with pytest.raises(PolicyDenied) as refusal:
        check_welcome(replace(SUSPENDED, state=Admission.EXPELLED, reason=None))
    assert refusal.value.code == "participant-expelled"
    assert refusal.value.reason.endswith("--again")


async def test_the_settings_enter_who_is_not_known(registry: Registry, store: RegistryStore) -> None:
    assert await registry.find(CITY) is None
    await registry.settle([PeerSettings(id=CITY, addresses=(BASE,)), PeerSettings(id=INSURER)], anonymous="anybody")

    city, insurer, anybody = [await registry.find(who) for who in (CITY, INSURER, "anybody")]
    assert city == Participant(
        id=CITY,
        state=Admission.ADMITTED,
        profile=Profile(addresses=(BASE,)),
        vouched_by=SETTINGS,
        vouched_at=NOW,
        created_at=NOW,
        updated_at=NOW,
    )
    assert insurer is not None
    assert anybody is not None
    assert insurer.state is anybody.state is Admission.ADMITTED
    assert insurer.profile == anybody.profile == Profile()


async def test_who_is_known_stays_where_it_stands_and_gets_the_addresses_of_the_settings(
    registry: Registry, store: RegistryStore
) -> None:
    profile = Profile(addresses=("https://old.example",), tokens="bearer")
    city = replace(SUSPENDED, profile=profile, claims=Claims(sector="mobility"), vouched_by="the board", vouched_at=1)
    insurer = replace(city, id=INSURER)
    await enter(store, city, insurer)
    await registry.find(CITY)

    for _ in range(2):
        await registry.settle([PeerSettings(id=CITY, addresses=(BASE,)), PeerSettings(id=INSURER)], anonymous=INSURER)

    assert await registry.find(CITY) == replace(city, profile=replace(profile, addresses=(BASE,)), revision=2)
    assert await registry.find(INSURER) == insurer


class Racing(RegistryStore):
    """Another worker enters the participant first, or does nothing but win."""

    def __init__(self, store: RegistryStore, faster: Statement | None) -> None:
        super().__init__(self)  # type: ignore[arg-type]  # only the two calls that are used here
        self._store, self._faster = store, faster
        self.lost = 0

    async def participant(self, participant_id: str) -> Participant | None:
        return await self._store.participant(participant_id)

    async def commit(self, statements: Sequence[Statement]) -> None:
        """See Engine."""
        self.lost += 1
        if self._faster is not None:
            await self._store.engine.commit([self._faster])
        raise LostRace("somebody was faster")


async def test_another_worker_may_settle_at_the_same_time(store: RegistryStore) -> None:
    racing = Racing(store, insert_participant(reached_at(CITY, BASE)))
    await Registry(racing, lambda: NOW, Watch()).settle([PeerSettings(id=CITY, addresses=(BASE,))])
    assert (racing.lost, await store.participant(CITY)) == (1, reached_at(CITY, BASE))


async def test_a_race_that_is_lost_again_and_again_is_given_up(store: RegistryStore) -> None:
    racing = Racing(store, None)
    with pytest.raises(Unavailable, match="contended"):
        await Registry(racing, lambda: NOW, Watch()).settle([PeerSettings(id=CITY)])
    assert racing.lost == module.MAX_RACES
