"""What opens a source does not leave with its answers, whatever the source says back (an echo, a page about errors).

An answer passes in pieces; of a piece that ends as a secret begins, that end waits for the next one, so that not even a part has
left when the rest comes. Found is what stands there as it is: not in another encoding. May import the guarded client's errors.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from connector.http.client import PeerUnreachable


async def screened(pieces: AsyncIterator[bytes], opening: Sequence[bytes]) -> AsyncIterator[bytes]:
    """The same bytes. Raises PeerUnreachable(``protocol``) before the first byte of one of these secrets is given."""
    held = b""
    async for piece in pieces:
        text = held + piece
        if any(each in text for each in opening):
            raise PeerUnreachable("protocol", "the answer shows what opens the source")
        waits = max((_begun(text, each) for each in opening), default=0)
        held = text[len(text) - waits :]
        if len(text) > waits:
            yield text[: len(text) - waits] if waits else text
    if held:
        yield held


def _begun(text: bytes, secret: bytes) -> int:
    """How many bytes at the end of a text are the beginning of a secret.

    >>> _begun(b"xab", b"abc"), _begun(b"xaba", b"abc"), _begun(b"abc", b"xyz")
    (2, 1, 0)
    """
    tail = text[-(len(secret) - 1) :] if len(secret) > 1 else b""
    start = tail.find(secret[:1])
    while start >= 0:
        if secret.startswith(tail[start:]):
            return len(tail) - start
        start = tail.find(secret[:1], start + 1)
    return 0
