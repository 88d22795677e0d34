"""The zip of a bundle: the same bytes from the same members, and nothing read that was made to deceive or to harm."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.evidence import zipped
from connector.evidence.zipped import ZipRefused, named_well, read_zip, write_zip

MEMBERS = {"b.json": b"{}", "a/b.txt": b"x" * 1000, "a/c": b""}


def written(members: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    write_zip(made, members)
    return made.getvalue()


def refused(tmp_path: Path, content: bytes) -> tuple[str, str]:
    """Code and member of the refusal."""
    path = tmp_path / "x.zip"
    path.write_bytes(content)
    with pytest.raises(ZipRefused) as caught:
        read_zip(path)
    return caught.value.code, caught.value.member


def by_hand(*members: tuple[zipfile.ZipInfo | str, bytes], comment: bytes = b"") -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
        archive.comment = comment
    return made.getvalue()


_names = st.from_regex(r"[a-z0-9]{1,8}(/[a-z0-9]{1,8}){0,2}", fullmatch=True)


@given(st.dictionaries(_names, st.binary(max_size=300), max_size=8))
def test_what_was_written_is_read(tmp_path_factory: pytest.TempPathFactory, members: dict[str, bytes]) -> None:
    path = tmp_path_factory.mktemp("zip") / "x.zip"
    path.write_bytes(written(members))
    assert read_zip(path) == members


def test_the_same_members_give_the_same_bytes() -> None:
    assert written(MEMBERS) == written(dict(reversed(MEMBERS.items())))


@pytest.mark.parametrize(
    "name",
    ["../x", "/x", "a/../x", "a//b", "a\\b", "C:x", ".hidden", "a/", "ä", "a/b/c/d", "n" * 200, "-x", "x y"],
)
def test_a_name_that_leads_elsewhere_is_neither_written_nor_read(tmp_path: Path, name: str) -> None:
    assert not named_well(name)
    with pytest.raises(ValueError, match="no member"):
        written({name: b""})
    assert refused(tmp_path, by_hand((name, b"x")))[0] in ("member-name", "member-kind")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, by_hand(("a", b"1"), ("a", b"2"))) == ("member-twice", "a")
    assert refused(tmp_path, by_hand(("a", b"1"), ("A", b"2"))) == ("member-twice", "A")


def test_links_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    assert refused(tmp_path, by_hand((link, b"/etc/passwd"))) == ("member-kind", "link")


def test_other_methods_of_packing_are_refused(tmp_path: Path) -> None:
    packed = zipfile.ZipInfo("x")
    packed.compress_type = zipfile.ZIP_LZMA
    assert refused(tmp_path, by_hand((packed, b"x" * 100))) == ("member-kind", "x")


def test_what_is_encrypted_is_refused(tmp_path: Path) -> None:
    content = bytearray(written({"x": b"abc"}))
    for at in (6, content.index(b"PK\x01\x02") + 8):
        content[at] |= 1
    assert refused(tmp_path, bytes(content)) == ("member-kind", "x")


@pytest.mark.parametrize(
    ("limit", "value", "code"),
    [
        ("MAX_FILE_BYTES", 100, "zip-too-large"),
        ("MAX_MEMBERS", 2, "zip-too-many"),
        ("MAX_MEMBER_BYTES", 999, "member-too-large"),
        ("MAX_TOTAL_BYTES", 1001, "zip-too-large"),
    ],
)
def test_what_is_beyond_a_bound_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int, code: str
) -> None:
    monkeypatch.setattr(zipped, limit, value)
    assert refused(tmp_path, written(MEMBERS))[0] == code


def test_a_member_that_is_longer_than_it_says_is_not_unpacked(tmp_path: Path) -> None:
    content, bomb = bytearray(written({"x": b"0" * 1_000_000})), 10
    directory = content.index(b"PK\x01\x02")
    struct.pack_into("<L", content, 22, bomb)
    struct.pack_into("<L", content, directory + 24, bomb)
    assert refused(tmp_path, bytes(content))[0] in ("member-too-large", "zip-damaged")


def _swap_local_name(content: bytearray) -> None:
    content[30] = ord("y")


def _swap_crc(content: bytearray) -> None:
    struct.pack_into("<L", content, 14, zlib.crc32(b"other"))


@pytest.mark.parametrize("change", [_swap_local_name, _swap_crc])
def test_a_member_that_stands_otherwise_than_its_directory_says_is_refused(
    tmp_path: Path, change: Callable[[bytearray], None]
) -> None:
    content = bytearray(written({"x": b"abc"}))
    change(content)
    assert refused(tmp_path, bytes(content)) == ("zip-layout", "x")


def test_what_no_directory_lists_is_refused(tmp_path: Path) -> None:
    whole = written(MEMBERS)
    assert refused(tmp_path, b"#!/bin/sh\n" + whole)[0] == "zip-layout"
    assert refused(tmp_path, by_hand(("a", b"1"), comment=b"said"))[0] == "zip-layout"
    directory = whole.index(b"PK\x01\x02")
    end = whole.index(b"PK\x05\x06")
    hidden = bytearray(whole[:directory] + b"hidden" + whole[directory:])
    struct.pack_into("<L", hidden, end + 6 + 16, directory + 6)
    assert refused(tmp_path, bytes(hidden))[0] == "zip-layout"


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all" * 10])
def test_what_is_no_zip_is_refused(tmp_path: Path, content: bytes) -> None:
    assert refused(tmp_path, content)[0] == "zip-damaged"


def test_each_byte_of_a_zip_that_is_changed_gives_the_same_members_or_a_refusal(tmp_path: Path) -> None:
    whole, path = written({"a": b"abc", "b/c": b"def"}), tmp_path / "x.zip"
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            assert read_zip(path) == {"a": b"abc", "b/c": b"def"}
        except ZipRefused:
            continue
