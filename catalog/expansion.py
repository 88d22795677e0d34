"""JSON-LD expansion: the one module that touches pyld.

Contexts come from the frozen table only; there is no loader that could reach a network. pyld keeps shared caches
that are not safe across threads, so each thread has its own. Expansion must lose nothing: what has no IRI is refused,
never dropped. Imports `catalog.contexts` and `catalog.errors`.
"""

from __future__ import annotations

import re
import threading
from typing import Any, Final

from pyld import jsonld
from pyld.context_resolver import ContextResolver

from catalog import contexts
from catalog.errors import DocumentError, excerpt, pointer

MAX_VALUES: Final = 50_000
"""Most values (members and array items) that a document may have to be expanded; about a quarter of a second per 10,000."""
MAX_TYPED: Final = 3_000
"""Most nodes with a `@type`: a type brings a context of its own, which costs up to 0.7 ms in nodes within nodes."""
MAX_DEPTH: Final = 64
MAX_CONTEXTS: Final = 16
MAX_PREFIXES: Final = 32

_KEYWORDS: Final = frozenset({"@context", "@id", "@type", "@value", "@language", "@list", "@set"})
_PREFIX_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}\Z")
_PREFIX_IRI: Final = re.compile(r"[a-z][a-z0-9+.-]{1,15}:[^\s<>\"{}|\\^`]{1,256}[/#?:]\Z")
_local = threading.local()


def expand(document: dict[str, Any], *, trusted: bool = False) -> list[dict[str, Any]]:
    """Return the expanded form of `document` (JSON-LD 1.1 API, section 5.5), base IRI null.

    Peers' documents may name known contexts and define plain prefixes at the root; `trusted` ones of the operator
    may carry any inline context. Raises DocumentError `context-missing`, `context-unknown`, `context-inline`,
    `member-lost`, `document-duplicate-member` (one member in two spellings), `document-too-deep`,
    `document-too-costly`, or `document-not-jsonld` for the rest.
    """
    inline = _check_contexts(document.get("@context"), trusted=trusted)
    members = _survey(document, trusted=trusted)
    dropped: list[str | None] = []
    options = {"base": None, "documentLoader": _load, "contextResolver": _resolver(shared=not (inline or trusted))}
    try:
        expanded: list[dict[str, Any]] = jsonld.expand(document, options, on_property_dropped=dropped.append)
    except jsonld.JsonLdError as error:
        raise _foreign(error) from None
    except (TypeError, ValueError, AttributeError, KeyError, IndexError, RecursionError) as error:
        # pyld takes the well-formedness of values on trust and fails in its own ways on odd ones.
        reason = f"The document is not JSON-LD that can be read ({type(error).__name__})."
        raise DocumentError("document-not-jsonld", reason) from None
    if dropped:
        raise _lost(document, dropped[0])
    kept = _count_expanded(expanded)
    if kept < members and not trusted:
        raise _missing(document, expanded)
    return expanded


def warm_up() -> None:
    """Process every context once in this thread, so that the first message does not pay for it."""
    for url in contexts.URLS:
        expand({"@context": [url], "@id": "urn:warm-up"})


def _resolver(*, shared: bool) -> Any:
    """A resolver over this thread's cache; a document with contexts of its own gets a throw-away copy of it."""
    cache: dict[str, Any] = _local.__dict__.setdefault("cache", {})
    return ContextResolver(cache if shared else dict(cache), _load)


def _load(url: str, _options: dict[str, Any] | None = None) -> dict[str, Any]:
    if url not in contexts.OWNERS_URLS:
        raise _unknown(url)
    return {
        "contentType": "application/ld+json",
        "contextUrl": None,
        "documentUrl": url,
        "document": contexts.load(url),
        "tag": "static",
    }


def _unknown(url: str) -> DocumentError:
    return DocumentError("context-unknown", f"The context {excerpt(url)} is not known here.", "/@context")


def _check_contexts(context: Any, *, trusted: bool) -> bool:
    """Check the root's `@context`; True when a part of it is written inline."""
    if context is None or context == []:
        raise DocumentError("context-missing", "The document has no @context.", "/@context")
    parts = context if isinstance(context, list) else [context]
    if len(parts) > MAX_CONTEXTS:
        raise DocumentError("context-inline", f"A @context has at most {MAX_CONTEXTS} parts.", "/@context")
    inline, known = False, contexts.OWNERS_URLS if trusted else contexts.URLS
    for part in parts:
        if isinstance(part, str):
            if part not in known:
                raise _unknown(part)
            continue
        inline = True
        if not trusted:
            _check_prefixes(part)
    return inline


