"""Pages of lists: where one begins, how long it is, and where the next one is (RFC 8288).

By keyset, never by offset: nothing is shown twice or left out because something was added. Knows aiohttp's request and response
and the error tree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from aiohttp import web

from connector.api.operation import Query
from connector.http.bodies import json_answer
from connector.protocol.errors import CallerError

PAGE: Final = 100
"""Entries of a page, where nothing is said."""
MAX_PAGE: Final = 1000
LIMIT: Final = Query("limit", f"Most entries of the page, 1 to {MAX_PAGE}; {PAGE} if nothing is said.", int)
AFTER: Final = Query(
    "after", "Where the page begins: `createdAt:id` of the last entry seen. The Link header of a full page has it."
)
AFTER_ID: Final = Query("after", "Where the page begins: the id of the last entry seen. The Link header of a full page has it.")
PAGED: Final = (AFTER, LIMIT)
PAGED_BY_ID: Final = (AFTER_ID, LIMIT)
_DIGITS: Final = 18
Row = TypeVar("Row")


def after_of(request: web.Request) -> tuple[int, str]:
    """Where a page in order of making begins. Raises CallerError."""
    created, _, last = request.query.get("after", "0:").partition(":")
    if not (created.isascii() and created.isdigit() and len(created) < _DIGITS):
        raise CallerError("after-invalid", "after is 'createdAt:id' of the last one seen")
    return int(created), last


def whole_of(request: web.Request, name: str, most: int, otherwise: int = 0) -> int:
    """A whole number of the query, at most ``most``; ``otherwise`` where it is missing. Raises CallerError."""
    given = request.query.get(name, str(otherwise))
    if not (given.isascii() and given.isdigit() and len(given) < _DIGITS):
        raise CallerError("query-invalid", f"{name} is a whole number from 0 to {most}")
    return min(int(given), most)


def limit_of(request: web.Request) -> int:
    """How many entries a page has at most. Raises CallerError."""
    return max(1, whole_of(request, "limit", MAX_PAGE, PAGE))


def page(request: web.Request, rows: Sequence[Row], after: Callable[[Row], str], shown: Sequence[Any]) -> web.Response:
    """A page of ``shown``, made of ``rows``; a full one says where the next one begins, which is ``after`` its last row."""
    response = json_answer(list(shown))
    if len(rows) >= limit_of(request):
        following = request.rel_url.update_query({"after": after(rows[-1])})
        response.headers["Link"] = f'<{following}>; rel="next"'
    return response
