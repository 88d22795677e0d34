"""Web servers of participants, for commands that look at what others publish; and what the doctor finds."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from connector.cli.doctor import examine
from connector.cli.findings import Finding
from connector.http.tls import server_context
from connector.identity.did import own_document
from connector.identity.keyfiles import load_keys
from connector.identity.keys import KeyRing
from connector.identity.metadata import resource_document, server_document
from connector.protocol.versions import Endpoint, version_document
from tests.http.certificates import Files

BASE = "/dsp/2025-1"
DOCUMENT = "/.well-known/did.json"
RESOURCE = f"/.well-known/oauth-protected-resource{BASE}"
SERVER = "/.well-known/oauth-authorization-server"
VERSIONS = "/.well-known/dspace-version"
Make = Callable[..., Path]


@dataclass
class Site:
    """A web server of somebody: JSON by path. ``date`` is what its clock says."""

    port: int = 0
    pages: dict[str, Any] = field(default_factory=dict)
    date: str | None = None
    scheme: str = "http"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def did(self) -> str:
        return f"did:web:127.0.0.1%3A{self.port}"

    def publish(self, ring: KeyRing) -> None:
        """What a connector publishes that has these keys and this DID."""
        entries = [Endpoint("2025-1", BASE, "service")]
        self.pages |= {
            DOCUMENT: own_document(self.did, ring.published(now_ms()), self.origin, BASE),
            VERSIONS: version_document(entries, "/peer"),
            RESOURCE: resource_document(self.origin + BASE, [self.origin], ["catalog"], dpop_required=True),
            SERVER: server_document(self.origin),
        }


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that the library looks for
            page = site.pages.get(self.path)
            body = page if isinstance(page, bytes) else json.dumps(page).encode()
            self.send_response_only(404 if page is None else 200)
            if site.date is not None:
                self.send_header("Date", site.date)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quietly."""

    return Handler


def serving(site: Site, files: Files | None = None) -> Iterator[Site]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(site))
    if files is not None:
        context = server_context(files.certificate, files.key, section="", now_ms=now_ms())
        server.socket = context.wrap_socket(server.socket, server_side=True)
    site.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def peer(site: Site, more: str = "", path: str = BASE) -> str:
    return f'\n[[peers]]\nid = "{site.did}"\naddresses = ["{site.origin}{path}"]\n{more}'


def found(house: Path, *, peers: bool = False) -> dict[str, Finding]:
    findings = {finding.about: finding for finding in examine(house / "carnet.toml", call_peers=peers)}
    assert all(finding.remedy for finding in findings.values() if finding.level != "fine")
    return findings


def ring_of(house: Path) -> KeyRing:
    return load_keys(house / "keys", {}, 48)
