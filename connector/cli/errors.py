"""How a command ends that cannot do what it was told: one sentence, a code, and what to do. One shape for all of them.

    Error: no connector answers on /srv/carnet/local.sock [connector-away]
    Do this: start it with `carnet serve`

With `--json` the same is one JSON object on standard error, {"code", "detail", "remedy"}. The codes stand in
`connector.remedies`, the exit codes in `EXITS`. Every command imports this: it may import click, what makes text plain, and the
connector's error tree, which imports nothing.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import click

from connector.cli.plain import plain, plain_json, plain_lines
from connector.protocol.errors import CarnetError
from connector.remedies import BY_STATUS, REMEDIES, by_status, parted

Document = dict[str, Any]
INTERRUPTED: Final = 130
EXITS: Final = {
    0: "done",
    1: "refused, or failed: the code on standard error says why",
    2: "called wrongly",
    3: "no connector answers",
    4: "waited in vain: it goes on in the connector",
    INTERRUPTED: "interrupted: what the connector has begun goes on there",
}
"""How commands end; never changes between releases."""
_EXIT_OF: Final = {"channel-none": 3, "connector-away": 3, "connector-silent": 3, "peer-silent": 4, "still-waiting": 4}
"""Codes with an exit code of their own."""
_CODED: Final = re.compile(r"(?P<sentence>.*) \[(?P<code>[a-z][a-z0-9_-]*)\]", re.S)
_USAGE: Final[tuple[tuple[type[click.UsageError], str], ...]] = (
    (click.NoSuchOption, "option-unknown"),
    (click.BadOptionUsage, "option-invalid"),
    (click.MissingParameter, "argument-missing"),
    (click.BadParameter, "argument-invalid"),
)


class Failed(click.ClickException):
    """The command cannot do it: ``code`` is stable, ``sentence`` is for people, ``remedy`` says what to do (that of the code, if
    it is left out). ``findings``: what is wrong in detail, each with path, sentence, code and remedy."""

    def __init__(self, code: str, sentence: str, remedy: str = "", findings: Iterable[Document] = ()) -> None:
        super().__init__(f"{sentence} [{code}]")
        self.code = code
        self.sentence = sentence
        self.remedy = remedy or REMEDIES[code]
        self.findings = list(findings)

    def show(self, file: Any = None) -> None:
        """For people, as above."""
        for line in self.lines():
            click.echo(plain_lines(line), err=True, file=file)

    def lines(self) -> Iterable[str]:
        """For people: the sentence, what was found, and what to do."""
        yield f"Error: {plain(self.message)}"
        yield from problem_lines(self.findings)
        yield f"Do this: {self.remedy}"

    def document(self) -> Document:
        """For programs."""
        found = {"findings": self.findings} if self.findings else {}
        return {"code": self.code, "detail": self.sentence, "remedy": self.remedy, **found}


class Interrupted(Failed):
    """The person has stopped it (Ctrl-C)."""

    exit_code = INTERRUPTED


class _Misused(Failed):
    """The command was called wrongly; the line with its usage comes first."""

    exit_code = 2

    def __init__(self, code: str, sentence: str, remedy: str, usage: str) -> None:
        super().__init__(code, sentence, remedy)
        self.usage = usage

    def lines(self) -> Iterable[str]:
        yield from [self.usage] if self.usage else []
        yield from super().lines()


def problem_lines(problems: Iterable[Document]) -> Iterable[str]:
    """What is wrong, each with its place and what to do about it."""
    for problem in problems:
        yield plain(f"  {problem.get('path') or '/'}: {problem.get('sentence')} [{problem.get('code')}]")
        if problem.get("remedy"):
            yield plain(f"    {problem['remedy']}")


def failed(error: CarnetError, about: str = "") -> Failed:
    """An error of the connector's own tree, or its refusal, as the end of a command. ``about``: what it is about, if not said."""
    sentence, remedy = parted(error.code, error.reason)
    return Failed(error.code, f"{about}{sentence}", remedy or by_status(error.status))


def stopped(code: str, reason: str) -> Failed:
    """What ends a command, by a reason that may say what to do after its last semicolon."""
    return Failed(code, *parted(code, reason))


def written(error: OSError, what: str = "") -> Failed:
    """What the operating system refused: ``what`` could not be done, or about which file, and why."""
    reason = error.strerror or type(error).__name__
    about = what or (str(error.filename) if error.filename else "a file or a connection")
    return Failed("file-failed", f"{about}: {reason}")


def ended(work: Callable[[], Any], words: Sequence[str]) -> int:
    """Do the work of a command with these arguments; its exit code. Whatever stops it is said in the one shape, never as a
    traceback."""
    try:
        done = work()
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the supervisor of commands: a person gets a sentence, whatever has happened
        end = _end(error, words)
        if "--json" in words:
            click.echo(plain_json(end.document()), err=True)
        else:
            end.show()
        return _EXIT_OF.get(end.code, end.exit_code)
    return done if isinstance(done, int) else 0


def _end(error: Exception, words: Sequence[str]) -> Failed:
    match error:
        case Failed():
            return error
        case click.UsageError():
            return _misused(error, words)
        case click.ClickException():
            found = _CODED.fullmatch(error.format_message())
            code, reason = (found["code"], found["sentence"]) if found else ("failed", error.format_message())
            sentence, remedy = parted(code, reason)
            return Failed(code, sentence, remedy or BY_STATUS[500])
        case click.exceptions.Abort():
            return Interrupted("interrupted", "the command was interrupted")
        case CarnetError():
            return failed(error)
        case OSError():
            return written(error)
        case _:
            return Failed("internal", f"this is a mistake of carnet itself: {type(error).__name__} at {_place(error)}")


def _misused(error: click.UsageError, words: Sequence[str]) -> Failed:
    code = next((code for kind, code in _USAGE if isinstance(error, kind)), "usage")
    usage = error.ctx.get_usage() if error.ctx is not None else ""
    # Of an option without its value, click does not say of which command it was.
    program = error.ctx.command_path if error.ctx is not None else f"carnet {words[0]}"
    said = " ".join(error.format_message().split()).rstrip(".")
    sentence = (
        said.replace(". Did you mean", "; did you mean")
        .replace(". (Did you mean", " (did you mean")
        .replace(". Choose from", "; choose from")
    )
    return _Misused(code, sentence, f"see {program} --help", usage)


def _place(error: Exception) -> str:
    """File and line where it came from, without the machine's folders. What it says may hold a secret and is left out."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"
