"""Entity tags of things that have a version (RFC 9110, 8.8.3), and the condition that a write may carry (13.1.1).

Knows aiohttp's request and response and the error tree.
"""

from __future__ import annotations

import re
from typing import Final, TypeVar

from aiohttp import web

from connector.protocol.errors import CallerError, Outdated

MAX_TAGS_CHARS: Final = 1024
_TAG: Final = re.compile(r'"([0-9]{1,18})"')
_Response = TypeVar("_Response", bound=web.StreamResponse)


def tagged(response: _Response, version: int) -> _Response:
    """The response, with the tag of this version."""
    response.headers["ETag"] = f'"{version}"'
    return response


def expected_version(request: web.Request) -> int | None:
    """The version that If-Match names, or None where the caller does not mind. Raises CallerError for what is no tag of ours."""
    given = ", ".join(request.headers.getall("If-Match", ["*"])).strip()
    if given == "*":
        return None
    found = _TAG.fullmatch(given) if len(given) <= MAX_TAGS_CHARS else None
    if found is None:
        raise CallerError("if-match-invalid", 'If-Match is one ETag as it was answered, such as "3"')
    return int(found.group(1))


def check_version(request: web.Request, version: int) -> None:
    """Raises Outdated unless the thing still has the version that the caller has seen, where it names one."""
    wanted = expected_version(request)
    if wanted is not None and wanted != version:
        raise Outdated("outdated", "this was changed meanwhile; read it again and decide anew")
