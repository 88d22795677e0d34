"""What `carnet publish` makes of its options, before it asks a connector."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
from click import ClickException
from click.testing import CliRunner, Result

from connector.cli import publish
from connector.cli.main import cli
from connector.cli.measured import measured

GIVEN: Final = {
    "--title": "Trips",
    "--template": "city",
    "--price": "4900.00",
    "--place": "FRA",
    "--publisher": "Example Motors",
    "--contact": "Data desk <desk@oem.example>",
    "--column": "speed=Vehicle.Speed",
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What a connector would be asked; it is never there."""
    calls: list[dict[str, Any]] = []

    class Client:
        def publish(self, dataset: str, file: str, **more: Any) -> dict[str, Any]:
            calls.append({"id": dataset, "file": file, **more})
            return {"source": {"bytes": 2, "sha256": "00"}, "dataset": {"hasPolicy": [{"@id": "urn:offer"}]}}

    monkeypatch.setattr(publish, "call", lambda config, work, **_: work(Client()))
    return calls


def published(file: Path, given: dict[str, str], *more: str) -> Result:
    file.write_text("speed\n1\n")
    words = [word for pair in given.items() for word in pair]
    return CliRunner().invoke(cli, ["publish", str(file), "--id", "trips", *words, *more])


def test_the_answers_of_a_template(asked: list[dict[str, Any]], tmp_path: Path) -> None:
    more = ("--column", "car=identifying", "--text-language", "fr", "--description", "Trajets")
    result = published(tmp_path / "trips.csv", GIVEN, *more)
    assert result.exit_code == 0, result.output
    assert result.output == "trips: 2 bytes, SHA-256 00\n  offer urn:offer\n"
    assert asked[0]["template"] == "city"
    assert asked[0]["title"] == "Trips"
    assert asked[0]["answers"] == {
        "price": "4900.00",
        "place": "http://publications.europa.eu/resource/authority/country/FRA",
        "columns": {"speed": "Vehicle.Speed", "car": "identifying"},
        "publisher": "Example Motors",
        "contact": "Data desk",
        "email": "desk@oem.example",
        "description": "Trajets",
        "language": "fr",
    }


@pytest.mark.parametrize(
    ("code", "iri"),
    [
        ("FRA", "http://publications.europa.eu/resource/authority/country/FRA"),
        ("FR", "http://data.europa.eu/nuts/code/FR"),
        ("FR10", "http://data.europa.eu/nuts/code/FR10"),
        ("https://example.com/place", "https://example.com/place"),
    ],
)
def test_places_are_named_by_codes(code: str, iri: str) -> None:
    assert publish.place(code) == iri


@pytest.mark.parametrize("option", ["--title", "--price", "--place", "--publisher", "--contact", "--column"])
def test_what_a_template_needs_is_named(asked: list[dict[str, Any]], tmp_path: Path, option: str) -> None:
    result = published(tmp_path / "trips.csv", {name: value for name, value in GIVEN.items() if name != option})
    assert (result.exit_code, f"--template city needs {option}" in result.output, asked) == (2, True, [])


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ({"--contact": "desk@oem.example"}, "--contact is written"),
        ({"--column": "speed"}, "--column speed says no meaning"),
        ({"--place": "Paris"}, "--place Paris is no code"),
    ],
)
def test_answers_that_are_none(asked: list[dict[str, Any]], tmp_path: Path, change: dict[str, str], answer: str) -> None:
    result = published(tmp_path / "trips.csv", GIVEN | change)
    assert (result.exit_code, answer in result.output, asked) == (2, True, [])


def test_answers_without_a_template_are_not_passed_over(asked: list[dict[str, Any]], tmp_path: Path) -> None:
    result = published(tmp_path / "trips.csv", {"--price": "3.00", "--text-language": "fr"})
    assert result.exit_code == 2
    assert "these go with --template only: --price, --text-language" in result.output
    assert asked == []


def test_a_record_and_offers_of_ones_own(asked: list[dict[str, Any]], tmp_path: Path) -> None:
    record, offer = tmp_path / "record.json", tmp_path / "offer.json"
    record.write_text('{"@type": "dcat:Dataset"}')
    offer.write_text('{"permission": []}')
    result = published(tmp_path / "trips.csv", {"--record": str(record), "--offer": str(offer)}, "--terms", str(offer))
    assert result.exit_code == 0, result.output
    assert asked[0]["record"] == {"@type": "dcat:Dataset"}
    assert asked[0]["offers"] == [{"permission": []}, {"permission": []}]


def test_a_record_is_one_object_and_beside_no_template(asked: list[dict[str, Any]], tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    record.write_text("[]")
    assert "must hold one record" in published(tmp_path / "trips.csv", {"--record": str(record)}).output
    record.write_text("{}")
    assert "leave --record out" in published(tmp_path / "trips.csv", GIVEN, "--record", str(record)).output
    assert asked == []


def test_figures_are_measured_in_the_data(asked: list[dict[str, Any]], tmp_path: Path) -> None:
    file = tmp_path / "trips.csv"
    result = published(file, GIVEN, "--measure", "--vehicle", "speed")
    assert result.exit_code == 0, result.output
    assert asked[0]["answers"]["quality"] == {
        "rows": 1,
        "vehicles": 1,
        "vehicles_estimated": False,
        "trips": None,
        "trips_estimated": False,
        "duplicates": 0,
        "period": None,
        "sampling_interval_ms": None,
        "completeness": (("speed", 1.0),),
    }


@pytest.mark.parametrize(
    ("more", "answer"),
    [
        (("--measure", "--trip", "journey"), "cannot be measured: the data have no column 'journey'"),
        (("--time", "t"), "--time goes with --measure"),
        (("--clock", "ms"), "--clock goes with --measure"),
    ],
)
def test_what_cannot_be_measured_is_said(asked: list[dict[str, Any]], tmp_path: Path, more: tuple[str, ...], answer: str) -> None:
    result = published(tmp_path / "trips.csv", GIVEN, *more)
    assert (result.exit_code > 0, answer in result.output, asked) == (True, True, [])


def test_only_text_is_measured(tmp_path: Path) -> None:
    file = tmp_path / "trips.csv"
    file.write_bytes(b"\xff\xfe")
    given = {"measure": True, "vehicle": None, "trip": None, "time": None, "clock": None}
    with pytest.raises(ClickException, match="no text in UTF-8"):
        measured(file, given)
