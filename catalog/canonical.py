"""Canonical bytes of a JSON value, for hashes and signatures: RFC 8785 (JCS).

Never the canonicalisation of RDF: its cost is exponential in what a peer sends. Pure. Imports `catalog.errors`.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

import orjson
import rfc8785

from catalog.errors import DocumentError

# What orjson writes as RFC 8785 asks, many times as fast: texts and members are escaped alike, and ASCII names sort alike by
# code point and by UTF-16. Not so floating-point numbers, names beyond ASCII, integers that JSON cannot carry, deep nesting.
_KNOWN: Final = frozenset({str, int, bool, type(None), dict, list})
_NAMES: Final = frozenset({str})
_MAX_INTEGER: Final = 2**53 - 1
_MAX_PLAIN_DEPTH: Final = 100


def canonical_bytes(value: Any) -> bytes:
    """Return the one RFC 8785 spelling of `value`, UTF-8.

    Raises DocumentError `member-invalid` for what has none: integers beyond 2^53 - 1, numbers not finite, lone surrogates,
    keys that are no strings, values that JSON does not know; `document-too-deep` for nesting that cannot be walked.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS) if _is_plain(value) else rfc8785.dumps(value)
    except rfc8785.CanonicalizationError as error:
        raise DocumentError("member-invalid", "The value has no canonical JSON form.") from error
    except (UnicodeEncodeError, orjson.JSONEncodeError) as error:
        raise DocumentError("member-invalid", "A string holds half a character (a lone surrogate).") from error
    except RecursionError as error:
        raise DocumentError("document-too-deep", "The value is nested too deeply.") from error


def digest(value: Any) -> str:
    """Return the SHA-256 of `canonical_bytes(value)`, lower-case hexadecimal. Raises as that does."""
    return sha256(canonical_bytes(value)).hexdigest()


def _is_plain(value: Any) -> bool:
    """Whether orjson's spelling is the canonical one."""
    level = [value]
    for _ in range(_MAX_PLAIN_DEPTH):
        kinds = set(map(type, level))
        if not kinds <= _KNOWN:
            return False
        if int in kinds and not all(-_MAX_INTEGER <= each <= _MAX_INTEGER for each in level if type(each) is int):
            return False
        members = [each for each in level if type(each) is dict]
        inner = [each for row in level if type(row) is list for each in row]
        names = [name for each in members for name in each]
        if not set(map(type, names)) <= _NAMES or not "".join(names).isascii():
            return False
        inner += [value for each in members for value in each.values()]
        if not inner:
            return True
        level = inner
    return False
