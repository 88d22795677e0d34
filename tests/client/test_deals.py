"""What a deal that came to nothing says: the counterparty's own code and reason, where it gave any."""

import pytest

from connector.client.deals import declined
from connector.client.local import Document

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
