"""Hostile tokens that are well made and well signed, and say the wrong thing: type, issuer, audience, time, request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from tests.attacks.forge import DROP, TYPES, Json, Kind
from tests.attacks.rows import ALL, KEPT, PROOF, Attack, Forge, Step, head, row, say

YEAR_S: Final = 31_557_600
ANY_CLAIM: Final = (Step.CLAIMS, Step.ISSUER, Step.AUDIENCE)


def rows() -> Iterator[Attack]:
    """All of them."""
    yield from _types()
    yield from _kinds_of_value()
    yield from _names()
    yield from _times()
    yield from _kinds_of_time()
    yield from _requests()


def _types() -> Iterator[Attack]:
    for typ in ("JWT", "jwt", "secevent+jwt", "", None, ["at+jwt"], "dpop+jwt", "at+jwt", "client-authentication+jwt"):
        kinds = frozenset(kind for kind in Kind if TYPES[kind] != typ)
        yield row(f"typ {typ!r}", head(typ=typ), Step.TYPE, Step.HEADER, kinds=kinds)
    yield row("typ missing", head(typ=DROP), Step.TYPE, Step.HEADER)


def _kinds_of_value() -> Iterator[Attack]:
    for claim in ("iss", "sub", "aud", "jti", "exp", "iat"):
        kinds = ALL if claim in ("jti", "iat") else KEPT
        for name, odd in (("missing", DROP), ("null", None), ("an object", {"a": "b"}), ("true", True)):
            yield row(f"{claim} {name}", say(**{claim: odd}), *ANY_CLAIM, kinds=kinds)
        texts: tuple[tuple[str, Any], ...] = (("a number", 7), ("empty", ""), ("a list of its kind", ["x"]))
        for name, odd in texts if claim not in ("exp", "iat") else ():
            yield row(f"{claim} {name}", say(**{claim: odd}), *ANY_CLAIM, kinds=kinds)


# -- whose it is ----------------------------------------------------------------------------------------------------------


def _other(claim: str, change: Callable[[str], object]) -> Forge:
    return lambda it: it.with_claims(**{claim: change(it.claims[claim])})


def _names() -> Iterator[Attack]:
    for name, change in _AUDIENCES.items():
        yield row(f"aud {name}", _other("aud", change), Step.AUDIENCE, Step.CLAIMS, kinds=KEPT)
    for name, change in _ISSUERS.items():
        yield row(f"iss {name}", _other("iss", change), Step.ISSUER, Step.CLAIMS, Step.KEY, kinds=KEPT)
    yield row("sub a list with the right one", _other("sub", lambda right: [right]), Step.CLAIMS, kinds=KEPT)


_ISSUERS: Final[dict[str, Callable[[str], object]]] = {
    "of somebody else": lambda _: "https://attacker.example",
    "a list with the right one": lambda right: [right],
    "that begins with the right one": lambda right: right + ".attacker.example",
    "cut short": lambda right: right[:-1],
    "with a slash more": lambda right: right + "/",
    "in capitals": str.upper,
}
_AUDIENCES: Final[dict[str, Callable[[str], object]]] = {
    **_ISSUERS,
    "a list with ours and another": lambda ours: ["https://other.example", ours],
    "with a space more": lambda ours: ours + " ",
}


# -- time -----------------------------------------------------------------------------------------------------------------


def _at(change: Callable[[int], Json]) -> Forge:
    return lambda it: it.with_claims(**change(it.now_s))


def _times() -> Iterator[Attack]:
    for name, change in _WRONG_TIMES.items():
        yield row(name, _at(change), Step.TIME, kinds=KEPT)
    yield row("iat in an hour, for a proof", _at(lambda now: {"iat": now + 3600}), Step.TIME, kinds=PROOF)
    yield row("iat an hour ago, for a proof", _at(lambda now: {"iat": now - 3600}), Step.TIME, kinds=PROOF)
    yield row("iat before the epoch", _at(lambda _: {"iat": -1}), Step.TIME, Step.CLAIMS)
    yield row("exp before the epoch", _at(lambda _: {"exp": -1}), Step.TIME, Step.CLAIMS, kinds=KEPT)


_WRONG_TIMES: Final[dict[str, Callable[[int], Json]]] = {
    "over since an hour": lambda now: {"iat": now - 3660, "exp": now - 3600},
    "over since the leeway and five seconds": lambda now: {"iat": now - 60, "exp": now - 35},
    "exp in ten years": lambda now: {"exp": now + 10 * YEAR_S},
    "exp and iat in ten years": lambda now: {"iat": now + 10 * YEAR_S, "exp": now + 10 * YEAR_S + 60},
    "valid for a second longer than may be": lambda now: {"exp": now + 301},
    "exp before iat": lambda now: {"iat": now + 20, "exp": now + 10},
    "nbf in an hour": lambda now: {"nbf": now + 3600},
    "iat in an hour": lambda now: {"iat": now + 3600, "exp": now + 3660},
}


def _typed(claim: str, make: Callable[[int], object], ahead_s: int) -> Forge:
    return lambda it: it.with_claims(**{claim: make(it.now_s + ahead_s)})


def _kinds_of_time() -> Iterator[Attack]:
    for claim, ahead_s, kinds in (("exp", 60, KEPT), ("nbf", -120, KEPT), ("iat", 0, ALL)):
        for name, make in _KINDS.items():
            yield row(f"{claim} {name}", _typed(claim, make, ahead_s), Step.CLAIMS, Step.JSON, kinds=kinds)
    far = say(exp=2**70)
    yield row("exp beyond every integer of a machine", far, Step.TIME, Step.CLAIMS, Step.JSON, kinds=KEPT)


_KINDS: Final[dict[str, Callable[[int], object]]] = {
    "a string": str,
    "a float": float,
    "half a second more": lambda time: time + 0.5,
    "a list": lambda time: [time],
    "NaN": lambda _: float("nan"),
    "Infinity": lambda _: float("inf"),
    "1e30": lambda _: 1e30,
}


# -- what a proof says of its request -------------------------------------------------------------------------------------


def _url(change: Callable[[str], object]) -> Forge:
    return lambda it: it.with_claims(htu=change(it.claims["htu"]))


def _requests() -> Iterator[Attack]:
    for method in ("PUT", "post", "POST ", ""):
        yield row(f"htm {method!r}", say(htm=method), Step.REQUEST, Step.CLAIMS, kinds=PROOF)
    for name, change in _URLS.items():
        yield row(f"htu {name}", _url(change), Step.REQUEST, Step.CLAIMS, kinds=PROOF)
    # The same address in another spelling (RFC 3986, 6.2.2): taken, and good for this request alone.
    yield row("htu with an encoded letter", _url(lambda url: url[:-1] + f"%{ord(url[-1]):02x}"), Step.TAKEN, kinds=PROOF)
    values: tuple[tuple[str, object], ...] = (("missing", DROP), ("null", None), ("a list", ["POST"]), ("a number", 1))
    for claim in ("htm", "htu", "ath"):
        for name, odd in values:
            yield row(f"{claim} {name}", say(**{claim: odd}), Step.CLAIMS, Step.REQUEST, kinds=PROOF)
    yield row("ath of another token", say(ath="A" * 43), Step.REQUEST, kinds=PROOF)
    yield row("nonce a number", say(nonce=1), Step.CLAIMS, kinds=PROOF)


_URLS: Final[dict[str, Callable[[str], object]]] = {
    "of another path": lambda url: url + "/other",
    "of another host": lambda _: "https://attacker.example/",
    "with a user before the host": lambda url: url.replace("://", "://attacker.example@", 1),
    "of another port": lambda url: urlsplit(url)._replace(netloc=f"{urlsplit(url).hostname}:1").geturl(),
    "in capitals": str.upper,
    "with an encoded slash": lambda url: "%2F".join(url.rsplit("/", 1)),
    "with dot segments": lambda url: url + "/../" + url.rpartition("/")[2],
    "with a slash more": lambda url: url + "/",
    "of another scheme": lambda url: "wss" + url[url.index(":") :],
    "without a scheme": lambda url: url.partition(":")[2],
    "empty": lambda _: "",
    "with a NUL": lambda url: url + "\0",
}
