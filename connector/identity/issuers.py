"""Tokens of external issuers: what they must be, with which key they are checked, and for whom an issuer may speak.

Only issuers of the settings are asked for anything, and each speaks for the participants of its own list alone. Their documents
come through the fetcher, which bounds how often one is read: a `kid` that nobody knows costs one look at the key set in
``document_min_refresh_s``, and an issuer that is away keeps nobody waiting but the callers with its tokens.
Imports the fetcher, the metadata, the gate and the registry's entries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from connector.identity.fetcher import Fetcher, FetchRefused
from connector.identity.gate import Expected, KeyRefused, PublicKey, TokenRefused, key_set
from connector.identity.metadata import authorization_server
from connector.identity.participants import Claims
from connector.settings.identity import IssuerSettings

_LISTS: Final = frozenset({"membership"})


class ExternalIssuers:
    """The issuers of the settings. ``resource`` is the audience of a token where an issuer's settings name no other."""

    def __init__(self, settings: Sequence[IssuerSettings], fetcher: Fetcher, resource: str, leeway_s: int) -> None:
        self._settings = {issuer.issuer: issuer for issuer in settings}
        self._participants = {issuer.issuer: frozenset(issuer.participants) for issuer in settings}
        self._fetcher = fetcher
        self._expected = {issuer.issuer: _expected(issuer, resource, leeway_s) for issuer in settings}
        # The keys of the document that was read last: while the fetcher gives the same one, they are not made anew.
        self._read: dict[str, tuple[Mapping[str, Any], tuple[PublicKey, ...]]] = {}

    def expected(self, issuer: str) -> Expected | None:
        """What a token of this issuer must be; None for an issuer that is not taken."""
        return self._expected.get(issuer)

    async def key(self, issuer: str, kid: str | None) -> PublicKey:
        """The key that an issuer's token names; without ``kid``, the only one that it has.

        Raises TokenRefused where there is no such key, FetchRefused when the issuer does not say now which keys are its own.
        """
        if issuer not in self._settings:
            raise _unknown()
        address = (await authorization_server(self._fetcher, issuer)).jwks_uri
        if address is None:
            raise FetchRefused("metadata-member", "the issuer's metadata must have 'jwks_uri'", retry=False)
        # A token without kid tells nothing of a new key.
        for fresh in (False,) if kid is None else (False, True):
            found = _named(self._keys(issuer, await self._fetcher.document(address, fresh=fresh)), kid)
            if found is not None:
                return found
        raise TokenRefused("token-key-unknown", "the token's kid must name a key of the issuer's key set")

    def participant(self, issuer: str, claims: Mapping[str, Any]) -> tuple[str, Claims]:
        """For whom a token speaks, and what its issuer vouches for. ``claims`` are verified. Raises TokenRefused."""
        settings = self._settings.get(issuer)
        if settings is None:
            raise _unknown()
        name = claims.get(settings.participant_claim)
        if not isinstance(name, str) or name not in self._participants[issuer]:
            reason = f"the token's {settings.participant_claim} must be a participant that its issuer may speak for"
            raise TokenRefused("token-participant", reason)
        return name, _vouched(settings, claims)

    def _keys(self, issuer: str, document: Mapping[str, Any]) -> tuple[PublicKey, ...]:
        read = self._read.get(issuer)
        if read is not None and read[0] is document:
            return read[1]
        try:
            keys = key_set(document)
        except KeyRefused as error:
            raise FetchRefused("metadata-keys", f"the issuer's key set does not hold: {error.reason}", retry=False) from None
        self._read[issuer] = (document, keys)
        return keys


def _expected(settings: IssuerSettings, resource: str, leeway_s: int) -> Expected:
    return Expected(
        types=frozenset(settings.token_types),
        algorithms=frozenset(settings.algorithms),
        max_lifetime_s=settings.max_lifetime_s,
        leeway_s=leeway_s,
        issuer=settings.issuer,
        audience=settings.audience or resource,
    )


def _named(keys: Sequence[PublicKey], kid: str | None) -> PublicKey | None:
    if kid is None:
        return keys[0] if len(keys) == 1 else None
    return next((key for key in keys if key.kid == kid), None)


def _vouched(settings: IssuerSettings, claims: Mapping[str, Any]) -> Claims:
    """The claims of the mapping, `ours=theirs`; what the token does not have is not vouched for."""
    ours: dict[str, Any] = {}
    for pair in settings.claims:
        name, _, theirs = pair.partition("=")
        value = claims.get(theirs)
        if value is not None:
            ours[name] = [value] if name in _LISTS and isinstance(value, str) else value
    try:
        return msgspec.convert(ours, Claims)
    except msgspec.ValidationError:
        reason = f"a claim that the issuer vouches for is not of its kind: {', '.join(sorted(ours))}"
        raise TokenRefused("token-claims", reason) from None


def _unknown() -> TokenRefused:
    return TokenRefused("token-issuer", "tokens of this issuer are not taken here")
