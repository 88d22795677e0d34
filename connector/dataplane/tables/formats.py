"""The headers of data sets that are read as they are: enviroCar, the two forms of KIT's OBD-II data, VED. Literal tables, no I/O.

Of two columns for one signal only one is read. A satellite receiver's speed is left out: see ``signals``.
"""

from __future__ import annotations

from collections.abc import Mapping as Map
from types import MappingProxyType
from typing import Final, NamedTuple

from connector.dataplane.tables.model import LATITUDE, LONGITUDE, SPEED, Origin, TimeColumn

FILE_NAME: Final = "filename"
"""Stands for the name of the file, where a header is asked for: of ``Mapping.trip``, and of the day in ``TimeColumn.day_one``
(with clock ``instant``: the text is a time of day and the date, YYYY-MM-DD, is in the file's name)."""

_ENGINE: Final = "Vehicle.Powertrain.CombustionEngine."
_BATTERY: Final = "Vehicle.Powertrain.TractionBattery."
_OWN: Final = "Vehicle.Private."


class Format(NamedTuple):
    """One data set: by which headers it is told, and what its columns are. ``needs``: all of them; ``not_with``: none."""

    origin: Origin
    needs: frozenset[str]
    not_with: frozenset[str]
    time: TimeColumn
    vehicle: str | None
    one_vehicle: str | None
    trip: str
    columns: Map[str, str]


_ENVIROCAR: Final = Format(
    "envirocar",
    frozenset({"track_id", "vehicle_id", "time", "lat", "lon", "speed_obd_kmh"}),
    frozenset(),
    TimeColumn("time"),
    "vehicle_id",
    None,
    "track_id",
    MappingProxyType(
        {
            "lat": LATITUDE,
            "lon": LONGITUDE,
            "speed_obd_kmh": SPEED,
            "bearing_deg": "Vehicle.CurrentLocation.Heading",
            "altitude_m": "Vehicle.CurrentLocation.Altitude",
            "rpm": _ENGINE + "Speed",
            "engine_load_pct": _OWN + "Engine.Load",
            "throttle_pct": _ENGINE + "TPS",
            "intake_temp_c": _OWN + "Engine.IntakeTemperature",
            "intake_pressure_kpa": _ENGINE + "MAP",
            "maf": _ENGINE + "MAF",
            "consumption_lh": _OWN + "FuelRate",
            "co2_kgh": _OWN + "CO2Rate",
        }
    ),
)
_KIT: Final = Format(
    "kit",
    frozenset({"trip_id", "ts", "speed_kmh", "coolant_temp_c", "accel_pedal_d_pct"}),
    frozenset({"vehicle_id", "VIN", "vin"}),
    TimeColumn("ts", zone="Europe/Berlin"),
    None,
    "kit-seat-leon",
    "trip_id",
    MappingProxyType(
        {
            "speed_kmh": SPEED,
            "coolant_temp_c": _ENGINE + "EngineCoolant.Temperature",
            "intake_map_kpa": _ENGINE + "MAP",
            "rpm": _ENGINE + "Speed",
            "intake_air_temp_c": _OWN + "Engine.IntakeTemperature",
            "maf_gs": _ENGINE + "MAF",
            "throttle_pct": _ENGINE + "TPS",
            "ambient_temp_c": "Vehicle.Exterior.AirTemperature",
            "accel_pedal_d_pct": "Vehicle.Chassis.Accelerator.PedalPosition",
            "accel_pedal_e_pct": _OWN + "Accelerator.PedalPositionSecond",
        }
    ),
)
_KIT_FILE: Final = Format(
    "kit",
    frozenset({"Time", "Vehicle Speed Sensor [km/h]", "Engine RPM [RPM]", "Accelerator Pedal Position D [%]"}),
    frozenset({"vehicle_id", "VIN", "vin"}),
    TimeColumn("Time", zone="Europe/Berlin", day_one=FILE_NAME),
    None,
    "kit-seat-leon",
    FILE_NAME,
    MappingProxyType(
        {
            "Vehicle Speed Sensor [km/h]": SPEED,
            "Engine Coolant Temperature [°C]": _ENGINE + "EngineCoolant.Temperature",
            "Intake Manifold Absolute Pressure [kPa]": _ENGINE + "MAP",
            "Engine RPM [RPM]": _ENGINE + "Speed",
            "Intake Air Temperature [°C]": _OWN + "Engine.IntakeTemperature",
            "Air Flow Rate from Mass Flow Sensor [g/s]": _ENGINE + "MAF",
            "Absolute Throttle Position [%]": _ENGINE + "TPS",
            "Ambient Air Temperature [°C]": "Vehicle.Exterior.AirTemperature",
            "Accelerator Pedal Position D [%]": "Vehicle.Chassis.Accelerator.PedalPosition",
            "Accelerator Pedal Position E [%]": _OWN + "Accelerator.PedalPositionSecond",
        }
    ),
)
_VED: Final = Format(
    "ved",
    frozenset({"DayNum", "VehId", "Trip", "Timestamp(ms)"}),
    frozenset(),
    TimeColumn("DayNum", clock="day-and-ms", zone="America/Detroit", day_one="2017-11-01", ms_header="Timestamp(ms)"),
    "VehId",
    None,
    "Trip",
    MappingProxyType(
        {
            "Latitude[deg]": LATITUDE,
            "Longitude[deg]": LONGITUDE,
            "Vehicle Speed[km/h]": SPEED,
            "MAF[g/sec]": _ENGINE + "MAF",
            "Engine RPM[RPM]": _ENGINE + "Speed",
            "Absolute Load[%]": _OWN + "Engine.Load",
            "Outside Air Temperature[DegC]": "Vehicle.Exterior.AirTemperature",
            "Fuel Rate[L/hr]": _OWN + "FuelRate",
            "Air Conditioning Power[Watts]": _OWN + "AirConditioning.Power",
            "Heater Power[Watts]": _OWN + "Heater.Power",
            "HV Battery Current[A]": _BATTERY + "CurrentCurrent",
            "HV Battery SOC[%]": _BATTERY + "StateOfCharge.Displayed",
            "HV Battery Voltage[V]": _BATTERY + "CurrentVoltage",
            "Short Term Fuel Trim Bank 1[%]": _OWN + "Engine.ShortTermFuelTrim1",
            "Short Term Fuel Trim Bank 2[%]": _OWN + "Engine.ShortTermFuelTrim2",
            "Long Term Fuel Trim Bank 1[%]": _OWN + "Engine.LongTermFuelTrim1",
            "Long Term Fuel Trim Bank 2[%]": _OWN + "Engine.LongTermFuelTrim2",
        }
    ),
)
FORMATS: Final = (_ENVIROCAR, _KIT, _KIT_FILE, _VED)
