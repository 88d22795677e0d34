"""`carnet audit`: verify, query, export --view and pack on a log of our own, without a connector that runs."""

from __future__ import annotations

import json
import os
import shutil
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from connector.cli import audit_source
from connector.cli.main import cli
from connector.identity import keyfiles
from connector.identity.keys import Use
from connector.log.leaf import Draft
from connector.log.subjects import FILE, SubjectKeys
from connector.settings import load
from tests.audit.books import AGREEMENT, CITY, T0, whole


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CARNET_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(audit_source, "now_ms", lambda: T0 + 3_600_000)
    monkeypatch.setattr("connector.cli.audit_verify.now_ms", lambda: T0 + 3_600_000)
    monkeypatch.setattr("connector.cli.audit_export.now_ms", lambda: T0 + 3_600_000)


def carnet(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, ["audit", *(str(word) for word in words)])


def told(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


class House:
    """A connector's folder with a log in it, whose subjects' keys are under the connector's own secret."""

    def __init__(self, folder: Path) -> None:
        made = CliRunner().invoke(cli, ["init", str(folder), "--participant-id", "did:web:oem.example"])
        assert made.exit_code == 0
        self.config = folder / "carnet.toml"
        self.settings = load(self.config, {})
        self.log = self.settings.log.folder
        self.ring = keyfiles.load_keys(self.settings.keys.dir, {}, 1)
        secret = self.ring.secret(Use.SUBJECTS)
        with SubjectKeys(_made(self.log) / FILE, lambda: secret):
            pass
        self.book = whole(self.log, extra=3, secret=secret)
        thumbprint = self.ring.current(Use.AGREEMENT).thumbprint
        self.book.write([Draft("key", {"change": "made", "use": "agreement", "thumbprint": thumbprint})])
        self.vkey = self.book.signers[0].verifier.vkey
        _, (self.pseudonym,) = self.book.vehicles("WVW1")
        self.book.close()


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "house")


def test_a_log_is_verified_step_by_step(house: House) -> None:
    result = carnet("verify", house.log, "--key", house.vkey)
    assert result.exit_code == 0, result.output
    assert " 1. the checkpoint has its form" in result.stdout
    assert "The log holds: " in result.stdout
    document = told(carnet("verify", "--config", house.config, "--json"))
    assert (document["proven"], document["kind"], document["steps"][3]["name"]) == (True, "log", "entries")
    opened = next(step for step in document["steps"] if step["name"] == "payloads")
    assert "7 opened" in opened["said"], "with the settings its payloads are opened, too"


def test_a_log_that_was_changed(house: House) -> None:
    path = house.log / "tile" / "entries" / "000.p" / str(house.book.edge.size)
    path.write_bytes(path.read_bytes().replace(b"received", b"Received", 1))
    result = carnet("verify", house.log)
    assert result.exit_code == 1
    assert "Error: step 4, entries, failed at tile/0/000.p/" in result.stderr
    assert "[not-proven]" in result.stderr
    result = carnet("verify", house.log, "--json")
    document = json.loads(result.stdout)
    failed = document["steps"][-1]
    assert (document["proven"], failed["code"], failed["place"]["index"]) == (False, "tile-mismatch", 6)
    assert json.loads(result.stderr)["code"] == "not-proven"
    assert carnet("query", house.log).exit_code == 1


def test_the_key_out_of_a_did_document(house: House, tmp_path: Path) -> None:
    key = house.book.signers[0].verifier
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": _base64url(key.public)}
    methods = [{"id": "#a", "publicKeyJwk": {"kty": "EC", "crv": "P-256"}}, {"id": "#log", "publicKeyJwk": jwk}]
    document = {"id": "did:web:oem.example", "verificationMethod": methods}
    (tmp_path / "did.json").write_text(json.dumps(document))
    assert carnet("verify", house.log, "--did", tmp_path / "did.json").exit_code == 0
    jwk["x"] = _base64url(b"x" * 32)
    (tmp_path / "did.json").write_text(json.dumps(document))
    assert "key-untrusted" in carnet("verify", house.log, "--did", tmp_path / "did.json").stderr
    (tmp_path / "did.json").write_text("{}")
    assert "[log-key-missing]" in carnet("verify", house.log, "--did", tmp_path / "did.json").stderr


