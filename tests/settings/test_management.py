"""Where the management interface may listen, and whose tokens it may take."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.settings import Settings, SettingsError, load

TLS = "tls_certificate = 'cert.pem'\ntls_key = 'key.pem'"


def settings(folder: Path, text: str, before: str = "") -> Settings:
    path = folder / "carnet.toml"
    path.write_text(f"participant_id = 'did:web:us.example'\n{before}\n[management]\n{text}\n")
    return load(path, {})


def refused(folder: Path, text: str, before: str = "") -> tuple[str, str]:
    with pytest.raises(SettingsError) as error:
        settings(folder, text, before)
    return error.value.code, error.value.path


def test_there_is_none_unless_somebody_wants_it(tmp_path: Path) -> None:
    chosen = settings(tmp_path, "").management
    assert (chosen.host, chosen.port, chosen.base_path, chosen.issuers) == ("", 8181, "/management", ())
    assert chosen.first_key_file == tmp_path / "operator.key"


def test_loopback_needs_nothing_more(tmp_path: Path) -> None:
    assert settings(tmp_path, "host = '127.0.0.1'").management.host == "127.0.0.1"


@pytest.mark.parametrize("more", [TLS, "behind_proxy = true"])
def test_off_loopback_others_are_told_what_to_call_over_tls(tmp_path: Path, more: str) -> None:
    there = "host = '0.0.0.0'\npublic_url = 'https://manage.example'\n"
    assert refused(tmp_path, there) == ("tls-missing", "management.tls_certificate")
    assert settings(tmp_path, there + more).management.public_url == "https://manage.example"
    assert refused(tmp_path, f"host = '0.0.0.0'\n{more}") == ("missing-setting", "management.public_url")
    assert refused(tmp_path, f"host = '0.0.0.0'\npublic_url = 'http://manage.example'\n{more}")[0] == "tls-missing"


def test_it_is_not_where_peers_are(tmp_path: Path) -> None:
    place = "public_url = 'https://us.example'"
    before = f"[protocol]\n{place}\nbehind_proxy = true"
    assert refused(tmp_path, place, before) == ("conflicting-settings", "management.public_url")
    assert refused(tmp_path, "base_path = '/carnet/v2'") == ("conflicting-settings", "management.base_path")


@pytest.mark.parametrize("origin", ["*", "https://*.example", "https://a.example/", "dashboard", "null"])
def test_origins_are_exact(tmp_path: Path, origin: str) -> None:
    assert refused(tmp_path, f"allow_origins = ['{origin}']")[0] == "invalid-value"


def test_development_stays_on_loopback(tmp_path: Path) -> None:
    before = '[development]\nkey = "i-know-this-is-not-for-production"'
    there = "host = '0.0.0.0'\npublic_url = 'https://manage.example'\nbehind_proxy = true"
    assert refused(tmp_path, there, before) == ("not-loopback", "management.host")


def test_issuers_are_each_listed_once_over_https(tmp_path: Path) -> None:
    one = "[[management.issuers]]\nissuer = 'https://sso.example'\nroles = ['auditor=audit-team']\n"
    assert settings(tmp_path, one).management.issuers[0].roles == ("auditor=audit-team",)
    assert refused(tmp_path, one * 2) == ("duplicate-issuer", "management.issuers[1].issuer")
    assert refused(tmp_path, one.replace("https", "http")) == ("tls-missing", "management.issuers[0].issuer")
    assert refused(tmp_path, one.replace("auditor=", "king="))[0] == "invalid-value"


def test_what_is_given_to_peers_opens_nothing(tmp_path: Path) -> None:
    before = "[protocol]\npublic_url = 'https://us.example'\nbehind_proxy = true"
    ourselves = "[[management.issuers]]\nissuer = 'https://us.example'\n"
    assert refused(tmp_path, ourselves, before) == ("duplicate-issuer", "management.issuers[0].issuer")
    for audience in ("https://us.example", "https://us.example/dsp/2025-1"):
        theirs = f"[[management.issuers]]\nissuer = 'https://sso.example'\naudience = '{audience}'\n"
        assert refused(tmp_path, theirs, before) == ("conflicting-settings", "management.issuers[0].audience")
    other = "[[management.issuers]]\nissuer = 'https://sso.example'\naudience = 'https://us.example.org'\n"
    assert settings(tmp_path, other, before).management.issuers[0].audience == "https://us.example.org"
