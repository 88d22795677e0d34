"""DIDs as addresses, our document, and what is taken from the documents of others."""

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.identity.did import (
    MAX_METHODS,
    DidDocument,
    DidRefused,
    document_url,
    own_document,
    own_path,
    read_document,
)
from connector.identity.keys import Use
from connector.identity.signing import new_signing_key, private_jwk

DID = "did:web:them.example"
OAUTH = new_signing_key("ES256", "a")
AGREEMENT = new_signing_key("ES256", "b")
LOG = new_signing_key("EdDSA", "c")


def method(name: str, jwk: Any = OAUTH.public_jwk, **more: Any) -> dict[str, Any]:
    given = {"id": name, "type": "JsonWebKey2020", "controller": DID, "publicKeyJwk": jwk, **more}
    return {key: dict(value) if key == "publicKeyJwk" and jwk is not None else value for key, value in given.items()}


def document(*methods: Any, **more: Any) -> dict[str, Any]:
    return {"id": DID, "verificationMethod": list(methods), **more}


# -- where a document is -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("did", "url", "path"),
    [
        ("did:web:them.example", "https://them.example/.well-known/did.json", "/.well-known/did.json"),
        ("did:web:them", "https://them/.well-known/did.json", "/.well-known/did.json"),
        ("did:web:them.example%3A8443", "https://them.example:8443/.well-known/did.json", "/.well-known/did.json"),
        ("did:web:them.example:a:B_2", "https://them.example/a/B_2/did.json", "/a/B_2/did.json"),
        ("did:web:xn--mnchen-3ya.example%3A1:x", "https://xn--mnchen-3ya.example:1/x/did.json", "/x/did.json"),
        ("did:web:3.example", "https://3.example/.well-known/did.json", "/.well-known/did.json"),
        ("did:web:localhost%3A1", "https://localhost:1/.well-known/did.json", "/.well-known/did.json"),
    ],
)
def test_a_did_says_where_its_document_is(did: str, url: str, path: str) -> None:
    assert (document_url(did), own_path(did)) == (url, path)


@pytest.mark.parametrize(
    ("did", "code"),
    [
        ("", "did-method"),
        ("did:key:z6Mk", "did-method"),
        ("DID:WEB:them.example", "did-method"),
        ("https://them.example", "did-method"),
        ("did:web:" + "a." * 1100 + "example", "did-syntax"),
        ("did:web:", "did-host"),
        ("did:web:them.example%3A", "did-host"),
        ("did:web:them.example%3a8443", "did-host"),
        ("did:web:them.example%3A0", "did-host"),
        ("did:web:them.example%3A0443", "did-host"),
        ("did:web:them.example%3A65536", "did-host"),
        ("did:web:them.example%3A１", "did-host"),  # noqa: RUF001 - a digit, and not ASCII
        ("did:web:them.example%3A1%3A2", "did-host"),
        ("did:web:user@them.example", "did-host"),
        ("did:web:user%40them.example", "did-host"),
        ("did:web:them.example#key", "did-host"),
        ("did:web:them.example?q", "did-host"),
        ("did:web:them.example/a", "did-host"),
        ("did:web:them.example%2Fa", "did-host"),
        ("did:web:them.example%2e", "did-host"),
        ("did:web:them.example.", "did-host"),
        ("did:web:.them.example", "did-host"),
        ("did:web:them..example", "did-host"),
        ("did:web:-them.example", "did-host"),
        ("did:web:them.example\n", "did-host"),
        ("did:web:Them.example", "did-host"),
        ("did:web:them_.example", "did-host"),
        ("did:web:[%3A%3A1]", "did-host"),
        ("did:web:thém.example", "did-host"),
        ("did:web:" + ".".join(["a" * 60] * 5), "did-host"),
        ("did:web:them.example:", "did-path"),
        ("did:web:them.example::a", "did-path"),
        ("did:web:them.example:..:a", "did-path"),
        ("did:web:them.example:.", "did-path"),
        ("did:web:them.example:%2e%2e", "did-path"),
        ("did:web:them.example:a%2Fb", "did-path"),
        ("did:web:them.example:a/b", "did-path"),
        ("did:web:them.example:a\\b", "did-path"),
        ("did:web:them.example:a#key", "did-path"),
        ("did:web:them.example:a?q", "did-path"),
        ("did:web:them.example:8443@else.example", "did-path"),
        ("did:web:them.example:a\n", "did-path"),
        ("did:web:127.0.0.1", "did-address"),
        ("did:web:169.254.169.254", "did-address"),
        ("did:web:0x7f.1", "did-address"),
        ("did:web:0x7f000001", "did-address"),
        ("did:web:a.0x", "did-address"),
        ("did:web:2130706433", "did-address"),
    ],
)
def test_what_is_no_address_is_refused(did: str, code: str) -> None:
    with pytest.raises(DidRefused) as refused:
        document_url(did)
    assert refused.value.code == code
    if code in ("did-host", "did-path", "did-syntax"):
        with pytest.raises(DidRefused):
            own_path(did)


