"""Data Plane Signaling 1.0-RC3 messages as frozen structs, decoded from plain JSON. Pure.

Unknown members are ignored; a missing or mistyped one is a Refusal 400. Sizes are bounded by the listener.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec

from connector.dataplane.problems import Refusal

HTTP_PULL = "https://w3id.org/dspace-sig/profile/http-pull"

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]


class Property(msgspec.Struct, frozen=True):
    """One endpoint property of a DSP data address."""

    name: str
    value: str


class DataAddress(msgspec.Struct, frozen=True, rename="camel"):
    """Where and with which token the data can be had."""

    endpoint_type: str
    endpoint: str = ""
    endpoint_properties: tuple[Property, ...] = ()

    def get(self, name: str) -> str | None:
        """Value of the first property called ``name``."""
        return next((entry.value for entry in self.endpoint_properties if entry.name == name), None)


class FlowMessage(msgspec.Struct, frozen=True, rename="camel"):
    """DataFlowPrepareMessage and DataFlowStartMessage: the same members, of which we use these."""

    message_id: Id
    process_id: Id
    agreement_id: Id
    dataset_id: Id
    profile: Id
    metadata: dict[str, Any] = {}
    data_address: DataAddress | None = None


class ChangeMessage(msgspec.Struct, frozen=True, rename="camel"):
    """Body of started, suspend, resume, terminate and completed; an empty body is an empty message."""

    message_id: Annotated[str, msgspec.Meta(max_length=512)] = ""
    data_address: DataAddress | None = None
    reason: Any = None


class StatusMessage(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Answer to an operation, and what the data plane tells the control plane (then with ``bytes`` and ``sha256``)."""

    message_id: str
    data_flow_id: str
    state: str
    data_address: DataAddress | None = None
    error: str | None = None
    bytes: int | None = None
    sha256: str | None = None


class ControlPlane(msgspec.Struct, frozen=True, rename="camel"):
    """Registration of the control plane that is told about flows."""

    controlplane_id: Id
    endpoint: Id


Message = TypeVar("Message", bound=msgspec.Struct)


def decode(body: bytes, form: type[Message]) -> Message:
    """``body`` as ``form``; an empty body counts as ``{}``. Raises Refusal 400 naming the offending member."""
    try:
        return msgspec.json.decode(body or b"{}", type=form)
    except msgspec.ValidationError as error:
        raise Refusal(400, "message_invalid", str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refusal(400, "message_invalid", "the body is not JSON") from None


def encode(message: msgspec.Struct) -> str:
    """The message as JSON text."""
    return msgspec.json.encode(message).decode()
