"""Every setting is documented, and the file that `carnet init` makes can be read."""

import re
from pathlib import Path

import pytest

from connector.settings import load
from connector.settings.__main__ import renew
from connector.settings.document import reference, sections, template

README = Path(__file__).parents[2] / "connector/settings/README.md"
BOUND = re.compile(r"timeout|deadline|backoff|retry|lease|delay|max_body|max_answer|interval")


def test_every_section_and_setting_has_a_meaning() -> None:
    for section in sections():
        assert section.meaning, section.name
        for row in section.rows:
            assert len(row.meaning) > 5, f"{section.name}.{row.name}"


def test_every_time_and_size_carries_its_unit() -> None:
    for section in sections():
        for row in section.rows:
            if row.type.startswith("integer") and BOUND.search(row.name):
                assert row.name.endswith(("_s", "_ms", "_bytes")), f"{section.name}.{row.name}"
                unit = {"_s": "in seconds", "ms": "in milliseconds", "es": "in bytes"}[row.name[-2:]]
                assert unit in row.meaning, f"{section.name}.{row.name}"


def test_the_readme_has_the_settings_of_the_code() -> None:
    text = README.read_text(encoding="utf-8")
    assert renew(text) == text, "run `make readme`"


def test_a_file_without_marks_is_left_alone() -> None:
    with pytest.raises(ValueError, match="lacks"):
        renew("# Another file")


def test_the_template_is_a_settings_file(tmp_path: Path) -> None:
    path = tmp_path / "carnet.toml"
    path.write_text(template('did:web:"us"'))
    path2 = tmp_path / "bare.toml"
    path2.write_text("participant_id = 'did:web:\"us\"'")
    assert load(path, {}) == load(path2, {})


def test_the_template_shows_valid_defaults(tmp_path: Path) -> None:
    parts = [part for part in template("us").split("\n\n") if "# [[" not in part]
    text = "\n".join(re.sub(r"^# (?=\w+ = )", "", line) for part in parts for line in part.splitlines())
    path = tmp_path / "carnet.toml"
    path.write_text(text)
    assert load(path, {}).protocol.page_size == 100


@pytest.mark.parametrize("name", ["local.token_file", "dispatch.claim_batch", "development.rules.nth"])
def test_the_reference_has(name: str) -> None:
    section, _, key = name.rpartition(".")
    assert f"[{section}]" in reference()
    assert f"| `{key}` |" in reference()
