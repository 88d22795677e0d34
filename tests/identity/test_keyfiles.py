"""The folder of keys: whose it is, what a change leaves behind, and what the environment may hold in its place."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from connector.identity import keyfiles
from connector.identity.gate import public_key
from connector.identity.keyfiles import INDEX, ensure_keys, load_keys, make_keys, remove_keys, retire, revoke, rotate, variable
from connector.identity.keys import ALGORITHMS, HOUR_MS, KeyRing, Use
from connector.identity.signing import new_signing_key, private_jwk
from connector.protocol.errors import CallerError, Conflict, NotFound
from connector.settings.secret import SettingsError

NOW = 1_800_000_000_000
US = "did:web:us.example"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_keys(tmp_path / "keys", US, NOW)
    return tmp_path / "keys"


def load(folder: Path, **environ: str) -> KeyRing:
    return load_keys(folder, {variable(Use(use)): text for use, text in environ.items()}, 48)


def states(folder: Path) -> dict[str, list[str]]:
    rows = load(folder).listing()
    return {use.value: [row["state"] for row in rows if row["use"] == use] for use in Use}


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def private(folder: Path, use: Use) -> str:
    return (folder / f"{load(folder).current(use).kid}.jwk").read_text()


def refused(work: Callable[[], object]) -> SettingsError:
    with pytest.raises(SettingsError) as error:
        work()
    return error.value


# -- made and read -----------------------------------------------------------------------------------------------------


def test_a_new_folder_has_a_key_for_every_use_and_is_its_owners_alone(folder: Path) -> None:
    assert folder.stat().st_mode & 0o777 == 0o700
    assert len(files(folder)) == 1 + len(Use)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    keys = load(folder)
    assert states(folder) == {use.value: ["current"] for use in Use}
    for use, algorithm in ALGORITHMS.items():
        assert keys.signing(use).algorithm == algorithm
        assert public_key(keys.verifying(use, keys.current(use).kid)).thumbprint == keys.signing(use).thumbprint
    assert len({keys.secret(Use.SUBJECTS), keys.secret(Use.PSEUDONYMS), b""}) == 3
    assert {len(keys.secret(use)) for use in Use if use not in ALGORITHMS} == {32}
    assert "BEGIN CERTIFICATE" in keys.current(Use.AGREEMENT).certificate
    assert all('"d"' not in text and '"k"' not in text for text in [(folder / INDEX).read_text()])


def test_the_mode_of_files_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_keys(tmp_path / "keys", US, NOW)
        rotate(tmp_path / "keys", Use.LOG, NOW)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "keys").iterdir()} == {0o600}


def test_what_exists_is_never_made_again(folder: Path) -> None:
    before = files(folder)
    assert refused(lambda: make_keys(folder, US, NOW)).code == "keys-exist"
    assert files(folder) == before


def test_a_folder_that_could_not_be_made_whole_is_not_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_at(monkeypatch, INDEX)
    assert refused(lambda: make_keys(tmp_path / "keys", US, NOW)).code == "keys-unreadable"
    assert list(tmp_path.iterdir()) == []


def test_only_what_was_made_is_taken_back(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")
    remove_keys(folder)
    remove_keys(folder / "none")
    assert list(files(folder)) == ["notes.txt"]


def test_a_house_of_an_older_version_gets_its_keys_once(tmp_path: Path) -> None:
    folder = tmp_path / "house" / "keys"
    made = ensure_keys(folder, US, {}, 48, NOW)
    before = files(folder)
    again = ensure_keys(folder, US, {}, 48, NOW + 1)
    assert made.thumbprints == again.thumbprints
    assert files(folder) == before


def test_only_what_is_missing_is_made(folder: Path) -> None:
    index = json.loads((folder / INDEX).read_text())
    index["keys"] = [key for key in index["keys"] if key["use"] != "log"]
    (folder / INDEX).write_text(json.dumps(index))
    assert "log" in refused(lambda: load(folder)).reason
    keys = ensure_keys(folder, US, {}, 48, NOW)
    assert {key["kid"] for key in index["keys"]} < {row["kid"] for row in keys.listing()}
    assert keys.signing(Use.LOG).algorithm == "EdDSA"


def test_the_keys_of_another_participant_are_not_ours(folder: Path) -> None:
    error = refused(lambda: ensure_keys(folder, "did:web:else.example", {}, 48, NOW))
    assert (error.code, US in error.reason) == ("keys-foreign", True)


def test_two_that_start_at_once_make_one_set_of_keys(tmp_path: Path) -> None:
    found: list[KeyRing] = []
    threads = [Thread(target=lambda: found.append(ensure_keys(tmp_path / "keys", US, {}, 48, NOW))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(each.thumbprints == found[0].thumbprints for each in found)


# -- rotated and revoked -----------------------------------------------------------------------------------------------


def test_a_rotated_key_is_still_published_and_no_longer_signs(folder: Path) -> None:
    before = load(folder).current(Use.OAUTH)
    made = rotate(folder, Use.OAUTH, NOW + 5)
    keys = load(folder)
    assert keys.signing(Use.OAUTH).kid == made.kid != before.kid
    assert states(folder)["oauth"] == ["current", "rotated"]
    assert [jwk["kid"] for use, jwk in keys.published(NOW + 5) if use is Use.OAUTH] == [made.kid, before.kid]
    assert [jwk["kid"] for use, jwk in keys.published(NOW + 5 + 48 * HOUR_MS) if use is Use.OAUTH] == [made.kid]
    assert keys.verifying(Use.OAUTH, before.kid) == before.public
    assert not (folder / f"{before.kid}.jwk").exists()
    assert len(files(folder)) == 1 + len(Use)


def test_a_new_agreement_key_has_a_certificate_of_its_own(folder: Path) -> None:
    before = load(folder).current(Use.AGREEMENT)
    made = rotate(folder, Use.AGREEMENT, NOW)
    old = next(row for row in load(folder).listing() if row["kid"] == before.kid)
    assert old["certificate"] == before.certificate != made.certificate


def test_old_secrets_are_kept(folder: Path) -> None:
    before = load(folder).current(Use.SUBJECTS).kid
    value = load(folder).secret(Use.SUBJECTS)
    rotate(folder, Use.SUBJECTS, NOW)
    revoke(folder, before, NOW, "read by others")
    assert load(folder).secret(Use.SUBJECTS, before) == value != load(folder).secret(Use.SUBJECTS)


def test_a_key_of_the_log_goes_when_it_has_handed_over_and_no_other_does(folder: Path) -> None:
    before = {use: load(folder).current(use).kid for use in (Use.LOG, Use.OAUTH)}
    retire(folder, before[Use.LOG])
    assert (folder / f"{before[Use.LOG]}.jwk").exists()
    for use in before:
        rotate(folder, use, NOW)
    assert (folder / f"{before[Use.LOG]}.jwk").exists()
    kept = files(folder)
    retire(folder, "unknown")
    retire(folder, load(folder).current(Use.LOG).kid)
    assert files(folder) == kept
    retire(folder, before[Use.LOG])
    assert not (folder / f"{before[Use.LOG]}.jwk").exists()
    assert load(folder).current(Use.LOG).kid != before[Use.LOG]


def test_where_there_are_no_keys_none_is_destroyed(tmp_path: Path) -> None:
    retire(tmp_path / "none", "kid")
    assert not (tmp_path / "none").exists()


def test_the_current_key_is_revoked_at_once_and_has_a_successor(folder: Path) -> None:
    kid = load(folder).current(Use.LOG).kid
    made = revoke(folder, kid, NOW + 7, "the disk was stolen")
    keys = load(folder)
    assert made is not None
    assert keys.signing(Use.LOG).kid == made.kid
    assert [jwk["kid"] for use, jwk in keys.published(NOW) if use is Use.LOG] == [made.kid]
    assert keys.verifying(Use.LOG, kid)["revoked"] == {"revoked_at": NOW // 1000, "reason": "the disk was stolen"}
    assert not (folder / f"{kid}.jwk").exists()


def test_a_rotated_key_is_revoked_without_another_successor(folder: Path) -> None:
    kid = load(folder).current(Use.OAUTH).kid
    now = rotate(folder, Use.OAUTH, NOW).kid
    assert revoke(folder, kid, NOW, "found in a backup") is None
    keys = load(folder)
    assert [jwk["kid"] for use, jwk in keys.published(NOW) if use is Use.OAUTH] == [now]
    with pytest.raises(Conflict):
        revoke(folder, kid, NOW, "again")


@pytest.mark.parametrize("reason", ["", "  ", "two\nlines", "x" * 501])
def test_a_revocation_says_why(folder: Path, reason: str) -> None:
    with pytest.raises(CallerError):
        revoke(folder, load(folder).current(Use.LOG).kid, NOW, reason)


def test_an_unknown_key_is_not_revoked(folder: Path) -> None:
    with pytest.raises(NotFound):
        revoke(folder, "oauth-none", NOW, "gone")


def fail_at(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The disk is full when that file is put in its place."""
    rename = os.rename

    def full(source: str, target: str, **more: Any) -> None:
        if target == name:
            raise OSError(28, "No space left on device")
        rename(source, target, **more)

    monkeypatch.setattr(os, "rename", full)


