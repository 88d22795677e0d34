"""Hostile tokens whose text is the attack: base64url, segments, size, JSON. Each carries a good signature of what it then is."""

from __future__ import annotations

import secrets
import zlib
from collections.abc import Callable, Iterator
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.attacks.forge import TYPES, Json, Recipe, b64, flat
from tests.attacks.rows import Attack, Forge, Step, head, row, say

LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
HUGE_BYTES: Final = 3 * 1024 * 1024
DEEP: Final = 60_000
MIB: Final = 1024 * 1024


def rows() -> Iterator[Attack]:
    """All of them."""
    yield from _encodings()
    yield from _shapes()
    yield from _sizes()
    yield from _json()


# -- encoding -------------------------------------------------------------------------------------------------------------


def _spare_bits(number: int) -> Forge:
    """The last character of a segment carries bits that no byte uses: set one."""

    def make(recipe: Recipe) -> str:
        header, claims = (_uneven(members, name) for members, name in ((recipe.header, "cty"), (recipe.claims, "pad")))
        return _signed(recipe, [b64(header), b64(claims)], number, _last_bit)

    return make


def _uneven(members: Json, name: str) -> bytes:
    """The members as bytes whose last letter in base64url has bits to spare."""
    return next(raw for raw in (flat({**members, name: "x" * n}) for n in range(3)) if len(raw) % 3)


def _last_bit(segment: str) -> str:
    return segment[:-1] + LETTERS[LETTERS.index(segment[-1]) ^ 1]


def _segment(number: int, change: Callable[[str], str]) -> Forge:
    return lambda it: _signed(it, it.signed().split("."), number, change)


def _signed(recipe: Recipe, parts: list[str], number: int, change: Callable[[str], str]) -> str:
    """One segment changed; the signature covers the change."""
    if number < 2:
        parts[number] = change(parts[number])
    parts.append(b64(recipe.key.sign(".".join(parts).encode())))
    if number == 2:
        parts[2] = change(parts[2])
    return ".".join(parts)


def _around(change: Callable[[str], str]) -> Forge:
    return lambda it: change(it.good)


def _encodings() -> Iterator[Attack]:
    for number, name in enumerate(("header", "claims", "signature")):
        yield row(f"{name} with bits that no byte uses", _spare_bits(number), Step.ENCODING)
        for what, change in _SPOILT.items():
            yield row(f"{name} {what}", _segment(number, change), Step.ENCODING, Step.SHAPE)
    for what, change in _AROUND.items():
        yield row(what, _around(change), Step.ENCODING, Step.SHAPE)


