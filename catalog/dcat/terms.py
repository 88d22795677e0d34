"""Names of the vocabularies that a catalogue record is written in, and how JSON-LD names are spelled out. Imports nothing.

Everything is kept under full IRIs; the short spellings (`dct:title`) are for documents that carry `PREFIXES` as their context,
and for findings.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

PREFIXES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "adms": "http://www.w3.org/ns/adms#",
        "dcat": "http://www.w3.org/ns/dcat#",
        "dct": "http://purl.org/dc/terms/",
        "foaf": "http://xmlns.com/foaf/0.1/",
        "geosparql": "http://www.opengis.net/ont/geosparql#",
        "mobilitydcatap": "https://w3id.org/mobilitydcat-ap#",
        "odrl": "http://www.w3.org/ns/odrl/2/",
        "owl": "http://www.w3.org/2002/07/owl#",
        "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
        "skos": "http://www.w3.org/2004/02/skos/core#",
        "spdx": "http://spdx.org/rdf/terms#",
        "vcard": "http://www.w3.org/2006/vcard/ns#",
        "vdx": "https://w3id.org/carnet/terms#",
        "xsd": "http://www.w3.org/2001/XMLSchema#",
    }
)
"""Prefix -> namespace, as used by DCAT-AP and mobilityDCAT-AP; `vdx` is the project's own."""

DSP_MEMBERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "hasPolicy": f"{PREFIXES['odrl']}hasPolicy",
        "distribution": f"{PREFIXES['dcat']}distribution",
        "accessService": f"{PREFIXES['dcat']}accessService",
        "endpointURL": f"{PREFIXES['dcat']}endpointURL",
        "endpointDescription": f"{PREFIXES['dcat']}endpointDescription",
        "format": f"{PREFIXES['dct']}format",
    }
)
"""What DSP 2025-1 (section 5) calls members of a dataset and its parts, and what they are."""


def iri(name: str) -> str:
    """Return the IRI of `name` (`dct:title`, a member of DSP, or an IRI already)."""
    prefix, colon, rest = name.partition(":")
    if colon and not rest.startswith("//") and prefix in PREFIXES:
        return PREFIXES[prefix] + rest
    return DSP_MEMBERS.get(name, name)


def short(name: str) -> str:
    """Return `name`, an IRI, with a prefix where one of `PREFIXES` fits."""
    for prefix, namespace in PREFIXES.items():
        if name.startswith(namespace):
            return f"{prefix}:{name[len(namespace) :]}"
    return name
