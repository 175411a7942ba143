"""Frequencies: `5min`, `h`, `D`, `7D`, `W`, `MS`. What a step is, and which seasons it may have."""

import re
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from headroom.errors import ConfigError

_FREQ = re.compile(r"^([1-9][0-9]*)?(s|min|h|D|W|MS)$")

SECONDS = {"s": 1, "min": 60, "h": 3600, "D": 86_400, "W": 7 * 86_400}
DAY = SECONDS["D"]
WEEK = SECONDS["W"]
_MOST_STEPS_AHEAD = 288  # unless asked for: a day of 5 minutes


@dataclass(frozen=True)
class Freq:
    """`count` times `unit`. Months (`MS`) have no fixed length; all other units do."""

    count: int
    unit: str

    @property
    def is_monthly(self) -> bool:
        return self.unit == "MS"

    @cached_property
    def seconds(self) -> int:
        """Length of a step; for months the mean length, which is good for ratios only."""
        return 2_629_746 * self.count if self.is_monthly else SECONDS[self.unit] * self.count

    @cached_property
    def seasons(self) -> tuple[int, ...]:
        """Season lengths in steps, shortest first: day and week below a day, week for days,
        year for months and weeks. Empty where a step has none."""
        if self.is_monthly:
            return (12 // self.count,) if 12 % self.count == 0 and self.count < 12 else ()
        candidates = (DAY, WEEK) if self.seconds < DAY else (WEEK, 52 * WEEK)
        lengths = [length // self.seconds for length in candidates if length % self.seconds == 0]
        return tuple(length for length in lengths if length > 1)

    @property
    def usual_horizon(self) -> int:
        """Steps ahead, if nobody says how many: a day of minutes (no more than 288), two days of
        hours, two weeks of days, a quarter of weeks, a year of months."""
        if self.is_monthly:
            return max(12 // self.count, 1)
        if self.seconds < SECONDS["h"]:
            return min(DAY // self.seconds, _MOST_STEPS_AHEAD)
        span = 2 * DAY if self.seconds < DAY else 2 * WEEK if self.seconds < WEEK else 13 * WEEK
        return max(span // self.seconds, 1)

    def timestamps(self, start: np.datetime64, length: int) -> NDArray[np.datetime64]:
        """`length` step starts from `start` on, datetime64[s]."""
        if self.is_monthly:
            months = start.astype("datetime64[M]") + self.count * np.arange(length)
            return months.astype("datetime64[s]")
        return start.astype("datetime64[s]") + np.arange(length) * np.timedelta64(self.seconds, "s")


@cache
def parse_freq(text: str) -> Freq:
    """The frequency that `text` names. Raises ConfigError."""
    match = _FREQ.match(text)
    if not match:
        raise ConfigError(f"{text!r} is no frequency; use 30s, 5min, h, D, 7D, W or MS")
    return Freq(int(match.group(1) or 1), match.group(2))
