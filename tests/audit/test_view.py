"""An auditor's view: what is in it opens, what is not stays closed, and its end is kept."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from connector.audit.asking import Log, Opener, Scope, lines_in
from connector.audit.ceremony import Flaw, NotProven
from connector.audit.opening import SubjectsKeys
from connector.audit.unpacking import unpacked
from connector.audit.verifying import Surroundings, Trust
from connector.audit.view import DAY_MS, TYPE, Signs, View, Wish, export_view, opened_folder, verify_view
from connector.identity import seal
from connector.identity.signing import SigningKey, new_signing_key
from connector.log.leaf import Draft
from connector.protocol.errors import Conflict
from tests.audit.books import AGREEMENT, CITY, Book, whole

OTHER = "did:web:other.example"
KEY = new_signing_key("ES256", "agreement-1")


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    made = whole(tmp_path / "log", extra=3)
    made.write([Draft("key", {"change": "made", "use": "agreement", "thumbprint": KEY.thumbprint})])
    made.write([Draft("message", {"event": "received"}, party=OTHER, payload={"secret": "of the other"})])
    yield made
    made.close()


def exported(book: Book, out: Path, key: SigningKey = KEY, **scope: Any) -> dict[str, Any]:
    wish = Wish("Auditors & Co", 14, Scope(**(scope or {"party": CITY})), book.now_ms)
    log = Log(book.folder, around=Surroundings(keys=SubjectsKeys(book.keys)))
    return export_view(log, wish, Signs(book.did, key, f"{book.did}#{key.kid}"), out)


def verified(path: Path, book: Book, later_ms: int = 0, **more: Any) -> View:
    with opened_folder(path) as folder:
        return verify_view(folder, Trust((book.signers[0].verifier.vkey,)), book.now_ms + later_ms, **more)


@pytest.mark.parametrize("name", ["view", "view.zip"])
def test_a_view_verifies_and_opens_its_scope_alone(name: str, book: Book, tmp_path: Path) -> None:
    manifest = exported(book, tmp_path / name)
    assert (manifest["auditor"], manifest["scope"]) == ("Auditors & Co", {"party": CITY})
    with opened_folder(tmp_path / name) as folder:
        view = verify_view(folder, Trust((book.signers[0].verifier.vkey,)), book.now_ms)
        assert {step.result for step in view.steps} == {"passed", "not-done"}
        assert [step.number for step in view.steps] == list(range(1, len(view.steps) + 1))
        answer = lines_in(view.log, Scope())
        with Opener(view.log) as opener:
            opened = {line.number for line in answer.lines if opener.payload(line) is not None}
    inside = lines_in(Log(book.folder), Scope(party=CITY)).lines
    assert opened == {line.number for line in inside if "payload" in line.said}
    assert len(opened) == manifest["payloads"] == 6


def test_what_is_out_of_scope_is_not_there(book: Book, tmp_path: Path) -> None:
    exported(book, tmp_path / "view", agreement=AGREEMENT)
    files = {path.relative_to(tmp_path / "view").as_posix() for path in (tmp_path / "view").rglob("*") if path.is_file()}
    assert not [name for name in files if "subjects" in name or name.endswith(("-wal", "-shm"))]
    with closing(sqlite3.connect(tmp_path / "view" / "log" / "payloads.db")) as connection:
        kept = {digest.hex() for (digest,) in connection.execute("SELECT sha256 FROM payload")}
    lines = [line.said for line in lines_in(Log(book.folder), Scope()).lines if "payload" in line.said]
    named = {said["type"]: said["payload"]["sha256"] for said in lines}
    assert kept == {named["agreement"], named["receipt"]}
    assert all(key not in (tmp_path / "view" / "keys.ndjson").read_text() for key in (each.hex() for each in book.keys))


def test_it_is_refused_from_its_end_on(book: Book, tmp_path: Path) -> None:
    exported(book, tmp_path / "view")
    verified(tmp_path / "view", book, 14 * DAY_MS - 1)
    with pytest.raises(NotProven) as raised:
        verified(tmp_path / "view", book, 14 * DAY_MS)
    assert (raised.value.failed.name, raised.value.failed.code) == ("view-time", "view-ended")


def edit(path: Path, change: Callable[[dict[str, Any]], object], key: SigningKey = KEY) -> None:
    """Sign the manifest anew."""
    content = seal.opened(path.read_text(), TYPE, "did:web:oem.example").content
    change(content)
    path.write_text(seal.seal(key, f"{content['participant']}#{key.kid}", TYPE, content))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


STRANGER = new_signing_key("ES256", "agreement-1")


def public(key: SigningKey) -> dict[str, str]:
    return {name: key.public_jwk[name] for name in ("kty", "crv", "x", "y")}


@pytest.mark.parametrize(
    ("change", "step", "code"),
    [
        (lambda view: flip(view / "view.jws"), "view", None),
        (lambda view: (view / "view.jws").unlink(), "view", "file-unreadable"),
        (lambda view: edit(view / "view.jws", lambda said: said.update(validUntilMs=2**52), STRANGER), "view", "seal-signature"),
        (
            lambda view: edit(view / "view.jws", lambda said: said.update(key=public(STRANGER)), STRANGER),
            "view-signer",
            "view-signer",
        ),
        (lambda view: edit(view / "view.jws", lambda said: said.pop("auditor")), "view", "view-form"),
        (lambda view: flip(view / "keys.ndjson"), "view-keys", "view-keys"),
        (lambda view: flip(view / "log" / "checkpoint"), "view-keys", "view-checkpoint"),
        (lambda view: flip(view / "log" / "salt"), "key-chain", None),
        (lambda view: (view / "log" / "payloads.db").unlink(), "payloads", "payload-missing"),
    ],
    ids=["seal", "no-seal", "forged", "stranger", "form", "keys", "checkpoint", "salt", "payloads"],
)
def test_a_view_that_was_changed(
    change: Callable[[Path], object], step: str, code: str | None, book: Book, tmp_path: Path
) -> None:
    exported(book, tmp_path / "view")
    change(tmp_path / "view")
    with pytest.raises(NotProven) as raised:
        verified(tmp_path / "view", book)
    assert raised.value.failed.name == step
    assert code is None or raised.value.failed.code == code
    assert raised.value.failed.place is not None


def test_a_key_of_another_payload_is_found(book: Book, tmp_path: Path) -> None:
    exported(book, tmp_path / "view")
    path = tmp_path / "view" / "keys.ndjson"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[0]["key"], rows[1]["key"] = rows[1]["key"], rows[0]["key"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    digest = sha256(path.read_bytes()).hexdigest()
    edit(tmp_path / "view" / "view.jws", lambda said: said.update(keysSha256=digest))
    with pytest.raises(NotProven) as raised:
        verified(tmp_path / "view", book)
    assert (raised.value.failed.name, raised.value.failed.code) == ("payloads", "payload-key")


def test_another_name_is_needed_where_something_is(book: Book, tmp_path: Path) -> None:
    exported(book, tmp_path / "view")
    with pytest.raises(Conflict):
        exported(book, tmp_path / "view")


@pytest.mark.parametrize("name", ["../out", "/etc/out", "a/../../out", "a\\b", "x" * 400])
def test_a_zip_that_leads_elsewhere(name: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), b"x")
    with pytest.raises(Flaw) as raised:
        unpacked(tmp_path / "bad.zip", tmp_path / "into")
    assert raised.value.code == "zip-name"
    assert not (tmp_path / "out").exists()


def test_what_is_no_zip(tmp_path: Path) -> None:
    (tmp_path / "bad.zip").write_bytes(b"PK nothing")
    with pytest.raises(Flaw) as raised:
        unpacked(tmp_path / "bad.zip", tmp_path / "into")
    assert raised.value.code == "zip-unreadable"
