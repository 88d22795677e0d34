"""An agreement that two connectors have signed, validated by software that is not ours and knows the law: DSS."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click
import pytest

from connector.flow import begin, publish, signatures
from connector.protocol.states import Role
from connector.store.signatures import SignatureStore
from tests.flow.house import DATASET, OFFER, Fuse, Street
from tests.flow.witnesses import Witnesses, settled
from tests.identity.dss import validator
from tests.requirement import missing

pytestmark = [pytest.mark.java, pytest.mark.slow, pytest.mark.timeout(validator.BUILD_TIMEOUT_S)]
GOOD = ("JAdES-BASELINE-B", "TOTAL_PASSED", "-")
BAD = ("JAdES-BASELINE-B", "TOTAL_FAILED", "HASH_FAILURE")


async def signed_agreement(folder: Path) -> str:
    """The document that a provider holds once both have signed, as of now: the time must be in that of the certificates."""
    street = Street(Fuse(), now=time.time_ns() // 1_000_000)
    await street.open(folder, "street")
    try:
        await Witnesses(street).move_in(certified=True)
        await publish.publish(street.provider.context, DATASET, title="Trips", source="trips.csv", offers=[OFFER])
        await begin.request_contract(street.consumer.context, counterparty="did:web:provider", dataset=DATASET, offer=OFFER)
        await settled(street)
        (agreement,) = await street.provider.store.agreements()
        store = SignatureStore(street.provider.store.engine)
        row = await store.signature(agreement.id, agreement.counterparty, Role.PROVIDER.value)
        assert row is not None
        assert row.state == "countersigned"
        return json.dumps(signatures.document_of(row))
    finally:
        await street.close()


def tampered(document: str) -> str:
    """The document with another byte in the middle of the agreement."""
    found = json.loads(document)
    payload, middle = found["payload"], len(found["payload"]) // 2
    found["payload"] = f"{payload[:middle]}{'A' if payload[middle] != 'A' else 'B'}{payload[middle + 1 :]}"
    return json.dumps(found)


async def test_both_signatures_pass_and_one_changed_byte_fails_both(tmp_path: Path) -> None:
    lacking = validator.needs()
    if lacking is not None:
        missing(lacking)
    began = time.monotonic()
    validator.build()
    built = time.monotonic()
    files = [tmp_path / "signed.json", tmp_path / "tampered.json"]
    files[0].write_text(await signed_agreement(tmp_path))
    files[1].write_text(tampered(files[0].read_text()))
    found = validator.validate(files)
    click.echo(f"DSS: built in {built - began:.1f} s, validated in {time.monotonic() - built:.1f} s")
    assert [tuple(verdict[1:]) for verdict in found if verdict.file == "signed.json"] == [GOOD, GOOD]
    assert [tuple(verdict[1:]) for verdict in found if verdict.file == "tampered.json"] == [BAD, BAD]
