"""Other settings and properties for the kit, made from the two files kept here: another store, name, ports, or ids.

Pure but for :func:`free_port`. The ids of one test are fixed: CN:01-02 sends its sample ids whatever it is told.
"""

from __future__ import annotations

import json
import random
import uuid
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

Table = dict[str, Any]
_PREFIX = "dataspacetck."
_FIXED = "CN_01_02_"


@dataclass(frozen=True, slots=True)
class Setup:
    """What one run needs: the settings of our connector, and the properties of the kit."""

    settings: Table
    properties: dict[str, str]

    @property
    def base_url(self) -> str:
        """Where our connector listens."""
        return self.properties[_PREFIX + "dsp.connector.http.base.url"]


def read_properties(text: str) -> dict[str, str]:
    """A properties file of the plain kind: one `key=value` a line."""
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {key.strip(): value.strip() for key, _, value in pairs}


def write_properties(properties: dict[str, str]) -> str:
    """The reverse of `read_properties`."""
    return "".join(f"{key}={value}\n" for key, value in properties.items())


def write_toml(settings: Table) -> str:
    """Settings as TOML: texts, numbers, truth values, lists and tables, the latter inline."""
    return "".join(f"{key} = {_toml(value)}\n" for key, value in settings.items())


def _toml(value: object) -> str:
    match value:
        case dict():
            return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
        case list():
            return "[" + ", ".join(_toml(item) for item in value) + "]"
        case _:
            return json.dumps(value)


def placed(setup: Setup, data_dir: Path, samples: Path, ours: int, theirs: int) -> Setup:
    """On two other ports, with everything kept in another folder."""
    own, peer = f"http://127.0.0.1:{ours}", f"http://127.0.0.1:{theirs}"
    settings = setup.settings | {
        "data_dir": str(data_dir),
        "protocol": setup.settings["protocol"] | {"port": ours, "public_url": own},
        "data": setup.settings["data"] | {"source_roots": [str(samples)]},
        "client": {"allow": [f"127.0.0.1:{theirs}"]},
        "peers": [entry | {"addresses": [peer]} for entry in setup.settings["peers"]],
    }
    datasets = [entry | {"file": str(samples / Path(entry["file"]).name)} for entry in settings["development"]["datasets"]]
    settings["development"] = settings["development"] | {"datasets": datasets}
    old_own, old_peer = setup.base_url, setup.properties[_PREFIX + "callback.address"]
    properties = {
        key: value.replace(old_own, own).replace(old_peer, peer) if key.startswith(_PREFIX) else value
        for key, value in setup.properties.items()
    }
    return Setup(settings, properties | {_PREFIX + "port": str(theirs)})


def stored_in(setup: Setup, url: str) -> Setup:
    """With another store."""
    return replace(setup, settings=setup.settings | {"store": {"url": url}})


def named(setup: Setup, participant: str) -> Setup:
    """With another participant id of ours."""
    return Setup(
        setup.settings | {"participant_id": participant},
        setup.properties | {_PREFIX + "dsp.connector.agent.id": participant},
    )


def with_random_ids(setup: Setup, seed: int) -> Setup:
    """With ids that nobody can have written rules for in advance; a rule's glob becomes one rule for each id it meant."""
    chance = random.Random(seed)  # noqa: S311 - reproducible test data
    new: dict[str, str] = {}
    for key, value in setup.properties.items():
        if key.endswith(("_DATASETID", "_OFFERID", "_AGREEMENTID")) and not key.startswith(_FIXED):
            new.setdefault(value, str(uuid.UUID(int=chance.getrandbits(128))))
    fixed = {value for key, value in setup.properties.items() if key.startswith(_FIXED)}
    subjects = sorted({value for key, value in setup.properties.items() if key.endswith(("_DATASETID", "_AGREEMENTID"))} | fixed)
    development = setup.settings["development"]
    development = development | {
        "rules": [
            rule | {"key": new.get(subject, subject)}
            for rule in development["rules"]
            for subject in subjects
            if fnmatchcase(subject, rule["key"])
        ],
        "datasets": [
            entry | {"id": new.get(entry["id"], entry["id"]), "offer_id": new.get(entry["offer_id"], entry["offer_id"])}
            for entry in development["datasets"]
        ],
        "agreements": [
            entry | {"id": new.get(entry["id"], entry["id"]), "dataset": new.get(entry["dataset"], entry["dataset"])}
            for entry in development["agreements"]
        ],
    }
    properties = {
        key: value if key.startswith((_PREFIX, _FIXED)) else new.get(value, value) for key, value in setup.properties.items()
    }
    return Setup(setup.settings | {"development": development}, properties)
