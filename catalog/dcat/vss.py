"""What COVESA VSS 6.0 says of the signals that vehicle data is traded in: unit, data type; and our word for what they tell.

A table, because a connector needs these few and no tree of 1,700 nodes at run time. Paths, units and types are VSS's (6.0:
distances in metres, `Celsius` with a capital); the privacy class is ours. VSS has no event for harsh braking: it is derived
from `Vehicle.Acceleration.Longitudinal`. Imports the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from catalog.dcat.model import DataType, Privacy

SCHEMA: Final = "https://covesa.github.io/vehicle_signal_specification/"
VERSION: Final = "6.0"


class Signal(NamedTuple):
    """One leaf of VSS. `unit` is None for what has none."""

    unit: str | None
    datatype: DataType
    privacy: Privacy


_TECHNICAL: Final = Privacy.TECHNICAL
_BEHAVIOUR: Final = Privacy.DRIVING_BEHAVIOUR
_PLACE: Final = Privacy.LOCATION

SIGNALS: Final[Mapping[str, Signal]] = MappingProxyType(
    {
        "Vehicle.VehicleIdentification.VIN": Signal(None, "string", Privacy.IDENTIFYING),
        "Vehicle.Speed": Signal("km/h", "float", _BEHAVIOUR),
        "Vehicle.AverageSpeed": Signal("km/h", "float", _BEHAVIOUR),
        "Vehicle.TraveledDistance": Signal("m", "uint32", _TECHNICAL),
        "Vehicle.StartTime": Signal("iso8601", "string", _BEHAVIOUR),
        "Vehicle.IsMoving": Signal(None, "boolean", _BEHAVIOUR),
        "Vehicle.CurrentLocation.Timestamp": Signal("iso8601", "string", _PLACE),
        "Vehicle.CurrentLocation.Latitude": Signal("degrees", "double", _PLACE),
        "Vehicle.CurrentLocation.Longitude": Signal("degrees", "double", _PLACE),
        "Vehicle.CurrentLocation.Heading": Signal("degrees", "double", _PLACE),
        "Vehicle.Acceleration.Longitudinal": Signal("m/s^2", "float", _BEHAVIOUR),
        "Vehicle.Acceleration.Lateral": Signal("m/s^2", "float", _BEHAVIOUR),
        "Vehicle.Chassis.Brake.PedalPosition": Signal("percent", "uint8", _BEHAVIOUR),
        "Vehicle.Chassis.Accelerator.PedalPosition": Signal("percent", "uint8", _BEHAVIOUR),
        "Vehicle.ADAS.ABS.IsEngaged": Signal(None, "boolean", _BEHAVIOUR),
        "Vehicle.ADAS.ESC.IsEngaged": Signal(None, "boolean", _BEHAVIOUR),
        "Vehicle.ADAS.EBA.IsEngaged": Signal(None, "boolean", _BEHAVIOUR),
        "Vehicle.Driver.DistractionLevel": Signal("percent", "float", _BEHAVIOUR),
        "Vehicle.Driver.FatigueLevel": Signal("percent", "float", _BEHAVIOUR),
        "Vehicle.Cabin.Seat.Row1.DriverSide.IsBelted": Signal(None, "boolean", _BEHAVIOUR),
        "Vehicle.Powertrain.TractionBattery.StateOfCharge.Current": Signal("percent", "float", _TECHNICAL),
        "Vehicle.Powertrain.TractionBattery.StateOfCharge.Displayed": Signal("percent", "float", _TECHNICAL),
        "Vehicle.Powertrain.TractionBattery.StateOfCharge.CurrentEnergy": Signal("kWh", "float", _TECHNICAL),
        "Vehicle.Powertrain.TractionBattery.StateOfHealth": Signal("percent", "float", _TECHNICAL),
        "Vehicle.Powertrain.TractionBattery.Charging.IsCharging": Signal(None, "boolean", _TECHNICAL),
        "Vehicle.Powertrain.TractionBattery.Charging.ChargeRate": Signal("km/h", "float", _TECHNICAL),
        "Vehicle.Powertrain.TractionBattery.ErrorCodes": Signal(None, "string[]", _TECHNICAL),
        "Vehicle.Powertrain.Range": Signal("m", "uint32", _TECHNICAL),
        "Vehicle.Powertrain.CombustionEngine.Speed": Signal("rpm", "float", _BEHAVIOUR),
        "Vehicle.Powertrain.CombustionEngine.MAF": Signal("g/s", "uint16", _TECHNICAL),
        "Vehicle.Diagnostics.DTCCount": Signal(None, "uint8", _TECHNICAL),
        "Vehicle.Diagnostics.DTCList": Signal(None, "string[]", _TECHNICAL),
        "Vehicle.Service.IsServiceDue": Signal(None, "boolean", _TECHNICAL),
        "Vehicle.Service.DistanceToService": Signal("km", "float", _TECHNICAL),
        "Vehicle.Service.TimeToService": Signal("s", "int32", _TECHNICAL),
        "Vehicle.Exterior.AirTemperature": Signal("Celsius", "float", Privacy.NONE),
    }
)
"""VSS path -> signal."""
