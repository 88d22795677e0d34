"""What clients write without meaning anything by it is taken, in both versions."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from connector.management.dialect import Dialect
from connector.management.model import EDC
from connector.management.queryspec import MAX_LIMIT
from connector.management.shapes import catalog_query_of, query_of, transfer_request_of
from connector.management.v3 import V3
from connector.management.v4 import V4
from connector.protocol.errors import Invalid

BOTH = pytest.mark.parametrize("dialect", [V3(), V4()], ids=lambda each: each.name)
MANAGEMENT = "https://w3id.org/edc/connector/management/v2"
TRANSFER: dict[str, Any] = {"counterPartyAddress": "https://peer.example", "contractId": "c", "transferType": "HttpData-PULL"}


async def read(dialect: Dialect, form: str, **members: Any) -> dict[str, Any]:
    context: Any = {"@vocab": EDC} if dialect.name == "v3" else [MANAGEMENT]
    return await dialect.read(orjson.dumps({"@context": context, "@type": form, **members}), form)


def wish(dialect: Dialect, callbacks: Any) -> dict[str, Any]:
    protocol = "dataspace-protocol-http" if dialect.name == "v3" else "dataspace-protocol-http:2025-1"
    return {**TRANSFER, "protocol": protocol, "callbackAddresses": callbacks}


@BOTH
async def test_no_callbacks_are_none(dialect: Dialect) -> None:
    document = await read(dialect, "TransferRequest", **wish(dialect, []))
    assert transfer_request_of(document).contract == "c"


@BOTH
async def test_a_callback_is_refused_by_name(dialect: Dialect) -> None:
    document = await read(dialect, "TransferRequest", **wish(dialect, [{"uri": "https://me.example", "events": ["transfer"]}]))
    with pytest.raises(Invalid) as refused:
        transfer_request_of(document)
    assert [each.path for each in refused.value.violations] == ["callbackAddresses"]


@BOTH
async def test_a_limit_that_is_large_enough_for_everything_is_a_page(dialect: Dialect) -> None:
    assert query_of(await read(dialect, "QuerySpec", limit=2**31 - 1)).limit == MAX_LIMIT
    assert query_of(await read(dialect, "QuerySpec"), {"limit": "999999999"}).limit == MAX_LIMIT
    assert query_of(await read(dialect, "QuerySpec", limit=7)).limit == 7
    with pytest.raises(Invalid):
        query_of({f"{EDC}limit": True})


async def test_so_it_is_of_a_catalogue() -> None:
    document = await read(V3(), "CatalogRequest", querySpec={"limit": 2**31 - 1})
    assert catalog_query_of(document).limit == MAX_LIMIT
