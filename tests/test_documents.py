"""The documents speak of commands, files and a version that exist."""

import importlib.util
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from click import Group, Option
from click.core import Context

from connector.cli.main import cli

ROOT = Path(__file__).parents[1]
PACKAGES = ("connector", "policies", "catalog", "examples")
DOCUMENTS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted(
        (
            ROOT / "README.md",
            ROOT / "ARCHITECTURE.md",
            *(found for package in PACKAGES for found in (ROOT / package).rglob("*.md")),
        )
    )
}
README = DOCUMENTS["README.md"]
WRITTEN = "\n".join(DOCUMENTS.values())
BLOCKS = re.findall(r"^```sh\n(.*?)^```", WRITTEN, re.M | re.S)
COMMANDS = [line for block in BLOCKS for line in block.splitlines() if line.strip()]
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.M))


def test_the_documents_have_examples() -> None:
    assert COMMANDS


def test_every_command_of_the_readme_is_run() -> None:
    """What is not run as it stands there (tests/demo) is run by continuous integration and by hand all day."""
    told = README.partition("<!-- ten commands -->")[0] + README.partition("<!-- end of ten commands -->")[2]
    assert "```bash" not in told
    blocks = re.findall(r"^```sh\n(.*?)^```", told, re.M | re.S)
    assert [line.split("#")[0].split() for block in blocks for line in block.splitlines()] == [["make", "demo"], ["make", "test"]]


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_of_the_documents_exist(line: str) -> None:
    words = shlex.split(line, comments=True)
    if words[0].rpartition("/")[2] == "python" and words[1] == "-m":
        assert importlib.util.find_spec(words[2]) is not None
        return
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


def test_every_command_is_explained() -> None:
    assert isinstance(cli, Group)
    assert [name for name in cli.list_commands(Context(cli)) if f"carnet {name}" not in DOCUMENTS["connector/README.md"]] == []


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`make ([a-z-]+)`", WRITTEN))))
def test_targets_of_the_documents_exist(target: str) -> None:
    assert target in TARGETS


@pytest.mark.parametrize("module", sorted(set(re.findall(r"`(?:\.venv/bin/)?python3? -m ([a-z_.]+)", WRITTEN))))
def test_modules_of_the_documents_exist(module: str) -> None:
    assert importlib.util.find_spec(module) is not None


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", DOCUMENTS[document]):
        assert ((ROOT / document).parent / link).exists(), link


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_to_headings_that_there_are(document: str) -> None:
    for link, mark in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", DOCUMENTS[document]):
        other = DOCUMENTS[((ROOT / document).parent / link).resolve().relative_to(ROOT).as_posix() if link else document]
        headings = [
            re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.*)$", other, re.M)
        ]
        assert mark in headings, f"{link}#{mark}"


def test_the_changelog_has_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"\n## [{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_licence_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert text.rstrip().endswith("limitations under the License.")


def test_documents_name_no_place_of_one_machine() -> None:
    for path in (
        *ROOT.glob("*.md"),
        *ROOT.glob("requirements*.txt"),
        ROOT / "pyproject.toml",
        ROOT / "Makefile",
        *map(ROOT.joinpath, DOCUMENTS),
    ):
        found = re.search(r"(?<![\w.])/(home|root|work|Users)/|file://", path.read_text(encoding="utf-8"))
        assert found is None, f"{path.name}: {found}"
