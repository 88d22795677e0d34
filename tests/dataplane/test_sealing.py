"""What opens a source can be read by who has the key and asks for the same source, and by nobody else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.dataplane.sealing import Sealer, Unsealable
from connector.settings.secret import SettingsError

from .conftest import owner_only


@given(st.binary(max_size=200), st.text(max_size=20), st.integers(0))
def test_what_is_sealed_opens_as_it_was_and_not_when_it_was_changed(text: bytes, about: str, place: int) -> None:
    sealer = Sealer(bytes(32))
    sealed = sealer.seal(text, about)
    assert sealer.unseal(sealed, about) == text
    changed = bytearray(sealed)
    changed[place % len(changed)] ^= 1
    for wrong, of in ((bytes(changed), about), (sealed, about + "x"), (sealed[:-1], about), (b"", about)):
        with pytest.raises(Unsealable):
            sealer.unseal(wrong, of)
    assert sealer.seal(text, about) != sealed


def test_the_key_is_made_once_for_all_and_is_the_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "sources.key"
    with ThreadPoolExecutor(8) as threads:
        sealers = list(threads.map(Sealer.of, [file] * 8))
    sealed = sealers[0].seal(b"sesame", "ds")
    assert {sealer.unseal(sealed, "ds") for sealer in sealers} == {b"sesame"}
    assert owner_only(file)
    assert [path.name for path in tmp_path.iterdir()] == ["sources.key"]
    for nonsense in (b"", b"short", b"\xff\xfe" * 20):
        file.write_bytes(nonsense)
        with pytest.raises(SettingsError, match="invalid-token"):
            Sealer.of(file)
    with pytest.raises(SettingsError, match="secret-unwritable"):
        Sealer.of(tmp_path / "missing" / "sources.key")
    file.chmod(0o644)
    with pytest.raises(SettingsError, match="may be read by others"):
        Sealer.of(file)
