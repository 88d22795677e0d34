"""`carnet doctor` on our own identity: keys, certificates, our DID document. Each finding has a remedy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from connector.cli.doctor_identity import DAY_MS, key_ages
from connector.identity.keyfiles import rotate
from connector.identity.keys import Use
from tests.cli.sites import DOCUMENT, VERSIONS, Make, Site, found, now_ms, ring_of
from tests.http.certificates import Authority

# -- keys -----------------------------------------------------------------------------------------------------------------------


def test_keys_are_in_order(make: Make) -> None:
    house = make()
    finding = found(house)["keys"]
    assert (finding.level, ring_of(house).current(Use.OAUTH).kid in finding.what) == ("fine", True)


def test_keys_that_are_not_there_yet_are_made_by_the_first_start(make: Make) -> None:
    house = make()
    (house / "keys").rename(house / "moved")
    assert found(house)["keys"].level == "fine"
    (house / "control.db").touch()
    finding = found(house)["keys"]
    assert (finding.level, "from a copy" in finding.remedy) == ("warning", True)


def test_keys_that_others_may_read_are_a_problem(make: Make) -> None:
    house = make()
    (house / "keys").chmod(0o755)
    finding = found(house)["keys"]
    assert (finding.level, "[keys-exposed]" in finding.what, "chmod 700" in finding.remedy) == ("problem", True, True)


def test_old_keys_are_to_be_rotated(make: Make) -> None:
    ring = ring_of(make())
    assert {finding.level for finding in key_ages(ring, now_ms())} == {"fine"}
    findings = {each.about: each for each in key_ages(ring, now_ms() + 366 * DAY_MS)}
    for use in (Use.OAUTH, Use.AGREEMENT, Use.LOG):
        finding = findings[f"{use} key"]
        assert (finding.level, finding.remedy) == ("warning", f"run: carnet keys rotate {use}")
        assert "366 days old" in finding.what


@pytest.mark.parametrize(("days", "level"), [(-31, "fine"), (-10, "warning"), (2, "problem")])
def test_the_certificate_of_agreements_ends(make: Make, days: int, level: str) -> None:
    ring = ring_of(make())
    ends = x509.load_pem_x509_certificate(ring.current(Use.AGREEMENT).certificate.encode()).not_valid_after_utc
    at_ms = int((ends + timedelta(days=days)).timestamp()) * 1000
    finding = {each.about: each for each in key_ages(ring, at_ms)}["agreement certificate"]
    assert (finding.level, "carnet keys rotate agreement" in finding.remedy) == (level, level != "fine")


# -- certificates ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ends", "level", "said"),
    [(90, "fine", "good for"), (10, "warning", "ends in 9 days"), (-2, "problem", "[tls-expired]")],
)
@pytest.mark.parametrize("section", ["protocol", "data"])
def test_the_certificate_of_a_listener_ends(make: Make, tmp_path: Path, section: str, ends: int, level: str, said: str) -> None:
    now = datetime.now(UTC)
    files = Authority(tmp_path).issue(begins=now - timedelta(days=5), ends=now + timedelta(days=ends))
    chosen = (f"{section}.tls_certificate='{files.certificate}'", f"{section}.tls_key='{files.key}'")
    finding = found(make(chosen=chosen))[f"{section}.tls_certificate"]
    assert (finding.level, said in finding.what) == (level, True)


def test_a_data_plane_that_runs_elsewhere_has_its_own_doctor(make: Make, tmp_path: Path) -> None:
    chosen = ("data.managed=false", "data.tls_certificate='/none'", "data.tls_key='/none'")
    assert "data.tls_certificate" not in found(make(chosen=chosen))


def test_authorities_are_looked_at(make: Make, tmp_path: Path) -> None:
    file = tmp_path / "authorities.pem"
    house = make(chosen=(f"client.ca_file='{file}'",))
    finding = found(house, peers=True)["client.ca_file"]
    assert (finding.level, "[tls-unreadable]" in finding.what) == ("problem", True)
    file.write_bytes(Authority(tmp_path).file.read_bytes())
    assert found(house)["client.ca_file"].level == "fine"


# -- our DID document -----------------------------------------------------------------------------------------------------------


def test_our_document_has_our_key_until_it_is_rotated(make: Make, us: Site) -> None:
    house = make()
    us.publish(ring_of(house))
    assert found(house)["own DID"].level == "fine"
    rotate(house / "keys", Use.OAUTH, now_ms())
    finding = found(house)["own DID"]
    assert (finding.level, "lacks our OAuth key" in finding.what, "carnet keys did" in finding.remedy) == ("problem", True, True)


def test_a_document_without_our_keys_here_is_a_document_still(make: Make, us: Site) -> None:
    house = make()
    us.publish(ring_of(house))
    (house / "keys").rename(house / "moved")
    assert found(house)["own DID"].what.startswith("there is a document at http://127.0.0.1:")


def test_a_document_that_is_not_there(make: Make) -> None:
    finding = found(make())["own DID"]
    assert (finding.level, "404" in finding.what, "start the connector" in finding.remedy) == ("warning", True, True)


def test_a_document_of_somebody_else(make: Make, us: Site, them: Site) -> None:
    house = make()
    us.publish(ring_of(house))
    us.pages[DOCUMENT]["id"] = them.did
    finding = found(house)["own DID"]
    assert (finding.level, "[did-mismatch]" in finding.what) == ("problem", True)


def test_a_document_that_leads_elsewhere(make: Make, us: Site) -> None:
    house = make(chosen=("protocol.public_url='https://us.example'",))
    us.publish(ring_of(house))
    assert found(house)["own DID's service"].level == "warning"
    us.pages[DOCUMENT]["service"][0]["serviceEndpoint"] = f"https://us.example{VERSIONS}"
    assert "own DID's service" not in found(house)


def test_a_did_that_cannot_be_one(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    house = make()
    for participant, level in (("did:web:US.example", "problem"), ("urn:us", "fine")):
        monkeypatch.setenv("CARNET_PARTICIPANT_ID", participant)
        assert found(house)["own DID"].level == level


def test_nobody_needs_our_document_where_tokens_are_pinned(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARNET_PROTOCOL__AUTH", "pinned-token")
    assert "own DID" not in found(make())


def test_an_address_in_the_clear_is_a_problem_of_the_settings(make: Make) -> None:
    house = make()
    text = (house / "carnet.toml").read_text()
    (house / "carnet.toml").write_text(text.replace('# public_url = ""', 'public_url = "http://us.example"', 1))
    finding = found(house)["protocol.public_url"]
    assert (finding.level, "[tls-missing]" in finding.what, "https" in finding.remedy) == ("problem", True, True)
