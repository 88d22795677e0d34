"""The attack table: every attack on a running connector, what must come back and what came. `python -m tests.attacks.table`.

With a file's name it writes the table there, too. It ends with 1 if anything was not as expected.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from tests.attacks import misuse, misuse_tokens
from tests.attacks.cases import Case, token_cases
from tests.attacks.stand import Stand, made_stand, standing
from tests.attacks.target import lying


@dataclass(frozen=True)
class Result:
    """One line of the table. ``changed``: the database was not the same afterwards."""

    case: Case
    status: int
    code: str | None
    changed: bool

    @property
    def as_expected(self) -> bool:
        """Whether the answer is one of the right ones, and a refusal has changed nothing."""
        return (self.status, self.code) in self.case.expected and (self.case.changes or not self.changed)


def cases() -> list[Case]:
    """All of them."""
    return [*token_cases(), *misuse.cases(), *misuse_tokens.cases()]


async def tried(stand: Stand, case: Case) -> Result:
    """Make one attack, and look at the database before and after it."""
    stand.accepted = await stand.snapshot()
    seen = await case.run(stand)
    return Result(case, seen.status, seen.code, stand.accepted != await stand.snapshot())


async def everything(folder: Path) -> list[Result]:
    """Run a connector and make every attack on it."""
    async with lying() as liar, standing(await made_stand(folder, liar), liar) as stand:
        return [await tried(stand, case) for case in cases()]


def lines(results: Sequence[Result]) -> list[str]:
    """The table in Markdown."""
    shown = ["| at | attack | must be | was | |", "| --- | --- | --- | --- | --- |"]
    for result in results:
        case, mark = result.case, "ok" if result.as_expected else "NOT AS EXPECTED"
        seen = _spelled([(result.status, result.code)]) + (", stored" if result.changed else "")
        name = case.name.replace("|", "\\|")
        shown.append(f"| {case.where} | {name} | {_spelled(case.expected)} | {seen} | {mark} |")
    wrong = sum(not result.as_expected for result in results)
    taken = sum(result.case.changes for result in results)
    return [*shown, "", f"{len(results)} attacks, {taken} of them harmless and taken; {wrong} not as expected."]


def _spelled(outcomes: Iterable[tuple[int, str | None]]) -> str:
    return " or ".join(f"{status} {code}" if code else str(status) for status, code in sorted(outcomes, key=str))


@click.command()
@click.argument("target", required=False, type=click.Path(path_type=Path, dir_okay=False))
def main(target: Path | None) -> None:
    """Print the table of all attacks; write it to TARGET, too."""
    with tempfile.TemporaryDirectory(prefix="carnet-attacks-") as folder:
        results = asyncio.run(everything(Path(folder) / "us"))
    text = "\n".join(lines(results))
    click.echo(text)
    if target is not None:
        target.write_text(text + "\n")
    sys.exit(0 if all(result.as_expected for result in results) else 1)


if __name__ == "__main__":
    main()
