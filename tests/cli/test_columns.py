"""Lists for people: aligned, the id first and whole, and no wider than the terminal where that can be had."""

import os
import pty
import sys
from contextlib import redirect_stdout

from connector.cli.columns import SHORTEST, columns

ID = "urn:uuid:0b1c5a52-1111-4222-8333-444455556666"
ROWS = [
    (ID, "FINALIZED", "did:web:a-rather-long-name.of-a-participant.example", "urn:example:trips"),
    (ID[:-1] + "7", "AGREED", "did:web:b.example", "urn:example:a-dataset-with-a-name-of-some-length"),
]


def test_columns_stand_one_under_the_other() -> None:
    lines = columns(ROWS)
    assert [line.split("  ")[0] for line in lines] == [row[0] for row in ROWS]
    assert {line.index("did:web:") for line in lines} == {len(ID) + 2 + len("FINALIZED") + 2}
    assert {line.index("urn:example") for line in lines} == {lines[0].index("urn:example")}
    assert [line.split() for line in lines] == [list(row) for row in ROWS]
    assert columns([]) == []


def test_what_is_too_wide_loses_the_middle_of_names_and_never_of_the_id() -> None:
    lines = columns(ROWS, shrink=(3, 2), most=100)
    assert max(map(len, lines)) <= 100
    assert [line.partition(" ")[0] for line in lines] == [row[0] for row in ROWS]
    assert lines[0].endswith("urn:example:trips"[:6] + "..." + "urn:example:trips"[-7:])
    assert "did:web:" in lines[0]
    assert "..." in lines[0].split()[2]
    assert lines[1].split()[2] == "did:web:b.example"


def test_names_stay_recognisable_when_nothing_would_fit() -> None:
    lines = columns(ROWS, shrink=(3, 2), most=10)
    assert [len(cell) for cell in lines[0].split()[2:]] == [SHORTEST, SHORTEST]


def test_the_width_is_that_of_the_terminal_and_a_file_gets_everything() -> None:
    ours, theirs = pty.openpty()
    with open(theirs, "w", encoding="utf-8") as terminal, redirect_stdout(terminal):
        assert sys.stdout.isatty()
        told = columns(ROWS, shrink=(3, 2))
        assert told == columns(ROWS, shrink=(3, 2), most=os.get_terminal_size(terminal.fileno()).columns or 10_000)
    os.close(ours)
    with open(os.devnull, "w", encoding="utf-8") as file, redirect_stdout(file):
        assert columns(ROWS, shrink=(3, 2)) == columns(ROWS)
