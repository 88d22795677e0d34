"""The signals that tables are read into: type, unit and category of each path; units that headers are written in. No I/O.

Paths are VSS's where VSS 6.0 has one, else of its branch for private signals, ``Vehicle.Private``. A second speed (a satellite
receiver's beside the car's) has no path: what applies to ``Vehicle.Speed`` would not apply to it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from connector.dataplane.tables.model import ACCELERATION, LATITUDE, LONGITUDE, SPEED, Category, Type

VIN: Final = "Vehicle.VehicleIdentification.VIN"


class Signal(NamedTuple):
    """What is known of a path. ``unit`` is that of the values that are read."""

    type: Type
    unit: str | None
    category: Category


_ENGINE: Final = "Vehicle.Powertrain.CombustionEngine."
_BATTERY: Final = "Vehicle.Powertrain.TractionBattery."
_OWN: Final = "Vehicle.Private."

SIGNALS: Final[Mapping[str, Signal]] = MappingProxyType(
    {
        SPEED: Signal("number", "km/h", "driving-behaviour"),
        "Vehicle.AverageSpeed": Signal("number", "km/h", "driving-behaviour"),
        "Vehicle.IsMoving": Signal("flag", None, "driving-behaviour"),
        LATITUDE: Signal("number", "degrees", "location"),
        LONGITUDE: Signal("number", "degrees", "location"),
        "Vehicle.CurrentLocation.Heading": Signal("number", "degrees", "location"),
        "Vehicle.CurrentLocation.Altitude": Signal("number", "m", "location"),
        ACCELERATION: Signal("number", "m/s^2", "driving-behaviour"),
        "Vehicle.Acceleration.Lateral": Signal("number", "m/s^2", "driving-behaviour"),
        "Vehicle.Acceleration.Vertical": Signal("number", "m/s^2", "driving-behaviour"),
        "Vehicle.Chassis.Brake.PedalPosition": Signal("number", "percent", "driving-behaviour"),
        "Vehicle.Chassis.Accelerator.PedalPosition": Signal("number", "percent", "driving-behaviour"),
        _OWN + "Accelerator.PedalPositionSecond": Signal("number", "percent", "driving-behaviour"),
        "Vehicle.ADAS.ABS.IsEngaged": Signal("flag", None, "driving-behaviour"),
        "Vehicle.ADAS.ESC.IsEngaged": Signal("flag", None, "driving-behaviour"),
        "Vehicle.ADAS.EBA.IsEngaged": Signal("flag", None, "driving-behaviour"),
        "Vehicle.Driver.DistractionLevel": Signal("number", "percent", "driving-behaviour"),
        "Vehicle.Driver.FatigueLevel": Signal("number", "percent", "driving-behaviour"),
        "Vehicle.Cabin.Seat.Row1.DriverSide.IsBelted": Signal("flag", None, "driving-behaviour"),
        "Vehicle.TraveledDistance": Signal("number", "m", "mileage"),
        "Vehicle.TripMeterReading": Signal("number", "m", "mileage"),
        _ENGINE + "Speed": Signal("number", "rpm", "driving-behaviour"),
        _ENGINE + "MAF": Signal("number", "g/s", "diagnostics"),
        _ENGINE + "MAP": Signal("number", "kPa", "diagnostics"),
        _ENGINE + "TPS": Signal("number", "percent", "driving-behaviour"),
        _ENGINE + "EngineCoolant.Temperature": Signal("number", "Celsius", "diagnostics"),
        _OWN + "Engine.Load": Signal("number", "percent", "diagnostics"),
        _OWN + "Engine.IntakeTemperature": Signal("number", "Celsius", "diagnostics"),
        _OWN + "Engine.ShortTermFuelTrim1": Signal("number", "percent", "diagnostics"),
        _OWN + "Engine.ShortTermFuelTrim2": Signal("number", "percent", "diagnostics"),
        _OWN + "Engine.LongTermFuelTrim1": Signal("number", "percent", "diagnostics"),
        _OWN + "Engine.LongTermFuelTrim2": Signal("number", "percent", "diagnostics"),
        _OWN + "FuelRate": Signal("number", "l/h", "energy"),
        _OWN + "CO2Rate": Signal("number", "kg/h", "environment"),
        _OWN + "AirConditioning.Power": Signal("number", "W", "energy"),
        _OWN + "Heater.Power": Signal("number", "W", "energy"),
        _BATTERY + "CurrentCurrent": Signal("number", "A", "energy"),
        _BATTERY + "CurrentVoltage": Signal("number", "V", "energy"),
        _BATTERY + "StateOfCharge.Current": Signal("number", "percent", "energy"),
        _BATTERY + "StateOfCharge.Displayed": Signal("number", "percent", "energy"),
        _BATTERY + "StateOfCharge.CurrentEnergy": Signal("number", "kWh", "energy"),
        _BATTERY + "StateOfHealth": Signal("number", "percent", "energy"),
        _BATTERY + "Charging.IsCharging": Signal("flag", None, "energy"),
        _BATTERY + "Charging.ChargeRate": Signal("number", "km/h", "energy"),
        _BATTERY + "ErrorCodes": Signal("text", None, "diagnostics"),
        "Vehicle.Powertrain.Range": Signal("number", "m", "energy"),
        "Vehicle.Diagnostics.DTCCount": Signal("integer", None, "diagnostics"),
        "Vehicle.Diagnostics.DTCList": Signal("text", None, "diagnostics"),
        "Vehicle.Service.IsServiceDue": Signal("flag", None, "diagnostics"),
        "Vehicle.Service.DistanceToService": Signal("number", "km", "diagnostics"),
        "Vehicle.Service.TimeToService": Signal("number", "s", "diagnostics"),
        "Vehicle.Exterior.AirTemperature": Signal("number", "Celsius", "environment"),
    }
)
"""Path -> signal."""

_BRANCHES: Final[tuple[tuple[str, Category], ...]] = (
    ("Vehicle.CurrentLocation.", "location"),
    ("Vehicle.Cabin.Infotainment.Navigation.", "location"),
    ("Vehicle.Powertrain.TractionBattery.", "energy"),
    ("Vehicle.Powertrain.FuelSystem.", "energy"),
    ("Vehicle.Exterior.", "environment"),
    ("Vehicle.Diagnostics.", "diagnostics"),
    ("Vehicle.Service.", "diagnostics"),
    ("Vehicle.OBD.", "diagnostics"),
)
CLOSED: Final = (
    "Vehicle.VehicleIdentification.",
    "Vehicle.Driver.Identifier.",
    "Vehicle.CurrentLocation.Timestamp",
    "Vehicle.StartTime",
)
"""Beginnings of paths that no column may have: they name the car or the driver, or tell a time that is rounded nowhere."""
PATH: Final = re.compile(r"Vehicle(\.[A-Za-z][A-Za-z0-9_]{0,63}){1,12}")


def category_of(path: str) -> Category:
    """The category of a path; of one that is not known, that of its branch, or the one most carefully kept."""
    if (known := SIGNALS.get(path)) is not None:
        return known.category
    return next((category for start, category in _BRANCHES if path.startswith(start)), "driving-behaviour")


class Conversion(NamedTuple):
    """``value * factor + offset`` is in the unit asked for."""

    factor: float
    offset: float


_UNITS: Final[tuple[tuple[str, str, float, float, str], ...]] = (
    ("speed", "km/h", 1, 0, "km/h kmh kph km_h kmph kilometers_per_hour"),
    ("speed", "m/s", 3.6, 0, "m/s mps m_s m/sec ms-1"),
    ("speed", "mph", 1.609344, 0, "mph mi/h"),
    ("speed", "kn", 1.852, 0, "kn knots kt"),
    ("length", "m", 1, 0, "m metres meters metre meter"),
    ("length", "km", 1000, 0, "km kilometres kilometers"),
    ("length", "mi", 1609.344, 0, "mi miles"),
    ("length", "ft", 0.3048, 0, "ft feet"),
    ("temperature", "Celsius", 1, 0, "celsius °c degc c ℃ deg_c"),
    ("temperature", "Fahrenheit", 5 / 9, -160 / 9, "fahrenheit °f degf f deg_f"),
    ("temperature", "Kelvin", 1, -273.15, "kelvin k"),
    ("acceleration", "m/s^2", 1, 0, "m/s^2 m/s2 m/s² mps2 ms2 m_s2"),
    ("acceleration", "g", 9.80665, 0, "g"),
    ("flow of mass", "g/s", 1, 0, "g/s g/sec gs gps g_s"),
    ("flow of mass", "kg/h", 1 / 3.6, 0, "kg/h kgh kg/hr"),
    ("flow of volume", "l/h", 1, 0, "l/h l/hr lh lph l_h"),
    ("pressure", "kPa", 1, 0, "kpa"),
    ("pressure", "bar", 100, 0, "bar"),
    ("pressure", "hPa", 0.1, 0, "hpa mbar"),
    ("pressure", "psi", 6.894757, 0, "psi"),
    ("power", "W", 1, 0, "w watt watts"),
    ("power", "kW", 1000, 0, "kw"),
    ("energy", "kWh", 1, 0, "kwh"),
    ("energy", "Wh", 0.001, 0, "wh"),
    ("duration", "s", 1, 0, "s sec seconds"),
    ("duration", "ms", 0.001, 0, "ms msec milliseconds"),
    ("duration", "min", 60, 0, "min minutes"),
    ("share", "percent", 1, 0, "percent pct % perc"),
    ("rotation", "rpm", 1, 0, "rpm 1/min"),
    ("angle", "degrees", 1, 0, "degrees deg °"),
    ("current", "A", 1, 0, "a ampere amps"),
    ("voltage", "V", 1, 0, "v volt volts"),
)
_BY_SPELLING: Final = {
    spelling: (dimension, name, factor, offset)
    for dimension, name, factor, offset, spellings in _UNITS
    for spelling in spellings.split()
}
_BRACKET: Final = re.compile(r"[\[(]([^\[\]()]{1,24})[\])]\s*$")


def unit_of(header: str) -> str | None:
    """The unit that a header says, by its name in this module: in brackets at its end, or after its last underscores."""
    if (bracket := _BRACKET.search(header)) is not None:
        found = _BY_SPELLING.get(bracket[1].strip().lower())
        return found[1] if found else None
    words = header.lower().split("_")
    for count in (2, 1):
        if len(words) > count and (found := _BY_SPELLING.get("_".join(words[-count:]))) is not None:
            return found[1]
    return None


def conversion(source: str | None, target: str | None) -> Conversion | None:
    """How a value in one unit becomes one in another; None where there is nothing to do, or no way."""
    one, other = (_BY_SPELLING.get((unit or "").lower()) for unit in (source, target))
    if one is None or other is None or one[0] != other[0] or one[1] == other[1]:
        return None
    return Conversion(one[2] / other[2], (one[3] - other[3]) / other[2])
