"""Controlled vocabularies that a record draws on, as literal tables: nothing is looked up at run time.

mobilityDCAT-AP's are its published tables (mobility-theme 1.1.1, conditions-for-access-and-usage 1.1.0, mobility-data-standard,
transport-mode); the European Union's are the part of its authority tables that vehicle data needs. None has a concept for driving
behaviour or vehicle health: those are `other`, with keywords and the schema of the signals. Imports nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

MOBILITY: Final = "https://w3id.org/mobilitydcat-ap/"
AUTHORITY: Final = "http://publications.europa.eu/resource/authority/"
NUTS: Final = "http://data.europa.eu/nuts"

THEME: Final = f"{MOBILITY}mobility-theme"
CONDITION: Final = f"{MOBILITY}conditions-for-access-and-usage"
STANDARD: Final = f"{MOBILITY}mobility-data-standard"
MODE: Final = f"{MOBILITY}transport-mode"
FREQUENCY: Final = f"{AUTHORITY}frequency"
FILE_TYPE: Final = f"{AUTHORITY}file-type"
LANGUAGE: Final = f"{AUTHORITY}language"
DATA_THEME: Final = f"{AUTHORITY}data-theme"
TRANSPORT: Final = f"{DATA_THEME}/TRAN"

SCHEMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        THEME: "Mobility theme",
        CONDITION: "Conditions for access and usage",
        STANDARD: "Mobility data standard",
        MODE: "Transport mode",
        FREQUENCY: "Frequency",
        FILE_TYPE: "File type",
        LANGUAGE: "Language",
        DATA_THEME: "Data theme",
        f"{AUTHORITY}country": "Country",
        f"{AUTHORITY}place": "Place",
        f"{AUTHORITY}continent": "Continent",
        NUTS: "NUTS",
    }
)
"""Scheme -> its English title. A concept belongs to the scheme that its IRI begins with."""


def _concepts(scheme: str, names: Iterable[str]) -> dict[str, str]:
    return {f"{scheme}/{name}": name.replace("-", " ").capitalize() for name in names}


_THEMES: Final = (
    # The categories.
    "air-and-space-travel cycle-network-data dynamic-traffic-signs-and-regulations filling-and-charging-stations "
    "freight-and-logistics general-information-for-trip-planning other parking-service-and-rest-area-information "
    "pedestrian-network-data public-transport-non-scheduled-transport public-transport-scheduled-transport "
    "real-time-traffic-data road-events-and-conditions road-work-information sharing-and-hiring-services "
    "static-road-network-data static-traffic-signs-and-regulations toll-information waterways-and-water-bodies "
    # Traffic and roads.
    "current-travel-times expected-delays location-and-length-of-queues predicted-travel-times speed traffic-volume "
    "traffic-data-at-border-crossings-to-third-countries waiting-time-at-border-crossings-to-non-eu-member-states "
    "accidents-and-incidents poor-road-conditions road-weather-conditions long-term-road-works short-term-road-works "
    "geometry gradients junctions number-of-lanes road-classification road-width network-closures-diversions "
    "network-detailed-attributes network-geometry-and-lane-character pedestrian-accessibility-facilities "
    "pedestrian-network-geometry bridge-closures-and-access-conditions direction-of-travel-on-reversible-lanes "
    "dynamic-overtaking-bans-on-heavy-goods-vehicles dynamic-speed-limits lane-closures-and-access-conditions "
    "other-access-restrictions-and-traffic-regulations other-temporary-traffic-management-measures-or-plans "
    "road-closures-and-access-conditions tunnel-closures-and-access-conditions bridge-access-conditions "
    "other-static-traffic-signs other-traffic-regulations permanent-access-restrictions speed-limits "
    "traffic-circulation-plans tunnel-access-conditions applicable-road-user-charges-and-payment-methods "
    "identification-of-tolled-roads location-of-tolling-stations payment-methods-for-tolls "
    # Energy, parking, freight, planning.
    "availability-of-charging-points-for-electric-vehicles availability-of-filling-stations "
    "location-and-conditions-of-charging-points location-and-conditions-of-filling-stations availability-of-delivery-areas "
    "freight-delivery-regulations location-of-delivery-areas address-identifiers parameters-needed-to-calculate-costs "
    "parameters-needed-to-calculate-environmental-factors points-of-interest topographic-places bike-parking-locations "
    "car-parking-availability car-parking-locations-and-conditions park-and-ride-stops service-and-rest-area-availability "
    "service-and-rest-area-locations-and-conditions truck-parking-availability truck-parking-locations-and-conditions "
    # Public transport and sharing.
    "accesibility-information-for-vehicles fares locations-and-stations provider-data reservation-and-purchase-options "
    "service-areas-and-service-times environmental-standards-for-vehicles basic-commercial-conditions "
    "basic-common-standard-fares common-fare-products connection-links disruptions-delays-cancellations hours-of-operation "
    "network-topology-and-routes-lines operational-calendar passenger-classes planned-interchanges-between-scheduled-services "
    "purchase-information real-time-estimated-departure-and-arrival-times special-fare-products "
    "stop-facilities-accessibility-and-paths-within-facility stop-facilities-geometry-and-map-layout "
    "stop-facilities-location-and-features stop-facilities-status-of-features timetables-static transport-operators "
    "vehicle-details bike-hiring-availability bike-hiring-stations bike-sharing-availability "
    "bike-sharing-locations-and-stations car-hiring-availability car-hiring-stations car-sharing-availability "
    "car-sharing-locations-and-stations e-scooter-sharing-availability e-scooter-sharing-locations-and-stations payment-methods"
)
_CONDITIONS: Final = (
    "contractual-arrangement contractual-arrangement-fee-required contractual-arrangement-free-of-charge fee-required "
    "free-of-charge licence-provided licence-provided-fee-required licence-provided-free-of-charge other royalty-free"
)
_STANDARDS: Final = "c-its datex-II dino gbfs gml gtfs gtfs-rt inspire netex ocit-c ocpi other siri tn-its tpegml"
_MODES: Final = (
    "air bicycle bike-hire bike-sharing bus car car-hire car-pooling car-sharing e-scooter long-distance-coach "
    "long-distance-rail maritime metro-subway-train motorcycle other pedestrian regional-and-local-rail ride-pooling "
    "shuttle-bus shuttle-ferry taxi tram-light-rail truck"
)
_FREQUENCIES: Final = (
    "UPDATE_CONT CONT 1MIN 5MIN 10MIN 15MIN 30MIN HOURLY BIHOURLY TRIHOURLY 12HRS DAILY_2 DAILY WEEKLY_3 "
    "WEEKLY_2 WEEKLY BIWEEKLY MONTHLY_3 MONTHLY_2 MONTHLY BIMONTHLY QUARTERLY ANNUAL_3 ANNUAL_2 ANNUAL BIENNIAL TRIENNIAL "
    "QUADRENNIAL QUINQUENNIAL DECENNIAL BIDECENNIAL TRIDECENNIAL IRREG AS_NEEDED NOT_PLANNED NEVER UNKNOWN OTHER"
)
_MEDIA_TYPES: Final = {
    "CSV": "text/csv",
    "PARQUET": "application/vnd.apache.parquet",
    "JSON": "application/json",
    "JSON_LD": "application/ld+json",
    "GEOJSON": "application/geo+json",
    "XML": "application/xml",
    "ZIP": "application/zip",
    "GZIP": "application/gzip",
    "TSV": "text/tab-separated-values",
    "TXT": "text/plain",
    "XLSX": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "BIN": "application/octet-stream",
}
_LANGUAGES: Final = (
    "bg:BUL cs:CES da:DAN de:DEU el:ELL en:ENG es:SPA et:EST fi:FIN fr:FRA ga:GLE hr:HRV hu:HUN it:ITA lt:LIT lv:LAV mt:MLT "
    "nl:NLD pl:POL pt:POR ro:RON sk:SLK sl:SLV sv:SWE"
)

THEMES: Final[Mapping[str, str]] = MappingProxyType(_concepts(THEME, _THEMES.split()))
CONDITIONS: Final[Mapping[str, str]] = MappingProxyType(_concepts(CONDITION, _CONDITIONS.split()))
STANDARDS: Final[Mapping[str, str]] = MappingProxyType({f"{STANDARD}/{name}": name for name in _STANDARDS.split()})
MODES: Final[Mapping[str, str]] = MappingProxyType(_concepts(MODE, _MODES.split()))
FREQUENCIES: Final[Mapping[str, str]] = MappingProxyType({f"{FREQUENCY}/{name}": name for name in _FREQUENCIES.split()})
FILE_TYPES: Final[Mapping[str, str]] = MappingProxyType({f"{FILE_TYPE}/{name}": kind for name, kind in _MEDIA_TYPES.items()})
"""File type -> media type."""
LANGUAGES: Final[Mapping[str, str]] = MappingProxyType(
    {tag: f"{LANGUAGE}/{code}" for tag, _, code in (pair.partition(":") for pair in _LANGUAGES.split())}
)
"""Language tag -> IRI: the languages in which mobilityDCAT-AP 1.1 admits texts."""


def scheme_of(iri: str) -> str | None:
    """The scheme of `SCHEMES` that the concept `iri` belongs to."""
    return next((scheme for scheme in SCHEMES if iri.startswith(f"{scheme}/")), None)


def label(iri: str) -> str:
    """An English name for the concept `iri`, from its table or from its last part."""
    known = THEMES.get(iri) or CONDITIONS.get(iri) or MODES.get(iri)
    return known or iri.rstrip("/").rsplit("/", 1)[-1]
