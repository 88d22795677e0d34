"""Errors become answers in this one place: the protocol's error bodies for peers, problem documents (RFC 9457) for our own users,
and the list of errors that clients of the management interface read.

What is not an expected error becomes a bare 500 with an incident number; the text stays in the log.
"""

from __future__ import annotations

import uuid
from dataclasses import asdict
from typing import Any, Final

import orjson
from aiohttp import web

from catalog.errors import DocumentError
from connector.flow.offers import PublicationRefused
from connector.protocol.errors import (
    BadMessage,
    CarnetError,
    Invalid,
    InvariantBroken,
    NotAuthenticated,
    TooMany,
    Unavailable,
    Violation,
)
from connector.protocol.messages import error_document
from connector.store.engine import LostRace, StoreMisuse, StoreUnavailable
from connector.telemetry import logger

CATALOG, NEGOTIATION, TRANSFER = "CatalogError", "ContractNegotiationError", "TransferError"
_SIZES: Final = frozenset({"document-too-large", "document-too-costly"})
REPEATED_CHARS: Final = 1000
"""Longest value of a wrong member that is repeated to who sent it."""
log = logger("http")


def expected(error: Exception) -> CarnetError:
    """The error in our own tree. What does not belong there is logged with an incident number and says nothing else."""
    match error:
        case InvariantBroken():
            return _incident(error)
        case CarnetError():
            return error
        case DocumentError():
            return _document(error)
        case StoreUnavailable():
            log.error("the store is not available", error=str(error))
            return Unavailable("store-unavailable", "this connector cannot store anything now; nothing was changed, try again")
        case web.HTTPRequestEntityTooLarge():
            return _Sized("document-too-large", "the body is larger than this endpoint takes")
        case _:
            return _incident(error)


class _Sized(BadMessage):
    status = 413


class _Incident(CarnetError):
    status = 500


def _incident(error: Exception) -> CarnetError:
    number = uuid.uuid4().hex[:12]
    note = "lost race left over" if isinstance(error, LostRace | StoreMisuse) else "unexpected error"
    log.error(note, incident=number, exc_info=error)
    return _Incident("internal", f"something went wrong here; the operator finds it under incident {number}")


def _document(error: DocumentError) -> CarnetError:
    if error.code == "door-busy":
        return Unavailable(error.code, error.reason)
    where = f" (at {error.path})" if error.path else ""
    make = _Sized if error.code in _SIZES else BadMessage
    return make(error.code, f"{error.reason}{where}")


def protocol_answer(error: Exception, name: str, provider_pid: str | None, consumer_pid: str | None) -> web.Response:
    """The answer to a peer: ``name`` is the protocol's error type for the endpoint."""
    known = expected(error)
    body = error_document(name, known.code, known.reason, provider_pid, consumer_pid)
    return _response(known, orjson.dumps(body), "application/json")


def problem_answer(error: Exception) -> web.Response:
    """The answer to our own user or program (RFC 9457)."""
    known = expected(error)
    body: dict[str, Any] = {"type": f"urn:carnet:problem:{known.code}", "title": known.code.replace("-", " ")}
    body |= {"status": known.status, "code": known.code, "detail": known.reason}
    if isinstance(known, PublicationRefused):
        body["findings"] = [asdict(finding) for finding in known.findings]
    if isinstance(known, Invalid):
        body["violations"] = [_listed(each, "ValidationFailure") for each in known.violations]
    return _response(known, orjson.dumps(body, default=str), "application/problem+json")


_TYPES: Final = {
    400: "InvalidRequest",
    401: "AuthenticationFailed",
    403: "NotAuthorized",
    404: "ObjectNotFound",
    409: "ObjectConflict",
    502: "BadGateway",
}


def listed_answer(error: Exception) -> web.Response:
    """The answer to a client of the management interface: a list, each entry with message, type, path and invalidValue, as EDC's
    has them, and the code of the error, which stays the same whatever the message says."""
    known = expected(error)
    if isinstance(known, Invalid) and known.violations:
        body = [_listed(each, "ValidationFailure") for each in known.violations]
    elif isinstance(known, PublicationRefused):
        body = [_listed(Violation(each.sentence, each.path), "ValidationFailure") for each in known.findings]
    else:
        kind = _TYPES.get(known.status, "InvalidRequest" if known.status < 500 else "InternalServerError")
        body = [_listed(Violation(known.reason, ""), kind)]
    body = [{**entry, "code": known.code} for entry in body]
    return _response(known, orjson.dumps(body, default=str), "application/json")


def _listed(wrong: Violation, kind: str) -> dict[str, Any]:
    return {"message": wrong.message, "type": kind, "path": wrong.path or None, "invalidValue": _repeated(wrong.value)}


def _repeated(value: object) -> object:
    """What stood there, as far as that helps to find it."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
    return value if len(text) <= REPEATED_CHARS else f"{text[:REPEATED_CHARS]}..."


def _response(error: CarnetError, body: bytes, content_type: str) -> web.Response:
    response = web.Response(status=error.status, body=body, content_type=content_type)
    if isinstance(error, TooMany):
        response.headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, NotAuthenticated):
        # RFC 9110 wants a challenge with every 401; the protocol listener puts a better one in its place.
        response.headers["WWW-Authenticate"] = "Bearer"
    return response
