"""Our tables of terms mean what the published contexts of the same URL mean.

The published ones are read from the artifacts of the protocol's test kit where those are installed (see
tests/conformance); they are no part of the project.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from pyld import jsonld
from pyld.context_resolver import ContextResolver

from catalog import compaction, contexts, expansion, schemas
from catalog.contexts import edc
from catalog.errors import DocumentError
from tests.catalog import messages as m
from tests.requirement import missing

ODRL = "http://www.w3.org/ns/odrl/2/"
JAR = Path(__file__).parents[2] / ".tck/kit/lib/core-1.0.0-RC6.jar"
FILES = {contexts.DSP: "dsp-2025-1.jsonld", contexts.ODRL_PROFILE: "dsp-2025-1-odrl-profile.jsonld"}
# A node of DID documents, with an alias for a keyword: never part of a message.
NOT_OURS = {"CatalogService"}


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    if not JAR.exists():
        missing("the published contexts are not here; tests/conformance/run_kit.py brings them with the test kit")
    with zipfile.ZipFile(JAR) as jar:
        return {url: json.loads(jar.read(name)) for url, name in FILES.items()}


def options_over(table: dict[str, Any]) -> dict[str, Any]:
    def load(url: str, _options: Any = None) -> dict[str, Any]:
        document = json.loads(json.dumps(table[url]))
        return {"contentType": "application/ld+json", "contextUrl": None, "documentUrl": url, "document": document}

    # A cache of its own: pyld spoils what it keeps of an imported context for the next document.
    return {"base": None, "documentLoader": load, "contextResolver": ContextResolver({}, load)}


def expand(document: dict[str, Any], table: dict[str, Any]) -> Any:
    return jsonld.expand(document, options_over(table))


@pytest.mark.parametrize("name", sorted(set(m.EXAMPLES) - schemas.PEER_TYPES))
def test_expansion_is_the_same_under_the_published_context(name: str, published: dict[str, Any]) -> None:
    message = m.EXAMPLES[name]
    assert expansion.expand(message) == expand(message, published)


@pytest.mark.parametrize("name", sorted(set(m.EXAMPLES) - schemas.PEER_TYPES))
def test_compaction_under_the_published_context_gives_our_form(name: str, published: dict[str, Any]) -> None:
    """Where JSON-LD compaction has a form of its own, it differs by arrays of one only, and our examples have none."""
    message = m.EXAMPLES[name]
    compacted = jsonld.compact(expansion.expand(message), {"@context": contexts.DSP}, options_over(published))
    assert compacted | {"@context": [contexts.DSP]} == message


def members(context: dict[str, Any], imports: dict[str, Any]) -> dict[str, Any]:
    """A context with its import written out and `{"@id": x}` as x, so that two spellings compare."""
    out: dict[str, Any] = {}
    for name, value in context.items():
        if name == "@import":
            out = members(imports[value]["@context"], imports) | out
        elif isinstance(value, dict):
            inner = members(value, imports)
            out[name] = inner["@id"] if inner.keys() == {"@id"} else inner
        else:
            out[name] = value
    return out


@pytest.mark.parametrize("url", FILES)
def test_no_term_is_missing_and_none_is_invented(url: str, published: dict[str, Any]) -> None:
    theirs = members(published[url]["@context"], published)
    ours = members(contexts.load(url)["@context"], published)
    assert ours == {name: value for name, value in theirs.items() if name not in NOT_OURS}


def test_every_term_that_is_compacted_is_expanded_to() -> None:
    """The flat table of terms is the inverse of the contexts, and knows every member that they define."""
    defined: set[str] = set()

    def collect(context: dict[str, Any]) -> None:
        for name, value in context.items():
            if isinstance(value, dict) and "@context" in value:
                collect(value["@context"])
            elif not name.startswith("@"):
                iri = value if isinstance(value, str) else value["@id"]
                prefix, _, rest = iri.partition(":")
                if prefix in compaction.PREFIXES:
                    defined.add(compaction.PREFIXES[prefix] + rest)

    collect(contexts.load(contexts.DSP)["@context"])
    collect(contexts.load(contexts.PEER)["@context"])
    known = set(compaction.TERMS) | set(compaction.WORDS)
    assert {iri for iri in defined if not iri.startswith("//")} - known - set(compaction.PREFIXES.values()) == set()
    assert set(compaction.TERMS) <= defined


def test_the_first_word_of_edc_is_in_its_namespace() -> None:
    query = {"@type": "QuerySpec", "limit": 50, "offset": 0, "filterExpression": []}
    document = m.EXAMPLES["CatalogRequestMessage"] | {"filter": [query], "@context": [contexts.DSP, contexts.EDC_DSPACE]}
    inner = expansion.expand(document)[0]["https://w3id.org/dspace/2025/1/filter"][0]
    assert inner["@type"] == [f"{edc.NAMESPACE}QuerySpec"]
    assert inner[f"{edc.NAMESPACE}limit"] == [{"@value": 50}]
    assert inner[f"{edc.NAMESPACE}filterExpression"] == []


def test_management_documents_of_edc_expand() -> None:
    asset = {
        "@context": [contexts.EDC_MANAGEMENT],
        "@type": "Asset",
        "@id": "trips",
        "properties": {"name": "Trips", "conformsTo": "https://example.org/standard"},
        "dataAddress": {"@type": "DataAddress", "type": "HttpData", "baseUrl": "https://source.example"},
    }
    (node,) = expansion.expand(asset, trusted=True)
    address = node[f"{edc.NAMESPACE}dataAddress"][0]
    assert address[f"{edc.NAMESPACE}baseUrl"] == [{"@value": "https://source.example"}]
    properties = node[f"{edc.NAMESPACE}properties"][0]
    assert properties["http://purl.org/dc/terms/conformsTo"] == [{"@id": "https://example.org/standard"}]
    policy = {"@context": [contexts.EDC_MANAGEMENT], "@type": "PolicyDefinition", "policy": m.OFFER}
    (node,) = expansion.expand(policy, trusted=True)
    assert "http://www.w3.org/ns/odrl/2/permission" in node[f"{edc.NAMESPACE}policy"][0]


def test_every_context_can_be_warmed_up() -> None:
    expansion.warm_up()
    assert len(contexts.URLS) == 5


@pytest.mark.parametrize("url", sorted(contexts.OWNERS_URLS - contexts.URLS))
def test_contexts_of_owners_are_for_owners_alone(url: str) -> None:
    document = {"@context": [url, {"ex": "https://example.org/"}], "@id": "urn:x", "ex:y": "z"}
    with pytest.raises(DocumentError, match="not known here"):
        expansion.expand(document)
    assert expansion.expand(document, trusted=True) == [{"@id": "urn:x", "https://example.org/y": [{"@value": "z"}]}]


def test_the_context_of_odrl_names_what_odrl_names() -> None:
    names = {"permission": [{"action": "use", "constraint": [{"and": [{"leftOperand": "dateTime", "operator": "eq"}]}]}]}
    (node,) = expansion.expand({"@context": [contexts.ODRL], "type": "Set", "uid": "urn:x", **names}, trusted=True)
    assert (node["@id"], node["@type"]) == ("urn:x", [f"{ODRL}Set"])
    rule = node[f"{ODRL}permission"][0]
    assert rule[f"{ODRL}action"] == [{"@id": f"{ODRL}use"}]
    (atom,) = rule[f"{ODRL}constraint"][0][f"{ODRL}and"][0]["@list"]
    assert atom == {f"{ODRL}leftOperand": [{"@id": f"{ODRL}dateTime"}], f"{ODRL}operator": [{"@id": f"{ODRL}eq"}]}
