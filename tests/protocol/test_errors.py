"""Whose fault an error is decides its status."""

import pytest

from connector.protocol import errors


@pytest.mark.parametrize(
    ("kind", "status", "parent"),
    [
        (errors.BadMessage, 400, errors.PeerError),
        (errors.IllegalTransition, 400, errors.PeerError),
        (errors.NotNow, 409, errors.PeerError),
        (errors.CallerError, 400, errors.CarnetError),
        (errors.PolicyDenied, 403, errors.CarnetError),
        (errors.NotAuthenticated, 401, errors.CarnetError),
        (errors.NotFound, 404, errors.CarnetError),
        (errors.Conflict, 409, errors.CarnetError),
        (errors.TooMany, 429, errors.CarnetError),
        (errors.Unavailable, 503, errors.CarnetError),
        (errors.InvariantBroken, 500, errors.CarnetError),
    ],
)
def test_statuses(kind: type[errors.CarnetError], status: int, parent: type[errors.CarnetError]) -> None:
    error = kind("a-code", "what to do")
    assert (error.status, error.code, error.reason, str(error)) == (status, "a-code", "what to do", "a-code: what to do")
    assert isinstance(error, parent)


def test_too_many_says_when_to_try_again() -> None:
    assert errors.TooMany("quota", "wait", 30).retry_after_s == 30