def test_only_loopback_is_called_without_tls_and_only_when_allowed() -> None:
    assert document_url("did:web:localhost%3A80:a", http_loopback=True) == "http://localhost:80/a/did.json"
    assert document_url("did:web:127.0.0.2%3A80", http_loopback=True) == "http://127.0.0.2:80/.well-known/did.json"
    assert document_url("did:web:them.example%3A80", http_loopback=True).startswith("https://")
    assert document_url("did:web:localhost.example", http_loopback=True).startswith("https://")
    for address in ("10.0.0.1", "127.0.0.01", "127.1", "1270.0.0.1", "0x7f.0.0.1"):
        with pytest.raises(DidRefused):
            document_url(f"did:web:{address}", http_loopback=True)


def test_another_kind_of_id_has_no_document_here() -> None:
    assert own_path("urn:participant:us") is None
    assert own_path("did:key:z6Mk") is None


HOSTS = st.from_regex(r"[a-z][a-z0-9]{0,8}(\.[a-z][a-z0-9-]{0,8}[a-z0-9]){0,3}", fullmatch=True)
SEGMENTS = st.lists(st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,8}", fullmatch=True), max_size=4)
PORTS = st.none() | st.integers(1, 65_535)


@given(HOSTS, PORTS, SEGMENTS)
def test_every_plain_did_names_its_own_host(host: str, port: int | None, segments: list[str]) -> None:
    did = ":".join(["did:web", host + ("" if port is None else f"%3A{port}"), *segments])
    parts = urlsplit(document_url(did))
    assert (parts.scheme, parts.hostname, parts.port, parts.path) == ("https", host, port, own_path(did))


@given(
    st.text(st.sampled_from("ab.1:%2fFeE3A@/#?\\[]x-_ \n\x00\u3002é"), max_size=40) | st.text(max_size=40),
    st.booleans(),
)
def test_no_did_leads_anywhere_else(rest: str, loopback: bool) -> None:
    try:
        url = document_url(f"did:web:{rest}", http_loopback=loopback)
    except DidRefused:
        return
    host, *path = rest.split(":")
    parts = urlsplit(url)
    assert parts.netloc == host.replace("%3A", ":")
    assert (parts.username, parts.query, parts.fragment) == (None, "", "")
    assert parts.path == "/" + "/".join([*(path or [".well-known"]), "did.json"])
    assert not {"", ".", ".."}.intersection(parts.path.split("/")[1:])
    assert re.fullmatch(r"[!-~]+", url)
    assert "\\" not in url
    assert parts.scheme == "https" or (loopback and parts.hostname in ("localhost", "127.0.0.1"))


# -- our document, read back -------------------------------------------------------------------------------------------


def published() -> list[tuple[Use, Any]]:
    return [(Use.OAUTH, OAUTH.public_jwk), (Use.AGREEMENT, AGREEMENT.public_jwk), (Use.LOG, LOG.public_jwk)]


