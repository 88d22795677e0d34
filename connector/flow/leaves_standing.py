"""What the contract log is told of participants, of what is on offer, and of our own keys: drafts of leaves. Pure.

Who has only shown who it is (a newcomer) is no entry of the log by that: nobody has decided anything about it, and whoever makes
up identities would fill the log.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

import orjson

from connector.identity import roster
from connector.identity.participants import Participant
from connector.log.leaf import Draft
from connector.protocol.messages import Document
from connector.store.rows import Published

_KEY: Final = ("kid", "algorithm", "certificate", "reason")


def of_participant(before: Participant | None, after: Participant) -> Draft:
    """An entry of the registry was made or changed."""
    if before is None:
        change = "entered"
    elif before.state is not after.state:
        change = "moved"
    else:
        vouched = (before.claims, before.vouched_by, before.vouched_at) != (after.claims, after.vouched_by, after.vouched_at)
        change = "vouched" if vouched else "profile"
    members = {"state": after.state.value, "change": change}
    return Draft("participant", members, party=after.id, payload=roster.document(after), at=after.updated_at)


def of_offer(dataset: Published, change: Literal["published", "changed", "withdrawn"], at_ms: int) -> Draft:
    """What is on offer of a dataset, and from when on; or that it is not any more."""
    offers = orjson.loads(dataset.document).get("hasPolicy", [])
    said: Document = {"dataset": dataset.id}
    if change != "withdrawn":
        said |= {"openTo": dataset.open_to, "offers": offers}
    members = {"change": change, "offers": len(offers)}
    return Draft("offer", members, asset=dataset.id, payload=said, at=at_ms)


def of_keys(listing: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Draft]]:
    """Everything that has happened to our keys, as ``KeyRing.listing`` has them: each with a name that no other has."""
    for key in listing:
        moments = (("made", key["since"] or 0), ("rotated", key["rotatedAt"]), ("revoked", key["revokedAt"]))
        for change, at in moments:
            if at is None:
                continue
            members = {"change": change, "use": key["use"]}
            if key["thumbprint"]:
                members["thumbprint"] = key["thumbprint"]
            said = {name: key[name] for name in _KEY if key[name] is not None}
            draft = Draft("key", members, payload=said, at=at)
            yield f"{change}:{key['use']}:{key['kid']}:{key['thumbprint'] or ''}", draft
