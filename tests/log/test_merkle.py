"""The tree against RFC 6962 word for word; a proof that was touched anywhere is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.log.merkle import EMPTY_ROOT, MAX_SIZE, Edge, ProofWrong, check_consistency, check_inclusion, leaf_hash, node_hash
from connector.log.proofs import consistency, inclusion
from connector.protocol.errors import InvariantBroken
from tests.log import naive
from tests.log.growing import InMemory

LEAVES = [b"leaf %d" % number for number in range(70)]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]
ROOTS = [naive.root(LEAVES[:size]) for size in range(71)]
MANY = [b"%d" % number for number in range(3000)]
MANY_TILES = InMemory(MANY)
"""Of a larger log than is asked about: a tile of it begins with that of the smaller."""
TILES = InMemory(LEAVES)
sizes = st.integers(1, len(MANY))


def edge_of(leaves: Sequence[bytes]) -> Edge:
    return Edge.empty().extended(map(leaf_hash, leaves))


def refused(check: Callable[..., None], *given: object) -> str:
    with pytest.raises(ProofWrong) as caught:
        check(*given)
    return caught.value.code


def test_the_empty_tree() -> None:
    # RFC 6962, 2.1: the hash of nothing.
    assert Edge.empty().root() == EMPTY_ROOT == bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")


def test_the_root_at_each_size() -> None:
    edge = Edge.empty()
    for size in range(1, 71):
        edge = edge.extended([HASHES[size - 1]])
        assert edge == edge_of(LEAVES[:size])
        assert edge.size == size
        assert edge.root() == ROOTS[size]


@settings(max_examples=40)
@given(sizes, sizes)
def test_growing_in_steps_is_growing_at_once(first: int, last: int) -> None:
    first, last = sorted((first, last))
    assert edge_of(MANY[:first]).extended(map(leaf_hash, MANY[first:last])) == edge_of(MANY[:last])


@pytest.mark.parametrize(("size", "hashes"), [(-1, ()), (1, ()), (2, (b"", b"")), (MAX_SIZE + 1, (b"",))])
def test_an_edge_fits_its_size(size: int, hashes: tuple[bytes, ...]) -> None:
    with pytest.raises(InvariantBroken):
        Edge(size, hashes)


def test_every_inclusion_of_small_trees() -> None:
    for size in range(1, 71):
        for index in range(size):
            path = naive.path(index, LEAVES[:size])
            assert inclusion(TILES, index, size) == path
            check_inclusion(HASHES[index], index, size, path, ROOTS[size])


def test_every_consistency_of_small_trees() -> None:
    for size in range(71):
        for old in range(size + 1):
            path = naive.proof(old, LEAVES[:size])
            assert consistency(TILES, old, size) == path
            check_consistency(old, ROOTS[old], size, ROOTS[size], path)


@settings(max_examples=40)
@given(sizes, st.data())
def test_inclusion_in_larger_trees(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    path = inclusion(MANY_TILES, index, size)
    assert path == naive.path(index, MANY[:size])
    check_inclusion(leaf_hash(MANY[index]), index, size, path, edge_of(MANY[:size]).root())


@settings(max_examples=40)
@given(sizes, st.data())
def test_consistency_of_larger_trees(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(0, size))
    path = consistency(MANY_TILES, old, size)
    assert path == naive.proof(old, MANY[:size])
    check_consistency(old, edge_of(MANY[:old]).root(), size, edge_of(MANY[:size]).root(), path)


def flipped(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


def touched(path: list[bytes]) -> list[list[bytes]]:
    """Every way to change, drop, double or exchange one hash of a path."""
    changed = [[*path[:at], flipped(each), *path[at + 1 :]] for at, each in enumerate(path)]
    dropped = [[*path[:at], *path[at + 1 :]] for at in range(len(path))]
    doubled = [[*path[:at], path[at], *path[at:]] for at in range(len(path))]
    exchanged = [[*path[:at], path[at + 1], path[at], *path[at + 2 :]] for at in range(len(path) - 1)]
    return [*changed, *dropped, *doubled, *exchanged, [*path, HASHES[0]], [HASHES[0], *path]]


def test_a_touched_inclusion_is_refused() -> None:
    for size in (1, 2, 3, 7, 8, 33, 64, 70):
        for index in range(size):
            path, leaf, root = naive.path(index, LEAVES[:size]), HASHES[index], ROOTS[size]
            for wrong in touched(path):
                assert refused(check_inclusion, leaf, index, size, wrong, root)
            assert refused(check_inclusion, flipped(leaf), index, size, path, root)
            assert refused(check_inclusion, leaf, index, size, path, flipped(root))


def test_an_inclusion_holds_for_its_index_alone() -> None:
    for size in range(1, 71):
        for index in range(size):
            path = naive.path(index, LEAVES[:size])
            for other in {*range(-1, size + 1)} - {index}:
                assert refused(check_inclusion, HASHES[index], other, size, path, ROOTS[size])


def test_a_touched_consistency_is_refused() -> None:
    for old, size in [(0, 1), (0, 9), (1, 2), (3, 3), (4, 7), (6, 8), (8, 64), (33, 64), (63, 64), (69, 70), (64, 70)]:
        path = naive.proof(old, LEAVES[:size])
        for wrong in touched(path):
            assert refused(check_consistency, old, ROOTS[old], size, ROOTS[size], wrong)
        assert refused(check_consistency, old, flipped(ROOTS[old]), size, ROOTS[size], path)
        if old:
            assert refused(check_consistency, old, ROOTS[old], size, flipped(ROOTS[size]), path)
            assert refused(check_consistency, old - 1, ROOTS[old], size, ROOTS[size], path)


def test_a_history_that_was_changed_is_refused() -> None:
    changed = [b"other", *LEAVES[1:]]
    for old in range(1, 40):
        path = naive.proof(old, changed[:40])
        assert refused(check_consistency, old, ROOTS[old], 40, naive.root(changed[:40]), path)


@pytest.mark.parametrize(
    ("index", "size", "code"),
    [(0, 0, "proof-index"), (5, 5, "proof-index"), (-1, 5, "proof-index"), (0, MAX_SIZE + 1, "proof-index")],
)
def test_an_index_is_in_the_tree(index: int, size: int, code: str) -> None:
    assert refused(check_inclusion, HASHES[0], index, size, [], HASHES[0]) == code


def test_what_is_no_hash_is_refused() -> None:
    assert refused(check_inclusion, HASHES[0], 0, 2, [b"short"], ROOTS[2]) == "proof-form"
    assert refused(check_inclusion, HASHES[0], 0, 2, HASHES[:66], ROOTS[2]) == "proof-length"
    assert refused(check_inclusion, b"", 0, 1, [], b"") == "proof-form"
    assert refused(check_consistency, 1, b"", 2, ROOTS[2], [HASHES[1]]) == "proof-form"


def test_sizes_that_cannot_be() -> None:
    assert refused(check_consistency, 2, ROOTS[2], 1, ROOTS[1], []) == "proof-size"
    assert refused(check_consistency, -1, ROOTS[2], 1, ROOTS[1], []) == "proof-size"
    assert refused(check_consistency, 1, ROOTS[1], MAX_SIZE + 1, ROOTS[1], []) == "proof-size"
    assert refused(check_consistency, 0, ROOTS[1], 5, ROOTS[5], []) == "proof-root"
    assert refused(check_consistency, 1, ROOTS[1], 2, ROOTS[2], []) == "proof-length"


def test_a_path_in_the_largest_tree() -> None:
    path = [HASHES[0]] * 63
    root = HASHES[1]
    for step in path:
        root = node_hash(root, step)
    check_inclusion(HASHES[1], 0, MAX_SIZE, path, root)
    assert refused(check_inclusion, HASHES[1], 0, MAX_SIZE, path[1:], root) == "proof-length"
