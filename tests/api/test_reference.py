"""The page of the interface: everything is on it, and it loads nothing."""

from __future__ import annotations

import base64
import html
import re
from hashlib import sha256
from html.parser import HTMLParser

import pytest

from connector.api import reference
from connector.api.openapi import document
from connector.api.twins import TWINS
from tests.api.test_openapi import served

VOID = {"meta", "br"}


class Tags(HTMLParser):
    """Whether every element is closed, and which attributes there are."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.names: set[str] = set()
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        for name, value in attrs:
            if name in ("href", "src"):
                self.links.append(value or "")
            if name == "id":
                self.ids.append(value or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page() -> str:
    return reference.page(document(served(), version="1.2.3"))


def test_the_page_is_well_formed_and_loads_nothing(page: str) -> None:
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert not tags.names & {"script", "img", "link", "iframe", "form", "object"}
    assert {link for link in tags.links if not link.startswith("#")} == {"openapi.json"}
    assert {link.removeprefix("#") for link in tags.links if link.startswith("#")} <= set(tags.ids)
    assert len(tags.ids) == len(set(tags.ids))


def test_its_policy_allows_its_style_and_nothing_else(page: str) -> None:
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in reference.POLICY
    assert "default-src 'none'" in reference.POLICY


def test_every_operation_is_on_it_with_who_may_do_it(page: str) -> None:
    for each in served():
        assert f"id='{each.name}'" in page
        assert each.path in page
        assert each.scope in page


def test_the_ten_commands_are_on_it_with_what_they_call(page: str) -> None:
    assert len(TWINS) == 10
    names = {each.name for each in served()}
    for twin in TWINS:
        assert html.escape(twin.command) in page
        assert {step.operation for step in twin.steps} <= names


def test_what_is_said_cannot_become_markup() -> None:
    assert reference._prose("a `<b>` & c") == "a <code>&lt;b&gt;</code> &amp; c"
