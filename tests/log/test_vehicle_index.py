"""The index of vehicles: found by a vehicle's key, by nobody without it, and by nobody at all once the key is gone."""

from __future__ import annotations

import hmac
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.log.payloads import Payloads
from connector.log.persons import LogPersons, NoPersons
from connector.log.subjects import SubjectKeys
from connector.log.vehicle_index import (
    TAG_BYTES,
    IndexWrong,
    holds,
    opened_index,
    sealed_index,
    subject_name,
    tag,
    vehicle_name,
)
from connector.protocol.errors import Unavailable

CONTEXT, OTHER = "urn:uuid:00000000-0000-4000-8000-000000000001", "urn:uuid:00000000-0000-4000-8000-000000000002"
keys_of = st.lists(st.binary(min_size=32, max_size=32), max_size=40, unique=True)


def derive(label: bytes) -> bytes:
    return hmac.digest(b"root", label, "sha256")


@given(keys_of, st.binary(min_size=32, max_size=32))
def test_exactly_the_vehicles_of_an_index_are_found(keys: list[bytes], stranger: bytes) -> None:
    made = sealed_index(derive, CONTEXT, keys)
    tags = opened_index(derive, CONTEXT, made.ciphertext)
    assert made.vehicles == len(keys)
    assert made.sha256 == sha256(made.ciphertext).hexdigest()
    assert all(holds(tags, key, CONTEXT) for key in keys)
    assert holds(tags, stranger, CONTEXT) == (stranger in keys)


@given(keys_of)
def test_the_same_vehicles_give_the_same_bytes_in_any_order(keys: list[bytes]) -> None:
    assert sealed_index(derive, CONTEXT, keys) == sealed_index(derive, CONTEXT, [*reversed(keys), *keys])


def test_indexes_of_one_vehicle_have_nothing_in_common() -> None:
    key = b"k" * 32
    one, two = sealed_index(derive, CONTEXT, [key]), sealed_index(derive, OTHER, [key])
    assert tag(key, CONTEXT) != tag(key, OTHER)
    assert one.ciphertext[:TAG_BYTES] != two.ciphertext[:TAG_BYTES]


@pytest.mark.parametrize("place", [0, 12, -1])
def test_a_changed_byte_is_noticed(place: int) -> None:
    changed = bytearray(sealed_index(derive, CONTEXT, [b"k" * 32]).ciphertext)
    changed[place] ^= 1
    with pytest.raises(IndexWrong, match="not as it was sealed"):
        opened_index(derive, CONTEXT, bytes(changed))


def test_an_index_of_another_process_or_too_short_is_refused() -> None:
    made = sealed_index(derive, CONTEXT, [b"k" * 32])
    with pytest.raises(IndexWrong):
        opened_index(derive, OTHER, made.ciphertext)
    with pytest.raises(IndexWrong, match="too short"):
        opened_index(derive, CONTEXT, made.ciphertext[:10])


@pytest.fixture
def persons(tmp_path: Path) -> LogPersons:
    keys = SubjectKeys(tmp_path / "subjects.db", lambda: b"s" * 32)
    return LogPersons(keys, Payloads(tmp_path / "payloads.db"), lambda: 1000)


async def test_an_index_stands_beside_the_log_and_answers_by_pseudonym(persons: LogPersons) -> None:
    indexed = await persons.index(CONTEXT, ["VIN1", "VIN2", "VIN1"])
    assert indexed is not None
    assert indexed.vehicles == 2
    assert await persons.index(CONTEXT, ["VIN2", "VIN1"]) == indexed
    name = await persons.named("VIN1")
    assert await persons.among(CONTEXT, indexed.sha256, name) is True
    await persons.index(OTHER, ["VIN3"])
    assert await persons.among(CONTEXT, indexed.sha256, await persons.named("VIN3")) is False
    assert await persons.among(CONTEXT, indexed.sha256, await persons.named("never")) is None


async def test_an_erased_vehicle_is_found_no_more_and_what_it_was_found_by_is_known(persons: LogPersons) -> None:
    indexed = await persons.index(CONTEXT, ["VIN1", "VIN2"])
    assert indexed is not None
    name = await persons.named("VIN1")
    before = await persons.find(subject_name(name))
    assert before is not None
    assert await persons.erase(subject_name(name)) == before.key_id
    after = await persons.find(subject_name(name))
    assert after is not None
    assert (after.key, after.key_id, after.erased_at) == (None, before.key_id, 1000)
    assert await persons.among(CONTEXT, indexed.sha256, name) is None
    assert await persons.among(CONTEXT, indexed.sha256, await persons.named("VIN2")) is True
    later = await persons.index(OTHER, ["VIN1", "VIN2"])
    assert later is not None
    assert await persons.among(OTHER, later.sha256, name) is None


async def test_a_pseudonym_stays_when_our_secret_is_rotated(tmp_path: Path) -> None:
    with SubjectKeys(tmp_path / "subjects.db", lambda: b"s" * 32) as keys:
        name = vehicle_name(keys.derived, "VIN1")
    with SubjectKeys(tmp_path / "subjects.db", lambda: b"t" * 32, lambda: [b"s" * 32]) as keys:
        assert vehicle_name(keys.derived, "VIN1") == name
    assert len(name) == 32
    assert "VIN1" not in name


async def test_where_no_log_is_kept_nothing_is_indexed_or_erased() -> None:
    nobody = NoPersons()
    assert await nobody.index(CONTEXT, ["VIN1"]) is None
    assert await nobody.among(CONTEXT, "0" * 64, "0" * 32) is None
    assert await nobody.find("vehicle:x") is None
    assert await nobody.erase("vehicle:x") is None
    with pytest.raises(Unavailable, match="no log"):
        await nobody.named("VIN1")
