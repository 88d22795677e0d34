"""A connector that takes OAuth, and the participants that attack it: real sockets, requests written byte by byte.

The stand knows the connector's own signing key, so that a token can be forged that only its content gives away. Participants are
in the registry with pinned keys; what they are called says how the registry sees them.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from connector.cli.init import make_house
from connector.identity.keyfiles import load_keys
from connector.identity.keys import Use
from connector.identity.participants import Admission, Participant, Profile
from connector.settings import Settings, load
from connector.store.registry import insert_participant
from tests.attacks.forge import Json, Key, Recipe, access_token, assertion, proof
from tests.attacks.target import DEADLINE_S, US, Liar, Target, attacked
from tests.conformance.peer import contract_request
from tests.conformance.spoiling import CONTEXT

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
BASE, ALSO = "/dsp/2025-1", "/dsp/also"
TOKEN_PATH: Final = "/oauth/token"
CATALOG: Final = {"@context": [CONTEXT], "@type": "CatalogRequestMessage"}
ELSEWHERE: Final = "https://issuer.example"
Headers = Iterable[tuple[str, str]]


@dataclass(frozen=True)
class Seen:
    """An answer: status, headers in small letters, body."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def json(self) -> Json:
        """The body; nothing where it is no JSON object."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def code(self) -> str | None:
        """Our stable code."""
        return self.json.get("code")


@dataclass(frozen=True)
class Party:
    """A participant: the key that it identifies with, and the key that its tokens are bound to."""

    id: str
    client: Key = field(default_factory=lambda: Key("client-1"))
    holder: Key = field(default_factory=lambda: Key("holder"))


PARTIES: Final[dict[str, Party]] = {
    name: Party(f"did:web:{name}.example")
    for name in ("consumer", "other", "bearer", "foreign", "newcomer", "suspended", "expelled")
}
# No did:web, so that nobody looks for its document.
PARTIES["nobody"] = Party("urn:nobody")
_PROFILES: Final[dict[str, Json]] = {"bearer": {"tokens": "bearer"}, "foreign": {"issuer": ELSEWHERE}}
_STATES: Final = {
    "newcomer": Admission.UNVERIFIED,
    "suspended": Admission.SUSPENDED,
    "expelled": Admission.EXPELLED,
}


@dataclass
class Stand:
    """The connector under attack. ``server`` is its own signing key, ``origin`` where it listens.

    ``address`` is what is connected to, where that is another replica. ``accepted`` is the database as it must still be after an
    attack: as before it, or as after the good request with which it begins.
    """

    target: Target
    settings: Settings
    origin: str
    server: Key
    accepted: str = ""
    address: str = ""

    # -- good tokens ----------------------------------------------------------------------------------------------------

    def access(self, party: Party, *, path: str = BASE, **claims: Any) -> Recipe:
        """A token as the connector itself would issue it."""
        made = {"issuer": self.origin, "audience": self.origin + path, "participant": party.id}
        return access_token(self.server, party.holder, now_s=int(time.time()), **made, **claims)

    def proof(self, party: Party, method: str, path: str, token: str | None, **claims: Any) -> Recipe:
        """A proof for one request."""
        return proof(party.holder, method, self.origin + path, now_s=int(time.time()), token=token, **claims)

    def assertion(self, party: Party, **claims: Any) -> Recipe:
        """An assertion for our token endpoint."""
        return assertion(party.client, client=party.id, audience=self.origin, now_s=int(time.time()), **claims)

    # -- requests ---------------------------------------------------------------------------------------------------------

    async def send(self, method: str, path: str, headers: Headers = (), body: bytes = b"") -> Seen:
        """One request on a connection of its own; header values go out as they are."""
        parts = urlsplit(self.origin)
        head = [f"{method} {path} HTTP/1.1", f"Host: {parts.netloc}", "Connection: close", f"Content-Length: {len(body)}"]
        head += [f"{name}: {value}" for name, value in headers]
        return await self.send_raw("\r\n".join(head).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body)

    async def send_raw(self, raw: bytes) -> Seen:
        """These bytes on a connection of their own, until the other side closes it."""
        parts = urlsplit(self.address or self.origin)
        async with asyncio.timeout(DEADLINE_S):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            try:
                writer.write(raw)
                return _seen(await _everything(reader, writer))
            finally:
                writer.close()

    async def call(self, method: str, path: str, headers: Headers, document: Json | None = None) -> Seen:
        """One request of the protocol."""
        body = b"" if document is None else json.dumps(document).encode()
        return await self.send(method, path, [("Content-Type", "application/json"), *headers], body)

    async def change(self, token: str, proof: str | None = None, *, path: str = BASE, scheme: str = "DPoP") -> Seen:
        """A first request of a contract: whoever is let in has changed something."""
        headers = [("Authorization", f"{scheme} {token}"), *([("DPoP", proof)] if proof is not None else [])]
        request = contract_request("ours", "urn:offer:ours", self.target.liar.address)
        return await self.call("POST", f"{path}/negotiations/request", headers, request)

    async def changed_by(self, party: Party, token: str | None = None, **claims: Any) -> Seen:
        """The same by somebody who holds a good token, made here unless given, and makes a proof for it."""
        token = self.access(party).good if token is None else token
        return await self.change(token, self.proof(party, "POST", f"{BASE}/negotiations/request", token, **claims).good)

    async def read(self, token: str, proof: str | None, *, path: str = f"{BASE}/catalog/request", scheme: str = "DPoP") -> Seen:
        """A read: on SQLite its proof needs a nonce."""
        headers = [("Authorization", f"{scheme} {token}"), *([("DPoP", proof)] if proof is not None else [])]
        if path.endswith("/catalog/request"):
            return await self.call("POST", path, headers, CATALOG)
        return await self.call("GET", path, headers)

    async def ask(self, form: Headers, proof: str | None = None, headers: Headers = ()) -> Seen:
        """A token request."""
        sent = [("Content-Type", "application/x-www-form-urlencoded"), *headers]
        sent += [("DPoP", proof)] if proof is not None else []
        return await self.send("POST", TOKEN_PATH, sent, urlencode(list(form), errors="surrogatepass").encode())

    def form(self, assertion: str, **changes: str | None) -> list[tuple[str, str]]:
        """The form of a token request; a change to None leaves a parameter out."""
        members: dict[str, str | None] = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
            "resource": self.origin + BASE,
            **changes,
        }
        return [(name, value) for name, value in members.items() if value is not None]

    def token_proof(self, party: Party, **claims: Any) -> Recipe:
        """A proof for the token endpoint."""
        return self.proof(party, "POST", TOKEN_PATH, None, **claims)

    async def issued(self, party: Party) -> str:
        """A token of the real token endpoint."""
        answer = await self.ask(self.form(self.assertion(party).good), self.token_proof(party).good)
        assert answer.status == 200, answer.body
        return str(answer.json["access_token"])

    async def fresh_nonce(self) -> str:
        """The nonce that this worker wants in the proofs of reads."""
        party = PARTIES["consumer"]
        token = self.access(party).good
        answer = await self.read(token, self.proof(party, "POST", f"{BASE}/catalog/request", token).good)
        assert answer.status == 401, answer.body
        return answer.headers["dpop-nonce"]

    # -- what must not change -----------------------------------------------------------------------------------------------

    async def snapshot(self) -> str:
        """Everything in the control database, once what waited for the contract log is in it."""
        async with asyncio.timeout(DEADLINE_S):
            dump = await asyncio.to_thread(_dump, self.settings.control_database)
            while 'INSERT INTO "leaf"' in dump:
                await asyncio.sleep(0.05)
                dump = await asyncio.to_thread(_dump, self.settings.control_database)
        return dump


def _dump(database: Path | None) -> str:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as opened:
        return "\n".join(opened.iterdump())


async def _everything(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """What comes back, also from somebody who stops listening halfway through our request."""
    read = bytearray()
    with suppress(ConnectionError):
        await writer.drain()
    with suppress(ConnectionError):
        while piece := await reader.read(65_536):
            read += piece
    return bytes(read)


def _seen(raw: bytes) -> Seen:
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Seen(int(first.split(" ")[1]) if first else 0, headers, body)


async def made_stand(folder: Path, liar: Liar, chosen: Mapping[str, str] | None = None) -> Settings:
    """The settings of a connector that takes OAuth, in a new folder."""
    settings = {
        "protocol.port": "0",
        "data.managed": "false",
        "data.signaling_port": "1",
        "negotiation.decide": '"manual"',
        "oauth.token_burst": "10000",
        "oauth.token_requests_per_s": "10000",
        "quota.burst": "100000",
        "client.allow": json.dumps([liar.url.removeprefix("http://")]),
        **(chosen or {}),
    }
    more = (
        f'\n[[protocol.also]]\npath = "{ALSO}"\n'
        '\n[development]\nkey = "i-know-this-is-not-for-production"\nhttp_dids = true\n'
        'datasets = [{ id = "ours", offer_id = "urn:offer:ours" }]\n'
    )
    await asyncio.to_thread(make_house, folder, US, settings, more)
    return load(folder / "carnet.toml", {})


@asynccontextmanager
async def standing(settings: Settings, liar: Liar) -> AsyncIterator[Stand]:
    """Run it until the block is left."""
    async with attacked(settings, liar) as target:
        await enter(target, liar)
        yield await stand_at(settings, target)


async def stand_at(settings: Settings, target: Target) -> Stand:
    """The stand around a connector that runs."""
    ring = await asyncio.to_thread(load_keys, settings.keys.dir, {}, settings.keys.overlap_h)
    signing = ring.signing(Use.OAUTH)
    parts = urlsplit(target.running.protocol_url)
    server: Any = signing.private
    return Stand(target, settings, f"{parts.scheme}://{parts.netloc}", Key(signing.kid, server))


async def enter(target: Target, liar: Liar) -> None:
    """Put the participants into the registry, all but nobody."""
    now = int(time.time() * 1000)
    rows = []
    for name, party in PARTIES.items():
        profile = Profile(addresses=(liar.address,), keys=({**party.client.jwk, "kid": party.client.kid},))
        if name in _PROFILES:
            profile = Profile(addresses=profile.addresses, keys=profile.keys, **_PROFILES[name])
        if name != "nobody":
            state = _STATES.get(name, Admission.ADMITTED)
            rows.append(
                insert_participant(Participant(id=party.id, state=state, profile=profile, created_at=now, updated_at=now))
            )
    await target.running.context.store.engine.commit(rows)


def as_holder(party: Party, key: Key) -> Party:
    """The same participant with another DPoP key."""
    return replace(party, holder=key)
