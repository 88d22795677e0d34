"""What is in a bundle: everything about one contract, for people and for machines, and nothing that it must not have."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import orjson
import pytest

from catalog.canonical import canonical_bytes
from connector.evidence import manifest, members
from connector.evidence.bundling import bundle
from connector.evidence.page import Contract as Page
from connector.evidence.page import contract_page
from connector.evidence.zipped import write_zip
from connector.flow import acts
from connector.flow.seals import no_plane
from connector.protocol.errors import NotFound, Unavailable
from tests.evidence.forging import Forge, Members, verified
from tests.evidence.recorded import Contract, concluded
from tests.flow.house import ADDRESS
from tests.flow.witnesses import settled, started

PAGES = ("contract.en.html", "contract.de.html", "contract.fr.html", "README.html")
VOID = {"meta", "br", "hr", "img", "link", "input"}
OFFLINE = """
import sys
from pathlib import Path
from connector.evidence.verifying import verify_bundle

def watch(event, args):
    if event.startswith(("socket.", "sqlite3.")) or (event == "open" and "w" in str(args[1] or "")):
        raise SystemExit(f"it touched {event} {args}")

sys.addaudithook(watch)
steps = verify_bundle(Path(sys.argv[1]))
print(len(steps), {step.result for step in steps})
"""


@pytest.mark.parametrize("role", ["provider", "consumer"])
def test_either_side_has_a_bundle_that_verifies_step_by_step(forge: Forge, tmp_path: Path, role: str) -> None:
    steps = verified(tmp_path, forge.bundles[role])
    assert {step.result for step in steps} == {"passed"}
    assert [step.number for step in steps] == list(range(1, 15))
    said = {step.name: step.said for step in steps}
    assert said["statement"] == "0.40 EUR"
    assert said["offers"].startswith("2 offers, 1 of them with changes")
    assert said["receipts"] == "1 countersigned"


def test_it_verifies_where_there_is_neither_network_nor_database(forge: Forge, tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    with path.open("wb") as opened:
        write_zip(opened, forge.provider)
    ended = subprocess.run([sys.executable, "-c", OFFLINE, str(path)], capture_output=True, text=True, check=False)  # our own
    assert ended.stdout == "14 {'passed'}\n", ended.stderr


def test_everything_about_the_contract_is_there(forge: Forge) -> None:
    found = forge.provider
    names = {name.split("/")[0] for name in found}
    assert names >= {
        *("README.txt", "README.html", "manifest.json", "manifest.jws", "agreement.json", "signatures.json", "contract.en.html"),
        *(
            "contract.de.html",
            "contract.fr.html",
            "offers",
            "decisions.json",
            "messages",
            "receipts",
            "meters.json",
            "erasures.json",
        ),
        *("statement.json", "termination.json", "leaves", "payloads", "proofs", "checkpoint", "cosigned", "vkeys", "keys"),
    }
    assert canonical_bytes(orjson.loads(found["agreement.json"])) == found["agreement.json"]
    messages = [orjson.loads(found[name])["document"]["@type"] for name in sorted(found) if name.startswith("messages/")]
    assert messages[:4] == [
        "ContractRequestMessage",
        "ContractOfferMessage",
        "ContractNegotiationEventMessage",
        "ContractAgreementMessage",
    ]
    assert messages[-3:] == ["TransferRequestMessage", "TransferStartMessage", "TransferCompletionMessage"]


def test_the_redline_says_in_three_languages_what_was_changed(forge: Forge) -> None:
    (change,) = orjson.loads(forge.provider["offers/002.json"])["redline"]
    assert change["kind"] == "added"
    assert change["sentences"].keys() == {"en", "de", "fr"}
    assert "0,40" in change["sentences"]["de"]
    assert "0.40" in change["sentences"]["en"]
    assert orjson.loads(forge.provider["offers/003.json"])["redline"] == []


def test_both_sides_say_the_same_of_the_contract(forge: Forge) -> None:
    provider, consumer = forge.bundles["provider"], forge.bundles["consumer"]
    assert provider["agreement.json"] == consumer["agreement.json"]
    lines = [
        [(line["amount"], line["quantity"]) for line in orjson.loads(each["statement.json"])["lines"]]
        for each in forge.bundles.values()
    ]
    assert lines[0] == lines[1]
    signed = [
        {each["signature"] for each in orjson.loads(side["signatures.json"])["signatures"]} for side in (provider, consumer)
    ]
    assert signed[0] == signed[1]


def test_nothing_in_it_opens_data(forge: Forge) -> None:
    for found in forge.bundles.values():
        for name, content in found.items():
            assert ADDRESS["endpoint"].encode() not in content, name
            assert b"endpointProperties" not in content, name
            assert b"dataAddress" not in content.replace(b'"leftOut": [\n    "dataAddress"', b"").replace(
                b'"removed": [\n      "dataAddress"', b""
            ), name


def test_keys_stand_there_with_what_was_known_at_signing(forge: Forge) -> None:
    for name, content in forge.provider.items():
        if name.startswith("keys/"):
            kept = orjson.loads(content)
            assert kept["document"]["id"] == kept["participant"]
            assert kept["registry"]["claims"] == {"kind": "company", "country": "DE"}


def test_the_same_contract_at_the_same_moment_gives_the_same_bytes(forge: Forge) -> None:
    sources = {name: each for name, each in forge.provider.items() if members.is_source(name)}
    assert members.derived(sources) == members.derived(sources)
    assert manifest.digests(forge.provider) == manifest.digests({**sources, **members.derived(sources)})


# -- pages for people ---------------------------------------------------------------------------------------------------------


class _Page(HTMLParser):
    """Whether every element is closed in order, and what the page would fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            outside = name in ("src", "action", "data", "poster") or (name == "href" and re.match(r"[a-z]+:|//", value or ""))
            if outside or name.startswith("on") or tag in ("script", "iframe", "object", "link", "base"):
                self.fetched.append(f"{tag} {name}={value}")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(content: bytes) -> _Page:
    page = _Page()
    page.feed(content.decode())
    page.close()
    assert page.open == []
    return page


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_and_fetches_nothing(forge: Forge, name: str) -> None:
    content = forge.provider[name]
    assert read(content).fetched == []
    assert b"default-src 'none'" in content
    assert b"@media print" in content
    assert b"url(" not in content
    assert b"@import" not in content


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ["Data contract", "The price is 0.40 EUR.", "evidenced", "Both parties have signed the same bytes.", "company"]),
        (
            "de",
            [
                "Datenvertrag",
                "Der Preis ist 0,40 EUR.",
                "durchgesetzt bei",
                "Beide Parteien haben dieselben Bytes",
                "Unternehmen",
            ],
        ),
        ("fr", ["Contrat de données", "EUR", "Les deux parties ont signé les mêmes octets.", "entreprise"]),
    ],
)
def test_the_contract_can_be_read_in_three_languages(forge: Forge, language: str, words: list[str]) -> None:
    text = " ".join(read(forge.provider[f"contract.{language}.html"]).text)
    for each in [*words, "did:web:provider", "did:web:consumer", "urn:dataset:trips", "Trips"]:
        assert each in text, each


