"""Where a secret is held, it can be neither printed nor compared: walked over the settings and over everything of identity."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import pickle
import pkgutil
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, UnionType
from typing import Annotated, Any, Final

import msgspec
import pytest

import connector.identity
from connector.dataplane.settings import DataPlaneSettings
from connector.identity import keyfiles
from connector.identity.gate import KeyRefused, public_key
from connector.identity.interface import Incoming, Scope
from connector.identity.keys import Use
from connector.identity.signing import new_signing_key, private_jwk, signing_key
from connector.settings.model import Settings
from connector.settings.secret import Secret
from tests.attacks.stand import PARTIES

TELLING: Final = re.compile(r"token|secret|password|private|credential|passphrase|(^|_)key$", re.IGNORECASE)
# Texts of the settings that are named like secrets and are none, each with the reason.
NO_SECRETS: Final = {
    "RuleSettings.key": "a glob over ids",
    "DevelopmentSettings.key": "one word that everybody knows: a switch, not a credential",
    "IssuerSettings.token_types": "names of types",
    "ManagementIssuerSettings.token_types": "names of types",
}
# Fields of identity that hold what must not be seen: by type, or by name.
HIDDEN_TYPES: Final = ("PrivateKey", "Secret")
HIDDEN_NAMES: Final = frozenset({"raw", "token", "secret", "private"})
HIDDEN_FIELDS: Final = frozenset({"Incoming.headers", "Answer.body"})


# -- settings -------------------------------------------------------------------------------------------------------------


def _structs(kind: Any, seen: set[Any]) -> Iterator[type[msgspec.Struct]]:
    """Every struct of the settings, whatever it is wrapped in."""
    if kind in seen:
        return
    if inspect.isclass(kind) and issubclass(kind, msgspec.Struct):
        seen.add(kind)
        yield kind
        for each in msgspec.structs.fields(kind):
            yield from _structs(each.type, seen)
    for part in typing.get_args(kind):
        yield from _structs(part, seen)


def _parts(kind: Any) -> Iterator[Any]:
    """The plain types in an annotation."""
    if typing.get_origin(kind) in (Annotated, typing.Union, UnionType, tuple):
        for part in typing.get_args(kind):
            yield from _parts(part)
    else:
        yield kind


def test_what_the_settings_call_a_secret_is_one() -> None:
    structs = [*_structs(Settings, set()), *_structs(DataPlaneSettings, set())]
    assert len(structs) > 15
    plain = {
        f"{struct.__name__}.{each.name}"
        for struct in structs
        for each in msgspec.structs.fields(struct)
        if TELLING.search(each.name) and str in set(_parts(each.type))
    }
    assert plain == NO_SECRETS.keys()
    held = [each for struct in structs for each in msgspec.structs.fields(struct) if Secret in set(_parts(each.type))]
    assert len(held) >= 3


def test_a_secret_is_neither_shown_nor_compared() -> None:
    secret = Secret("a-made-up-token-0001")
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret!r:>20}", repr([secret]), repr({"x": secret})):
        assert "made-up" not in shown
    for same in (secret, "a-made-up-token-0001", None):
        with pytest.raises(TypeError, match="matches"):
            _ = secret == same
    with pytest.raises(TypeError):
        hash(secret)
    for write in (json.dumps, msgspec.json.encode):
        with pytest.raises(TypeError):
            write(secret)
    assert secret.matches("a-made-up-token-0001")
    assert not secret.matches("a-made-up-token-0002")


def test_settings_with_secrets_are_not_compared_by_them() -> None:
    """Two structs are compared member by member, so that one with a secret refuses."""
    structs = [
        each for each in _structs(Settings, set()) if any(Secret in set(_parts(f.type)) for f in msgspec.structs.fields(each))
    ]
    assert structs
    for struct in structs:
        (name,) = [f.name for f in msgspec.structs.fields(struct) if Secret in set(_parts(f.type))][:1]
        made = [struct(**_filled(struct, name)) for _ in range(2)]
        with pytest.raises(TypeError, match="matches"):
            _ = made[0] == made[1]


def _filled(struct: type[msgspec.Struct], name: str) -> dict[str, Any]:
    required = {each.name: "x" for each in msgspec.structs.fields(struct) if each.required}
    return {**required, name: Secret("a-made-up-token-0001")}


# -- identity -------------------------------------------------------------------------------------------------------------


def _modules() -> Iterator[ModuleType]:
    for module in pkgutil.iter_modules(connector.identity.__path__, "connector.identity."):
        yield importlib.import_module(module.name)


def _hidden() -> Iterator[tuple[str, bool, bool]]:
    """(field, printed, compared) of every field that holds a secret."""
    for module in _modules():
        for kind in vars(module).values():
            if not (inspect.isclass(kind) and kind.__module__ == module.__name__):
                continue
            if dataclasses.is_dataclass(kind):
                compared = kind.__eq__ is not object.__eq__
                for each in dataclasses.fields(kind):
                    name, text = f"{kind.__name__}.{each.name}", str(each.type)
                    named = name in HIDDEN_FIELDS or (each.name in HIDDEN_NAMES and _holds(text))
                    if named or any(part in text for part in HIDDEN_TYPES):
                        yield name, each.repr, each.compare and compared
            elif issubclass(kind, msgspec.Struct):
                for field in msgspec.structs.fields(kind):
                    if field.name in HIDDEN_NAMES or "PrivateKey" in str(field.type):
                        yield f"{kind.__name__}.{field.name}", True, True


def _holds(annotation: str) -> bool:
    return any(part in annotation for part in ("str", "bytes", "Mapping"))


def test_no_field_of_identity_that_holds_a_secret_is_printed_or_compared() -> None:
    found = list(_hidden())
    assert {name for name, _, _ in found} >= HIDDEN_FIELDS | {"SigningKey.private", "Sighted.raw", "Held.secret"}
    assert not [(name, printed, compared) for name, printed, compared in found if printed or compared]


def test_keys_show_nothing_private(tmp_path: Path) -> None:
    key = new_signing_key("ES256", "k")
    private = private_jwk(key)["d"]
    assert key == signing_key(private_jwk(key))
    shown = [repr(key), str(key), repr([key]), f"{key}"]
    with pytest.raises(KeyRefused) as refused:
        public_key(private_jwk(key))
    shown += [str(refused.value), repr(refused.value)]
    with pytest.raises(KeyRefused) as refused:
        signing_key({**private_jwk(key), "x": private})
    shown += [str(refused.value), repr(refused.value), repr(refused.value.__cause__), repr(refused.value.__context__)]
    assert not [text for text in shown if private in text]
    keyfiles.make_keys(tmp_path / "keys", "did:web:us.example", 1)
    ring = keyfiles.load_keys(tmp_path / "keys", {}, 48)
    files = {path.name: json.loads(path.read_text()) for path in (tmp_path / "keys").glob("*.jwk")}
    everything = repr(ring) + repr(ring.listing()) + repr(ring.published(2)) + repr(vars(ring)["_signing"])
    assert len(files) == len(Use)
    assert not [name for name, jwk in files.items() if (jwk.get("d") or jwk["k"]) in everything]
    with pytest.raises((TypeError, pickle.PicklingError)):
        pickle.dumps(key)


def test_a_request_shows_no_header() -> None:
    headers = {"Authorization": "DPoP the-token", "DPoP": "the-proof"}
    request = Incoming("POST", "https://us.example/dsp", headers, Scope.CATALOG, changes=True)
    assert "the-" not in repr(request)


def test_parties_of_the_attacks_show_no_keys() -> None:
    """What pytest prints of a failed test is read by everybody who sees its log."""
    assert "PrivateKey" not in repr(PARTIES)
