"""The description of the interface as a page to read: operations by resource, who may do them, what they take and answer.

One file of HTML without scripts that loads nothing, under a policy that would let it load nothing. Pure.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final

from connector.api.examples import example
from connector.api.twins import TWINS

Document = dict[str, Any]
STYLE: Final = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--mark:#0a6}
body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:0 auto;padding:1rem 1.2rem 4rem}
h1{margin:.6rem 0 0}h2{margin:2.4rem 0 .4rem;border-bottom:1px solid var(--line)}
nav a{margin-right:.9rem;white-space:nowrap}
details{border:1px solid var(--line);border-radius:.4rem;margin:.4rem 0;padding:.1rem .8rem}
summary{cursor:pointer;padding:.35rem 0}summary>code:first-of-type{font-weight:600}
code,pre{font-family:ui-monospace,monospace;font-size:.86em}
pre{background:var(--soft);padding:.6rem .8rem;overflow-x:auto;border-radius:.3rem}
b.m{display:inline-block;min-width:4.2rem;color:var(--mark);font-family:ui-monospace,monospace}
table{border-collapse:collapse;width:100%;margin:.3rem 0 .8rem}
td,th{border-bottom:1px solid var(--line);padding:.2rem .5rem .2rem 0;text-align:left;vertical-align:top}
.s{opacity:.75}
"""
_DIGEST: Final = base64.b64encode(sha256(STYLE.encode()).digest()).decode()
POLICY: Final = f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_METHODS: Final = ("get", "post", "put", "patch", "delete")


def page(whole: Document) -> str:
    """The page of a description (as ``connector.api.openapi.document`` makes it)."""
    info = whole["info"]
    head = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{_text(info['title'])} {_text(info['version'])}</title><style>{STYLE}</style></head><body>"
    )
    return "".join((head, *_beginning(whole), *_twins(whole), *_resources(whole), *_types(whole), "</body></html>"))


def _beginning(whole: Document) -> Iterator[str]:
    info = whole["info"]
    yield f"<h1>{_text(info['title'])} <small class='s'>{_text(info['version'])}</small></h1><p>{_prose(info['description'])}</p>"
    yield "<p>Send a key as <code>x-api-key</code>, or a token as <code>Authorization: Bearer</code>. "
    yield "<code>carnet access add</code> makes keys; <code>POST /oauth/token</code> gives a token for one. "
    yield "On the owner's socket nothing is needed. The same as <a href='openapi.json'>OpenAPI 3.1</a>.</p><nav>"
    yield "<a href='#commands'>commands</a> "
    for tag in whole["tags"]:
        yield f"<a href='#{_text(tag['name'])}'>{_text(tag['name'])}</a> "
    yield "<a href='#types'>types</a></nav>"


def _twins(whole: Document) -> Iterator[str]:
    places = {operation["operationId"]: (method, path) for path, method, operation in _operations(whole)}
    yield "<h2 id='commands'>Ten commands, and what they call</h2>"
    for twin in TWINS:
        yield f"<details><summary><code>{_text(twin.command)}</code></summary><p>{_prose(twin.about)}</p>"
        for step in twin.steps:
            if step.operation in places:
                method, path = places[step.operation]
                for name, value in step.places.items():
                    path = path.replace(f"{{{name}}}", value)
                yield f"<pre>{_text(_curl(method, path + step.query, step.body))}</pre>"
                yield f"<p>again, until the state is <code>{_text(step.until)}</code></p>" if step.until else ""
        yield "</details>"


def _resources(whole: Document) -> Iterator[str]:
    for tag in whole["tags"]:
        yield f"<h2 id='{_text(tag['name'])}'>{_text(tag['name'])}</h2><p>{_prose(tag['description'])}</p>"
        for path, method, operation in _operations(whole):
            if operation["tags"] == [tag["name"]]:
                yield from _operation(whole, path, method, operation)


