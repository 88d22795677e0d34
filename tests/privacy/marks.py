"""Marks that are planted where people and their vehicles are named, and the search for them in bytes.

A mark is looked for as it is, in hexadecimal, in base64 at every alignment and in both alphabets, as URLs and JSON write it, and
as its SHA-256; a position also as the number that binary formats keep.
"""

from __future__ import annotations

import json
import re
import struct
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator
from hashlib import sha256
from urllib.parse import quote, quote_plus


def forms(mark: str) -> dict[str, bytes]:
    """The forms of a mark by their names."""
    plain, digest = mark.encode(), sha256(mark.encode()).digest()
    found = {"plain": plain, "lower": mark.lower().encode(), "sha256": digest}
    found |= dict(_written("", plain)) | dict(_written("sha256 ", digest))
    found |= {"url": quote(mark, safe="").encode(), "form": quote_plus(mark).encode(), "json": json.dumps(mark)[1:-1].encode()}
    if re.fullmatch(r"-?\d+\.\d+", mark):
        found |= {"double": struct.pack("<d", float(mark)), "double, swapped": struct.pack(">d", float(mark))}
    return found


def _written(kind: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    yield f"{kind}hex", content.hex().encode()
    yield f"{kind}HEX", content.hex().upper().encode()
    for shift in range(3):
        for name, encode in (("base64", b64encode), ("base64url", urlsafe_b64encode)):
            # Without the signs that other bytes have a part in.
            whole = encode(bytes(shift) + content)
            end = len(whole) - (0 if (shift + len(content)) % 3 == 0 else 4)
            begin = (0, 4, 4)[shift]
            yield f"{kind}{name} at {shift}", whole[begin:end]


class Search:
    """Finds marks in bytes."""

    def __init__(self, marks: Iterable[str]) -> None:
        self._forms = {form: (mark, name) for mark in marks for name, form in forms(mark).items()}
        longest_first = sorted(self._forms, key=len, reverse=True)
        self._pattern = re.compile(b"|".join(map(re.escape, longest_first)))

    def found(self, content: bytes) -> set[tuple[str, str]]:
        """The marks in ``content``, each with the name of the form in which it stands there."""
        return {self._forms[match] for match in self._pattern.findall(content)}