def _check_prefixes(part: Any) -> None:
    if not isinstance(part, dict) or len(part) > MAX_PREFIXES:
        raise DocumentError("context-inline", f"A @context holds URLs and at most {MAX_PREFIXES} prefixes.", "/@context")
    for name, iri in part.items():
        if not (_PREFIX_NAME.match(name) and isinstance(iri, str) and _PREFIX_IRI.match(iri)):
            reason = f"The inline context may only define prefixes of absolute IRIs; {excerpt(name)!r} is something else."
            raise DocumentError("context-inline", reason, "/@context")


def _survey(document: dict[str, Any], *, trusted: bool) -> int:
    """Count the members that expansion must keep, with a look at every node; iterative, so that depth cannot hurt."""
    members = values = typed = 0
    waiting: list[tuple[Any, int]] = [(document, 1)]
    for value, depth in waiting:
        values += len(value)
        if depth > MAX_DEPTH:
            raise DocumentError("document-too-deep", f"The document is nested deeper than {MAX_DEPTH} levels.")
        if values > MAX_VALUES or typed > MAX_TYPED:
            reason = f"The document has more than {MAX_VALUES} values or {MAX_TYPED} typed objects; use the plain DSP form."
            raise DocumentError("document-too-costly", reason)
        if isinstance(value, list):
            waiting.extend((item, depth + 1) for item in value if isinstance(item, dict | list))
        else:
            typed += "@type" in value
            for name, member in value.items():
                if name.startswith("@"):
                    _check_keyword(name, value is document, trusted=trusted)
                elif member is not None:
                    members += 1
                if name != "@context" and isinstance(member, dict | list):
                    waiting.append((member, depth + 1))
    return members


def _check_keyword(name: str, is_root: bool, *, trusted: bool) -> None:
    if trusted:
        return
    if name == "@context" and not is_root:
        raise DocumentError("context-inline", "Only the root of a document may carry a @context.", "/@context")
    if name not in _KEYWORDS:
        raise DocumentError("member-invalid", f"{excerpt(name)} is not used in messages.", pointer([name]))


def _count_expanded(expanded: list[dict[str, Any]]) -> int:
    members = 0
    waiting: list[Any] = [*expanded]
    for value in waiting:
        if isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, dict) and value.get("@type") != "@json":
            for name, member in value.items():
                members += not name.startswith("@")
                waiting.append(member)
    return members


def _foreign(error: Any) -> DocumentError:
    """Turn pyld's error into ours: ours may lie below it, since pyld wraps what its loader raises."""
    cause = error
    while cause is not None:
        if isinstance(cause, DocumentError):
            return cause
        cause = getattr(cause, "cause", None) or cause.__cause__
    return DocumentError("document-not-jsonld", f"The document is not valid JSON-LD: {excerpt(str(error.code))}.")


def _lost(document: dict[str, Any], name: str | None) -> DocumentError:
    if name is None:
        return DocumentError("member-lost", "The name of a member starts with @ and is no keyword of JSON-LD.")
    return DocumentError(
        "member-lost",
        f"The member {excerpt(name)!r} has no IRI: add a context or a prefix.",
        pointer(_find(document, name)),
    )


def _missing(document: dict[str, Any], expanded: list[dict[str, Any]]) -> DocumentError:
    """Expansion was silent, yet members are gone: one stood in two spellings, or stood where nothing can."""
    iris = _names(expanded)
    for name in _names([document]):
        if not any(iri.endswith(name.rpartition(":")[2]) for iri in iris):
            return _lost(document, name)
    reason = "A member stands twice in one object, in two spellings, or inside a value that cannot have members."
    return DocumentError("document-duplicate-member", reason)


def _names(values: list[Any]) -> list[str]:
    names: list[str] = []
    waiting = list(values)
    for value in waiting:
        if isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, dict):
            names.extend(name for name in value if not name.startswith("@"))
            waiting.extend(member for name, member in value.items() if name != "@context")
    return names


def _find(document: dict[str, Any], name: str) -> list[str | int]:
    """The path of the first member called `name`; just the name when it is not found literally."""
    waiting: list[tuple[Any, list[str | int]]] = [(document, [])]
    for value, path in waiting:
        if isinstance(value, dict):
            if name in value:
                return [*path, name]
            waiting.extend((member, [*path, key]) for key, member in value.items() if key != "@context")
        elif isinstance(value, list):
            waiting.extend((item, [*path, index]) for index, item in enumerate(value))
    return [name]