def test_our_document_says_what_each_key_is_for() -> None:
    ours = own_document(DID, published(), "https://them.example/", "/dsp/2025-1")
    assert ours["id"] == DID
    assert [each["id"] for each in ours["verificationMethod"]] == [f"{DID}#a", f"{DID}#b", f"{DID}#c"]
    assert all(each["controller"] == DID and "d" not in each["publicKeyJwk"] for each in ours["verificationMethod"])
    assert ours["authentication"] == ours["capabilityInvocation"] == [f"{DID}#a"]
    assert ours["assertionMethod"] == [f"{DID}#b", f"{DID}#c"]
    endpoint = "https://them.example/.well-known/dspace-version"
    assert ours["service"] == [{"id": f"{DID}#dsp-2025-1", "type": "DataService", "serviceEndpoint": endpoint}]
    assert own_document(DID, [], "https://them.example", "")["service"][0]["id"] == f"{DID}#dsp"


def test_secrets_are_not_published_even_when_asked_to() -> None:
    assert (
        own_document(DID, [(Use.SUBJECTS, {"kid": "s", "k": "secret"})], "https://them.example", "")["verificationMethod"] == []
    )


@given(HOSTS, PORTS, SEGMENTS, st.lists(st.sampled_from(published()), unique_by=lambda each: each[1]["kid"]))
def test_our_document_is_read_back(host: str, port: int | None, segments: list[str], keys: list[tuple[Use, Any]]) -> None:
    did = ":".join(["did:web", host + ("" if port is None else f"%3A{port}"), *segments])
    origin = f"https://{host}"
    read = read_document(did, own_document(did, keys, origin, "/dsp"))
    assert set(read.methods) == {f"{did}#{jwk['kid']}" for _, jwk in keys}
    for use, jwk in keys:
        relationship, other = ("authentication", "assertionMethod")[:: 1 if use is Use.OAUTH else -1]
        assert read.key(f"{did}#{jwk['kid']}", relationship).kid == jwk["kid"]
        with pytest.raises(DidRefused):
            read.key(f"{did}#{jwk['kid']}", other)
    assert read.version_documents == (f"{origin}/.well-known/dspace-version",)


# -- the documents of others -------------------------------------------------------------------------------------------


def relations(read: DidDocument) -> dict[str, set[str]]:
    return {name: set(purposes) for name, (_, purposes) in read.methods.items()}


@pytest.mark.parametrize("other", [None, 1, "did:web:else.example", DID + "/", DID.upper(), f"{DID}#a"])
def test_a_document_is_about_the_did_it_was_fetched_for(other: object) -> None:
    with pytest.raises(DidRefused) as refused:
        read_document(DID, {"id": other})
    assert refused.value.code == "did-mismatch"


def test_methods_are_named_in_full_or_relative_or_defined_where_they_are_used() -> None:
    read = read_document(
        DID,
        document(
            method("#a"),
            method(f"{DID}#b", AGREEMENT.public_jwk),
            authentication=["#a", f"{DID}#b", "#nowhere"],
            assertionMethod=[f"{DID}#a", method("#c", LOG.public_jwk)],
        ),
    )
    assert relations(read) == {
        f"{DID}#a": {"authentication", "assertionMethod"},
        f"{DID}#b": {"authentication"},
        f"{DID}#c": {"assertionMethod"},
    }
    assert read.key(f"{DID}#c", "assertionMethod").algorithms == {"EdDSA"}


def test_a_method_without_a_controller_is_the_documents_own() -> None:
    bare = method("#a")
    del bare["controller"]
    assert f"{DID}#a" in read_document(DID, document(bare)).methods


@pytest.mark.parametrize(
    "odd",
    [
        method("#x", controller="did:web:else.example"),
        method("#x", None),
        method("#x", private_jwk(OAUTH)),
        method("#x", {**OAUTH.public_jwk, "use": "enc"}),
        method("#x", {"kty": "oct", "k": "c2VjcmV0"}),
        method("#x", {**OAUTH.public_jwk, "crv": "secp256k1"}),
        {"id": "#x", "type": "Multikey", "controller": DID, "publicKeyMultibase": "z6Mk"},
        method("did:web:else.example#x"),
        method(f"{DID}#x#y"),
        method("x"),
        method("#"),
        method("#x y"),
        method("#" + "x" * 513),
        method(f"{DID}/a#x"),
        {**method("#x"), "id": 1},
        "#x",
        7,
        None,
    ],
)
def test_a_method_that_we_cannot_use_is_left_out_and_spoils_nothing(odd: Any) -> None:
    read = read_document(DID, document(odd, method("#a"), authentication=[odd if isinstance(odd, str) else "#x", "#a", 7, None]))
    assert relations(read) == {f"{DID}#a": {"authentication"}}


