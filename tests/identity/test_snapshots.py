"""Keys as they were found: our own, pinned ones, those of DID documents; and snapshots that do not hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest

from connector.identity.did import own_document
from connector.identity.fetcher import FetchRefused
from connector.identity.keys import Use
from connector.identity.participants import Admission, Claims, Participant, Profile
from connector.identity.registry import Registry
from connector.identity.signing import new_signing_key
from connector.identity.snapshots import Snapshots, SnapshotWrong, key_of

US, THEM, PINNED, UNKNOWN = "did:web:us.example", "did:web:them.example", "urn:pinned", "urn:unknown"
KEY = new_signing_key("ES256", "agreement-1")
DOCUMENT = own_document(THEM, [(Use.AGREEMENT, KEY.public_jwk)], "https://them.example", "/dsp")


class Entries:
    async def find(self, participant_id: str) -> Participant | None:
        profile = Profile(keys=(dict(KEY.public_jwk),)) if participant_id == PINNED else Profile()
        if participant_id == UNKNOWN:
            return None
        claims = Claims(kind="public-body", country="DE")
        return Participant(
            id=participant_id, state=Admission.ADMITTED, profile=profile, claims=claims, vouched_by="Ada", reason="x"
        )


class Documents:
    def __init__(self) -> None:
        self.away = False

    async def document(self, url: str, *, fresh: bool = False, asked_by: str | None = None) -> Mapping[str, Any]:
        if self.away:
            raise FetchRefused("fetch-failed", "not now", retry=True)
        assert url == "https://them.example/.well-known/did.json"
        return DOCUMENT


def snapshots(documents: Documents | None = None) -> Snapshots:
    own = own_document(US, [(Use.AGREEMENT, KEY.public_jwk)], "https://us.example", "/dsp")
    registry = cast("Registry", Entries())
    return Snapshots(US, lambda: own, registry, documents or Documents(), lambda: 7, http_loopback=False)


@pytest.mark.parametrize(("who", "source"), [(US, "own"), (THEM, "did-document"), (PINNED, "pinned")])
async def test_a_key_is_kept_with_what_gave_it(who: str, source: str) -> None:
    kept = await snapshots().take(who, f"{who}#agreement-1")
    assert (kept["from"], kept["thumbprint"], kept["at"]) == (source, KEY.thumbprint, 7)
    assert key_of(kept).thumbprint == KEY.thumbprint
    if who != US:
        assert kept["registry"] == {"state": "admitted", "claims": {"kind": "public-body", "country": "DE"}}
    assert "Ada" not in str(kept)


async def test_where_there_is_no_key_nothing_is_kept() -> None:
    away = Documents()
    away.away = True
    assert await snapshots(away).take(THEM, f"{THEM}#agreement-1") == {}
    assert await snapshots().take(UNKNOWN, "x") == {}
    assert await snapshots().take(THEM, f"{THEM}#other") == {}
    assert await snapshots().take(PINNED, "other") == {}


@pytest.mark.parametrize(
    "change",
    [
        {"participant": None},
        {"participant": US},
        {"document": []},
        {"document": {"keys": []}},
        {"document": {"keys": [dict(KEY.public_jwk), dict(KEY.public_jwk)]}},
        {"document": {"keys": "x"}},
        {"kid": f"{THEM}#other"},
        {"thumbprint": "x"},
    ],
    ids=["nobody", "us", "no-document", "no-key", "key-twice", "no-list", "other-name", "other-thumbprint"],
)
async def test_a_snapshot_that_does_not_hold_gives_no_key(change: dict[str, Any]) -> None:
    kept = await snapshots().take(THEM, f"{THEM}#agreement-1")
    with pytest.raises(SnapshotWrong):
        key_of({**kept, **change})
