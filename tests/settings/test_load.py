"""Sources, refusals and rules of the settings."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.settings import Secret, Settings, SettingsError, load, read_token
from connector.settings.document import sections
from connector.settings.model import DEVELOPMENT_KEY
from connector.settings.rules import is_loopback

TOKEN = "0123456789abcdef-first"
OTHER_TOKEN = "0123456789abcdef-second"
KEY = f'[development]\nkey = "{DEVELOPMENT_KEY}"\n'
PINNED = f'[protocol]\nauth = "pinned-token"\n{KEY}'
ISSUER = '[[issuers]]\nissuer = "https://idp.example/realm"\nparticipants = ["did:web:them"]\n'
AWAY = '[protocol]\nhost = "192.0.2.1"\npublic_url = "https://us.example"\n'
DATA_AWAY = '[data]\npublic_host = "192.0.2.1"\npublic_url = "https://us.example:8585"\n'
TLS = 'tls_certificate = "chain.pem"\ntls_key = "chain.key"\n'
INTEGERS = {
    f"{section.name}.{row.name}": row
    for section in sections()
    for row in section.rows
    if row.type.startswith("integer") and not section.repeated
}


def write(folder: Path, text: str) -> Path:
    path = folder / "carnet.toml"
    path.write_text(f'participant_id = "did:web:us"\n{text}')
    return path


def refusal(path: Path | None, environ: Mapping[str, str]) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        load(path, environ)
    return caught.value


def test_a_name_is_enough(tmp_path: Path) -> None:
    settings = load(write(tmp_path, ""), {})
    assert settings.participant_id == "did:web:us"
    assert settings.data_dir == tmp_path
    assert settings.control_database == tmp_path / "control.db"
    assert settings.local.socket == tmp_path / "carnet.sock"


def test_the_environment_alone_is_enough() -> None:
    settings = load(None, {"CARNET_PARTICIPANT_ID": "did:web:us", "CARNET_DATA_DIR": "/srv/carnet"})
    assert settings.data.database == Path("/srv/carnet/data.db")


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "[protocol]\nport = 1111\npage_size = 7\n")
    environ = {
        "CARNET_PROTOCOL__PORT": "2222",
        "CARNET_DATA__MANAGED": "false",
        "CARNET_CLIENT__ALLOW": "127.0.0.1:1, 127.0.0.1:2",
        "CARNET_LOCAL__SOCKET": "",
        "HOME": "/nowhere",
        "CARNET_FULL": "1",
        "CARNET_KEY_OAUTH": "{}",
    }
    settings = load(path, environ)
    assert settings.protocol.port == 2222
    assert settings.protocol.page_size == 7
    assert settings.data.managed is False
    assert settings.client.allow == ("127.0.0.1:1", "127.0.0.1:2")
    assert settings.local.socket is None


def test_paths_start_at_data_dir_and_data_dir_at_the_file(tmp_path: Path) -> None:
    settings = load(write(tmp_path, 'data_dir = "state"\n[data]\nsink_dir = "/srv/in"\n'), {})
    assert settings.data_dir == tmp_path / "state"
    assert settings.data.token_file == tmp_path / "state" / "data.token"
    assert settings.data.sink_dir == Path("/srv/in")


def test_postgresql_has_no_control_file(tmp_path: Path) -> None:
    settings = load(write(tmp_path, '[store]\nurl = "postgresql://carnet:hidden@db/carnet"\n'), {})
    assert settings.control_database is None
    assert "hidden" not in repr(settings)


@pytest.mark.parametrize(
    ("text", "path", "near"),
    [
        ("[protocl]\nport = 1\n", "protocl", "protocol"),
        ("[protocol]\npage_sise = 1\n", "protocol.page_sise", "page_size"),
        ('[[peers]]\nid = "a"\naddress = ["http://a"]\n', "peers[0].address", "addresses"),
        (
            f'[development]\nkey = "{DEVELOPMENT_KEY}"\n[[development.rules]]\nknd = "x"\n',
            "rules[0].knd",
            "kind",
        ),
    ],
)
def test_unknown_keys_are_refused_with_the_nearest(tmp_path: Path, text: str, path: str, near: str) -> None:
    error = refusal(write(tmp_path, text), {})
    assert error.code == "unknown-setting"
    assert error.path.endswith(path)
    assert f"did you mean {near}?" in error.reason


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("CARNET_PROTOCOL__PROT", "1", "unknown-setting"),
        ("CARNET_PARTICIPANT", "1", "unknown-setting"),
        ("CARNET_PROTOCOL__PORT__MORE", "1", "unknown-setting"),
        ("CARNET_KEY_OUATH", "{}", "unknown-setting"),
        ("CARNET_PROTOCOL", "1", "invalid-value"),
        ("CARNET_PEERS", "1", "invalid-value"),
        ("CARNET_PROTOCOL__PORT", "many", "invalid-value"),
        ("CARNET_PROTOCOL__PORT", "70000", "invalid-value"),
        ("CARNET_DATA__MANAGED", "perhaps", "invalid-value"),
        ("CARNET_LOGGING__LEVEL", "loud", "invalid-value"),
        ("CARNET_STORE__URL", "mysql://db", "invalid-value"),
        ("CARNET_PROTOCOL__BASE_PATH", "/dsp/", "invalid-value"),
        ("CARNET_PROTOCOL__PUBLIC_URL", "https://us.example/path", "invalid-value"),
        ("CARNET_DATA_DIR", "", "invalid-value"),
    ],
)
def test_bad_variables_are_refused(tmp_path: Path, name: str, value: str, code: str) -> None:
    assert refusal(write(tmp_path, ""), {name: value}).code == code


def test_refused_values_are_not_repeated(tmp_path: Path) -> None:
    for text in (
        '[[peers]]\nid = "a"\ninbound_token = "hush hush"\n',
        '[logging]\nlevel = "hush"\n',
        '[store]\nurl = "hush"\n',
        "hush = hush\n",
    ):
        assert "hush" not in refusal(write(tmp_path, text), {}).reason


@pytest.mark.parametrize("content", [b"= 1", b"\xff\xfe", b"a = " + b"[" * 5000, b"#" * 1_100_000])
def test_broken_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "carnet.toml"
    path.write_bytes(content)
    assert refusal(path, {}).code in ("invalid-toml", "file-too-large")


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    error = refusal(tmp_path / "carnet.toml", {})
    assert (error.code, "carnet init" in error.reason) == ("file-unreadable", True)


def test_a_participant_needs_a_name() -> None:
    assert refusal(None, {}).path == "participant_id"


@pytest.mark.parametrize(
    ("text", "code", "path"),
    [
        ("[dispatch]\nlease_s = 10\nattempt_timeout_s = 10\n", "conflicting-settings", "dispatch.lease_s"),
        ("[dispatch]\nconcurrency = 4\n", "conflicting-settings", "dispatch.per_peer_concurrency"),
        ("[client]\ntotal_timeout_s = 1\n", "conflicting-settings", "client.connect_timeout_s"),
        ('[protocol]\nhost = "0.0.0.0"\n', "missing-setting", "protocol.public_url"),
        ('[data]\npublic_host = "::"\n', "missing-setting", "data.public_url"),
        ('[data]\nsignaling_host = "0.0.0.0"\n', "not-loopback", "data.signaling_host"),
        ('[local]\nhost = "192.0.2.1"\n', "not-loopback", "local.host"),
        ('[[peers]]\nid = "did:web:us"\n', "duplicate-peer", "peers[0].id"),
        ('[[peers]]\nid = "a"\n[[peers]]\nid = "a"\n', "duplicate-peer", "peers[1].id"),
        (
            PINNED + "".join(f'[[peers]]\nid = "{name}"\ninbound_token = "{TOKEN}"\n' for name in "ab"),
            "duplicate-token",
            "peers[1].inbound_token",
        ),
        (
            f'[[peers]]\nid = "a"\noutbound_token = "{TOKEN}"\noutbound_token_file = "t"\n',
            "conflicting-settings",
            "peers[0].outbound_token",
        ),
        ('[[peers]]\nid = "a"\ninbound_token = "short"\n', "invalid-token", "peers[0].inbound_token"),
        ("[development]\nhooks = true\n", "development-locked", "development"),
        ("[development]\nhttp_dids = true\n", "development-locked", "development"),
        ('[development]\nanonymous_participant = "anybody"\n', "development-locked", "development"),
        ('[protocol]\nauth = "pinned-token"\n', "development-locked", "protocol.auth"),
        (
            '[[protocol.also]]\npath = "/a"\n[[protocol.also]]\npath = "/b"\nauth = "pinned-token"\n',
            "development-locked",
            "protocol.also[1].auth",
        ),
        (f'[[peers]]\nid = "a"\ninbound_token = "{TOKEN}"\n', "development-locked", "peers[0].inbound_token"),
        (f'{KEY}[[peers]]\nid = "a"\ninbound_token = "{TOKEN}"\n', "conflicting-settings", "peers[0].inbound_token"),
        (f'{KEY}anonymous_participant = "anybody"\n', "conflicting-settings", "development.anonymous_participant"),
        ('[[protocol.also]]\npath = "/dsp/2025-1"\n', "duplicate-path", "protocol.also[0].path"),
        ('[[protocol.also]]\npath = "/a"\n[[protocol.also]]\npath = "/a"\n', "duplicate-path", "protocol.also[1].path"),
        ('[[protocol.also]]\nauth = "oauth"\n', "invalid-value", "protocol.also[0]"),
        ('[[issuers]]\nissuer = "https://idp.example"\n', "invalid-value", "issuers[0]"),
        (ISSUER.replace('"did:web:them"', ""), "invalid-value", "issuers[0].participants"),
        (ISSUER.replace("did:web:them", "did:web:us"), "conflicting-settings", "issuers[0].participants"),
        (ISSUER + ISSUER, "duplicate-issuer", "issuers[1].issuer"),
        ('[protocol]\npublic_url = "https://idp.example/realm"\n', "invalid-value", "protocol.public_url"),
        (
            '[protocol]\npublic_url = "https://us.example"\n' + ISSUER.replace("idp.example/realm", "us.example"),
            "duplicate-issuer",
            "issuers[0].issuer",
        ),
        (ISSUER.replace("https:", "http:"), "tls-missing", "issuers[0].issuer"),
        (ISSUER.replace("idp.example", "[idp"), "invalid-value", "issuers[0].issuer"),
        (f'{ISSUER}client_secret = "{TOKEN}"\nclient_secret_file = "s"\n', "conflicting-settings", "issuers[0].client_secret"),
        (f'{ISSUER}client_secret_file = "s"\n', "secret-unreadable", "issuers[0].client_secret_file"),
        ("[oauth]\nembedded = false\n", "conflicting-settings", "oauth.embedded"),
        ('[protocol]\ntls_certificate = "chain.pem"\n', "conflicting-settings", "protocol.tls_key"),
        ('[data]\ntls_key = "chain.key"\n', "conflicting-settings", "data.tls_certificate"),
        (AWAY, "tls-missing", "protocol.tls_certificate"),
        (DATA_AWAY, "tls-missing", "data.tls_certificate"),
        (AWAY.replace("https", "http") + TLS, "tls-missing", "protocol.public_url"),
        (AWAY.replace("https", "http") + "behind_proxy = true\n", "tls-missing", "protocol.public_url"),
        ('[protocol]\npublic_url = "http://us.example"\n', "tls-missing", "protocol.public_url"),
        ('[protocol]\npublic_url = "http://us.example:high"\n', "invalid-value", "protocol.public_url"),
        ('[data]\npublic_url = "http://us.example"\n', "tls-missing", "data.public_url"),
        ('[protocol]\npublic_url = "http://localhost:8282"\n' + TLS, "conflicting-settings", "protocol.public_url"),
        ('[development]\nkey = "please"\n', "development-locked", "development"),
        (
            f'[protocol]\nhost = "0.0.0.0"\npublic_url = "https://us.example"\n[development]\nkey = "{DEVELOPMENT_KEY}"\n',
            "not-loopback",
            "protocol.host",
        ),
    ],
)
def test_rules_over_several_settings(tmp_path: Path, text: str, code: str, path: str) -> None:
    error = refusal(write(tmp_path, text), {})
    assert (error.code, error.path) == (code, path)


@pytest.mark.parametrize(
    "text",
    [
        AWAY + TLS,
        AWAY + "behind_proxy = true\n",
        AWAY + "behind_proxy = true\n" + TLS,
        DATA_AWAY + TLS,
        DATA_AWAY + "managed = false\n",
        '[protocol]\npublic_url = "http://127.0.0.1:8282"\n',
        '[protocol]\npublic_url = "http://[::1]:8282"\n',
        '[protocol]\npublic_url = "http://localhost:8282"\nbehind_proxy = true\n' + TLS,
        '[protocol]\npublic_url = "https://us.example"\n',
        "[oauth]\nembedded = false\n" + ISSUER,
        f'[protocol]\nauth = "pinned-token"\n[oauth]\nembedded = false\n{KEY}',
        f'[[peers]]\nid = "a"\noutbound_token = "{TOKEN}"\n',
        ISSUER.replace("https://idp.example", "http://127.0.0.1:8080"),
    ],
)
def test_what_may_be_set_together(tmp_path: Path, text: str) -> None:
    assert load(write(tmp_path, text), {}).participant_id == "did:web:us"


def test_an_issuer_has_its_secret_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "idp.secret"
    file.write_text(f"{TOKEN}\n")
    file.chmod(0o600)
    issuer = load(write(tmp_path, f'{ISSUER}client_secret_file = "idp.secret"\n'), {}).issuers[0]
    assert issuer.client_secret is not None
    assert issuer.client_secret.matches(TOKEN)
    assert TOKEN not in repr(issuer)
    assert issuer.token_types == ("at+jwt",)


def test_certificates_are_found_from_data_dir(tmp_path: Path) -> None:
    settings = load(write(tmp_path, f"{AWAY}{TLS}[data]\n{TLS}"), {})
    assert settings.protocol.tls_certificate == tmp_path / "chain.pem"
    assert settings.data.tls_key == tmp_path / "chain.key"


def test_development_with_its_key(tmp_path: Path) -> None:
    text = (
        f'[protocol]\nauth = "pinned-token"\n[development]\nkey = "{DEVELOPMENT_KEY}"\nhooks = true\n'
        'anonymous_participant = "anybody"\nhttp_dids = true\n'
        '[[development.rules]]\nkind = "negotiation"\nrole = "provider"\nkey = "ACN*"\nstate = "REQUESTED"\n'
        'action = "agree"\nnth = 2\ndelay_ms = 5\n'
        '[[development.datasets]]\nid = "d"\noffer_id = "o"\nfile = "d.csv"\n'
        '[[development.agreements]]\nid = "a"\ndataset = "d"\ncounterparty = "b"\nrole = "consumer"\n'
    )
    development = load(write(tmp_path, text), {}).development
    assert development.rules[0].nth == 2
    assert development.http_dids
    assert development.datasets[0].file == tmp_path / "d.csv"
    assert development.agreements[0].role == "consumer"


def test_tokens_come_from_files_of_their_owner(tmp_path: Path) -> None:
    file = tmp_path / "peer.token"
    file.write_text(f"{TOKEN}\n")
    path = write(tmp_path, PINNED + '[[peers]]\nid = "a"\ninbound_token_file = "peer.token"\n')
    file.chmod(0o640)
    assert refusal(path, {}).code == "secret-exposed"
    file.chmod(0o600)
    token = load(path, {}).peers[0].inbound_token
    assert token is not None
    assert token.matches(TOKEN)
    file.unlink()
    assert refusal(path, {}).code == "secret-unreadable"


def test_an_empty_token_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "empty.token"
    os.close(os.open(file, os.O_CREAT, 0o600))
    with pytest.raises(SettingsError, match="invalid-token"):
        read_token(file, "local.token_file")


def test_a_secret_keeps_quiet(tmp_path: Path) -> None:
    path = write(tmp_path, PINNED + f'[[peers]]\nid = "a"\ninbound_token = "{TOKEN}"\n')
    peer = load(path, {}).peers[0]
    secret = peer.inbound_token
    assert isinstance(secret, Secret)
    assert TOKEN not in f"{peer!r} {secret} {secret!r} {[secret]}"
    assert secret.matches(TOKEN)
    assert not secret.matches(OTHER_TOKEN)
    assert not secret.matches("\udcff")
    with pytest.raises(TypeError):
        _ = secret == Secret(TOKEN)
    with pytest.raises(TypeError):
        hash(secret)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("a.b", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@given(st.sampled_from(sorted(INTEGERS)), st.data())
def test_integers_hold_their_bounds_from_both_sources(name: str, data: st.DataObject) -> None:
    low, high = (int(part) for part in INTEGERS[name].type.removeprefix("integer, ").split(" to "))
    value = data.draw(st.integers(low - 2, high + 2) | st.sampled_from([low - 1, low, high, high + 1]))
    environ = {"CARNET_PARTICIPANT_ID": "us", f"CARNET_{name.upper().replace('.', '__')}": str(value)}
    try:
        settings = load(None, environ)
    except SettingsError as error:
        expected = {"conflicting-settings"} if low <= value <= high else {"invalid-value"}
        if error.code not in expected:
            raise
    else:
        section, key = name.split(".")
        assert getattr(getattr(settings, section), key) == value


@given(st.text(st.characters(codec="ascii", categories=["L"]), min_size=1, max_size=20))
def test_no_made_up_key_is_taken(key: str) -> None:
    known = {row.name for section in sections() for row in section.rows} | {section.name for section in sections()}
    if key.lower() not in known:
        assert refusal(None, {f"CARNET_{key.upper()}": "1"}).code == "unknown-setting"


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x7f", min_codepoint=32), min_size=1, max_size=40)


@given(participant=TEXT, page_size=st.integers(1, 1000), managed=st.booleans(), title=TEXT)
def test_what_is_written_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, participant: str, page_size: int, managed: bool, title: str
) -> None:
    path = tmp_path_factory.mktemp("settings") / "carnet.toml"
    path.write_text(
        f"participant_id = {json.dumps(participant, ensure_ascii=False)}\n"
        f"[protocol]\npage_size = {page_size}\n[data]\nmanaged = {json.dumps(managed)}\n"
        f'[development]\nkey = "{DEVELOPMENT_KEY}"\n'
        '[[development.datasets]]\nid = "d"\noffer_id = "o"\n'
        f"title = {json.dumps(title, ensure_ascii=False)}\n",
        encoding="utf-8",
    )
    settings: Settings = load(path, {})
    assert settings.participant_id == participant
    assert settings.protocol.page_size == page_size
    assert settings.data.managed is managed
    assert settings.development.datasets[0].title == title