_SPOILT: Final[dict[str, Callable[[str], str]]] = {
    "with padding": lambda part: part + "=",
    "with full padding": lambda part: part + "==",
    "with a space": lambda part: part + " ",
    "with a line end": lambda part: part + "\n",
    "with a NUL": lambda part: part + "\0",
    "in plain base64": lambda part: part[:-4] + "+/+/",
    "with a letter that is not ASCII": lambda part: part[:-1] + "é",
    "with a full-width letter": lambda part: part[:-1] + "\uff21",
    "of a length that cannot be": lambda part: part[: len(part) // 4 * 4] + "A",
}
_AROUND: Final[dict[str, Callable[[str], str]]] = {
    "a line end after it": lambda token: token + "\n",
    "a space before it": lambda token: " " + token,
    "a tab in it": lambda token: token.replace(".", "\t.", 1),
    "a comma and another": lambda token: f"{token},{token}",
    "quotes around it": lambda token: f'"{token}"',
    "percent-encoded dots": lambda token: token.replace(".", "%2E"),
}


# -- shape and size -------------------------------------------------------------------------------------------------------


def _json_serialised(general: bool) -> Forge:
    def make(recipe: Recipe) -> str:
        header, payload, signature = recipe.good.split(".")
        signed = {"protected": header, "signature": signature}
        return flat({"payload": payload} | ({"signatures": [signed]} if general else signed)).decode()

    return make


def _zip_bomb(size: int) -> Forge:
    """A JWE that unpacks to ``size`` bytes."""

    def make(recipe: Recipe) -> str:
        header = b64(flat({"alg": "dir", "enc": "A256GCM", "zip": "DEF", "typ": TYPES[recipe.kind]}))
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        packed = packer.compress(bytes(size)) + packer.flush()
        nonce = secrets.token_bytes(12)
        sealed = AESGCM(secrets.token_bytes(32)).encrypt(nonce, packed, header.encode())
        return f"{header}..{b64(nonce)}.{b64(sealed[:-16])}.{b64(sealed[-16:])}"

    return make


def _many_rounds(recipe: Recipe) -> str:
    header = {"alg": "PBES2-HS256+A128KW", "enc": "A128CBC-HS256", "p2c": 20_000_000, "p2s": b64(bytes(16))}
    parts = (flat({**header, "typ": TYPES[recipe.kind]}), bytes(40), bytes(16), bytes(64), bytes(16))
    return ".".join(map(b64, parts))


def _shapes() -> Iterator[Attack]:
    shape = (Step.SHAPE, Step.ENCODING)
    yield row("JSON-serialised, flattened", _json_serialised(general=False), *shape)
    yield row("JSON-serialised, general", _json_serialised(general=True), *shape)
    yield row("detached claims", lambda it: "{0}..{2}".format(*it.good.split(".")), *shape, Step.JSON)
    yield row("no header", lambda it: "." + it.good.partition(".")[2], *shape, Step.JSON)
    yield row("JWE of 11 KiB that unpacks to 8 MiB", _zip_bomb(8 * MIB), *shape)
    yield row("JWE of 87 KiB that unpacks to 64 MiB", _zip_bomb(64 * MIB), Step.SIZE)
    yield row("JWE of PBES2 with 20,000,000 rounds", _many_rounds, *shape)
    yield row("without a signature segment", lambda it: it.signed(), *shape)
    yield row("with a fourth segment", lambda it: it.good + ".AAAA", *shape)
    yield row("one segment", lambda it: it.good.partition(".")[0], *shape)
    yield row("empty", lambda _: "", *shape, Step.SIZE)
    yield row("two dots", lambda _: "..", *shape, Step.JSON)
    yield row("16,000 dots", lambda _: "." * 16_000, *shape)


def _sizes() -> Iterator[Attack]:
    yield row("17 KiB", say(pad="x" * (17 * 768)), Step.SIZE)
    yield row("3 MiB of claims", say(pad="x" * (HUGE_BYTES * 3 // 4)), Step.SIZE)
    yield row("3 MiB of header", head(cty="x" * (HUGE_BYTES * 3 // 4)), Step.SIZE)
    yield row(f"claims {DEEP:,} deep", lambda it: it.compact(payload=_nested({}, DEEP)), Step.SIZE)
    yield row(f"header {DEEP:,} deep", lambda it: it.compact(_nested(it.header, DEEP)), Step.SIZE)


# -- JSON -----------------------------------------------------------------------------------------------------------------


def _nested(members: Json, depth: int) -> bytes:
    return _more(b'"cty":' + b"[" * depth + b"]" * depth)(members)


def _more(text: bytes, *, first: bool = False) -> Callable[[Json], bytes]:
    """The members with bytes that no encoder would write after or before them."""

    def make(members: Json) -> bytes:
        raw = flat(members)[1:-1]
        parts = [part for part in ((text, raw) if first else (raw, text)) if part]
        return b"{" + b",".join(parts) + b"}"

    return make


def _header_text(change: Callable[[Json], bytes]) -> Forge:
    return lambda it: it.compact(change(it.header))


def _claims_text(change: Callable[[Json], bytes]) -> Forge:
    return lambda it: it.compact(payload=change(it.claims))


def _instead(text: bytes) -> Callable[[Json], bytes]:
    return lambda _: text


def _json() -> Iterator[Attack]:
    for name, change in _CLAIMS.items():
        yield row(f"claims {name}", _claims_text(change), Step.JSON)
    for name, change in _HEADERS.items():
        yield row(f"header {name}", _header_text(change), Step.JSON)
    for text in (b"[]", b"[{}]", b'"sub"', b"1", b"null", b"true", b" "):
        yield row(f"claims {text.decode()!r}", _claims_text(_instead(text)), Step.JSON)
        yield row(f"header {text.decode()!r}", _header_text(_instead(text)), Step.JSON)
    for text in (b"NaN", b"Infinity", b"-Infinity", b"1e999", b"'a'", b"01"):
        yield row(f"claims with a member {text.decode()}", _claims_text(_more(b'"x":' + text)), Step.JSON)
    for depth in (17, 3000):
        yield row(f"claims {depth:,} deep", _claims_text(_more(b'"x":' + b"[" * depth + b"]" * depth)), Step.JSON)
        yield row(f"header {depth:,} deep", _header_text(_more(b'"cty":' + b"[" * depth + b"]" * depth)), Step.JSON)
    yield row("claims with a number of 4,400 digits", _claims_text(_more(b'"x":' + b"9" * 4400)), Step.JSON, Step.CLAIMS)
    half = _claims_text(lambda it: flat({**it, "jti": "\ud800"}))
    yield row("claims with half a surrogate pair", half, Step.JSON, Step.CLAIMS)


_CLAIMS: Final[dict[str, Callable[[Json], bytes]]] = {
    "with jti twice": _more(b'"jti":"other"'),
    "with jti twice, the first another": _more(b'"jti":"other"', first=True),
    "with iat twice, once escaped": _more(b'"\\u0069at":1'),
    "with a nested member twice": _more(b'"x":{"a":1,"a":2}'),
    "that are no UTF-8": _more(b'"x":"\xff\xfe"'),
    "in UTF-16": lambda it: flat(it).decode().encode("utf-16"),
    "after a byte order mark": lambda it: b"\xef\xbb\xbf" + flat(it),
    "with something after them": lambda it: flat(it) + b"{}",
    "with a comment": lambda it: b"/**/" + flat(it),
    "cut short": lambda it: flat(it)[:-1],
}
_HEADERS: Final[dict[str, Callable[[Json], bytes]]] = {
    "with alg twice": _more(b'"alg":"none"'),
    "with alg twice, the first none": _more(b'"alg":"none"', first=True),
    "with alg twice, once escaped": _more(b'"\\u0061lg":"none"'),
    "with typ twice": _more(b'"typ":"JWT"', first=True),
    "that is no UTF-8": _more(b'"cty":"\xff"'),
}
