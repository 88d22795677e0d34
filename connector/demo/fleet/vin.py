"""Vehicle identification numbers: 17 characters, the ninth of which checks the others (49 CFR 565.15, ISO 3779). Pure.

The manufacturer's part begins with 0, which no country has: none of these numbers can be a real vehicle's.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from connector.demo.fleet.chance import Array, mixed

LENGTH: Final = 17
MAKER: Final = "0CN"
LETTERS: Final = "ABCDEFGHJKLMNPRSTUVWXYZ"
"""Letters of a VIN: without I, O and Q, which look like digits."""
_SYMBOLS: Final = "0123456789" + LETTERS
_YEARS: Final = "JKLMNPRST"  # 2018 to 2026
_SERIALS: Final = 1_000_000
_WEIGHTS: Final = np.array([8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2], dtype=np.int32)
_CHECK: Final = np.frombuffer(b"0123456789X", dtype=np.uint8)
_CHECK_AT: Final = 8


def _values() -> Array:
    """The value of each ASCII character in the sum: digits as they are, letters from 1 to 9 in three rows."""
    values = np.zeros(128, dtype=np.int32)
    rows = (("ABCDEFGH", 1), ("JKLMN", 1), ("P", 7), ("R", 9), ("STUVWXYZ", 2))
    for letters, first in rows:
        for offset, letter in enumerate(letters):
            values[ord(letter)] = first + offset
    values[ord("0") : ord("9") + 1] = np.arange(10)
    return values


_VALUES: Final = _values()


def codes(numbers: Array, seed: int) -> Array:
    """The VINs of vehicles by their number, as bytes of type ``S17``: all different, and with their check digit.

    The model and the year of a vehicle come from the seed, so two seeds have (nearly always) different vehicles.
    """
    made = np.empty((len(numbers), LENGTH), dtype=np.uint8)
    bits = mixed(numbers, seed, "vin")
    symbols, letters = np.frombuffer(_SYMBOLS.encode(), np.uint8), np.frombuffer(LETTERS.encode(), np.uint8)
    years = np.frombuffer(_YEARS.encode(), np.uint8)
    made[:, :3] = np.frombuffer(MAKER.encode(), np.uint8)
    for place in range(3, 7):
        made[:, place] = symbols[(bits >> np.uint64(8 * place)).astype(np.int64) % len(symbols)]
    plants, serials = np.divmod(numbers.astype(np.int64), _SERIALS)
    made[:, 7] = symbols[plants // len(letters) % len(symbols)]
    made[:, 9] = years[(bits >> np.uint64(56)).astype(np.int64) % len(years)]
    made[:, 10] = letters[plants % len(letters)]
    for place in range(LENGTH - 1, 10, -1):
        serials, digit = np.divmod(serials, 10)
        made[:, place] = ord("0") + digit
    made[:, _CHECK_AT] = ord("0")
    made[:, _CHECK_AT] = _CHECK[_VALUES[made] @ _WEIGHTS % 11]
    return made.view(f"S{LENGTH}").ravel()
