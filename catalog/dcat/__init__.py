"""The catalogue record: DCAT 3 as DCAT-AP 3 and mobilityDCAT-AP 1.1 profile it, as values and as JSON-LD. Pure."""
