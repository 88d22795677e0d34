"""Terms of the contexts of Catena-X's policy profiles, which owners' clients name beside ODRL's; no peer's message names them.

Our own tables: names, and the namespace that each profile has for them. Imports the table of ODRL.
"""

from __future__ import annotations

from typing import Any, Final

from catalog.contexts import odrl

PROFILE_2405_URL: Final = "https://w3id.org/tractusx/policy/v1.0.0"
PROFILE_2509_URL: Final = "https://w3id.org/catenax/2025/9/policy/context.jsonld"
ODRL_URL: Final = "https://w3id.org/catenax/2025/9/policy/odrl.jsonld"
"""ODRL's context once more, under an address of theirs."""

_TRACTUSX: Final = "https://w3id.org/tractusx/v0.0.1/ns/"
_NAMES: Final = (
    *("access", "AffiliatesBpnl", "AffiliatesRegion", "ConfidentialInformationMeasures", "ConfidentialInformationSharing"),
    *("ContractReference", "ContractTermination", "DataFrequency", "DataProvisioningEndDate", "DataProvisioningEndDurationDays"),
    *("DataUsageEndDate", "DataUsageEndDefinition", "DataUsageEndDurationDays", "ExclusiveUsage", "FrameworkAgreement"),
    *("JurisdictionLocation", "JurisdictionLocationReference", "Liability", "Membership", "Precedence", "UsagePurpose"),
    *("UsageRestriction", "VersionChanges", "Warranty", "WarrantyDuration"),
)
_OF_TRACTUSX: Final = ("BusinessPartnerGroup", "BusinessPartnerNumber")


def _profile(namespace: str) -> dict[str, Any]:
    own = {name: {"@id": f"cx-policy:{name}"} for name in _NAMES}
    return {"cx-policy": namespace, "tx": _TRACTUSX} | own | {name: {"@id": f"tx:{name}"} for name in _OF_TRACTUSX}


CONTEXTS: Final[dict[str, dict[str, Any]]] = {
    PROFILE_2405_URL: _profile("https://w3id.org/catenax/policy/"),
    PROFILE_2509_URL: _profile("https://w3id.org/catenax/2025/9/policy/"),
    ODRL_URL: odrl.CONTEXT,
}
