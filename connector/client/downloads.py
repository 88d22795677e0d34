"""Data of a contract, fetched to where the program runs: begun, resumed where it broke off, verified, put in place.

The connector asks for the transfer and renews its token; the bytes come straight from the provider, through the guarded client.
What is there so far stands beside the file as ``NAME.part`` and ``NAME.part.json``, files of the owner's alone, so that a program
that was killed goes on where it was. May import this package and the guarded client.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import fcntl
import hashlib
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import msgspec
import orjson
from yarl import URL

from connector.client.deals import declined, still_going
from connector.client.local import LocalClient
from connector.client.refusals import Declined, Document, Refused, Waited
from connector.http.client import Download as Incoming
from connector.http.client import EgressRefused, GuardedClient, PeerUnreachable

Progress = Callable[[int, int | None], None]
"""Is told how many bytes are there, and of how many, None where that is not known."""
MAX_BYTES: Final = 1 << 40
MAKING_S: Final = 3600.0
"""So long a provider may take to make a file."""
MAX_REFUSAL_BYTES: Final = 65_536
MAX_STATE_BYTES: Final = 65_536
MAX_REASON_CHARS: Final = 500
ATTEMPTS: Final = 5
"""So often it is tried again without a byte of progress."""
MAX_RENEWALS: Final = 3
"""So often a token is renewed without a byte of progress."""
BACKOFF_S: Final = 0.5
RETRY_MAX_S: Final = 30.0
IDLE_S: Final = 60.0
_EDC: Final = "https://w3id.org/edc/v0.0.1/ns/"
_RANGE: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")
_DIGEST: Final = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]{44}):")
_PASSING: Final = frozenset({"flow_suspended", "busy"})
"""Codes of refusals that may be over when it is asked again."""
_OVER: Final = frozenset({"COMPLETED", "TERMINATED"})
_NOT_RENEWED: Final = frozenset({"token-not-renewed", "reference-not-renewable", "reference-none"})
"""Codes with which our connector says that there is no other token."""


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A file that came whole: where it is, its size, its SHA-256 (hex), the transfer that brought it, and, of a table, what the
    provider says of its rows. ``media``: what the provider calls it."""

    path: Path
    bytes: int
    sha256: str
    transfer: str
    media: str = ""
    rows: int | None = None
    suppressed: int | None = None


class _Kept(msgspec.Struct, kw_only=True):
    """What a later attempt has to know. ``etag``, ``total`` and ``digest`` are of the file that the part is of."""

    agreement: str
    ask: dict[str, str]
    transfer: str
    address: Document = {}
    etag: str | None = None
    total: int | None = None
    digest: str | None = None
    media: str = ""
    rows: int | None = None
    suppressed: int | None = None


class _Broken(Exception):
    """This attempt brought no end; another may, after ``wait_s`` seconds (None: as long as is usual). ``counts``: it is one of
    those that are numbered."""

    def __init__(self, why: str, wait_s: float | None = None, *, counts: bool = True) -> None:
        super().__init__(why)
        self.wait_s = wait_s
        self.counts = counts


class _Expired(_Broken):
    """The provider takes the token no more."""


