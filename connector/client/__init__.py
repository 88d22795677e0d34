"""The Python client: ``Carnet``, what it gives and what it raises. ``connector.client.sync`` has its face without a loop."""

from connector.client.carnet import Carnet
from connector.client.deals import Landed
from connector.client.decisions import Review, Waiting
from connector.client.downloads import Downloaded
from connector.client.frames import PackageMissing
from connector.client.processes import Event, Happening, Process
from connector.client.refusals import Away, Declined, Document, Refused, Waited
from connector.client.results import (
    Agreement,
    Dataset,
    Duty,
    Explanation,
    Letter,
    Meters,
    Offer,
    OurOffer,
    Peer,
    Published,
    Receipt,
    Simulation,
    Statement,
    Status,
    Template,
    Who,
)

__all__ = [
    "Agreement",
    "Away",
    "Carnet",
    "Dataset",
    "Declined",
    "Document",
    "Downloaded",
    "Duty",
    "Event",
    "Explanation",
    "Happening",
    "Landed",
    "Letter",
    "Meters",
    "Offer",
    "OurOffer",
    "PackageMissing",
    "Peer",
    "Process",
    "Published",
    "Receipt",
    "Refused",
    "Review",
    "Simulation",
    "Statement",
    "Status",
    "Template",
    "Waited",
    "Waiting",
    "Who",
]
