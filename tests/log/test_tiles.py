"""Names and forms of the files of a log, and which of them a growth writes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.log.leaf import MAX_LEAF_BYTES
from connector.log.merkle import MAX_SIZE, leaf_hash
from connector.log.tiles import (
    MAX_BUNDLE_BYTES,
    WIDTH,
    LogDamaged,
    Tile,
    bundle_path,
    decode_bundle,
    encode_bundle,
    grown,
    hashes_of,
    subtree,
    tile_path,
    tiles_of,
    width_at,
)
from connector.protocol.errors import InvariantBroken
from tests.log import naive

sizes = st.integers(0, 1 << 20)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (tile_path(0, 0), "tile/0/000"),
        (tile_path(0, 0, 1), "tile/0/000.p/1"),
        (tile_path(1, 999, 255), "tile/1/999.p/255"),
        # The examples of C2SP tlog-tiles.
        (tile_path(0, 1234067), "tile/0/x001/x234/067"),
        (tile_path(2, 1000), "tile/2/x001/000"),
        (bundle_path(1234067, 8), "tile/entries/x001/x234/067.p/8"),
        (bundle_path(5), "tile/entries/005"),
    ],
)
def test_where_a_tile_stands(path: str, expected: str) -> None:
    assert path == expected


@pytest.mark.parametrize(
    ("level", "number", "width"), [(-1, 0, 256), (8, 0, 256), (0, -1, 256), (0, 0, 0), (0, 0, 257), (0, MAX_SIZE, 256)]
)
def test_there_is_no_such_tile(level: int, number: int, width: int) -> None:
    with pytest.raises(InvariantBroken):
        tile_path(level, number, width)


@given(st.integers(0, MAX_SIZE // WIDTH), st.integers(0, MAX_SIZE // WIDTH))
def test_no_two_tiles_have_one_name(one: int, other: int) -> None:
    assert (tile_path(0, one) == tile_path(0, other)) is (one == other)


def test_the_tiles_of_a_tree() -> None:
    assert tiles_of(0) == []
    assert tiles_of(255) == [Tile(0, 0, 255)]
    assert tiles_of(256) == [Tile(0, 0, 256)]
    assert tiles_of(70_000, 1) == [Tile(1, 0, 256), Tile(1, 1, 17)]
    assert width_at(0, 273, 70_000) == 112
    assert width_at(2, 0, 70_000) == 1
    assert width_at(3, 0, 70_000) == 0


@pytest.mark.parametrize(
    ("old", "new", "written"),
    [
        (0, 0, []),
        (5, 5, []),
        (0, 1, [Tile(0, 0, 1)]),
        (1, 255, [Tile(0, 0, 255)]),
        (255, 256, [Tile(0, 0, 256), Tile(1, 0, 1)]),
        (256, 257, [Tile(0, 1, 1)]),
        (200, 600, [Tile(0, 0, 256), Tile(0, 1, 256), Tile(0, 2, 88), Tile(1, 0, 2)]),
        (65_535, 65_536, [Tile(0, 255, 256), Tile(1, 0, 256), Tile(2, 0, 1)]),
    ],
)
def test_what_a_growth_writes(old: int, new: int, written: list[Tile]) -> None:
    assert grown(old, new) == written


@given(sizes, sizes)
def test_a_growth_writes_what_changes_and_nothing_else(old: int, new: int) -> None:
    old, new = sorted((old, new))
    before = {tile for level in range(4) for tile in tiles_of(old, level)}
    after = {tile for level in range(4) for tile in tiles_of(new, level)}
    assert set(grown(old, new)) == after - before


@pytest.mark.parametrize(("old", "new"), [(2, 1), (-1, 1), (0, MAX_SIZE + 1)])
def test_a_log_does_not_shrink(old: int, new: int) -> None:
    with pytest.raises(InvariantBroken):
        grown(old, new)


def test_a_subtree_is_that_of_the_tree() -> None:
    leaves = [b"%d" % number for number in range(256)]
    hashes = [leaf_hash(leaf) for leaf in leaves]
    assert subtree(hashes) == naive.root(leaves)
    assert subtree(hashes[:1]) == hashes[0]
    assert hashes_of(b"".join(hashes)) == hashes
    for wrong in ([], hashes[:3]):
        with pytest.raises(InvariantBroken):
            subtree(wrong)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=WIDTH))
def test_bundles_go_there_and_back(entries: list[bytes]) -> None:
    assert decode_bundle(encode_bundle(entries)) == entries


def test_the_form_of_a_bundle() -> None:
    assert encode_bundle([b"ab", b""]) == b"\0\2ab\0\0"
    largest = encode_bundle([b"x" * MAX_LEAF_BYTES] * WIDTH)
    assert len(largest) == MAX_BUNDLE_BYTES
    assert len(decode_bundle(largest)) == WIDTH


@pytest.mark.parametrize("entries", [[], [b""] * 257, [b"x" * 65_536]])
def test_what_no_bundle_holds(entries: list[bytes]) -> None:
    with pytest.raises(InvariantBroken):
        encode_bundle(entries)


@pytest.mark.parametrize(
    ("data", "code", "place"),
    [
        (b"", "bundle-empty", "here"),
        (b"\0", "bundle-torn", "here, entry 0"),
        (b"\0\2ab\0", "bundle-torn", "here, entry 1"),
        (b"\0\2ab\0\3ab", "bundle-torn", "here, entry 1"),
        (b"\0\0" * 257, "bundle-overfull", "here, entry 256"),
    ],
)
def test_a_damaged_bundle_is_refused(data: bytes, code: str, place: str) -> None:
    with pytest.raises(LogDamaged) as caught:
        decode_bundle(data, "here")
    assert (caught.value.code, caught.value.place) == (code, place)


@given(st.binary(max_size=2000))
def test_any_bytes_are_a_bundle_or_damaged(data: bytes) -> None:
    try:
        entries = decode_bundle(data)
    except LogDamaged:
        return
    assert encode_bundle(entries) == data
