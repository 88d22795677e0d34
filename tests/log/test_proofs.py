"""Proofs out of tiles, and the file that carries one."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.log.merkle import MAX_PATH, MAX_SIZE, ProofWrong, check_inclusion
from connector.log.note import Checkpoint, NoteRefused, signed
from connector.log.proofs import (
    HEADER,
    MAX_EXTRA_BYTES,
    MAX_PROOF_CHARS,
    TlogProof,
    Tree,
    check_tlog_proof,
    consistency,
    inclusion,
    read_tlog_proof,
    root_of,
    tlog_proof,
)
from connector.log.tiles import LogDamaged, tile_path
from connector.protocol.errors import InvariantBroken
from tests.log import naive
from tests.log.growing import InMemory, a_signer

ENTRIES = [b"entry %d" % number for number in range(70_000)]
LOG = InMemory(ENTRIES)
SIGNER = a_signer()
SIZE = 700
NOTE = signed(Checkpoint(SIGNER.name, SIZE, root_of(LOG, SIZE)), [SIGNER])
INDEX = 300
PATH = inclusion(LOG, INDEX, SIZE)
PROOF = tlog_proof(INDEX, PATH, NOTE)
hashes = st.binary(min_size=32, max_size=32)


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 511, 512, 700])
def test_the_root_of_the_tiles_is_that_of_the_entries(size: int) -> None:
    assert root_of(LOG, size) == naive.root(ENTRIES[:size]) == Tree(LOG, size).edge().root()


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537, 70_000])
def test_proofs_through_three_levels_of_tiles(size: int) -> None:
    root = root_of(LOG, size)
    for index in (0, 255, 256, 65_534, size - 1):
        check_inclusion(LOG.rows[0][index], index, size, inclusion(LOG, index, size), root)


def test_a_proof_reads_a_few_tiles_and_each_once() -> None:
    reader = InMemory(ENTRIES)
    inclusion(reader, 1000, 70_000)
    assert len(reader.read) == len(set(reader.read)) <= 6
    # Partial tiles are asked for as they are at that size.
    assert (0, 273, 112) in reader.read
    assert (1, 1, 17) in reader.read
    reader.read.clear()
    consistency(reader, 4711, 70_000)
    assert len(reader.read) == len(set(reader.read)) <= 6


def test_what_cannot_be_asked() -> None:
    for index, size in ((0, 0), (-1, 5), (5, 5), (0, MAX_SIZE + 1)):
        with pytest.raises(InvariantBroken):
            inclusion(LOG, index, size)
    for old, new in ((2, 1), (-1, 1), (0, MAX_SIZE + 1)):
        with pytest.raises(InvariantBroken):
            consistency(LOG, old, new)


def test_a_tile_of_another_length_is_damage() -> None:
    class Short:
        def hash_tile(self, level: int, number: int, width: int) -> bytes:
            return LOG.hash_tile(level, number, width)[:-1]

    with pytest.raises(LogDamaged) as caught:
        inclusion(Short(), 3, 300)
    assert caught.value.place == tile_path(0, 1, 44)


def test_the_form_of_the_file() -> None:
    path = "".join(f"{base64.b64encode(each).decode()}\n" for each in PATH)
    assert f"c2sp.org/tlog-proof@v1\nindex 300\n{path}\n{NOTE}" == PROOF
    with_extra = tlog_proof(INDEX, PATH, NOTE, b"more")
    assert f"c2sp.org/tlog-proof@v1\nextra bW9yZQ==\nindex 300\n{path}\n{NOTE}" == with_extra
    assert check_tlog_proof(with_extra, ENTRIES[INDEX], [SIGNER.verifier])[0] == INDEX


@given(st.integers(0, MAX_SIZE), st.lists(hashes, max_size=MAX_PATH).map(tuple), st.binary(max_size=99))
def test_files_go_there_and_back(index: int, path: tuple[bytes, ...], extra: bytes) -> None:
    assert read_tlog_proof(tlog_proof(index, path, NOTE, extra)) == TlogProof(index, path, NOTE, extra)


@settings(max_examples=30)
@given(st.integers(1, 70_000), st.data())
def test_every_leaf_has_a_proof(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    note = signed(Checkpoint(SIGNER.name, size, root_of(LOG, size)), [SIGNER])
    found, head = check_tlog_proof(tlog_proof(index, inclusion(LOG, index, size), note), ENTRIES[index], [SIGNER.verifier])
    assert (found, head.checkpoint.size) == (index, size)


def refused(text: str, leaf: bytes = ENTRIES[INDEX], seed: int = 1) -> str:
    with pytest.raises((ProofWrong, NoteRefused)) as caught:
        check_tlog_proof(text, leaf, [a_signer(seed).verifier])
    return caught.value.code


def test_a_proof_is_of_its_leaf_index_and_signer() -> None:
    assert refused(PROOF, ENTRIES[INDEX] + b" ") == "proof-root"
    assert refused(tlog_proof(INDEX + 1, PATH, NOTE)) == "proof-root"
    assert refused(tlog_proof(SIZE, PATH, NOTE)) == "proof-index"
    assert refused(PROOF, seed=2) == "note-unsigned"
    for at in range(len(PATH)):
        assert refused(tlog_proof(INDEX, [*PATH[:at], *PATH[at + 1 :]], NOTE)).startswith("proof-")
        assert refused(tlog_proof(INDEX, [*PATH[:at], bytes(32), *PATH[at + 1 :]], NOTE)) == "proof-root"


FIRST = base64.b64encode(PATH[0]).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        NOTE,
        HEADER,
        f"{HEADER}\n\n{NOTE}",
        PROOF.replace("@v1", "@v2"),
        PROOF.replace("index 300", "index 0300"),
        PROOF.replace("index 300", "index -300"),
        PROOF.replace("index 300", "index 300 "),
        PROOF.replace("index 300", f"index {MAX_SIZE + 1}"),
        PROOF.replace("index 300\n", ""),
        PROOF.replace("index 300", "extra bW9y\nextra bW9y\nindex 300"),
        PROOF.replace("index 300", "index 300\nextra bW9y"),
        PROOF.replace("index 300", "extra bW9yZR==\nindex 300"),
        PROOF.replace("index 300", "extra b\nindex 300"),
        PROOF.replace(FIRST, FIRST[:-1]),
        PROOF.replace(FIRST, FIRST[:-4]),
        PROOF.replace(FIRST, f" {FIRST}"),
        PROOF.replace(FIRST, "\u00e4" * 44),
        PROOF.replace(f"{FIRST}\n", f"{FIRST}\n\n"),
        PROOF.replace("\n", "\r\n"),
        tlog_proof(INDEX, [bytes(32)] * (MAX_PATH + 1), NOTE),
        tlog_proof(INDEX, PATH, NOTE, bytes(MAX_EXTRA_BYTES + 1)),
        PROOF + "x" * MAX_PROOF_CHARS,
        PROOF[:-1],
    ],
)
def test_what_is_no_proof(text: str) -> None:
    assert refused(text)


@given(st.text(max_size=300))
def test_any_text_is_refused_in_one_way(text: str) -> None:
    with pytest.raises(ProofWrong):
        read_tlog_proof(text)
    assert refused(f"{HEADER}\nindex 3\n{text}")


@settings(max_examples=200)
@given(st.integers(0, len(PROOF) - 1), st.characters())
def test_a_changed_character_is_refused(at: int, character: str) -> None:
    changed = PROOF[:at] + character + PROOF[at + 1 :]
    if changed != PROOF:
        assert refused(changed)
