"""What makes first steps short: `init --loopback`, and a dataset in place of the id of its only contract."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from click.testing import CliRunner

from connector.cli.init import command as init
from connector.cli.transfer import chosen
from connector.client.local import Document, LocalClient, Refused
from connector.settings import load


def test_a_connector_of_this_machine_takes_one_option(tmp_path: Path) -> None:
    done = CliRunner().invoke(init, [str(tmp_path / "oem"), "--loopback", "8301", "--beside", "8311", "--beside", "8321"])
    assert done.exit_code == 0, done.output
    assert "did:web:localhost%3A8301, for this machine alone: plain http, never for production" in done.output
    assert "Its interface as a page, once it runs: http://127.0.0.1:8303/carnet/v1/docs" in done.output
    settings = load(tmp_path / "oem" / "carnet.toml", {})
    assert settings.participant_id == "did:web:localhost%3A8301"
    assert (settings.protocol.port, settings.data.public_port) == (8301, 8302)
    assert settings.protocol.host == settings.data.public_host == "127.0.0.1"
    assert settings.development.http_dids
    assert list(settings.client.allow) == ["localhost:8311", "127.0.0.1:8312", "localhost:8321", "127.0.0.1:8322"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "--participant-id"),
        (["--loopback", "8301", "--participant-id", "did:web:us.example"], "--loopback"),
        (["--participant-id", "did:web:us.example", "--beside", "8311"], "--beside goes with --loopback"),
        (["--loopback", "65535"], "65535"),
    ],
)
def test_who_we_are_is_said_once(tmp_path: Path, given: list[str], said: str) -> None:
    done = CliRunner().invoke(init, [str(tmp_path / "oem"), *given])
    assert done.exit_code == 2
    assert said in done.output
    assert not (tmp_path / "oem").exists()


class Held:
    """A connector that holds these agreements."""

    def __init__(self, *agreements: Document) -> None:
        self._agreements = list(agreements)

    async def agreement(self, agreement_id: str) -> Document:
        for each in self._agreements:
            if each["id"] == agreement_id:
                return each
        raise Refused(404, "agreement-unknown", "there is no such agreement")

    async def agreements(self) -> list[Document]:
        return self._agreements


def held(number: int, dataset: str, role: str = "consumer", state: str = "binding") -> Document:
    return {"id": f"urn:agreement:{number}", "dataset": dataset, "role": role, "state": state}


async def test_a_dataset_stands_for_its_only_contract() -> None:
    client = Held(held(1, "urn:a"), held(2, "urn:b"), held(3, "urn:a", role="provider"), held(4, "urn:a", state="void"))
    for word, expected in (("urn:a", 1), ("urn:b", 2), ("urn:agreement:4", 4)):
        assert (await chosen(cast(LocalClient, client), word))["id"] == f"urn:agreement:{expected}"


async def test_a_contract_with_the_id_of_a_dataset_of_another_does_not_stand_in_for_that() -> None:
    posing = {"id": "urn:a", "dataset": "urn:worthless", "role": "consumer", "state": "binding"}
    client = cast(LocalClient, Held(held(1, "urn:a"), posing))
    with pytest.raises(Refused, match="urn:a is the id of a contract and of another's dataset; say --counterparty"):
        await chosen(client, "urn:a")
    assert await chosen(client, "urn:a", "did:web:posing") == posing
    assert (await chosen(client, "urn:agreement:1"))["id"] == "urn:agreement:1"


async def test_of_several_contracts_one_has_to_be_named() -> None:
    client = Held(held(1, "urn:a"), held(2, "urn:a"))
    with pytest.raises(Refused, match="2 contracts are for urn:a: name one"):
        await chosen(cast(LocalClient, client), "urn:a")
    with pytest.raises(Refused, match="there is no such agreement"):
        await chosen(cast(LocalClient, client), "urn:c")
