"""What a deal that came to nothing says: the counterparty's own code and reason, where it gave any."""

from collections.abc import Callable
from typing import Any

import pytest

from connector.client.deals import Declined, declined, fetch
from connector.client.local import Document, LocalClient, Refused

REQUESTED: Document = {"id": "urn:uuid:1", "kind": "negotiation", "state": "REQUESTED"}
STARTED: Document = {"id": "urn:uuid:2", "kind": "transfer", "state": "STARTED"}


@pytest.mark.parametrize(
    ("process", "code", "reason"),
    [
        (REQUESTED | {"pending": "decide-offer"}, "pending", "negotiation urn:uuid:1 waits for a person: decide-offer"),
        (
            REQUESTED | {"state": "TERMINATED", "ended": {"code": "policy-denied", "reason": ["not for", "this"]}},
            "policy-denied",
            "not for; this",
        ),
        (REQUESTED, "declined", "it is REQUESTED"),
        (
            STARTED | {"received": {"error": "the provider answered 403 (policy-denied): not for this"}},
            "policy-denied",
            "not for this",
        ),
        (STARTED | {"received": {"error": "the provider answered 502"}}, "declined", "the provider answered 502"),
        (STARTED | {"received": {"error": "no room is left"}}, "declined", "no room is left"),
    ],
)
def test_it_says_why(process: Document, code: str, reason: str) -> None:
    found = declined(process)
    assert (found.code, str(found)) == (code, f"{code}: {reason}")


class Channel(LocalClient):
    """A channel on which a transfer stands as it was put, and can be ended unless it has ended already."""

    def __init__(self, transfer: Document, *, over: bool = False) -> None:
        super().__init__()
        self.stands, self.over, self.acted = transfer, over, list[str]()

    async def transfer(self, agreement: str, **more: Any) -> Document:
        return self.stands

    async def wait(
        self,
        process_id: str,
        until: Callable[[Document], bool],
        timeout_s: float,
        seen: Callable[[Document], None] = lambda _: None,
    ) -> Document:
        return self.stands

    async def act(self, process_id: str, name: str, **content: Any) -> Document:
        self.acted.append(name)
        if self.over:
            raise Refused(409, "state", "it has ended")
        return self.stands


@pytest.mark.parametrize("over", [False, True])
async def test_a_fetch_of_which_nothing_came_is_ended(over: bool) -> None:
    channel = Channel(STARTED | {"received": {"error": "the provider answered 403 (ask-outside): no"}}, over=over)
    with pytest.raises(Declined, match="ask-outside: no"):
        await fetch(channel, "urn:uuid:3", "rows.parquet")
    assert channel.acted == ["terminate"]


async def test_a_fetch_that_has_ended_is_left_alone() -> None:
    channel = Channel(STARTED | {"state": "TERMINATED", "ended": {"code": "suspended", "reason": ["no"]}})
    with pytest.raises(Declined, match="suspended: no"):
        await fetch(channel, "urn:uuid:3", "rows.parquet")
    assert channel.acted == []