def _base64url(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode()


def test_lines_and_their_proofs(house: House, tmp_path: Path) -> None:
    found = told(carnet("query", house.log, "--config", house.config, "--agreement", AGREEMENT, "--json"))
    assert [line["leaf"]["type"] for line in found["lines"]] == ["agreement", "receipt", "termination"]
    assert found["lines"][0]["payload"]["counterparty"] == CITY
    assert found["lines"][0]["proof"].startswith("c2sp.org/tlog-proof@v1\n")
    listed = carnet("query", house.log, "--party", CITY, "--event", "message", "--proofs", tmp_path / "proofs")
    assert listed.exit_code == 0, listed.output
    assert len(listed.stdout.splitlines()) == 4
    assert len(list((tmp_path / "proofs").iterdir())) == 6
    assert told(carnet("query", house.log, "--from", "2031-01-01", "--json"))["lines"] == []
    assert "[time-invalid]" in carnet("query", house.log, "--from", "yesterday").stderr
    assert "[time-invalid]" in carnet("query", house.log, "--until", "2027-01-31T12:00:00").stderr


def test_the_two_questions(house: House) -> None:
    found = told(carnet("query", "delivered-after-termination", house.log, "--json"))
    assert (found["answer"], found["ends"], len(found["lines"])) == ("no", 1, 2)
    assert "No: nothing was delivered" in carnet("query", "delivered-after-termination", house.log).stdout
    found = told(carnet("query", "vehicle", "--pseudonym", house.pseudonym, "--config", house.config, "--json"))
    assert (found["answer"], len(found["contracts"]), len(found["lines"])) == ("yes", 1, 1)
    assert "1 agreements" in carnet("query", "vehicle", "--pseudonym", house.pseudonym, "--config", house.config).stdout
    assert "[vehicle-unknown]" in carnet("query", "vehicle", "--pseudonym", "0" * 32, "--config", house.config).stderr
    assert "[vehicle-keys-missing]" in carnet("query", "vehicle", "--pseudonym", house.pseudonym, house.log).stderr
    assert carnet("query", "vehicle", house.log).exit_code == 2
    assert carnet("query", house.log, house.log).exit_code == 2


def test_a_view_is_made_verified_asked_and_ends(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    view = tmp_path / "view.zip"
    words = ("export", "--view", view, "--for", "Auditors", "--days", "2", "--party", CITY, "--config", house.config)
    assert told(carnet(*words, "--json"))["payloads"] == 6
    assert "[file-exists]" in carnet(*words).stderr
    assert told(carnet("verify", view, "--key", house.vkey, "--json"))["kind"] == "view"
    found = told(carnet("query", view, "--party", CITY, "--json"))
    assert sum("payload" in line for line in found["lines"]) == 6
    for module in ("audit_source", "audit_verify"):
        monkeypatch.setattr(f"connector.cli.{module}.now_ms", lambda: T0 + 4 * 86_400_000)
    for command in ("verify", "query"):
        ended = carnet(command, view)
        assert (ended.exit_code, "[view-ended]" in ended.stderr) == (1, True), ended.output


def test_wrong_words_about_a_view(house: House, tmp_path: Path) -> None:
    assert carnet("export", "--config", house.config).exit_code == 2
    assert carnet("export", "--view", tmp_path / "view", "--config", house.config).exit_code == 2


def test_the_pack(house: House, tmp_path: Path) -> None:
    found = told(carnet("pack", tmp_path / "pack", "--config", house.config, "--json"))
    assert (found["agreements"], found["consents"], found["recipients"]) == (1, 1, 1)
    assert "[file-exists]" in carnet("pack", tmp_path / "pack", "--config", house.config).stderr


def test_where_there_is_no_log(tmp_path: Path) -> None:
    assert "[log-missing]" in carnet("verify", tmp_path / "nowhere").stderr
    assert "[log-missing]" in carnet("verify", tmp_path).stderr
    assert "[log-missing]" in carnet("query", tmp_path).stderr
    (tmp_path / "file").write_text("x")
    assert "[not-proven]" in carnet("verify", tmp_path / "file").stderr, "taken for a bundle"
    assert carnet("query", tmp_path / "file").exit_code == 1


def test_nothing_of_the_connector_is_needed(house: House, tmp_path: Path) -> None:
    with_it = told(carnet("query", house.log, "--party", CITY, "--json"))
    shutil.copytree(house.log, tmp_path / "log", ignore=shutil.ignore_patterns("subjects.db*", "lock"))
    shutil.rmtree(tmp_path / "house")
    assert told(carnet("query", tmp_path / "log", "--party", CITY, "--json")) == with_it
