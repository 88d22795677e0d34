"""Bundles that are not as they should be: changed by somebody without keys, or by their owner, who can seal them anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from connector.audit.ceremony import NotProven, Step
from connector.evidence import manifest, members
from connector.evidence.bundling import seal_up
from connector.evidence.verifying import Known, verify_bundle
from connector.evidence.zipped import write_zip
from connector.flow.context import Context
from tests.evidence.recorded import Contract

Members = dict[str, bytes]


@dataclass
class Forge:
    """The bundle of either side by role, and the provider's surroundings, with its key."""

    contract: Contract
    bundles: dict[str, Members]
    context: Context

    @property
    def provider(self) -> Members:
        """A copy of the provider's bundle."""
        return dict(self.bundles["provider"])

    def resealed(self, found: Mapping[str, bytes], *, derive: bool = True) -> Members:
        """The provider's changed bundle, with a new manifest and seal, and with what follows from the sources."""
        whole = {name: each for name, each in found.items() if name not in (manifest.NAME, manifest.SEAL)}
        if derive:
            whole = {name: each for name, each in whole.items() if members.is_source(name)}
            whole |= members.derived(whole)
        return seal_up(self.context, orjson.loads(self.bundles["provider"][members.CONTRACT]), whole)


def verified(folder: Path, found: Mapping[str, bytes], known: Known | None = None) -> tuple[Step, ...]:
    """The steps of the verification of these members."""
    path = folder / "bundle.zip"
    with path.open("wb") as opened:
        write_zip(opened, found)
    return verify_bundle(path, known)


def failed(folder: Path, found: Mapping[str, bytes], known: Known | None = None) -> tuple[str, str, str]:
    """Step, code and file at which the verification ends. Raises AssertionError if it does not."""
    try:
        verified(folder, found, known)
    except NotProven as ended:
        step = ended.failed
        assert step.place is not None
        return step.name, step.code, step.place.file
    raise AssertionError("it was believed")


def changed(found: Mapping[str, bytes], name: str, change: Mapping[str, object]) -> Members:
    """The members with other values in one of them, a JSON object."""
    document = orjson.loads(found[name])
    document.update(change)
    return {**found, name: members.told(document)}


def flipped(content: bytes, at: int) -> bytes:
    """One bit of one byte changed."""
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
