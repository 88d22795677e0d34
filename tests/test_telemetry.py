"""Logs: one correlation id, no secrets. Spans: recorded when enabled, nothing otherwise."""

import asyncio
import importlib
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from connector import telemetry
from connector.settings.model import LoggingSettings, TelemetrySettings

SECRET = "9f8e7d6c5b4a"


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    telemetry.configure_tracing(TelemetrySettings(enabled=False))


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def configured(level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    telemetry.configure_logging(LoggingSettings(level=level), stream)  # type: ignore[arg-type]  # a parameter
    return stream


async def test_one_correlation_id_reaches_the_tasks_started_inside() -> None:
    stream = configured()
    log = telemetry.logger("dispatch")

    async def inner() -> None:
        log.info("inner")

    with telemetry.correlated("from-peer-1") as chosen:
        log.info("outer")
        async with asyncio.TaskGroup() as group:
            group.create_task(inner())
    log.info("after")
    outer, within, after = lines(stream)
    assert chosen == outer["correlation_id"] == within["correlation_id"] == "from-peer-1"
    assert "correlation_id" not in after
    assert outer["component"] == "dispatch"


@pytest.mark.parametrize("given_id", [None, "", "two words", "x" * 129, 'a"b', "line\nbreak"])
def test_an_unusable_correlation_id_is_replaced(given_id: str | None) -> None:
    with telemetry.correlated(given_id) as chosen:
        assert chosen != given_id
        assert telemetry.correlation_id() == chosen
    assert telemetry.correlation_id() is None


def test_secrets_are_redacted_wherever_they_stand() -> None:
    stream = configured()
    log = telemetry.logger("http")
    log.info(
        "request",
        token=SECRET,
        headers={"Authorization": f"Bearer {SECRET}", "Accept": "json"},
        nested=[{"client_secret": SECRET}, {"password": [SECRET]}],
        text=f"sent authorization: Bearer {SECRET}, then",
        body=SECRET.encode(),
        tokens_seen=3,
    )
    log.error("failed", exc_info=ValueError(f"refused Bearer {SECRET}"))
    logging.getLogger("library").warning("header Bearer %s", SECRET)
    assert SECRET not in stream.getvalue()
    request, failed, library = lines(stream)
    assert request["headers"]["Accept"] == "json"
    assert request["body"] == "12 bytes"
    assert request["tokens_seen"] == 3
    assert "ValueError" in failed["exception"]
    assert (library["logger"], library["level"]) == ("library", "warning")


def test_levels_are_kept() -> None:
    stream = configured("warning")
    log = telemetry.logger("x")
    log.info("quiet")
    log.warning("loud")
    assert [line["event"] for line in lines(stream)] == ["loud"]


def test_lines_for_people() -> None:
    stream = io.StringIO()
    telemetry.configure_logging(LoggingSettings(format="console"), stream)
    telemetry.logger("x").error("failed", token=SECRET, exc_info=ValueError("reason"))
    assert "failed" in stream.getvalue()
    assert "reason" in stream.getvalue()
    assert SECRET not in stream.getvalue()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=20,
)


@given(JSON)
def test_redaction_takes_any_value_and_does_not_change_it_in_place(value: object) -> None:
    before = repr(value)
    json.dumps(telemetry.redact(None, "info", {"value": value}))
    assert repr(value) == before


def test_redaction_ends_for_a_value_that_contains_itself() -> None:
    endless: list[object] = []
    endless.append(endless)
    assert "..." in str(telemetry.redact(None, "info", {"value": endless}))


def test_spans_do_nothing_until_enabled() -> None:
    assert telemetry.configure_tracing(TelemetrySettings(enabled=False)) is False
    with telemetry.span("idle", n=1):
        pass


def test_spans_do_nothing_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> object:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    assert telemetry.configure_tracing(TelemetrySettings(enabled=True)) is False


def test_spans_carry_the_correlation_id_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    assert telemetry.configure_tracing(TelemetrySettings(enabled=True)) is True
    with telemetry.correlated("abc"), telemetry.span("deliver", kind="transfer", token=SECRET):
        pass
    (span,) = exporter.get_finished_spans()
    assert span.name == "deliver"
    assert dict(span.attributes or {}) == {"kind": "transfer", "token": "***", "correlation_id": "abc"}
