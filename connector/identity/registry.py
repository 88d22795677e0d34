"""The registry of participants as every request sees it: entries at most a second old, and those that the settings name.

The truth is in the database (``connector/store/registry.py``); what is kept here is a hint for reads. A message that changes
state checks the entry again inside its transaction. Knows no HTTP and no cryptography.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from msgspec.structs import replace

from connector.identity.interface import Standing
from connector.identity.participants import Admission, Participant, Profile
from connector.protocol.errors import PolicyDenied, Unavailable
from connector.settings.model import PeerSettings
from connector.store.engine import LostRace, Statement
from connector.store.registry import RegistryStore, insert_participant, update_participant

FRESH_S: Final = 1.0
MAX_KEPT: Final = 4096
MAX_RACES: Final = 20
SETTINGS: Final = "settings"
Tell = Callable[[Participant | None, Participant], Awaitable[list[Statement]]]
"""What an entry that was made or changed has to be committed with: before and after."""


class Registry:
    """Entries of participants, read through a small cache. ``monotonic`` gives seconds; ``now_ms`` is the wall clock."""

    def __init__(self, store: RegistryStore, now_ms: Callable[[], int], monotonic: Callable[[], float]) -> None:
        self.store = store
        self._now_ms = now_ms
        self._monotonic = monotonic
        self._kept: dict[str, tuple[float, Participant]] = {}
        self._changes = 0

    async def find(self, participant_id: str) -> Participant | None:
        """The entry, as it was at most ``FRESH_S`` seconds ago; None for nobody we know, which is never kept."""
        now = self._monotonic()
        kept = self._kept.get(participant_id)
        if kept is not None and now - kept[0] < FRESH_S:
            return kept[1]
        changes = self._changes
        found = await self.store.participant(participant_id)
        self._kept.pop(participant_id, None)
        # What was read while an entry changed may be the entry before the change.
        if found is not None and changes == self._changes:
            if len(self._kept) >= MAX_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[participant_id] = (now, found)
        return found

    def forget(self, participant_id: str) -> None:
        """We have changed this entry: it is read again."""
        self._changes += 1
        self._kept.pop(participant_id, None)

    async def standing_of(self, participant_id: str) -> Standing | None:
        """What a message of this participant checks again when it is committed; None for one that nobody knows.

        Raises PolicyDenied for one that is not welcome.
        """
        found = await self.find(participant_id)
        if found is None:
            return None
        check_welcome(found)
        return Standing(found.revision)

    async def settle(self, peers: Sequence[PeerSettings], anonymous: str | None = None, tell: Tell | None = None) -> None:
        """At the start: enter those that the settings name and the registry does not know yet, as admitted.

        Who is known stays where it stands. Where the settings give addresses, they are the participant's. ``anonymous`` is the
        participant of callers without identity, in development. ``tell`` gives what is committed with a change. Harmless when
        repeated, and by several workers at once.
        """
        for peer in peers:
            await self._settle(peer.id, peer.addresses, tell)
        if anonymous is not None:
            await self._settle(anonymous, (), tell)

    async def _settle(self, participant_id: str, addresses: tuple[str, ...], tell: Tell | None) -> None:
        for _ in range(MAX_RACES):
            known = await self.store.participant(participant_id)
            now = self._now_ms()
            if known is None:
                entry = _entered(participant_id, addresses, now)
                statement = insert_participant(entry)
            elif addresses and known.profile.addresses != addresses:
                profile = replace(known.profile, addresses=addresses)
                entry = with_profile(known, profile, now)
                statement = update_participant(entry)
            else:
                return
            try:
                await self.store.engine.commit([statement, *([] if tell is None else await tell(known, entry))])
            except LostRace:
                continue
            self.forget(participant_id)
            return
        raise Unavailable("contended", f"the entry of {participant_id:.80} is being changed by too many at once; start again")


def _entered(participant_id: str, addresses: tuple[str, ...], now: int) -> Participant:
    return Participant(
        id=participant_id,
        state=Admission.ADMITTED,
        profile=Profile(addresses=addresses),
        vouched_by=SETTINGS,
        vouched_at=now,
        created_at=now,
        updated_at=now,
    )


def with_profile(known: Participant, profile: Profile, now_ms: int) -> Participant:
    """The entry with another profile. ``updated_at`` of one that is not welcome stays what it is: since when it is not."""
    return replace(known, profile=profile, updated_at=now_ms if known.state.welcome else known.updated_at)


def check_welcome(participant: Participant) -> None:
    """Raises PolicyDenied with who is not welcome, since when, why, and what would help."""
    if participant.state.welcome:
        return
    since = datetime.fromtimestamp(participant.updated_at / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    why = f" ({participant.reason:.200})" if participant.reason else ""
    again = " --again" if participant.state is Admission.EXPELLED else ""
    raise PolicyDenied(
        f"participant-{participant.state.value}",
        f"{participant.id:.200} is {participant.state.value} here since {since}{why}; nothing is begun or taken until the "
        f"operator admits it: carnet peers admit {participant.id:.200}{again}",
    )