@dataclass(slots=True)
class Downloading:
    """One download of one contract into one file. ``ask`` narrows what the contract gives."""

    client: LocalClient
    web: GuardedClient
    agreement: str
    path: Path
    ask: Mapping[str, str]
    progress: Progress = lambda _, __: None
    counterparty: str | None = None
    within_s: float = 600.0
    max_bytes: int = MAX_BYTES
    _hash: Any = field(default_factory=hashlib.sha256, init=False)

    @property
    def _part(self) -> Path:
        return self.path.with_name(f"{self.path.name}.part")

    @property
    def _note(self) -> Path:
        return self.path.with_name(f"{self.path.name}.part.json")

    async def run(self) -> Downloaded:
        """The file, in place. Raises FileExistsError, also when another program downloads to the same name; Declined with the
        provider's reason, after which nothing of it is left; Refused; Away; Waited when the transfer has not started within
        ``within_s`` seconds."""
        if await asyncio.to_thread(self.path.exists):
            raise FileExistsError(f"{self.path} is there already")
        with await asyncio.to_thread(self._open) as part:
            kept = await self._started(part)
            try:
                await self._whole(kept, part)
                sha256, size = await asyncio.to_thread(self._verified, kept, part)
            except Declined:
                await asyncio.to_thread(self._forget)
                with suppress(Refused):
                    await self.client.act(kept.transfer, "terminate", reason=["nothing came of it"])
                raise
            await asyncio.to_thread(self._place)
        # Where the provider was quicker, there is nothing left to end.
        with suppress(Refused):
            await self.client.act(kept.transfer, "complete")
        return Downloaded(self.path, size, sha256, kept.transfer, kept.media, kept.rows, kept.suppressed)

    # -- beginning ----------------------------------------------------------------------------------------------------

    async def _started(self, part: IO[bytes]) -> _Kept:
        """A transfer that runs: that of an earlier run of the same, with what it has left in the part, or another."""
        kept = await self._resumed()
        try:
            if kept is None:
                await asyncio.to_thread(self._restart, part)
                kept = await self._begun()
            await self._running(kept)
        except (Declined, Refused):
            await asyncio.to_thread(self._forget)
            raise
        return kept

    async def _resumed(self) -> _Kept | None:
        """What an earlier run has noted of the same, if its transfer has not ended."""
        kept = await asyncio.to_thread(self._read)
        if kept is None or (kept.agreement, kept.ask) != (self.agreement, dict(self.ask)):
            return None
        with suppress(Refused):
            if (await self.client.process(kept.transfer))["state"] not in _OVER:
                return kept
        return None

    async def _begun(self) -> _Kept:
        """Another transfer, noted before anything else."""
        begun = await self.client.transfer(self.agreement, counterparty=self.counterparty)
        kept = _Kept(agreement=self.agreement, ask=dict(self.ask), transfer=str(begun["id"]))
        await asyncio.to_thread(self._keep, kept)
        return kept

    async def _running(self, kept: _Kept) -> None:
        """Wait until the transfer runs, and note where its data are. Raises Declined or Waited."""
        process = await self.client.wait(
            kept.transfer, lambda now: now["state"] in _OVER | {"STARTED"} or bool(now.get("pending")), self.within_s
        )
        if process["state"] != "STARTED":
            still_going(process, self.within_s)
            raise declined(process)
        if not kept.address:
            kept.address = await self.client.data_address(kept.transfer)
            await asyncio.to_thread(self._keep, kept)

    # -- attempts -----------------------------------------------------------------------------------------------------

    async def _whole(self, kept: _Kept, part: IO[bytes]) -> None:
        """Attempts until all of it is there. Raises Declined, and Waited for a provider that does not finish making it."""
        fruitless = renewed = 0
        made_by = asyncio.get_running_loop().time() + MAKING_S
        while True:
            before = part.tell()
            try:
                await self._attempt(kept, part)
            except _Expired as why:
                renewed = renewed + 1 if part.tell() == before else 1
                if renewed > MAX_RENEWALS:
                    raise Declined("token-refused", str(why)) from None
                await self._renew(kept)
                continue
            except _Broken as why:
                fruitless = 0 if part.tell() > before or not why.counts else fruitless + 1
                if not why.counts and asyncio.get_running_loop().time() > made_by:
                    raise Waited(f"{why} after {MAKING_S:g} s") from None
                if fruitless >= ATTEMPTS:
                    raise Declined("provider-unreachable", f"given up; the last attempt: {why}") from None
                usual = BACKOFF_S * (1 << max(0, fruitless - 1))
                await asyncio.sleep(usual if why.wait_s is None else why.wait_s)
                continue
            except EgressRefused as error:
                raise Declined(error.code, error.reason) from None
            return

    async def _attempt(self, kept: _Kept, part: IO[bytes]) -> None:
        """One request. Returns when all of it is there; raises _Broken or Declined."""
        if kept.total is not None and part.tell() == kept.total:
            return
        headers = {"Authorization": _authorization(kept.address)}
        if part.tell() and kept.etag:
            headers |= {"Range": f"bytes={part.tell()}-", "If-Range": kept.etag}
        url = URL(str(kept.address.get("endpoint")), encoded=True)
        target = str(url.update_query(self.ask)) if self.ask else str(url)
        try:
            most = max(0, self.max_bytes - part.tell())
            async with self.web.stream("GET", target, headers=headers, max_bytes=most, idle_timeout_s=IDLE_S) as incoming:
                await self._accept(kept, part, incoming)
                async for piece in incoming.chunks():
                    await asyncio.to_thread(self._append, part, piece)
                    self.progress(part.tell(), kept.total)
        except PeerUnreachable as error:
            if not error.retry:
                raise Declined(error.code, error.reason) from None
            raise _Broken(error.reason) from None
        if kept.total is not None and part.tell() != kept.total:
            raise _Broken(f"{part.tell()} of {kept.total} bytes came")

    async def _accept(self, kept: _Kept, part: IO[bytes], incoming: Incoming) -> None:
        """Judge the head of the answer, before any byte of it is stored."""
        status, headers = incoming.status, incoming.headers
        if status == 206:
            found = _RANGE.fullmatch(headers.get("Content-Range", ""))
            if found and int(found[1]) == part.tell() and headers.get("ETag") == kept.etag:
                return
        if status in (206, 416):
            kept.etag = None
            await asyncio.to_thread(self._restart, part)
            raise _Broken("the provider's file is another one now")
        if status == 202:
            asked = headers.get("Retry-After", "")
            wait_s = min(float(asked), RETRY_MAX_S) if re.fullmatch(r"\d{1,4}", asked) else 1.0
            raise _Broken("the provider is still making the file", wait_s, counts=False)
        if status != 200:
            raise await _refusal(incoming)
        await asyncio.to_thread(self._restart, part)
        length = headers.get("Content-Length", "")
        kept.etag = headers.get("ETag")
        kept.total = int(length) if re.fullmatch(r"\d{1,18}", length) else None
        if kept.total is not None and kept.total > self.max_bytes:
            raise Declined("too-large", f"the file has {kept.total} bytes; {self.max_bytes} are taken")
        kept.digest = _digest(headers.get("Repr-Digest", ""))
        kept.media = headers.get("Content-Type", "")[:200]
        kept.rows, kept.suppressed = (_number(headers.get(name)) for name in ("Carnet-Rows", "Carnet-Suppressed"))
        await asyncio.to_thread(self._keep, kept)

    async def _renew(self, kept: _Kept) -> None:
        """Another token in place of one that the provider takes no more. Our connector renews it, once for all who fetch in this
        transfer, and keeps it; so no program's renewal makes another's token worthless for good. Raises Declined."""
        try:
            kept.address = await self.client.renewal(kept.transfer, _properties(kept.address).get("authorization") or "none")
        except Refused as refused:
            if refused.code in _NOT_RENEWED:
                raise Declined("token-refused", refused.detail) from None
            if refused.status != 503:
                raise
            # The provider could not be asked just now.
            await asyncio.sleep(BACKOFF_S)
            return
        await asyncio.to_thread(self._keep, kept)

    # -- files --------------------------------------------------------------------------------------------------------

    def _open(self) -> IO[bytes]:
        """The part, with the hash of what is in it, for appending by us alone. Raises FileExistsError."""
        descriptor = os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        part = os.fdopen(descriptor, "r+b")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            part.close()
            raise FileExistsError(f"{self._part} is written by another program") from None
        self._hash = hashlib.sha256()
        while piece := part.read(1 << 20):
            self._hash.update(piece)
        return part

    def _append(self, part: IO[bytes], piece: bytes) -> None:
        part.write(piece)
        self._hash.update(piece)

    def _restart(self, part: IO[bytes]) -> None:
        part.seek(0)
        part.truncate()
        self._hash = hashlib.sha256()

    def _verified(self, kept: _Kept, part: IO[bytes]) -> tuple[str, int]:
        """SHA-256 and size of what came, which is on the disk then. Raises Declined where it is not what was announced."""
        found = self._hash.hexdigest()
        if kept.digest is not None and found != kept.digest:
            raise Declined("digest-mismatch", "the bytes that came are not those that the provider announced")
        part.flush()
        os.fsync(part.fileno())
        return found, part.tell()

    def _place(self) -> None:
        """Give it its name, which nobody has taken meanwhile. Raises FileExistsError."""
        try:
            os.link(self._part, self.path)
        except FileExistsError:
            raise
        except OSError:
            # A file system without hard links: the name is taken first, then filled.
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            self._part.replace(self.path)
        self._forget()

    def _forget(self) -> None:
        for path in (self._part, self._note):
            path.unlink(missing_ok=True)

    def _keep(self, kept: _Kept) -> None:
        fresh = self._note.with_name(f"{self._note.name}.new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(msgspec.json.encode(kept))
        fresh.replace(self._note)

    def _read(self) -> _Kept | None:
        try:
            with self._note.open("rb") as opened:
                return msgspec.json.decode(opened.read(MAX_STATE_BYTES), type=_Kept)
        except (OSError, msgspec.DecodeError, msgspec.ValidationError):
            return None


async def _refusal(incoming: Incoming) -> Exception:
    """Why the provider gives nothing: by its own code and words, where it has any."""
    body = bytearray()
    with suppress(PeerUnreachable):
        async for piece in incoming.chunks():
            body += piece
            if len(body) >= MAX_REFUSAL_BYTES:
                break
    try:
        said = orjson.loads(bytes(body))
    except orjson.JSONDecodeError:
        said = {}
    code, detail = (said.get(name) if isinstance(said, dict) else None for name in ("code", "detail"))
    reason = "".join(sign for sign in str(detail or "") if sign.isprintable())[:MAX_REASON_CHARS]
    reason = reason or f"the provider answered {incoming.status}"
    # A provider of another make may say nothing of why: another token may do.
    if code == "token_expired" or (incoming.status in (401, 403) and not isinstance(code, str)):
        return _Expired(reason)
    if code in _PASSING or incoming.status in (408, 425, 429) or incoming.status >= 500:
        return _Broken(reason)
    return Declined(code[:80] if isinstance(code, str) else "declined", reason)


def _properties(address: Document) -> dict[str, str]:
    """By their plain names, which EDC spells as IRIs."""
    entries = address.get("endpointProperties", [])
    return {str(each.get("name")).removeprefix(_EDC): str(each.get("value")) for each in entries}


def _authorization(address: Document) -> str:
    known = _properties(address)
    token = known.get("authorization", "")
    bearer = known.get("authType", "bearer").lower() == "bearer" and not token.lower().startswith("bearer ")
    return f"Bearer {token}" if bearer else token


def _digest(header: str) -> str | None:
    """Hex SHA-256 of a Repr-Digest field (RFC 9530); None where it has none."""
    found = _DIGEST.search(header)
    if found is None:
        return None
    try:
        return base64.b64decode(found[1], validate=True).hex()
    except binascii.Error:
        return None


def _number(header: str | None) -> int | None:
    return int(header) if header is not None and re.fullmatch(r"\d{1,18}", header) else None