def test_what_a_party_has_written_is_text_on_the_page(forge: Forge) -> None:
    facts = orjson.loads(forge.provider["contract.json"]) | {
        "title": "<script>alert(1)</script>\u202e\x00",
        "dataset": "\"'><img src=x>",
    }
    contract = Page(forge.provider["agreement.json"], facts, {"did:web:consumer": {"sector": "<b>"}}, [], [])
    page = read(contract_page(contract, "en"))
    assert page.fetched == []
    assert "<script>alert(1)</script>\ufffd\ufffd" in page.text
    assert not any(tag in contract_page(contract, "en").decode() for tag in ("<script", "<img", "<b>", "\u202e"))


def test_terms_that_cannot_be_read_are_not_made_up(forge: Forge) -> None:
    facts = orjson.loads(forge.provider["contract.json"])
    agreement = canonical_bytes({**orjson.loads(forge.provider["agreement.json"]), "permission": [{"action": 7}]})
    text = " ".join(read(contract_page(Page(agreement, facts, {}, [], []), "en")).text)
    assert "cannot be read here" in text


def test_the_readme_explains_every_file(forge: Forge) -> None:
    text = forge.provider["README.txt"].decode()
    for name in forge.provider:
        assert name.split("/")[0] in text, name
    for tool in ("carnet audit verify", "DSS", "golang.org/x/mod", "sha256sum"):
        assert tool in text


# -- weaker evidence ----------------------------------------------------------------------------------------------------------


