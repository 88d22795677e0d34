"""What a provider says of the file that it sends, in the head of its answer; and why it sends none. Pure.

A provider of another make says nothing of this, and its refusals are no problem documents: then nothing is known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec

from connector.dataplane.landing.records import Landing

REFUSAL_BYTES: Final = 16 * 1024
"""Most that is read of an answer that refuses."""
_DETAIL_MOST: Final = 500
_FORMATS: Final = {
    "application/vnd.apache.parquet": "parquet",
    "application/vnd.apache.arrow.file": "arrow",
    "application/x-ndjson": "ndjson",
    "text/csv": "csv",
}
_WHOLE: Final = re.compile(r"\d{1,18}")
_DIGEST: Final = re.compile(r"[0-9a-f:-]{1,200}")
# A suspension may have reached the provider first; the new token is on its way.
_PASSING: Final = frozenset({"token_unknown", "token_revoked", "token_expired", "token_missing", "flow_suspended", "busy"})


def announced(landing: Landing, headers: Mapping[str, str]) -> Landing:
    """The landing with what the head of an answer says."""
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return replace(
        landing,
        format=_FORMATS.get(kind),
        rows=_whole(headers.get("Carnet-Rows")),
        rows_digest=_digest(headers.get("Carnet-Rows-Digest")),
        plan_digest=_digest(headers.get("Carnet-Plan")),
        ledger=_whole(headers.get("Carnet-Ledger")),
        suppressed=_whole(headers.get("Carnet-Suppressed")),
    )


def refusal(status: int, body: bytes) -> tuple[str, bool]:
    """What a refusal says, for people, and whether asking again may help."""
    try:
        problem: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        problem = {}
    code, detail = (problem.get(name) if isinstance(problem, dict) else None for name in ("code", "detail"))
    said = "".join(letter for letter in str(detail or "") if letter.isprintable())[:_DETAIL_MOST]
    text = f"the provider answered {status}" + (f" ({code:.80}): {said}" if isinstance(code, str) and said else "")
    passing = status in (408, 425) or status >= 500
    if status in (401, 403, 429):
        passing = not isinstance(code, str) or code in _PASSING
    return text, passing


def expired(status: int, body: bytes) -> bool:
    """Whether a refusal means that another token may do: it says so, or is of a provider of another make that says nothing."""
    if status not in (401, 403):
        return False
    try:
        problem: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return True
    code = problem.get("code") if isinstance(problem, dict) else None
    return not isinstance(code, str) or code == "token_expired"


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and _WHOLE.fullmatch(text) else None


def _digest(text: str | None) -> str | None:
    return text if text is not None and _DIGEST.fullmatch(text) else None
