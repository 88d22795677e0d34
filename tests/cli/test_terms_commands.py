"""`carnet explain` and `carnet simulate` of files: no connector, no settings, the same words that a connector would say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result

from connector.cli.main import cli

OFFERS: Final = sorted((Path(__file__).parents[1] / "policies" / "offers").glob("*.jsonld"))
PAYD, FREE = (next(file for file in OFFERS if file.name.startswith(number)) for number in "14")
CITY: Final = ("--kind", "public-body", "--country", "FR", "--purpose", "MobilityPlanning")


def carnet(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


def said(*words: str | Path) -> str:
    result = carnet(*words)
    assert result.exit_code == 0, result.output
    return result.output


def document(*words: str | Path) -> Any:
    return json.loads(said(*words, "--json"))


@pytest.mark.parametrize("offer", OFFERS, ids=lambda file: file.stem)
@pytest.mark.parametrize("language", ["en", "de", "fr"])
def test_every_offer_is_explained_in_every_language(offer: Path, language: str) -> None:
    told = document("explain", offer, "--language", language)
    assert told["kind"] == "Offer"
    assert told["language"] == language
    assert all(each["sentence"] for each in (*told["sentences"], *told["delivery"]))
    assert len(told["delivery"]) > 1


def test_terms_are_said_with_how_they_are_kept() -> None:
    text = said("explain", FREE)
    assert "  Permitted: use the data." in text
    assert "    The purpose is one of mobility planning or scientific research." in text
    assert "How each term is kept:" in text
    assert "enforced at: catalogue, negotiation, transfer\n" in text
    assert "enforced at: catalogue, negotiation, transfer, data request\n" in said("explain", FREE, "--declares", "consumerKind")
    assert "evidenced by: signed attestation of use" in text
    assert "Prohibited: sell the data. — legal only" in text
    assert "cannot be kept" not in text


def test_what_cannot_be_kept_is_said_with_its_remedy_until_a_data_plane_declares_it() -> None:
    problems = document("explain", PAYD)["problems"]
    terms = ("legalBasis", "requestsPerVehicleDay", "obtainConsent")
    assert [problem["code"] for problem in problems] == ["not-enforceable"] * len(terms)
    assert all(term in problem["remedy"] for term, problem in zip(terms, problems, strict=True))
    text = said("explain", PAYD)
    assert "What cannot be kept here; with it nothing is published:" in text
    assert "/permission/0/constraint/2: no data plane here declares to keep" in text
    declared = [word for term in terms for word in ("--declares", term)]
    assert document("explain", PAYD, *declared)["problems"] == []


def test_the_counterparty_is_told_neither_names_nor_how_terms_are_kept() -> None:
    told = document("explain", FREE, "--redacted")
    assert "delivery" not in told
    text = said("explain", FREE, "--redacted")
    assert "did:web:oem.example" not in text
    assert "public body" not in text


def test_a_permitted_buyer_is_shown_each_step_and_the_terms_of_delivery() -> None:
    (told,) = document("simulate", FREE, *CITY)
    assert told["permitted"]
    assert [(step["scope"], step["outcome"]) for step in told["decisions"]] == [
        ("catalogue", "permit"),
        ("negotiation", "permit"),
        ("transfer", "permit"),
    ]
    text = said("simulate", FREE, *CITY)
    assert "(kind public-body, country FR)" in text
    assert "  gets the data: yes\n    Still owed: name the source.\nHow each term is kept:" in text
    assert "4900" not in text, "the permission for companies does not apply"


def test_a_refused_buyer_is_shown_why_and_what_would_change_it() -> None:
    (told,) = document("simulate", FREE, "--kind", "public-body", "--purpose", "dpv:Marketing")
    assert not told["permitted"]
    assert "delivery" not in told
    assert told["decisions"][1]["reasons"][0]["path"] == "/permission/0/constraint/1"
    text = said("simulate", FREE, "--kind", "public-body", "--purpose", "dpv:Marketing")
    assert "  sees the offer: yes\n  gets a contract: no\n    Not satisfied: The purpose is one of" in text
    assert "      To change that: " in text


@pytest.mark.parametrize(("language", "answer"), [("de", "sieht das Angebot: ja"), ("fr", "voit l'offre: oui")])
def test_steps_are_said_in_every_language(language: str, answer: str) -> None:
    assert answer in said("simulate", FREE, *CITY, "--language", language)


@pytest.mark.parametrize(
    ("at", "agreed", "permitted"),
    [
        ("2027-01-31T12:00:00Z", "2027-01-01T00:00:00Z", True),
        ("2027-01-31T12:00:00+01:00", "2026-01-01T00:00:00Z", False),
        ("2027-01-31T12:00:00Z", None, True),
    ],
)
def test_time_and_the_time_of_the_contract_are_supposed(tmp_path: Path, at: str, agreed: str | None, permitted: bool) -> None:
    ninety_days = {"leftOperand": "elapsedTime", "operator": "lteq", "rightOperand": {"@value": "P90D", "@type": "xsd:duration"}}
    file = tmp_path / "offer.json"
    file.write_text(json.dumps({"permission": [{"action": "use", "constraint": [ninety_days]}]}))
    (told,) = document("simulate", file, "--at", at, *(["--agreed", agreed] if agreed else []))
    assert told["decisions"][-1]["outcome"] == ("permit" if permitted else "deny")
    assert told["id"] == "urn:carnet:offer"


def test_an_iri_is_a_purpose_even_if_nobody_knows_it() -> None:
    (told,) = document("simulate", FREE, "--purpose", "https://example.com/purpose")
    assert told["purpose"] == "https://example.com/purpose"
    assert not told["permitted"]


def test_memberships_are_said_one_after_the_other() -> None:
    assert "(membership one, two)" in said("simulate", FREE, "--membership", "one", "--membership", "two")


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("explain", FREE, "--declares", "levitation"), "there is no term levitation"),
        (("simulate", FREE, "--purpose", "levitation"), "there is no purpose levitation"),
        (("simulate", FREE, "--at", "tomorrow"), "--at names no moment with its zone"),
        (("simulate", FREE, "--agreed", "2027-01-01"), "--agreed names no moment with its zone"),
    ],
)
def test_what_is_not_understood_is_said(words: tuple[str | Path, ...], answer: str) -> None:
    result = carnet(*words)
    assert (result.exit_code, answer in result.output) == (1, True)


def test_a_file_without_a_policy_is_refused_with_the_place(tmp_path: Path) -> None:
    file = tmp_path / "offer.json"
    file.write_text('{"permission": [{"action": "use", "constraint": [{"leftOperand": "purpose"}]}]}')
    result = carnet("explain", file)
    assert result.exit_code == 1
    assert "member-missing at /permission/0/constraint/0" in result.output
