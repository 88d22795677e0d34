"""Canonical bytes of a JSON value, for hashes and signatures: RFC 8785 (JCS).

Never the canonicalisation of RDF: its cost is exponential in what a peer sends. Pure. Imports `catalog.errors`.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import rfc8785

from catalog.errors import DocumentError


def canonical_bytes(value: Any) -> bytes:
    """Return the one RFC 8785 spelling of `value`, UTF-8.

    Raises DocumentError `member-invalid` for what has none: integers beyond 2^53 - 1, numbers not finite, lone surrogates,
    keys that are no strings, values that JSON does not know; `document-too-deep` for nesting that cannot be walked.
    """
    try:
        return rfc8785.dumps(value)
    except rfc8785.CanonicalizationError as error:
        raise DocumentError("member-invalid", "The value has no canonical JSON form.") from error
    except UnicodeEncodeError as error:
        raise DocumentError("member-invalid", "A string holds half a character (a lone surrogate).") from error
    except RecursionError as error:
        raise DocumentError("document-too-deep", "The value is nested too deeply.") from error


def digest(value: Any) -> str:
    """Return the SHA-256 of `canonical_bytes(value)`, lower-case hexadecimal. Raises as that does."""
    return sha256(canonical_bytes(value)).hexdigest()
