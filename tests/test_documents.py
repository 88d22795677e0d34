"""The documents speak of commands, files and a version that exist."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from click import Group, Option
from click.core import Context

from connector.cli.main import cli

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", README, re.M | re.S)
COMMANDS = [line for block in BLOCKS for line in block.splitlines() if line.strip()]
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.M))


def test_the_readme_has_examples() -> None:
    assert COMMANDS


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_of_the_readme_exist(line: str) -> None:
    words = shlex.split(line, comments=True)
    if words[0] == "make":
        assert words[1] in TARGETS
        return
    assert words[0] == "carnet"
    context = Context(cli)
    assert isinstance(cli, Group)
    command = cli.get_command(context, words[1])
    assert command is not None, f"there is no carnet {words[1]}"
    alone = isinstance(command, Group) and command.invoke_without_command and words[2].startswith("-")
    if isinstance(command, Group) and not alone:
        command = command.get_command(context, words.pop(2))
        assert command is not None, f"there is no such sub-command: {line}"
    known = {name for option in command.params if isinstance(option, Option) for name in option.opts}
    used = {word.partition("=")[0] for word in words[2:] if word.startswith("--")}
    assert used <= known
    # Parses, with its arguments; nothing runs.
    command.make_context(words[1], words[2:], resilient_parsing=True)


def test_every_command_is_in_the_readme() -> None:
    assert isinstance(cli, Group)
    assert [name for name in cli.list_commands(Context(cli)) if f"carnet {name}" not in README] == []


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`make ([a-z-]+)`", README))))
def test_targets_of_the_readme_exist(target: str) -> None:
    assert target in TARGETS


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_links_of_the_readme_lead_somewhere(link: str) -> None:
    assert (ROOT / link).exists()


def test_the_changelog_has_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"\n## [{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_licence_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert text.rstrip().endswith("limitations under the License.")


def test_documents_name_no_place_of_one_machine() -> None:
    for path in (*ROOT.glob("*.md"), *ROOT.glob("requirements*.txt"), ROOT / "pyproject.toml", ROOT / "Makefile"):
        found = re.search(r"(?<![\w.])/(home|root|work|Users)/|file://", path.read_text(encoding="utf-8"))
        assert found is None, f"{path.name}: {found}"
