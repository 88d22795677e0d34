"""Logs and traces of one process.

Owns the correlation id (one context variable, bound to every line and span of a request, a delivery or a timer),
the redaction of secrets from log lines, and the choice of writing JSON or lines for people to standard error.
Traces go through OpenTelemetry when they are enabled and the extra is installed; otherwise `span` does nothing.

May import structlog, OpenTelemetry and the settings; no other part of the connector.
"""

import contextlib
import contextvars
import functools
import importlib
import logging
import re
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager
from typing import Any, Protocol, TextIO

import structlog

from connector.settings.model import LoggingSettings, TelemetrySettings

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_SECRET_KEY = re.compile(r"token|authori[sz]ation|secret|passw|cookie|api.?key|credential|private.?key|assertion", re.I)
_BEARER = re.compile(r"\b(bearer|basic)\s+[^\s\"',;]+", re.I)
_CORRELATION_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_REDACTED = "***"
_MAX_TEXT = 4096
_MAX_DEPTH = 6

_correlation_id: contextvars.ContextVar[str | None] = contextvars.ContextVar("correlation_id", default=None)


class _Tracer(Protocol):
    def start_as_current_span(self, name: str, *, attributes: Mapping[str, Any]) -> AbstractContextManager[object]: ...


_tracers: list[_Tracer] = []


def correlation_id() -> str | None:
    """The id that this task works under, None outside `correlated`."""
    return _correlation_id.get()


@contextlib.contextmanager
def correlated(given: str | None = None) -> Iterator[str]:
    """Everything inside, tasks started there included, carries one correlation id, which is yielded.

    `given` is taken when it is 1 to 128 letters, digits or ._:- (a peer may send anything), else a new id is made.
    """
    chosen = given if given is not None and _CORRELATION_ID.fullmatch(given) else uuid.uuid4().hex
    token = _correlation_id.set(chosen)
    try:
        yield chosen
    finally:
        _correlation_id.reset(token)


def configure_logging(settings: LoggingSettings, stream: TextIO | None = None) -> None:
    """Send every line, those of the standard library's loggers included, to `stream` (standard error)."""
    target = sys.stderr if stream is None else stream
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_correlation_id,
    ]
    renderer: structlog.typing.Processor
    if settings.format == "json":
        shared.append(structlog.processors.format_exc_info)
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=target.isatty())
    shared.append(redact)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[settings.level]),
        logger_factory=structlog.PrintLoggerFactory(target),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, redact, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Libraries talk too much below this, and their debug lines print headers.
    root.setLevel(max(_LEVELS[settings.level], logging.WARNING))


def logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger whose lines carry `component=name`; lines are `log.info("event_name", key=value)`."""
    bound: structlog.typing.FilteringBoundLogger = structlog.get_logger(component=name)
    return bound


def redact(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: values under keys that name secrets, and bearer values anywhere, become `***`."""
    for key in list(event):
        if not key.startswith("_"):
            event[key] = _clean(key, event[key], 0)
    return event


def configure_tracing(settings: TelemetrySettings) -> bool:
    """Turn `span` on when the settings say so; whether spans are recorded from now on.

    False when it is enabled but `opentelemetry` is not installed: the caller says so in the log. Where spans go
    is decided by the tracer provider of the process (OTEL_* variables), not here.
    """
    _tracers.clear()
    if not settings.enabled:
        return False
    try:
        trace = importlib.import_module("opentelemetry.trace")
    except ModuleNotFoundError:
        return False
    _tracers.append(trace.get_tracer("carnet"))
    return True


@contextlib.contextmanager
def span(name: str, **attributes: str | int | float | bool) -> Iterator[None]:
    """Time what is inside as one span. Attributes under keys that name secrets are redacted."""
    if not _tracers:
        yield
        return
    clean = {key: _clean(key, value, 0) for key, value in attributes.items()}
    if (current := correlation_id()) is not None:
        clean["correlation_id"] = current
    with _tracers[0].start_as_current_span(name, attributes=clean):
        yield


def _add_correlation_id(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if (current := correlation_id()) is not None:
        event.setdefault("correlation_id", current)
    return event


# Nearly all keys are the few that are written in the code.
@functools.lru_cache(maxsize=512)
def _names_secret(key: str) -> bool:
    return _SECRET_KEY.search(key) is not None


def _clean(key: str, value: object, depth: int) -> object:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if _names_secret(key):
        return _REDACTED
    if isinstance(value, str):
        text = value[:_MAX_TEXT]
        # What is one word has no credential behind a scheme's name; most values are ids, and the search is dear.
        return _BEARER.sub(rf"\1 {_REDACTED}", text) if len(text.split(None, 1)) > 1 else text
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{len(value)} bytes"
    if isinstance(value, Mapping):
        return _bounded(depth, lambda: {str(k): _clean(str(k), v, depth + 1) for k, v in value.items()})
    if isinstance(value, list | tuple | set | frozenset):
        return _bounded(depth, lambda: [_clean("", item, depth + 1) for item in value])
    return value


def _bounded(depth: int, make: Callable[[], object]) -> object:
    return make() if depth < _MAX_DEPTH else "..."