def test_a_change_that_fails_changes_nothing_and_the_next_one_tidies_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = files(folder)
    with monkeypatch.context() as full:
        fail_at(full, INDEX)
        assert "No space left" in refused(lambda: rotate(folder, Use.OAUTH, NOW)).reason
    assert before.items() <= files(folder).items()
    assert load(folder).listing()[0]["state"] == "current"
    (folder / ".keys.json.00.new").write_text("left by a power cut")
    (folder / "oauth-backup.jwk").write_text("the owner's own")
    rotate(folder, Use.OAUTH, NOW)
    assert len(files(folder)) == 2 + len(Use)
    assert (folder / "oauth-backup.jwk").exists()


# -- whose files they are ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
@pytest.mark.parametrize("name", [INDEX, "private"])
def test_a_file_that_others_may_use_is_refused(folder: Path, name: str, mode: int) -> None:
    path = folder / (INDEX if name == INDEX else f"{load(folder).current(Use.OAUTH).kid}.jwk")
    path.chmod(mode)
    error = refused(lambda: load(folder))
    assert (error.code, f"chmod 600 {path}" in error.reason) == ("keys-exposed", True)


def test_a_folder_that_others_may_use_is_refused(folder: Path) -> None:
    folder.chmod(0o750)
    for work in (
        lambda: load(folder),
        lambda: rotate(folder, Use.LOG, NOW),
        lambda: ensure_keys(folder, US, {}, 48, NOW),
    ):
        error = refused(work)
        assert (error.code, f"chmod 700 {folder}" in error.reason) == ("keys-exposed", True)


