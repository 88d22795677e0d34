"""The sub-commands that work on files: init, doctor, backup, restore."""

import json
import os
import shutil
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from connector.cli import reach
from connector.cli.databases import CONTROL_MIGRATIONS, DATA_MIGRATIONS
from connector.cli.main import COMMANDS, cli
from connector.identity.keyfiles import load_keys
from connector.identity.keys import Use
from connector.settings import load
from connector.settings.model import DEVELOPMENT_KEY
from connector.store.ownerlock import OwnerLock


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CARNET_")]:
        monkeypatch.delenv(name)
    # Ports of the defaults may be in use on a developer's machine.
    for section in ("PROTOCOL__PORT", "DATA__SIGNALING_PORT", "DATA__PUBLIC_PORT"):
        monkeypatch.setenv(f"CARNET_{section}", "0")
    # Nobody publishes the DIDs of these tests, and to ask for them takes a network.
    monkeypatch.setattr("connector.cli.doctor.own_document", lambda *_: [])


@pytest.fixture
def house(tmp_path: Path) -> Path:
    folder = tmp_path / "house"
    assert carnet("init", folder, "--participant-id", "did:web:us").exit_code == 0
    return folder


def carnet(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def contents(house: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in house.rglob("*") if path.is_file()}


def doctor(house: Path) -> tuple[int, dict[str, Any]]:
    result = carnet("doctor", "--json", "--config", house / "carnet.toml")
    return result.exit_code, {line["about"]: line for line in map(json.loads, result.stdout.splitlines())}


def database(path: Path, value: str, version: int = 1) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE schema_migration (version INTEGER PRIMARY KEY) STRICT")
        connection.execute("INSERT INTO schema_migration VALUES (?)", (version,))
        connection.execute("CREATE TABLE thing (value TEXT) STRICT")
        connection.execute("INSERT INTO thing VALUES (?)", (value,))
        connection.commit()
    return path


def value_in(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("SELECT value FROM thing").fetchone()[0])


@pytest.fixture
def listening(house: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        monkeypatch.setenv("CARNET_PROTOCOL__PORT", str(server.getsockname()[1]))
        yield server


def test_every_command_exists_and_explains_itself() -> None:
    assert all(name in carnet("--help").stdout for name in COMMANDS)
    for name in COMMANDS:
        assert carnet(name, "--help").exit_code == 0
    assert carnet("conquer").exit_code == 2


def test_init_makes_files_of_the_owner_alone(house: Path) -> None:
    assert house.stat().st_mode & 0o777 == 0o700
    for name in ("carnet.toml", "local.token", "data.token"):
        assert (house / name).stat().st_mode & 0o777 == 0o600
    assert load(house / "carnet.toml", {}).participant_id == "did:web:us"
    assert (house / "local.token").read_text() != (house / "data.token").read_text()


def test_init_changes_nothing_that_exists(house: Path) -> None:
    before = contents(house)
    (house / "local.token").unlink()
    result = carnet("init", house, "--participant-id", "did:web:them")
    assert (result.exit_code, "exists already" in result.stderr) == (1, True)
    assert contents(house) == {path: content for path, content in before.items() if path.name != "local.token"}


@pytest.mark.parametrize("chosen", ["keys", "elsewhere/deep"])
def test_init_makes_the_keys_of_the_owner_alone(tmp_path: Path, chosen: str) -> None:
    folder = tmp_path / "house"
    result = carnet("init", folder, "--participant-id", "did:web:us", "--set", f"keys.dir='{chosen}'")
    assert (result.exit_code, f"data.token, operator.key, {chosen} to {folder}" in result.stdout) == (0, True), result.output
    assert (folder / chosen).stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (folder / chosen).iterdir()} == {0o600}
    assert load_keys(folder / chosen, {}, 48).signing(Use.OAUTH).algorithm == "ES256"


def test_init_leaves_nothing_when_the_keys_are_there_already(tmp_path: Path) -> None:
    folder = tmp_path / "house"
    (folder / "keys").mkdir(parents=True)
    folder.chmod(0o700)
    result = carnet("init", folder, "--participant-id", "did:web:us")
    assert (result.exit_code, "keys exists already" in result.stderr) == (1, True)
    assert list(folder.rglob("*")) == [folder / "keys"]


def test_init_refuses_an_open_folder_and_an_impossible_name(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert "chmod 700" in carnet("init", tmp_path, "--participant-id", "us").stderr
    result = carnet("init", tmp_path / "new", "--participant-id", "x" * 3000)
    assert (result.exit_code, "participant_id" in result.stderr) == (1, True)
    assert list((tmp_path / "new").iterdir()) == []


def test_init_sets_what_it_is_told_to(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    chosen = ("--set", "protocol.port=8301", "--set", 'client.allow = ["127.0.0.1:1", "127.0.0.1:2"]')
    assert carnet("init", folder, "--participant-id", "did:web:us", *chosen).exit_code == 0
    settings = load(folder / "carnet.toml", {})
    assert (settings.protocol.port, settings.client.allow) == (8301, ("127.0.0.1:1", "127.0.0.1:2"))
    assert settings.data.public_port == 8585


@pytest.mark.parametrize(
    ("chosen", "code", "said"),
    [
        ("protocol.colour=1", 1, "[unknown-setting]"),
        ("peers.id='x'", 1, "[unknown-setting]"),
        ("protocol.port=high", 1, "[invalid-toml]"),
        ("protocol.port=70000", 1, "[invalid-value]"),
        ("protocol.port", 2, "VALUE as in a TOML file"),
    ],
)
def test_init_refuses_what_is_no_setting(tmp_path: Path, chosen: str, code: int, said: str) -> None:
    folder = tmp_path / "new"
    result = carnet("init", folder, "--participant-id", "did:web:us", "--set", chosen)
    assert (result.exit_code, said in result.stderr) == (code, True), result.stderr
    assert not folder.exists() or list(folder.iterdir()) == []


def test_a_new_house_is_in_order(house: Path) -> None:
    code, findings = doctor(house)
    assert code == 0
    assert {about for about, finding in findings.items() if finding["level"] != "fine"} <= {"disk"}


def test_the_doctor_speaks_to_people_too(house: Path) -> None:
    result = carnet("doctor", "--config", house / "carnet.toml")
    assert "fine     callers: whoever has a did:web document may call" in result.stdout


def test_the_doctor_says_who_could_call(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARNET_OAUTH__MEET_BY_DID", "false")
    assert "registry" in doctor(house)[1]["callers"]["what"]
    text = (house / "carnet.toml").read_text()
    pinned = text.replace('# auth = "oauth"', 'auth = "pinned-token"', 1) + f'\n[development]\nkey = "{DEVELOPMENT_KEY}"\n'
    (house / "carnet.toml").write_text(pinned)
    assert "add [[peers]]" in doctor(house)[1]["callers"]["remedy"]
    (house / "carnet.toml").write_text(pinned + '[[peers]]\nid = "did:web:them"\n')
    _, findings = doctor(house)
    assert findings["peer did:web:them"]["level"] == "warning"
    assert "callers" not in findings


@pytest.mark.parametrize("content", ["", "participant_id = 1", "colour = 'red'"])
def test_the_doctor_reports_bad_settings(house: Path, content: str) -> None:
    (house / "carnet.toml").write_text(content)
    code, findings = doctor(house)
    assert code == 1
    assert all(finding["level"] == "problem" and finding["remedy"] for finding in findings.values())


def test_the_doctor_sees_modes_and_missing_tokens(house: Path) -> None:
    (house / "local.token").chmod(0o644)
    (house / "data.token").unlink()
    code, findings = doctor(house)
    assert code == 1
    assert "chmod 600" in findings[f"mode of {house / 'local.token'}"]["remedy"]
    assert findings[f"mode of {house / 'data.token'}"]["level"] == "problem"


def test_the_doctor_sees_a_taken_port(house: Path, listening: socket.socket) -> None:
    code, findings = doctor(house)
    assert (code, findings["protocol.port"]["level"]) == (1, "problem")


def test_the_doctor_sees_a_connector_that_does_not_answer(
    house: Path, listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reach, "_ANSWER_TIMEOUT_S", 0.1)
    with closing(socket.socket(socket.AF_UNIX)) as running:
        running.bind(str(house / "carnet.sock"))
        running.listen()
        code, findings = doctor(house)
    assert (code, findings["ports"]["level"]) == (1, "fine")
    assert "connector-silent" in findings["connector"]["what"]


def test_the_doctor_knows_the_other_door_too(house: Path, listening: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "_ANSWER_TIMEOUT_S", 0.1)
    for key, value in (("SOCKET", ""), ("HOST", "127.0.0.1"), ("PORT", str(listening.getsockname()[1]))):
        monkeypatch.setenv(f"CARNET_LOCAL__{key}", value)
    code, findings = doctor(house)
    assert (code, "connector-silent" in findings["connector"]["what"]) == (1, True)


def test_the_doctor_calls_peers_when_told_to(house: Path) -> None:
    with (house / "carnet.toml").open("a") as settings:
        settings.write('[[peers]]\nid = "did:web:them"\naddresses = ["http://127.0.0.1:1/dsp"]\n')
    assert "may not be called" not in carnet("doctor", "--config", house / "carnet.toml").stdout
    result = carnet("doctor", "--peers", "--config", house / "carnet.toml")
    assert (result.exit_code, "http://127.0.0.1:1/dsp may not be called" in result.stdout) == (1, True)


def test_the_doctor_sees_databases(house: Path) -> None:
    (house / "control.db").write_bytes(b"not a database" * 100)
    database(house / "data.db", "new", version=9999)
    code, findings = doctor(house)
    assert code == 1
    assert findings["control database"]["level"] == "problem"
    assert "newer version" in findings["data database"]["remedy"]


def test_the_doctor_sees_tokens_in_the_clear(house: Path) -> None:
    text = (house / "carnet.toml").read_text()
    (house / "carnet.toml").write_text(text.replace('# public_url = ""', 'public_url = "http://us.example"', 1))
    code, findings = doctor(house)
    assert (code, findings["protocol.public_url"]["level"]) == (1, "problem")
    assert "must begin with https" in findings["protocol.public_url"]["remedy"]


def test_a_backup_comes_back(house: Path, tmp_path: Path) -> None:
    config = house / "carnet.toml"
    database(house / "control.db", "before")
    copy = tmp_path / "copy"
    result = carnet("backup", "--config", config, copy)
    assert result.exit_code == 0, result.output
    assert "data: nothing to copy" in result.stdout
    assert copy.stat().st_mode & 0o777 == 0o700
    with closing(sqlite3.connect(house / "control.db")) as connection:
        connection.execute("UPDATE thing SET value = 'after'")
        connection.commit()
    result = carnet("restore", "--config", config, copy)
    assert result.exit_code == 0, result.output
    assert value_in(house / "control.db") == "before"
    assert value_in(house / "control.db.replaced") == "after"


def test_a_backup_is_made_while_somebody_writes(house: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(database(house / "control.db", "committed"))) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("UPDATE thing SET value = 'not yet'")
        result = carnet("backup", "--config", house / "carnet.toml", tmp_path / "copy")
        writer.rollback()
    assert result.exit_code == 0, result.output
    assert value_in(tmp_path / "copy" / "control.db") == "committed"


def test_backups_are_never_overwritten(house: Path, tmp_path: Path) -> None:
    result = carnet("backup", "--config", house / "carnet.toml", tmp_path)
    assert (result.exit_code, "new folder" in result.stderr) == (1, True)


def test_a_broken_database_is_not_backed_up(house: Path, tmp_path: Path) -> None:
    (house / "control.db").write_bytes(b"not a database" * 100)
    result = carnet("backup", "--config", house / "carnet.toml", tmp_path / "copy")
    assert (result.exit_code, "control" in result.stderr) == (1, True)


def test_nothing_is_restored_under_a_running_connector(house: Path, tmp_path: Path) -> None:
    config = house / "carnet.toml"
    database(house / "control.db", "running")
    carnet("backup", "--config", config, tmp_path / "copy")
    lock = OwnerLock.acquire(house / "control.db")
    try:
        result = carnet("restore", "--config", config, tmp_path / "copy")
    finally:
        lock.release()
    assert (result.exit_code, "another carnet process" in result.stderr) == (1, True)


def test_an_empty_folder_is_no_backup(house: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    result = carnet("restore", "--config", house / "carnet.toml", tmp_path / "copy")
    assert (result.exit_code, "control.db" in result.stderr) == (1, True)


def test_missing_settings_end_a_command(tmp_path: Path) -> None:
    result = carnet("backup", "--config", tmp_path / "none.toml", tmp_path / "copy")
    assert (result.exit_code, "carnet init" in result.stderr) == (1, True)


def test_the_folders_of_migrations_are_there() -> None:
    assert CONTROL_MIGRATIONS.is_dir()
    assert DATA_MIGRATIONS.is_dir()


@pytest.mark.postgres
def test_the_doctor_asks_a_postgresql_server(house: Path, postgres_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARNET_STORE__URL", postgres_dsn)
    code, findings = doctor(house)
    assert (code, findings["control database"]["level"]) == (0, "fine")


@pytest.mark.postgres
def test_a_postgresql_database_comes_back(house: Path, postgres_dsn: str, tmp_path: Path) -> None:
    environ = {"CARNET_STORE__URL": postgres_dsn}
    for name in ("backup", "restore"):
        arguments = [name, "--config", str(house / "carnet.toml"), str(tmp_path / "copy")]
        result = CliRunner().invoke(cli, arguments, env=environ)
        assert result.exit_code == 0, result.output
    assert (tmp_path / "copy" / "control.dump").exists()


def test_the_doctor_sees_a_server_that_is_not_there(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARNET_STORE__URL", "postgresql://carnet:hush@127.0.0.1:1/carnet")
    result = carnet("doctor", "--config", house / "carnet.toml")
    assert (result.exit_code, "start the server" in result.stdout) == (1, True)
    assert "hush" not in result.output


@pytest.mark.parametrize(("free", "level"), [(1 << 20, "problem"), (600 << 20, "warning"), (1 << 40, "fine")])
def test_the_doctor_measures_the_disk(house: Path, monkeypatch: pytest.MonkeyPatch, free: int, level: str) -> None:
    usage = shutil.disk_usage(house)._replace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    code, findings = doctor(house)
    assert (code, findings["disk"]["level"]) == (int(level == "problem"), level)
