"""Catalogue records for tests: one that says everything, and strategies for those that nobody would think of."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from catalog.dcat import instants
from catalog.dcat import vocabulary as voc
from catalog.dcat.model import (
    Agent,
    Box,
    Catalog,
    CatalogRecord,
    Checksum,
    Column,
    Contact,
    DataService,
    Dataset,
    Distribution,
    Period,
    Place,
    Privacy,
    Quality,
    RightsStatement,
    Standard,
    Text,
)
from catalog.dcat.write import vehicle_standard

OFFER: dict[str, Any] = {"@id": "urn:offer:1", "@type": "Offer", "permission": [{"action": "use"}]}
ENGLISH, GERMAN = voc.LANGUAGES["en"], voc.LANGUAGES["de"]

SERVICE = DataService("did:web:oem.example:connector", (Text("Connector", "en"),), "https://oem.example/dsp/2025-1")
PUBLISHER = Agent("did:web:oem.example", (Text("Example Motors", "en"),), "https://oem.example/", "data@oem.example")
DISTRIBUTION = Distribution(
    iri="urn:asset:trips#csv",
    transfer="HttpData-PULL",
    titles=(Text("As CSV", "en"), Text("Als CSV", "de")),
    access_url="https://oem.example/dsp/2025-1",
    file_type=f"{voc.FILE_TYPE}/CSV",
    media_type="text/csv",
    rights=RightsStatement((f"{voc.CONDITION}/contractual-arrangement-fee-required",), (Text("See the offer.", "en"),)),
    standard=vehicle_standard(),
    service=SERVICE,
    license="https://oem.example/terms",
    byte_size=4096,
    checksums=(Checksum("sha256", "0f" * 32), Checksum("sha1", "a0" * 20)),
)
DATASET = Dataset(
    iri="urn:asset:trips",
    titles=(Text("Trips", "en"), Text("Fahrten", "de"), Text("Trajets", "fr")),
    descriptions=(Text("Speed once a second.", "en"), Text("Tempo je Sekunde.", "de")),
    publisher=PUBLISHER,
    frequency=f"{voc.FREQUENCY}/DAILY",
    spatial=(
        Place(f"{voc.AUTHORITY}country/DEU", (Text("Germany", "en"),)),
        Place(f"{voc.NUTS}/code/DE12", (), Box(8.25, 48.5, 8.75, 49.125)),
    ),
    themes=(f"{voc.THEME}/other", f"{voc.THEME}/speed"),
    distributions=(DISTRIBUTION,),
    keywords=(Text("driving behaviour", "en"), Text("speed", "en")),
    contact=Contact("Data desk", "desk@oem.example", "https://oem.example/desk"),
    period=Period(1_735_689_600_000, 1_767_225_599_999),
    languages=(ENGLISH,),
    modes=(f"{voc.MODE}/car",),
    crs="http://www.opengis.net/def/crs/EPSG/0/4326",
    version="3",
    issued_ms=1_767_225_600_000,
    modified_ms=1_767_225_600_001,
    columns=(
        Column("vehicle", privacy=Privacy.IDENTIFYING, datatype="string", nullable=False),
        Column("speed", "Vehicle.Speed", "km/h", "float", Privacy.DRIVING_BEHAVIOUR, True, (Text("Speed", "en"),)),
        Column("km", "Vehicle.TraveledDistance", "m", "uint32", Privacy.TECHNICAL),
    ),
    quality=Quality(
        rows=2440,
        vehicles=4,
        trips=14,
        trips_estimated=True,
        duplicates=2,
        period=Period(1_735_689_600_000, None),
        sampling_interval_ms=1000,
        completeness=(("vehicle", 1.0), ("speed", 0.975)),
    ),
)
RECORD = CatalogRecord("https://oem.example/records/trips", DATASET, 1_767_225_600_000, 1_767_312_000_000, (ENGLISH, GERMAN))
CATALOG = Catalog(
    iri="https://oem.example/catalog",
    titles=(Text("Example Motors' data", "en"),),
    descriptions=(Text("What our cars know.", "en"),),
    homepage="https://oem.example/",
    publisher=PUBLISHER,
    spatial=(Place(f"{voc.AUTHORITY}country/DEU"),),
    languages=(ENGLISH,),
    records=(RECORD,),
    service=SERVICE,
)

WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12).filter(lambda text: text.strip() != "")
IRIS = st.from_regex(r"(https://[a-z]{1,8}\.example|urn:[a-z]{2,8}|did:web)(/|:)[a-z0-9]{1,8}", fullmatch=True)
INSTANTS = st.integers(instants.EARLIEST_MS, instants.LATEST_MS)
COUNTS = st.integers(0, 2**53 - 1)


def texts(min_size: int = 0) -> st.SearchStrategy[tuple[Text, ...]]:
    one = st.builds(Text, WORDS, st.sampled_from([*sorted(voc.LANGUAGES), "de-ch", "fr-be"]))
    return st.lists(one, min_size=min_size, max_size=2, unique_by=lambda text: text.language).map(tuple)


def some(each: st.SearchStrategy[Any], min_size: int = 0) -> st.SearchStrategy[Any]:
    return st.lists(each, min_size=min_size, max_size=2).map(tuple)


def maybe(each: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | each


def degrees(limit: int) -> st.SearchStrategy[float]:
    return st.floats(-limit, limit, allow_nan=False)


PERIODS = st.builds(Period, maybe(INSTANTS), maybe(INSTANTS)).filter(lambda period: period != Period())
BOXES = st.builds(Box, degrees(180), degrees(90), degrees(180), degrees(90))
PLACES = st.builds(Place, IRIS, texts(), maybe(BOXES)) | st.builds(Place, st.none(), texts(), BOXES)
CHECKSUMS = st.builds(
    Checksum, st.sampled_from(("sha1", "sha256")), st.binary(min_size=20, max_size=32).map(lambda digest: digest.hex())
)
SERVICES = st.builds(DataService, IRIS, texts(), IRIS, maybe(IRIS))
DISTRIBUTIONS = st.builds(
    Distribution,
    iri=IRIS,
    transfer=st.sampled_from(("HttpData-PULL", "HttpData-PUSH")),
    titles=texts(),
    access_url=maybe(IRIS),
    file_type=maybe(st.sampled_from(sorted(voc.FILE_TYPES))),
    media_type=maybe(st.sampled_from(sorted(voc.FILE_TYPES.values()))),
    rights=maybe(st.builds(RightsStatement, some(st.sampled_from(sorted(voc.CONDITIONS)), 1), texts())),
    standard=maybe(st.builds(Standard, st.sampled_from(sorted(voc.STANDARDS)), maybe(WORDS), maybe(IRIS))),
    service=SERVICES,
    license=maybe(IRIS),
    byte_size=maybe(COUNTS),
    checksums=some(CHECKSUMS),
)
COLUMNS = st.builds(
    Column,
    name=WORDS,
    path=maybe(WORDS),
    unit=maybe(WORDS),
    datatype=maybe(st.sampled_from(("float", "string[]", "uint32"))),
    privacy=maybe(st.sampled_from(Privacy)),
    nullable=st.booleans(),
    descriptions=texts(),
)
QUALITIES = st.builds(
    Quality,
    rows=COUNTS,
    vehicles=maybe(COUNTS),
    vehicles_estimated=st.booleans(),
    trips=maybe(COUNTS),
    trips_estimated=st.booleans(),
    duplicates=COUNTS,
    period=maybe(PERIODS),
    sampling_interval_ms=maybe(COUNTS),
    completeness=some(st.tuples(WORDS, st.floats(0, 1))),
)
DATASETS = st.builds(
    Dataset,
    iri=IRIS,
    titles=texts(),
    descriptions=texts(),
    publisher=maybe(st.builds(Agent, IRIS, texts(), maybe(IRIS), maybe(st.just("a@b.example")))),
    frequency=maybe(st.sampled_from(sorted(voc.FREQUENCIES))),
    spatial=some(PLACES),
    themes=some(st.sampled_from(sorted(voc.THEMES))),
    distributions=some(DISTRIBUTIONS, 1),
    keywords=texts(),
    contact=maybe(st.builds(Contact, WORDS, st.just("a@b.example"), maybe(IRIS))),
    period=maybe(PERIODS),
    languages=some(st.sampled_from(sorted(voc.LANGUAGES.values()))),
    modes=some(st.sampled_from(sorted(voc.MODES))),
    crs=maybe(IRIS),
    version=maybe(WORDS),
    issued_ms=maybe(INSTANTS),
    modified_ms=maybe(INSTANTS),
    columns=some(COLUMNS),
    quality=maybe(QUALITIES),
)
