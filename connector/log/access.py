"""What a part of the connector needs that reads the log and what stands beside it. Data only."""

from __future__ import annotations

from dataclasses import dataclass

from connector.log.folder import LogFolder
from connector.log.payloads import Payloads
from connector.log.subjects import SubjectKeys


@dataclass(frozen=True, slots=True)
class LogAccess:
    """The log of this connector, the encrypted payloads and the keys of their subjects. All of it blocks."""

    folder: LogFolder
    payloads: Payloads
    subjects: SubjectKeys
