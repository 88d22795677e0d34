"""A walk through all commands with what people get wrong: each ends with one sentence, a code that is known, and what to do."""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from connector.cli import errors
from connector.cli.errors import Failed, ended, failed
from connector.cli.main import COMMANDS, cli
from connector.client.local import Refused
from connector.protocol.errors import NotFound, Unavailable
from connector.remedies import BY_STATUS, REMEDIES, parted

ROOT = Path(__file__).parents[2]
SHAPE = re.compile(r"(?P<usage>Usage: .+\n)?Error: (?P<sentence>.+) \[(?P<code>[a-z][a-z0-9_-]*)\]\nDo this: (?P<remedy>.+)\n\Z")
SETTINGS = frozenset({"file-unreadable", "invalid-toml", "unknown-setting", "invalid-value", "missing-setting", "keys-missing"})


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CARNET_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A connector that does not run, in ``house``, among files that are wrong in one way each."""
    assert CliRunner().invoke(cli, ["init", str(tmp_path / "house"), "--participant-id", "did:web:us"]).exit_code == 0
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "object.json").write_text("{}")
    (tmp_path / "odd.json").write_text('{"permission": 7}')
    (tmp_path / "large.json").write_text(f'{{"a": "{"x" * 1_100_000}"}}')
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "trips.csv").write_text("trip,speed\n1,2\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "bad.toml").write_text("participant_id = ")
    (tmp_path / "unknown.toml").write_text('participant_id = "did:web:us"\nlevitation = true\n')
    return tmp_path


def carnet(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


def shaped(result: Result, code: int = 1) -> re.Match[str]:
    """The parts of how a command ended, which must have the shape of all."""
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    found = SHAPE.search(result.stderr)
    assert found, result.stderr
    assert "Traceback" not in result.output
    assert ". " not in found["sentence"].replace("e.g. ", ""), "one sentence"
    assert not found["sentence"].endswith(".")
    assert found["code"] in REMEDIES.keys() | SETTINGS
    assert (found["usage"] is not None) == (code == 2)
    return found


def leaves(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group) and not command.invoke_without_command:
            yield from leaves(command, (*path, name))
        else:
            yield (*path, name), command


def words_for(command: click.Command, house: Path) -> list[str]:
    """Something for each argument and option that a command cannot do without."""
    words: list[str] = []
    file = house / {"import": "list.json", "backup": "new", "restore": "folder"}.get(command.name or "", "object.json")
    for each in command.params:
        if not each.required:
            continue
        match each.type:
            case _ if each.name == "text":
                word = "0" * 64
            case click.Choice(choices=choices):
                word = str(choices[0])
            case click.Path():
                word = str(file)
            case _:
                word = "x"
        words += [word] if isinstance(each, click.Argument) else [each.opts[-1], word]
    return words


LEAVES = dict(leaves(cli))
ALONE = {("demo",), ("init",), ("completion",)}
"""They need no settings."""


@pytest.mark.parametrize("path", LEAVES, ids="-".join)
def test_without_settings_and_with_wrong_options(path: tuple[str, ...], house: Path) -> None:
    command = LEAVES[path]
    found = shaped(carnet(*path, "--levitate"), 2)
    assert (found["code"], found["remedy"]) == ("option-unknown", f"see carnet {' '.join(path)} --help")
    if any(each.required for each in command.params):
        assert shaped(carnet(*path), 2)["code"] == "argument-missing"
    if path in ALONE or path == ("doctor",):
        return
    words = (*path, *words_for(command, house))
    for config in ("nowhere.toml", "bad.toml", "unknown.toml"):
        found = shaped(carnet(*words, "--config", house / config))
        assert found["code"] in SETTINGS, found
        assert config in found["sentence"] or found["code"] == "unknown-setting"


AWAY = [path for path, command in LEAVES.items() if any(each.name == "as_json" for each in command.params)]
LOCAL = {
    ("doctor",),
    ("init",),
    ("backup",),
    ("restore",),
    ("keys", "list"),
    ("keys", "rotate"),
    ("keys", "revoke"),
    ("explain",),
    ("simulate",),
}
LOCAL |= {("audit", name) for name in ("verify", "query", "export", "pack")}


@pytest.mark.parametrize("path", [path for path in AWAY if path not in LOCAL], ids="-".join)
def test_without_a_connector(path: tuple[str, ...], house: Path) -> None:
    words = [*path, *words_for(LEAVES[path], house), "--config", str(house / "house" / "carnet.toml")]
    assert shaped(carnet(*words), 3)["remedy"] == "start it with `carnet serve`"
    told = carnet(*words, "--json")
    assert (told.exit_code, told.stdout) == (3, "")
    document = json.loads(told.stderr.splitlines()[-1])
    assert document.keys() == {"code", "detail", "remedy"}
    assert document["code"] == "connector-away"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("init house --participant-id did:web:us", "file-exists"),
        ("init trips.csv/house --participant-id did:web:us", "file-failed"),
        ("init new --participant-id did:web:us --set protocol.port=nothing", "invalid-toml"),
        ("explain broken.json", "file-not-json"),
        ("explain deep.json", "file-not-json"),
        ("explain list.json", "file-content"),
        ("explain large.json", "file-too-large"),
        ("explain odd.json", "policy-invalid"),
        ("explain object.json --declares levitation", "term-unknown"),
        ("simulate object.json --purpose levitation", "purpose-unknown"),
        ("simulate object.json --at tomorrow", "time-invalid"),
        ("publish trips.csv --id x --record broken.json", "file-not-json"),
        ("publish trips.csv --id x --offer list.json", "file-content"),
        ("publish trips.csv --id x --table --sensitive object.json", "file-content"),
        ("publish trips.csv --id x --table --mapping broken.json", "file-not-json"),
        ("processes offer x broken.json", "file-not-json"),
        ("negotiate x y --terms list.json", "file-content"),
        ("peers import broken.json", "file-not-json"),
        ("peers import object.json", "file-content"),
        ("peers add x --keys object.json", "file-content"),
        ("consents grant v --category location --purpose p --recipient r --text nowhere", "file-failed"),
        ("backup folder", "file-exists"),
        ("backup trips.csv/copy", "file-failed"),
        ("restore folder", "no-backup"),
    ],
)
def test_what_is_wrong_with_files(words: str, code: str, house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(house)
    monkeypatch.setenv("CARNET_CONFIG", "house/carnet.toml")
    assert shaped(carnet(*words.split()))["code"] == code


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("", "usage"),
        ("levitate", "usage"),
        ("contracts lst", "usage"),
        ("publish nowhere.csv --id x", "argument-invalid"),
        ("publish trips.csv --id x --dry-run", "usage"),
        ("publish folder --id x", "usage"),
        ("hello x --wait-s 0", "argument-invalid"),
        ("peers list --state levitating", "argument-invalid"),
        ("transfer x --no-fetch --columns Vehicle.Speed", "usage"),
        ("restore nowhere", "argument-invalid"),
    ],
)
def test_what_is_called_wrongly(words: str, code: str, house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(house)
    monkeypatch.setenv("CARNET_CONFIG", "house/carnet.toml")
    result = carnet(*words.split())
    if not words:
        assert (result.exit_code, "Commands:" in result.output) == (2, True)
        return
    assert shaped(result, 2)["code"] == code


def test_an_option_without_its_value(house: Path) -> None:
    """Of which click does not say to which command it belongs."""
    result = carnet("publish", house / "trips.csv", "--id")
    assert result.exit_code == 2
    assert result.stderr == "Error: Option '--id' requires an argument [option-invalid]\nDo this: see carnet publish --help\n"


def test_a_full_disk_is_said(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "carnet.toml")

    monkeypatch.setattr("connector.cli.init.write_private", full)
    found = shaped(carnet("init", house / "new", "--participant-id", "did:web:us"))
    assert (found["code"], "No space left on device" in found["sentence"]) == ("file-failed", True)


def test_a_file_that_nobody_thought_of_is_said(monkeypatch: pytest.MonkeyPatch, house: Path) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "peers.json")

    monkeypatch.setattr("connector.cli.browse.call", full)
    found = shaped(carnet("browse"))
    assert (found["code"], found["sentence"]) == ("file-failed", "peers.json: No space left on device")


def test_a_mistake_of_ours_is_no_traceback_and_shows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise LookupError("a secret")

    monkeypatch.setattr("connector.cli.browse.call", broken)
    result = carnet("browse")
    found = shaped(result)
    assert (found["code"], "LookupError at test_errors.py:" in found["sentence"]) == ("internal", True)
    assert "a secret" not in result.output


# -- the table of codes -----------------------------------------------------------------------------------------------


def given_codes() -> set[str]:
    """The codes that the modules of the command line give: the first argument of Failed, stopped and Interrupted."""
    found: set[str] = set()
    for file in (ROOT / "connector" / "cli").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
                first = node.args[0]
                if node.func.id in ("Failed", "Interrupted", "stopped") and isinstance(first, ast.Constant):
                    found.add(str(first.value))
    return found


def test_every_code_of_the_command_line_is_in_the_table() -> None:
    codes = given_codes()
    assert len(codes) > 15
    assert codes <= REMEDIES.keys()
    assert {code for _, code in errors._USAGE} <= REMEDIES.keys()
    for remedy in (*REMEDIES.values(), *BY_STATUS.values()):
        assert remedy[0].islower()
        assert not remedy.endswith(".")


def test_no_command_goes_another_way() -> None:
    """But the demo, which tells its own story."""
    for file in (ROOT / "connector" / "cli").glob("*.py"):
        if file.name not in ("errors.py", "demo.py"):
            assert "ClickException" not in file.read_text(encoding="utf-8"), file.name


@pytest.mark.parametrize(
    ("reason", "answer"),
    [
        ("it is open; finish it first", ("it is open", "finish it first")),
        ("it is a; it is b; see: carnet browse", ("it is a; it is b", "see: carnet browse")),
        ("it is a; it is b", ("it is a; it is b", "")),
        ("selected; sent it", ("selected; sent it", "")),
    ],
)
def test_what_a_reason_asks_for_is_the_remedy(reason: str, answer: tuple[str, str]) -> None:
    assert parted("nothing-known", reason) == answer


def test_every_refusal_of_the_connector_has_a_remedy() -> None:
    assert failed(NotFound("agreement-unknown", "there is no such agreement")).remedy == "look its id up: carnet contracts list"
    assert failed(NotFound("spoon-unknown", "there is no spoon")).remedy == BY_STATUS[404]
    assert failed(Unavailable("spoon-away", "it is away; try again")).remedy == "try again"
    assert failed(Refused(418, "teapot", "it is a teapot")).remedy == BY_STATUS[400]
    assert failed(Refused(502, "gateway", "it is broken")).remedy == BY_STATUS[500]


def test_findings_stand_between_sentence_and_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    found = [{"path": "/offers/0", "sentence": "it is unlimited", "code": "no-limit", "remedy": "limit it"}]
    end = Failed("findings", "nothing was published", findings=found)

    def work() -> None:
        raise end

    assert ended(work, []) == 1
    assert capsys.readouterr().err.splitlines() == [
        "Error: nothing was published [findings]",
        "  /offers/0: it is unlimited [no-limit]",
        "    limit it",
        "Do this: correct what is listed, then try again",
    ]
    assert ended(work, ["--json"]) == 1
    assert json.loads(capsys.readouterr().err) == {**end.document(), "findings": found}


# -- as a program -----------------------------------------------------------------------------------------------------


def test_ctrl_c_says_what_goes_on(tmp_path: Path) -> None:
    """A connector that takes the connection and never answers."""
    house = tmp_path / "house"
    assert carnet("init", house, "--participant-id", "did:web:us").exit_code == 0
    with socket.socket(socket.AF_UNIX) as silent:
        where = tmp_path / "s"
        silent.bind(str(where))
        silent.listen(1)
        silent.settimeout(60)
        environ = {"CARNET_LOCAL__SOCKET": str(where)}
        words = ["contracts", "list", "--config", str(house / "carnet.toml")]
        process = subprocess.Popen(
            [sys.executable, "-m", "connector.cli", *words],
            env=os.environ | environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            connection, _ = silent.accept()
            with connection:
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=60)
        finally:
            process.kill()
            process.communicate()
    assert (process.returncode, out) == (130, "")
    assert err == (
        "Error: the command was interrupted, and what the connector has begun goes on there [interrupted]\n"
        f"Do this: {REMEDIES['interrupted']}\n"
    )


def test_a_reader_that_has_enough_ends_it_silently() -> None:
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    reading, writing = os.pipe()
    os.close(reading)
    words = [sys.executable, "-m", "connector.cli", "publish", "--help"]
    process = subprocess.run(words, env=environ, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert process.stderr == b""


def test_every_command_is_walked() -> None:
    assert {path[0] for path in LEAVES} == set(COMMANDS)
