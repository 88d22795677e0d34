"""A policy in either of the two forms in which people and connectors write one: full ODRL JSON-LD, or DSP's normal form.

Imports ``policies`` siblings only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policies import dsp, odrl
from policies.model import Policy


def read(document: Mapping[str, Any], *, uid: str | None = None) -> Policy:
    """The policy that ``document`` says: full ODRL where it has a ``uid``, or is described by a context of its own; else DSP.

    ``uid`` names one that has no name yet. Raises PolicyInvalid, whose path leads into ``document``.
    """
    named = dict(document)
    if in_full(named):
        return odrl.read({"uid": uid, **named} if uid is not None else named)
    return dsp.read({"@id": uid, **named} if uid is not None else named)


def in_full(document: Mapping[str, Any]) -> bool:
    """Whether a document is written as full ODRL: by its name, or by an inline context, which DSP has not."""
    context = document.get("@context")
    inline = any(isinstance(one, Mapping) for one in (context if isinstance(context, list) else [context]))
    return "uid" in document or ("@id" not in document and inline)
