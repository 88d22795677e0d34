"""Where participants can be reached, and which addresses are theirs.

A callback address must stand below an address of the participant that sends it: otherwise a peer could have us talk to
somebody else in its name. Addresses that the operator wrote down go before those that the participant announces.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Protocol
from urllib.parse import unquote

from connector.identity.participants import Participant
from connector.protocol.errors import CallerError, NotFound

DID_WEB: Final = "did:web:"
_ODD: Final = frozenset("?#\\")


class Entries(Protocol):
    """Where the entries of participants come from: the registry."""

    async def find(self, participant_id: str) -> Participant | None:
        """The entry of a participant, None for nobody we know."""


async def nobody(_: str) -> Participant | None:
    """For a directory that asks nobody about participants that it does not know."""
    return None


class Directory:
    """Addresses by participant.

    ``resolve`` is asked where no address is known of a participant whose id says where to look (``did:web``), unless its keys
    or its issuer were written down, which say that nobody else is to be asked, or it is not welcome.
    """

    def __init__(self, registry: Entries, resolve: Callable[[str], Awaitable[Participant | None]] = nobody) -> None:
        self._registry = registry
        self._resolve = resolve

    async def address(self, participant: str) -> str:
        """The first base address of a participant. Raises NotFound if we have none."""
        found = await self._addresses(participant)
        if not found:
            asked = self._resolve is not nobody and _to_resolve(participant, await self._registry.find(participant))
            tried = ", and its DID document gives none that can be used (the log says why)" if asked else ""
            raise NotFound(
                "peer-unknown", f"no address is known for participant {participant:.80}{tried}; {await self._remedy(participant)}"
            )
        return found[0]

    async def known(self, participant: str, address: str | None) -> str:
        """``address`` if it belongs to the participant, else its first one. Raises CallerError if it belongs to another."""
        if address is None:
            return await self.address(participant)
        if not await self.owns(participant, address):
            raise CallerError(
                "address-foreign", f"this address is not one of the participant's; {await self._remedy(participant)}"
            )
        return address.rstrip("/")

    async def owns(self, participant: str, address: str) -> bool:
        """Whether ``address`` is an address of the participant or stands below one.

        Whatever could lead elsewhere once a client has tidied the address up (dot segments, also encoded; a query, a
        fragment, a backslash) belongs to nobody.
        """
        wanted = address.rstrip("/")
        segments = unquote(wanted).split("/")
        if ".." in segments or "." in segments or _ODD.intersection(wanted):
            return False
        return any(wanted == own or wanted.startswith(own + "/") for own in await self._addresses(participant))

    async def _addresses(self, participant: str) -> tuple[str, ...]:
        entry = await self._registry.find(participant)
        if _to_resolve(participant, entry):
            entry = await self._resolve(participant)
        return () if entry is None else entry.profile.reached_at

    async def _remedy(self, participant: str) -> str:
        command = "add" if await self._registry.find(participant) is None else "update"
        return f"if it is right, write it down: `carnet peers {command} {participant:.200} --address URL`"


def _to_resolve(participant: str, entry: Participant | None) -> bool:
    if not participant.startswith(DID_WEB):
        return False
    if entry is None:
        return True
    profile = entry.profile
    return entry.state.welcome and not (profile.reached_at or profile.keys or profile.issuer)