def _operations(whole: Document) -> Iterator[tuple[str, str, Document]]:
    for path, methods in whole["paths"].items():
        for method in _METHODS:
            if method in methods:
                yield path, method, methods[method]


def _operation(whole: Document, path: str, method: str, operation: Document) -> Iterator[str]:
    yield f"<details id='{_text(operation['operationId'])}'><summary>"
    yield f"<b class='m'>{method.upper()}</b> <code>{_text(path)}</code> {_prose(operation['summary'])}</summary>"
    roles = ", ".join(operation["x-carnet-roles"]) or "the owner alone"
    yield f"<p>Scope <code>{_text(operation['x-carnet-scope'])}</code>; <span class='s'>{_text(roles)}</span></p>"
    yield from _parameters(whole, operation)
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if body is not None:
        yield f"<p>Takes {_form(body)}</p>"
    yield f"<pre>{_text(_curl(method, path, None if body is None else example(body, whole)))}</pre>"
    yield "<table>"
    for status, answer in operation["responses"].items():
        yield f"<tr><td><code>{_text(status)}</code></td><td>{_answer(whole, answer)}</td></tr>"
    yield "</table></details>"


def _parameters(whole: Document, operation: Document) -> Iterator[str]:
    rows = []
    for given in operation["parameters"]:
        name = given.get("$ref", "").rpartition("/")[2]
        one = whole["components"]["parameters"][name] if name else given
        about = one.get("description", "")
        rows.append(f"<tr><td><code>{_text(one['name'])}</code></td><td>{_text(one['in'])}</td><td>{_prose(about)}</td></tr>")
    yield f"<table>{''.join(rows)}</table>"


def _answer(whole: Document, answer: Document) -> str:
    known = whole["components"]["responses"][answer["$ref"].rpartition("/")[2]] if "$ref" in answer else answer
    forms = [
        _form(content["schema"]) if "schema" in content else f"<code>{_text(media)}</code>"
        for media, content in known.get("content", {}).items()
    ]
    return " ".join((_prose(known["description"]), *forms))


def _types(whole: Document) -> Iterator[str]:
    yield "<h2 id='types'>Types</h2>"
    for name, schema in whole["components"]["schemas"].items():
        yield f"<details id='type-{_text(name)}'><summary><code>{_text(name)}</code></summary>"
        yield f"<p>{_prose(schema.get('description', ''))}</p><table>"
        needed = schema.get("required", [])
        for member, form in schema.get("properties", {}).items():
            must = "" if member in needed else " <span class='s'>may be left out</span>"
            yield f"<tr><td><code>{_text(member)}</code></td><td>{_form(form)}{must}</td></tr>"
        if "enum" in schema:
            yield f"<tr><td>one of</td><td>{_text(', '.join(map(str, schema['enum'])))}</td></tr>"
        yield f"</table><pre>{_text(json.dumps(example(schema, whole), indent=2))}</pre></details>"


def _form(schema: Document) -> str:
    """A type in a few words."""
    if "$ref" in schema:
        name = _text(schema["$ref"].rpartition("/")[2])
        return f"<a href='#type-{name}'>{name}</a>"
    if "anyOf" in schema:
        return " or ".join(_form(each) for each in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(f"<code>{_text(json.dumps(each))}</code>" for each in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_form(schema.get('items') or {})}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_form(schema['additionalProperties'])}"
    return _text(str(schema.get("type", "anything")))


def _curl(method: str, path: str, body: Any) -> str:
    verb = "" if method == "get" else f" -X {method.upper()}"
    line = f'curl{verb} -H "x-api-key: $CARNET_KEY" "$CARNET_URL{path}"'
    return line if body is None else f"{line} \\\n  -H 'Content-Type: application/json' -d '{json.dumps(body)}'"


def _text(value: Any) -> str:
    return html.escape(str(value))


def _prose(text: str) -> str:
    """Text with what stands between backticks as code."""
    parts = _text(text).split("`")
    return "".join(f"<code>{part}</code>" if odd % 2 else part for odd, part in enumerate(parts))