def made(folder: Path, doing: Callable[[Contract], Awaitable[Members]], **how: bool) -> Members:
    """The provider's bundle of a contract of its own."""

    async def work() -> Members:
        contract = await concluded(folder, **how)
        try:
            return await doing(contract)
        finally:
            await contract.street.close()

    return asyncio.run(work())


async def provider_of(contract: Contract) -> Members:
    return await contract.bundle_of(contract.provider)


def test_without_signatures_the_messages_stand_in_their_place_and_it_says_so(tmp_path: Path) -> None:
    found = made(tmp_path, provider_of, signs=False)
    steps = {step.name: step for step in verified(tmp_path, found)}
    assert steps["signatures"].result == "not-done"
    assert "weaker evidence" in steps["signatures"].said
    assert "signatures.json" not in found
    assert "messages/0004-ContractAgreementMessage.json" in found
    assert b"Weaker evidence: nobody has signed" in found["contract.en.html"]


def test_a_contract_that_is_older_than_the_log_has_its_record(tmp_path: Path) -> None:
    async def without_log(contract: Contract) -> Members:
        return await bundle(contract.provider.house.context, None, contract.agreement)

    found = made(tmp_path, without_log, logs=False)
    steps = {step.name: step.result for step in verified(tmp_path, found)}
    assert {name for name, result in steps.items() if result == "not-done"} == {
        *("heads", "leaves", "payloads", "contents", "cosignature")
    }
    assert [orjson.loads(found[name])["from"] for name in sorted(found) if name.startswith("offers/")] == ["record", "agreement"]


def test_before_a_delivery_nothing_is_owed(tmp_path: Path) -> None:
    found = made(tmp_path, provider_of, delivered=False)
    steps = {step.name: step for step in verified(tmp_path, found)}
    assert steps["receipts"].result == "not-done"
    assert steps["statement"].said == "0.00 EUR"


def test_the_end_of_a_transfer_and_who_ended_it_is_told(tmp_path: Path) -> None:
    async def ended(contract: Contract) -> Members:
        provider = contract.provider
        ours = await _started(contract)
        await acts.terminate(provider.house.context, ours, "terminated", ["enough"])
        await settled(contract.street)
        await provider.sequence()
        return await contract.bundle_of(provider)

    found = made(tmp_path, ended, delivered=False)
    verified(tmp_path, found)
    (said,) = orjson.loads(found["termination.json"])["terminations"]
    assert (said["kind"], said["by"], said["reason"]) == ("transfer", "us", ["enough"])


async def _started(contract: Contract) -> str:
    ours, _ = await started(contract.street)
    return ours.id


def test_a_person_who_was_erased_leaves_a_bundle_that_verifies(tmp_path: Path) -> None:
    async def erased(contract: Contract) -> Members:
        contract.provider.log.subjects.erase("party:did:web:consumer", contract.street.now)
        return await contract.bundle_of(contract.provider)

    found = made(tmp_path, erased)
    steps = {step.name: step for step in verified(tmp_path, found)}
    assert not [name for name in found if name.startswith("payloads/")]
    assert steps["leaves"].result == "passed"
    assert any("its key was erased" in note for note in steps["payloads"].notes)


def test_lines_that_wait_for_the_log_are_told(tmp_path: Path) -> None:
    async def waiting(contract: Contract) -> Members:
        await _started(contract)
        return await contract.bundle_of(contract.provider)

    steps = {step.name: step for step in verified(tmp_path, made(tmp_path, waiting, delivered=False))}
    assert any("lines waited for the log" in note for note in steps["heads"].notes)


def test_what_cannot_be_exported_says_why(tmp_path: Path) -> None:
    async def asked(contract: Contract) -> Members:
        context, log = contract.provider.house.context, contract.provider.log
        with pytest.raises(NotFound, match="agreement-unknown"):
            await bundle(context, log, "urn:nobody")
        with pytest.raises(NotFound, match="agreement-unknown"):
            await bundle(context, log, contract.agreement, "did:web:other")
        for code, other in (
            ("data-plane-away", replace(context.seals, ask=no_plane)),
            ("signing-key-missing", replace(context.seals, own=None)),
        ):
            with pytest.raises(Unavailable, match=code):
                await bundle(replace(context, seals=other), log, contract.agreement)
        return {}

    made(tmp_path, asked)


def test_steps_are_documents(forge: Forge, tmp_path: Path) -> None:
    assert json.dumps([step.document() for step in verified(tmp_path, forge.provider)])
