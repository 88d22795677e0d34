"""What an operator sets of the data plane reaches it, and what nobody sets is listed with its reason."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest

from connector.companion import BOUNDS, INTERNAL, write_config
from connector.dataplane.settings import DataPlaneBounds, load_settings
from connector.settings import load
from connector.settings.model import DataSettings

FIELDS = {field.name: field for field in msgspec.structs.fields(DataPlaneBounds)}


def test_every_bound_of_the_data_plane_is_set_by_somebody_or_has_a_reason() -> None:
    assert {*BOUNDS, *INTERNAL} == set(FIELDS)
    assert not set(BOUNDS) & set(INTERNAL)
    assert all(len(reason) > 20 for reason in INTERNAL.values())


@pytest.mark.parametrize("name", BOUNDS)
def test_a_bound_means_the_same_on_both_sides(name: str) -> None:
    assert getattr(DataSettings(), name) == FIELDS[name].default


def test_what_is_set_is_what_the_data_plane_reads(tmp_path: Path) -> None:
    given = {name: getattr(DataSettings(), name) + 1 for name in BOUNDS}
    lines = [f"{name} = {value}" for name, value in given.items()]
    toml = tmp_path / "carnet.toml"
    toml.write_text("\n".join(["participant_id = 'us'", "[data]", "spool_dir = 'elsewhere'", *lines]))
    token = tmp_path / "data.token"
    token.write_text("a-token-of-at-least-sixteen-characters")
    token.chmod(0o600)
    written = write_config(load(toml, {}), "http://127.0.0.1:1")
    assert tomllib.loads(written.read_text())["bounds"] == given
    found = load_settings(written)
    assert {name: getattr(found.bounds, name) for name in BOUNDS} == given
    assert found.spool_dir == tmp_path / "elsewhere"