@pytest.mark.parametrize(
    "twice",
    [
        document(method("#a"), method("#a")),
        document(method("#a"), method(f"{DID}#a", AGREEMENT.public_jwk)),
        document(method("#a"), authentication=[method("#a")]),
        document(method("#a"), method("#a", None)),
    ],
)
def test_two_methods_of_one_id_make_the_document_useless(twice: dict[str, Any]) -> None:
    with pytest.raises(DidRefused) as refused:
        read_document(DID, twice)
    assert refused.value.code == "did-method-twice"


@pytest.mark.parametrize("name", ["verificationMethod", "authentication", "assertionMethod", "capabilityInvocation", "service"])
@pytest.mark.parametrize("value", [None, "#a", {"id": "#a"}, ["#a"] * (MAX_METHODS + 1)])
def test_lists_are_lists_and_short(name: str, value: object) -> None:
    with pytest.raises(DidRefused) as refused:
        read_document(DID, {"id": DID, name: value})
    assert refused.value.code == "did-document"


def test_a_key_is_found_by_its_full_id_and_purpose_alone() -> None:
    read = read_document(
        DID, document(method("#a"), method("#b", AGREEMENT.public_jwk), authentication=["#a"], assertionMethod=["#a", "#b"])
    )
    assert read.key(f"{DID}#a", "authentication").thumbprint == OAUTH.thumbprint
    assert read.key(None, "authentication").thumbprint == OAUTH.thumbprint
    for kid in ("a", "#a", f"{DID}#b", "did:web:else.example#a", f"{DID}#", ""):
        with pytest.raises(DidRefused) as refused:
            read.key(kid, "authentication")
        assert refused.value.code == "did-key-unknown"
    for relationship in ("assertionMethod", "capabilityInvocation"):
        with pytest.raises(DidRefused) as refused:
            read.key(None, relationship)
        assert refused.value.code == "did-key-unnamed"


def test_services_with_a_plain_address_are_taken() -> None:
    versions = "https://them.example/.well-known/dspace-version"
    services = [
        {"id": "#dsp", "type": "DataService", "serviceEndpoint": versions},
        {"id": f"{DID}#more", "type": ["Other", "DataService", 7], "serviceEndpoint": "http://localhost:1/v"},
        {"id": "#catalog", "type": "CatalogService", "serviceEndpoint": "https://them.example/catalog"},
        {"id": "#a", "type": "DataService", "serviceEndpoint": {"uri": versions}},
        {"id": "#b", "type": "DataService", "serviceEndpoint": [versions]},
        {"id": "#c", "type": "DataService"},
        {"id": "#d", "type": 7, "serviceEndpoint": versions},
        {"type": "DataService", "serviceEndpoint": versions},
        *(
            {"id": "#e", "type": "DataService", "serviceEndpoint": odd}
            for odd in (
                "https://user@them.example/",
                "https://them.example/#a",
                "https://them.example/?a",
                "https://them.example\\@else.example/",
                "https:///path",
                "ftp://them.example/",
                "https://them.example/ a",
                "https://them.example/" + "a" * 2048,
            )
        ),
        "text",
    ]
    read = read_document(DID, {"id": DID, "service": services})
    assert [service.id for service in read.services] == [f"{DID}#dsp", f"{DID}#more", f"{DID}#catalog"]
    assert read.version_documents == (versions, "http://localhost:1/v")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["#a", f"{DID}#a", DID]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "type", "controller", "publicKeyJwk", "serviceEndpoint", "kty", "crv", "x", "y", "alg"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["verificationMethod", "authentication", "assertionMethod", "service"]), JSON))
def test_any_document_is_read_or_refused(more: dict[str, Any]) -> None:
    try:
        read = read_document(DID, {"id": DID, **more})
    except DidRefused:
        return
    assert read.methods == {}
