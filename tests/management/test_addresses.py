"""Data addresses as clients write them, and as the data plane is told."""

from __future__ import annotations

from typing import Any

import pytest

from connector.management import addresses
from connector.management.model import EDC
from connector.protocol.errors import CallerError

Json = dict[str, Any]
MISSPELT = ("authcode", "SecretName", "Header:X-Key")


def told(**members: Any) -> Json:
    return addresses.registration(addresses.read({f"{EDC}{name}": value for name, value in members.items()}), None)


def test_an_http_api_is_told_with_all_that_was_said() -> None:
    body = told(
        type="HttpData",
        baseUrl="https://api.example.com",
        path="/v1",
        queryParams="a=1",
        method="POST",
        body="{}",
        contentType="application/json",
        proxyPath="true",
        proxyQueryParams=True,
        proxyMethod="FALSE",
        proxyBody="false",
        name="ignored",
        authKey="X-Key",
        authCode="abc",
        **{"header:Accept": "text/csv"},
    )
    assert body == {
        "http": {
            "baseUrl": "https://api.example.com",
            "path": "/v1",
            "queryParams": "a=1",
            "method": "POST",
            "body": "{}",
            "contentType": "application/json",
            "proxyPath": True,
            "proxyQueryParams": True,
            "proxyMethod": False,
            "proxyBody": False,
            "headers": {"Accept": "text/csv"},
            "credential": {"header": "X-Key", "value": "abc"},
        }
    }


def test_names_may_stand_with_or_without_the_namespace() -> None:
    plain = {"type": f"{EDC}HttpData", "baseUrl": "https://a.example.com"}
    assert addresses.read(plain) == addresses.read({EDC + name: value for name, value in plain.items()})
    assert addresses.read({"@type": "CarnetFile", "path": "/a"}).type == "CarnetFile"


def test_files_and_tables_are_told_as_the_data_plane_knows_them() -> None:
    assert told(type="CarnetFile", path="/data/a.csv") == {"path": "/data/a.csv"}
    mapping = {f"{EDC}columns": {f"{EDC}speed": "Vehicle.Speed"}}
    body = told(type="CarnetTable", path="/data", mapping=mapping, personal="true", bases="urn:base", sensitive="[]")
    wish = {"mapping": {"columns": {"speed": "Vehicle.Speed"}}, "personal": True, "bases": ["urn:base"], "sensitive": []}
    assert body == {"path": "/data", "table": wish}


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ({}, "address-type"),
        ({"type": "AmazonS3"}, "address-type"),
        ({"type": 3}, "address-type"),
        ({"type": "HttpData"}, "address-invalid"),
        ({"type": "HttpData", "baseUrl": 3}, "address-invalid"),
        ({"type": "HttpData", "baseUrl": "https://a", "proxyPath": "perhaps"}, "address-invalid"),
        ({"type": "HttpData", "baseUrl": "https://a", "authCode": {"x": 1}}, "address-invalid"),
        ({"type": "HttpData", "baseUrl": "https://a", "oauth2:clientId": "x"}, "address-oauth2"),
        ({"type": "HttpData", "baseUrl": "https://a", "OAuth2:clientSecret": "x"}, "address-oauth2"),
        *(({"type": "HttpData", "baseUrl": "https://a", name: "s3cret"}, "address-invalid") for name in MISSPELT),
        *(({"type": "CarnetFile", "path": "/a", name: "s3cret"}, "address-invalid") for name in ("authCode", "header:X")),
        ({"type": "CarnetFile", "path": ""}, "address-invalid"),
        ({"type": "CarnetTable", "path": "/a", "mapping": "{"}, "address-invalid"),
    ],
)
def test_what_cannot_be_used_is_refused(address: Json, code: str) -> None:
    with pytest.raises(CallerError) as caught:
        addresses.read(address)
    assert caught.value.code == code
    assert "s3cret" not in str(caught.value)


def test_what_opens_a_source_is_not_shown() -> None:
    read = addresses.read({"type": "HttpData", "baseUrl": "https://a", "authCode": "s3cret", "header:Cookie": "c00kie"})
    assert "s3cret" not in str(read.document()) + repr(read)
    assert "c00kie" not in str(read.document()) + repr(read)
    assert read.document() == {f"{EDC}type": "HttpData", f"{EDC}baseUrl": "https://a"}