def test_links_are_not_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    assert "link" in refused(lambda: load(tmp_path / "link")).reason
    (folder / INDEX).rename(tmp_path / INDEX)
    (folder / INDEX).symlink_to(tmp_path / INDEX)
    assert refused(lambda: load(folder)).code == "keys-unreadable"


def test_a_pipe_does_not_hold_us_up(folder: Path) -> None:
    (folder / INDEX).unlink()
    os.mkfifo(folder / INDEX, 0o600)
    assert refused(lambda: load(folder)).code == "keys-damaged"


def test_missing_keys_say_how_to_make_them(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir(mode=0o700)
    for folder in (tmp_path / "keys", tmp_path / "none"):
        for work in (lambda at=folder: load(at), lambda at=folder: rotate(at, Use.LOG, NOW)):
            error = refused(work)
            assert (error.code, "carnet keys rotate" in error.reason) == ("keys-missing", True)


def damage(change: Callable[[dict[str, Any]], None]) -> Callable[[bytes], bytes]:
    def changed(content: bytes) -> bytes:
        index = json.loads(content)
        change(index)
        return json.dumps(index).encode()

    return changed


@pytest.mark.parametrize(
    "change",
    [
        lambda _: b"",
        lambda _: b"\xff",
        lambda _: b"[" * 100_000,
        lambda content: content + b" " * keyfiles.MAX_FILE_BYTES,
        damage(lambda index: index.update(version=2)),
        damage(lambda index: index.update(more=1)),
        damage(lambda index: index["keys"][0].update(kid="../x")),
        damage(lambda index: index["keys"].append(index["keys"][0])),
        damage(lambda index: index["keys"].append({**index["keys"][0], "kid": "other"})),
        damage(lambda index: index["keys"][0].update(thumbprint="x")),
        damage(lambda index: index["keys"][0].update(kid="oauth-000000000000")),
        damage(lambda index: index["keys"][0]["public"].update(x="AAAA")),
        damage(lambda index: index["keys"][1].update(certificate="")),
    ],
)
def test_a_list_that_is_not_as_it_was_written_is_refused(folder: Path, change: Callable[[bytes], bytes]) -> None:
    (folder / INDEX).write_bytes(change((folder / INDEX).read_bytes()))
    error = refused(lambda: load(folder))
    assert (error.code, str(folder) in error.reason) == ("keys-damaged", True)


def test_a_private_part_that_is_another_keys_is_refused(folder: Path) -> None:
    keys = load(folder)
    for use in Use:
        path = folder / f"{keys.current(use).kid}.jwk"
        content = path.read_bytes()
        other = new_signing_key("EdDSA" if use is Use.LOG else "ES256", keys.current(use).kid)
        for text in (json.dumps(private_jwk(other)), "{}", "[]", ""):
            path.write_text(text)
            error = refused(lambda: load(folder))
            assert error.code == "keys-damaged"
            assert private_jwk(other)["d"] not in str(error)
        path.write_bytes(content)
    assert load(folder).thumbprints == keys.thumbprints


# -- keys of the environment -------------------------------------------------------------------------------------------


def refused_in_place_of(use: Use, jwk: dict[str, Any], folder: Path) -> SettingsError:
    return refused(lambda: load(folder, **{use.value: json.dumps(jwk)}))


def test_the_environment_comes_before_the_folder(folder: Path) -> None:
    given = new_signing_key("ES256")
    keys = load(folder, oauth=json.dumps(private_jwk(given)))
    assert keys.signing(Use.OAUTH).thumbprint == given.thumbprint
    of_folder = load(folder).current(Use.OAUTH)
    assert keys.verifying(Use.OAUTH, of_folder.kid) == of_folder.public
    assert keys.signing(Use.LOG).kid == load(folder).signing(Use.LOG).kid
    assert [row["state"] for row in keys.listing() if row["use"] == "oauth"] == ["current", "rotated"]


def test_with_all_keys_in_the_environment_no_folder_is_needed(folder: Path, tmp_path: Path) -> None:
    environ = {variable(use): private(folder, use) for use in Use}
    keys = ensure_keys(tmp_path / "none", US, environ, 48, NOW)
    assert not (tmp_path / "none").exists()
    assert keys.thumbprints == load(folder).thumbprints
    assert keys.current(Use.AGREEMENT).certificate == load(folder).current(Use.AGREEMENT).certificate
    for use in (Use.SUBJECTS, Use.PSEUDONYMS):
        assert keys.secret(use) == load(folder).secret(use)
    assert ensure_keys(folder, US, environ, 48, NOW).thumbprints == keys.thumbprints


def test_an_empty_variable_is_none(folder: Path) -> None:
    assert load(folder, oauth="").thumbprints == load(folder).thumbprints


def test_only_what_the_environment_does_not_hold_is_made(tmp_path: Path) -> None:
    given = new_signing_key("EdDSA", "mine")
    keys = ensure_keys(tmp_path / "keys", US, {variable(Use.LOG): json.dumps(private_jwk(given))}, 48, NOW)
    assert keys.signing(Use.LOG).kid == "mine"
    assert len(files(tmp_path / "keys")) == len(Use)


def test_a_secret_has_the_same_name_each_time(folder: Path) -> None:
    jwk = json.loads(private(folder, Use.SUBJECTS))
    del jwk["kid"]
    names = {load(folder, subjects=json.dumps(jwk)).current(Use.SUBJECTS).kid for _ in range(2)}
    assert len(names) == 1


def test_a_revoked_key_does_not_come_back_through_the_environment(folder: Path) -> None:
    for use in (Use.OAUTH, Use.SUBJECTS):
        jwk = json.loads(private(folder, use))
        revoke(folder, load(folder).current(use).kid, NOW, "it leaked")
        renamed = {**jwk, "kid": "new"} if use is Use.OAUTH else jwk
        assert refused_in_place_of(use, renamed, folder).path == variable(use)


@pytest.mark.parametrize("use", list(Use))
@pytest.mark.parametrize(
    "text",
    [
        "",
        "not JSON",
        "[" * 100_000,
        "[]",
        "\udcff",
        json.dumps({"kty": "oct", "k": "c2VjcmV0"}),
        json.dumps({"kty": "oct", "k": "c2Vj cmV0"}),
        json.dumps({"kty": "oct", "k": "A" * 43, "kid": "a/b"}),
        json.dumps({"kty": "oct", "k": "A" * 43, "kid": 7}),
        json.dumps({"kty": "EC", "crv": "P-256", "d": "c2VjcmV0"}),
        json.dumps(dict(new_signing_key("ES256").public_jwk)),
    ],
)
def test_a_variable_that_holds_no_such_key_is_refused_without_its_value(tmp_path: Path, use: Use, text: str) -> None:
    error = refused(lambda: load(tmp_path, **{use.value: text or "{}"}))
    assert (error.code, error.path) == ("key-invalid", variable(use))
    assert "c2Vj" not in str(error)


def test_each_use_has_its_kind_of_key(tmp_path: Path) -> None:
    edwards, elliptic = private_jwk(new_signing_key("EdDSA")), private_jwk(new_signing_key("ES256"))
    for use, text in (
        ("oauth", edwards),
        ("log", elliptic),
        ("agreement", elliptic),
        ("agreement", edwards),
        ("subjects", edwards),
    ):
        assert refused_in_place_of(Use(use), text, tmp_path).code == "key-invalid"


def test_the_certificate_of_another_key_is_refused(folder: Path) -> None:
    jwk = json.loads(private(folder, Use.AGREEMENT))
    other = private_jwk(new_signing_key("ES256"))
    for chain in (jwk["x5c"], [], "text", [7]):
        assert refused_in_place_of(Use.AGREEMENT, {**other, "x5c": chain}, folder).code == "key-invalid"
