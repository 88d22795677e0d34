"""From what a buyer asks of an HTTP source to the request that is made for it. No I/O.

The buyer says what the publisher lets it say, and nothing else of its request is passed on: a header not named here is not sent.
However a path is written, it leads nowhere but below the base. Answers lose all headers but those named here, so that neither
side learns what opens the other.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final
from urllib.parse import parse_qsl, unquote_plus, unquote_to_bytes

import msgspec

from connector.dataplane import ask as asking
from connector.dataplane.plan.model import Ask
from connector.dataplane.problems import Refusal
from connector.http.client import MAX_URL_BYTES, EgressRefused, parse_target

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
PURPOSE_HEADER: Final = "Carnet-Purpose"
SOURCE_STATUS: Final = "Carnet-Source-Status"
"""Says in an answer that its status is the source's and not ours."""
MAX_HEADERS: Final = 32
MAX_FIELDS: Final = 64
"""Parameters of a query that is not passed on."""
MAX_DECODINGS: Final = 4
"""So often a path may be percent-encoded over itself; what is still encoded then is refused."""
_REQUEST_HEADERS: Final = ("Accept", "Accept-Language", "If-None-Match", "If-Modified-Since", "Prefer")
_RESPONSE_HEADERS: Final = (
    "Content-Type",
    "Content-Language",
    "Content-Disposition",
    "ETag",
    "Last-Modified",
    "Retry-After",
    "Allow",
)
_NOT_FIXED: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
    }
)
"""Headers that frame a message or are between two neighbours: a publisher cannot set them."""
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_VALUE: Final = re.compile(r"[\t -~]{0,8192}")
_TAIL: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
_QUERY: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?\[\]|^`{}\"<>-]|%[0-9A-Fa-f]{2})*")
_KEY_NAMED: Final = re.compile(r"auth|key|token|secret|cookie|password", re.IGNORECASE)
_SCHEMED: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]* +(.+)")
LEAST_SHOWN_CHARS: Final = 8
"""What opens a source and is shorter is not looked for in its answers: it would be found in any text."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\\]")


class Credential(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The header that opens the source; its value is never shown again."""

    header: Annotated[str, msgspec.Meta(max_length=100)] = "Authorization"
    value: Annotated[str, msgspec.Meta(min_length=1, max_length=8192)]

    def __repr__(self) -> str:
        return f"Credential(header={self.header!r}, value not shown)"


class HttpWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """An HTTP API as a source, and what of a buyer's request is passed on to it.

    ``base_url`` with ``path`` is the base; ``query_params`` (``a=1&b=2``), ``headers`` and ``credential`` go with each request;
    ``body`` too, unless the buyer sends its own. ``method`` is used where the buyer's is not passed on.
    """

    base_url: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
    path: Annotated[str, msgspec.Meta(max_length=2048)] = ""
    query_params: Annotated[str, msgspec.Meta(max_length=4096)] = ""
    method: str = "GET"
    headers: Annotated[dict[str, str], msgspec.Meta(max_length=MAX_HEADERS)] = {}
    credential: Credential | None = None
    body: Annotated[str, msgspec.Meta(max_length=65_536)] | None = None
    content_type: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    proxy_path: bool = False
    proxy_query_params: bool = False
    proxy_method: bool = False
    proxy_body: bool = False

    def __repr__(self) -> str:
        return f"HttpWish(base_url={self.base_url.partition('?')[0]!r}, the rest not shown)"

    @property
    def base(self) -> str:
        """Scheme, host and path that every request is below; fit to be shown to the owner."""
        url = parse_target(self.base_url).url
        path = url.raw_path.rstrip("/") if self.path else url.raw_path
        return f"{url.origin()}{path}{'/' if self.path else ''}{self.path.lstrip('/')}"

    @property
    def opening(self) -> tuple[bytes, ...]:
        """What opens the source, as it must not stand in an answer: without the scheme before it."""
        values = [value for name, value in self.headers.items() if _KEY_NAMED.search(name)]
        values += [] if self.credential is None else [self.credential.value]
        bare = {(schemed[1] if (schemed := _SCHEMED.fullmatch(value)) else value).strip() for value in values}
        return tuple(sorted(value.encode() for value in bare if len(value) >= LEAST_SHOWN_CHARS))

    @property
    def methods(self) -> tuple[str, ...]:
        """What a buyer may use."""
        if self.proxy_method:
            return METHODS
        return ("GET", "HEAD") if self.method == "GET" else ("GET", self.method)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a buyer asks, as it stands on the wire: ``tail`` is the path below the endpoint without its first slash."""

    method: str
    tail: str = ""
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Upstream:
    """The request that is made. ``purpose``: the IRI that the buyer names, if any. It holds the credential: it is not shown."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)
    purpose: str | None


def checked(wish: HttpWish) -> HttpWish:
    """The wish, if a request can be made of it. Raises Refusal 400, its code naming the member."""
    try:
        base = parse_target(wish.base_url).url
    except EgressRefused as refused:
        raise Refusal(400, "http-baseUrl", refused.reason) from None
    for name, path in (("baseUrl", base.raw_path), ("path", wish.path)):
        if "?" in path or "#" in path or climbs(path) or not _TAIL.fullmatch(path):
            raise Refusal(400, f"http-{name}", "the path must be plain: percent-encoded, without . and .. in it")
    if not _QUERY.fullmatch(wish.query_params):
        raise Refusal(400, "http-queryParams", "the query must be percent-encoded, such as a=1&b=2")
    if wish.method not in METHODS:
        raise Refusal(400, "http-method", f"the method is one of {', '.join(METHODS)}")
    fixed = wish.headers | ({} if wish.credential is None else {wish.credential.header: wish.credential.value})
    for name, value in fixed.items():
        if not _NAME.fullmatch(name) or name.lower() in _NOT_FIXED or not _VALUE.fullmatch(value):
            raise Refusal(400, "http-headers", f"{name:.100} cannot be set as a header, or not with this value")
    if wish.content_type is not None and not _VALUE.fullmatch(wish.content_type):
        raise Refusal(400, "http-contentType", "the content type has a character that HTTP forbids")
    if wish.body is not None and wish.method in ("GET", "HEAD") and not wish.proxy_method:
        raise Refusal(400, "http-body", f"{wish.method} has no body; set the method")
    if len(wish.base) + len(base.raw_query_string) + len(wish.query_params) > MAX_URL_BYTES // 2:
        raise Refusal(400, "http-baseUrl", "the address is too long")
    return wish


def compose(wish: HttpWish, wanted: Wanted, body: bytes | None) -> Upstream:
    """The request for a buyer whose method is one of the source's; ``body``: its own, None or empty if none. Raises Refusal."""
    if body and not wish.proxy_body:
        raise Refusal(400, "http-body", "this source takes no body")
    purpose, query = _purpose(wish, wanted)
    asks_head = wanted.method == "HEAD" and wish.method == "GET"
    method = wanted.method if wish.proxy_method or asks_head else wish.method
    own = body or None
    fixed = wish.body.encode() if wish.body is not None and method not in ("GET", "HEAD") else None
    sent = fixed if own is None else own
    return Upstream(method, _url(wish, wanted.tail, query), _headers(wish, wanted, own, sent), sent, purpose)


def kept_headers(headers: Mapping[str, str], opening: Iterable[bytes] = ()) -> dict[str, str]:
    """What of a source's answer its buyer may see: no header that names what opens the source."""
    kept, secret = _printable((name, headers.get(name)) for name in _RESPONSE_HEADERS), tuple(opening)
    return {name: value for name, value in kept.items() if not any(each in value.encode() for each in secret)}


def climbs(path: str) -> bool:
    """Whether a path means, to any server, something that is not simply below where it begins.

    >>> climbs("a/b"), climbs("a/../b"), climbs("%2e%2e/b"), climbs("a%252f..;x/b"), climbs("%5c")
    (False, True, True, True, True)
    """
    text = path
    for _ in range(MAX_DECODINGS):
        plain = unicodedata.normalize("NFKC", text)
        if _CONTROL.search(plain) or any(_means_more(part) for part in plain.split("/")):
            return True
        try:
            decoded = unquote_to_bytes(text).decode()
        except UnicodeDecodeError:
            return True
        if decoded == text:
            return False
        text = decoded
    return True


def _means_more(segment: str) -> bool:
    """Dots alone, also with blanks around or parameters behind: to some server this or the folder above."""
    name = segment.partition(";")[0]
    return "." in name and not name.strip(". ")


def _url(wish: HttpWish, tail: str, query: str) -> str:
    base = parse_target(wish.base_url).url
    if tail and not wish.proxy_path:
        raise Refusal(404, "http-path", "this source has no paths below its address")
    if not _TAIL.fullmatch(tail) or climbs(tail) or "//" in f"/{tail}":
        raise Refusal(400, "http-path", "the path must lead below the address, percent-encoded, without . and .. in it")
    url = f"{wish.base.rstrip('/')}/{tail}" if tail else wish.base
    if not _names(query).isdisjoint(_names(f"{base.raw_query_string}&{wish.query_params}")):
        raise Refusal(400, "http-query", "the query names a parameter that the publisher has set")
    joined = "&".join(part for part in (base.raw_query_string, wish.query_params, query) if part)
    whole = f"{url}?{joined}" if joined else url
    if len(whole) > MAX_URL_BYTES:
        raise Refusal(414, "http-query", f"the whole address is longer than {MAX_URL_BYTES} bytes")
    return whole


def _names(query: str) -> set[str]:
    """The parameters of a query, those alike that some server takes for the same one.

    >>> sorted(_names("a=1;B=2&c%5b0%5d=3&+d.e"))
    ['a', 'b', 'c', 'd_e']
    """
    decoded = (unquote_plus(part.partition("=")[0]) for part in re.split("[&;]", query) if part)
    return {re.sub(r"[ .]", "_", re.split(r"[\[\0]", name.strip())[0].casefold()) for name in decoded}


def _purpose(wish: HttpWish, wanted: Wanted) -> tuple[str | None, str]:
    """The purpose that a buyer names, and what of its query is for the source. Raises Refusal.

    It is named in a header; in the query only where that is not passed on, or beside the same header.
    """
    named = wanted.headers.get(PURPOSE_HEADER)
    stated = None if named is None else asking.parse([("purpose", named)])
    purpose = None if stated is None else stated.purpose
    if wish.proxy_query_params:
        if not _QUERY.fullmatch(wanted.query):
            raise Refusal(400, "http-query", "the query must be percent-encoded")
        kept = [part for part in wanted.query.split("&") if named is None or parse_qsl(part) != [("purpose", named)]]
        return purpose, "&".join(kept)
    try:
        fields = parse_qsl(wanted.query, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise Refusal(400, "http-query", "the query has too many parameters") from None
    ask = asking.parse(fields) or Ask()
    if ask != Ask(purpose=ask.purpose):
        raise Refusal(400, "http-query", "only a purpose can be said: this source takes no query")
    if purpose is not None and ask.purpose not in (None, purpose):
        raise Refusal(400, "ask-purpose", "header and query name different purposes")
    return purpose or ask.purpose, ""


def _headers(wish: HttpWish, wanted: Wanted, own: bytes | None, sent: bytes | None) -> dict[str, str]:
    found = _printable((name, wanted.headers.get(name)) for name in _REQUEST_HEADERS)
    kind = wanted.headers.get("Content-Type") if own is not None else wish.content_type
    if sent is not None:
        found |= _printable([("Content-Type", kind or wish.content_type or "application/octet-stream")])
    fixed = wish.headers | ({} if wish.credential is None else {wish.credential.header: wish.credential.value})
    named = {name.lower() for name in fixed}
    return {name: value for name, value in found.items() if name.lower() not in named} | fixed


def _printable(headers: Iterable[tuple[str, str | None]]) -> dict[str, str]:
    return {name: value for name, value in headers if value is not None and _VALUE.fullmatch(value)}
