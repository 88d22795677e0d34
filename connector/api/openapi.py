"""The description of ``/carnet/v1`` as OpenAPI 3.1, made of the operations and their types: nothing is written down twice.

Pure. Knows operations, callers, and the types that msgspec can describe.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from connector.access.caller import SCOPES, Role
from connector.api.operation import Operation, Query
from connector.api.page import LIMIT
from connector.api.tags import TAGS

Document = dict[str, Any]
REF: Final = "#/components/schemas/{name}"
ALWAYS: Final = (400, 401, 403, 413, 429, 500, 503)
"""What every operation may answer beside what it says itself."""
_PLACE: Final = re.compile(r"\{(\w+)\}")
_MEANING: Final = {
    400: "The request cannot be carried out as it stands; the sentence says what is wrong with it.",
    401: "Nobody we know: no credential, or one that does not hold.",
    403: "The caller may not do this, or a policy says no, and why.",
    404: "There is no such thing, or it is not the caller's.",
    409: "The state does not allow it now, or the same request is still being answered.",
    412: "It has changed since the caller saw it.",
    413: "The body is too large.",
    422: "The Idempotency-Key belongs to another request.",
    429: "Too many requests; Retry-After says when the next has a chance.",
    500: "Something went wrong here; the operator finds it under the incident number.",
    503: "A part that is needed is not there now, and nothing was changed.",
}
_HEADERS: Final[dict[str, Document]] = {
    "CorrelationId": {
        "name": "X-Correlation-ID", "in": "header", "required": False,
        "description": "Stands in every line of the log that this request brings about, and in the answer.",
        "schema": {"type": "string", "pattern": r"^[A-Za-z0-9._:-]{1,128}$"},
    },
    "IdempotencyKey": {
        "name": "Idempotency-Key", "in": "header", "required": False,
        "description": "A request that is sent again under the same key is answered as the first time, and not done again.",
        "schema": {"type": "string", "pattern": r"^[\x21-\x7e]{1,255}$"},
    },
    "IfMatch": {
        "name": "If-Match", "in": "header", "required": False,
        "description": "The ETag as it was read: only if it still is the same.",
        "schema": {"type": "string", "pattern": r'^(\*|"[0-9]{1,18}")$'},
    },
}  # fmt: skip


class ProblemFinding(msgspec.Struct, frozen=True):
    """One of several things that are wrong: a code, a JSON pointer into what was given, a sentence, and what to do about it."""

    code: str
    path: str
    sentence: str
    remedy: str | None = None
    term: str | None = None


class Problem(msgspec.Struct, frozen=True):
    """RFC 9457. ``code`` never changes between releases; ``detail`` is for people, and says what to do."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    findings: list[ProblemFinding] = []
    violations: list[dict[str, Any]] = []


def document(operations: Sequence[Operation], *, version: str, token_path: str = "/oauth/token") -> Document:  # noqa: S107  # a path
    """The whole description. ``version``: of the release; ``token_path``: where tokens are issued."""
    types = _types(operations)
    found, components = msgspec.json.schema_components(types, ref_template=REF)
    schemas = {_key(each): schema for each, schema in zip(types, found, strict=True)}
    paths: dict[str, Document] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schemas)
    used = {operation.resource for operation in operations}
    whole: Document = {
        "openapi": "3.1.0",
        "info": {"title": "Carnet", "version": version, "description": _INTRODUCTION},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": about} for name, about in TAGS.items() if name in used],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "parameters": _HEADERS,
            "responses": {str(status): _problem(status) for status in _MEANING},
            "securitySchemes": _schemes(operations, token_path),
        },
    }
    described: Document = _in_markdown(whole)
    return described


_INTRODUCTION: Final = (
    "Everything that the command line and the Python client do, in plain JSON. Times are milliseconds since the epoch (UTC). "
    "A list is a page: its Link header says where the next one begins. Errors are problem documents (RFC 9457) with a stable "
    "`code`. A POST may carry an Idempotency-Key; what has an ETag takes If-Match."
)


def roles_of(operation: Operation) -> list[Role]:
    """Who may do it."""
    return [role for role, scopes in SCOPES.items() if operation.scope in scopes]


def _types(operations: Iterable[Operation]) -> list[Any]:
    """Every type of a body or an answer, once."""
    given = [each for operation in operations for each in (operation.body, operation.answer) if each not in (None, bytes)]
    return list({_key(each): each for each in (*given, Problem)}.values())


def _key(form: Any) -> str:
    return repr(form)


def _operation(operation: Operation, schemas: dict[str, Document]) -> Document:
    found: Document = {
        "operationId": operation.name,
        "tags": [operation.resource],
        "summary": operation.about.rstrip("."),
        "parameters": list(_parameters(operation)),
        "responses": _responses(operation, schemas),
        "security": [{"key": []}, {"token": [operation.scope]}, *([{"basic": []}] if operation.method == "GET" else [])],
        "x-carnet-scope": operation.scope,
        "x-carnet-roles": [role.value for role in roles_of(operation)],
    }
    if operation.body is not None:
        schema = schemas[_key(operation.body)]
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return found


def _parameters(operation: Operation) -> Iterable[Document]:
    for name in _PLACE.findall(operation.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    for query in operation.query:
        yield {"name": query.name, "in": "query", "required": False, "description": query.about, "schema": _query(query)}
    yield {"$ref": "#/components/parameters/CorrelationId"}
    if operation.method == "POST":
        yield {"$ref": "#/components/parameters/IdempotencyKey"}
    if 412 in operation.errors:
        yield {"$ref": "#/components/parameters/IfMatch"}


def _query(query: Query) -> Document:
    return {"type": "integer", "minimum": 0} if query.form is int else {"type": "string"}


def _responses(operation: Operation, schemas: dict[str, Document]) -> Document:
    good = sorted({operation.status, *(status for status in operation.errors if status < 300)})
    wrong = {*ALWAYS, *operation.errors} | ({409, 422} if operation.method == "POST" else set())
    found: Document = {str(status): _success(operation, schemas) for status in good}
    return found | {str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(wrong) if status in _MEANING}


def _success(operation: Operation, schemas: dict[str, Document]) -> Document:
    found: Document = {"description": "Done."}
    if operation.answer is bytes:
        found["content"] = {operation.media: {}}
    elif operation.answer is not None:
        found["content"] = {operation.media: {"schema": schemas[_key(operation.answer)]}}
    if LIMIT in operation.query:
        said = "RFC 8288; of a full page: where the next one begins (`next`)."
        found["headers"] = {"Link": {"description": said, "schema": {"type": "string"}}}
    return found


def _problem(status: int) -> Document:
    content = {"application/problem+json": {"schema": {"$ref": REF.format(name="Problem")}}}
    return {"description": _MEANING[status], "content": content}


def _schemes(operations: Sequence[Operation], token_path: str) -> Document:
    scopes = {operation.scope: f"{operation.verb} {operation.resource}" for operation in operations}
    flow = {"tokenUrl": token_path, "scopes": dict(sorted(scopes.items()))}
    return {
        "key": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "A key, made by `carnet access add`."},
        "basic": {"type": "http", "scheme": "basic", "description": "For a browser: any name, and a key as the password."},
        "token": {"type": "oauth2", "flows": {"clientCredentials": flow}},
    }


def _in_markdown(value: Any) -> Any:
    """What the docstrings of types mark up in their own way."""
    if isinstance(value, dict):
        return {
            name: member.replace("``", "`") if name == "description" and isinstance(member, str) else _in_markdown(member)
            for name, member in value.items()
        }
    return [_in_markdown(each) for each in value] if isinstance(value, list) else value
