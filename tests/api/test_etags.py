"""A write that names what it has seen is done only while that is still so."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from connector.api.etags import check_version, expected_version, tagged
from connector.protocol.errors import CallerError, Outdated


def asked(**headers: str) -> web.Request:
    return make_mocked_request("PUT", "/", headers={name.replace("_", "-"): value for name, value in headers.items()})


def test_the_tag_of_a_version_is_read_again() -> None:
    tag = tagged(web.Response(), 7).headers["ETag"]
    assert expected_version(asked(If_Match=tag)) == 7
    check_version(asked(If_Match=tag), 7)
    with pytest.raises(Outdated):
        check_version(asked(If_Match=tag), 8)


def test_who_does_not_mind_names_none() -> None:
    for request in (asked(), asked(If_Match="*")):
        check_version(request, 3)


@pytest.mark.parametrize("tag", ["7", 'W/"7"', '"a"', '"7", "8"', '"' + "7" * 30 + '"', ""])
def test_what_is_no_tag_of_ours(tag: str) -> None:
    with pytest.raises(CallerError, match="If-Match is one ETag"):
        expected_version(asked(If_Match=tag))
