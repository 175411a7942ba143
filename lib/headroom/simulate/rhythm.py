"""How the load of a service runs through a day and a week of its region's local time."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from headroom.freq import DAY
from headroom.simulate.draws import Floats, Integers

SUNDAY = 6
_EPOCH_WEEKDAY = 3  # 1 January 1970 was a Thursday


@dataclass(frozen=True)
class Rhythm:
    """Load by local hour on weekdays and at weekends, and the weight of each day from Monday on.

    A holiday runs like a Sunday, times `holiday`. `live`: share of a live event's audience that
    reaches the service.
    """

    weekday: tuple[float, ...]
    weekend: tuple[float, ...]
    days: tuple[float, ...]
    holiday: float
    live: float


# fmt: off
EVENING = Rhythm(  # people at home: a film after dinner
    weekday=(.45, .32, .24, .20, .18, .20, .28, .38, .44, .47, .50, .54,
             .58, .58, .57, .60, .66, .74, .84, .95, 1.0, .96, .82, .62),
    weekend=(.55, .42, .32, .25, .22, .22, .26, .34, .45, .56, .64, .70,
             .74, .76, .77, .79, .82, .87, .93, .98, 1.0, .95, .82, .66),
    days=(.92, .91, .92, .94, 1.01, 1.09, 1.10), holiday=1.02, live=1.0,
)
OFFICE = Rhythm(  # people at work
    weekday=(.10, .08, .07, .07, .08, .12, .22, .45, .78, .95, 1.0, .96,
             .80, .90, .97, .94, .86, .68, .42, .28, .22, .18, .14, .12),
    weekend=(.09, .08, .07, .07, .07, .08, .10, .13, .17, .21, .23, .23,
             .22, .22, .22, .21, .20, .18, .16, .15, .14, .13, .11, .10),
    days=(1.03, 1.05, 1.04, 1.01, .92, .85, .80), holiday=0.9, live=0.0,
)
NIGHT = Rhythm(  # batches that wait for the night
    weekday=(.66, .90, 1.0, 1.0, .96, .86, .62, .36, .22, .16, .14, .13,
             .13, .13, .13, .14, .15, .16, .17, .18, .20, .25, .34, .48),
    weekend=(.60, .84, .96, .98, .92, .80, .56, .32, .20, .15, .13, .12,
             .12, .12, .12, .13, .14, .15, .16, .17, .19, .23, .32, .44),
    days=(1.0, 1.02, 1.03, 1.02, 1.0, .88, .82), holiday=1.0, live=0.0,
)
STEADY = Rhythm(  # what every other service calls all day
    weekday=(.74, .70, .67, .65, .64, .65, .69, .75, .80, .84, .87, .89,
             .91, .91, .91, .92, .93, .95, .97, .99, 1.0, .98, .91, .82),
    weekend=(.76, .72, .68, .66, .65, .65, .68, .73, .79, .84, .88, .91,
             .92, .93, .93, .94, .95, .96, .98, .99, 1.0, .98, .92, .84),
    days=(.97, .97, .97, .98, 1.0, 1.03, 1.03), holiday=1.0, live=0.3,
)
# fmt: on
RHYTHMS = {"evening": EVENING, "office": OFFICE, "night": NIGHT, "steady": STEADY}


def local_seconds(time_zone: str, seconds: Integers) -> Integers:
    """The wall clock of a zone at UTC epoch seconds, as if the wall clock were UTC."""
    clock = pd.to_datetime(seconds, unit="s", utc=True).tz_convert(time_zone).tz_localize(None)
    local: Integers = clock.to_numpy().astype("datetime64[s]").astype(np.int64)
    return local


def relative_load(
    rhythm: Rhythm, local: Integers, *, phase_hours: float, sharpness: float, holidays: Integers
) -> Floats:
    """Load at local times, 1 at the peak of an average day; `holidays` are local days.

    `phase_hours` shifts the day, `sharpness` above 1 deepens the valley.
    """
    day = local // DAY
    hour = (local % DAY) / 3600.0 - phase_hours
    is_holiday = np.isin(day, holidays)
    weekday = np.where(is_holiday, SUNDAY, (day + _EPOCH_WEEKDAY) % 7)
    hours = np.arange(24.0)
    on_weekdays = np.interp(hour, hours, rhythm.weekday, period=24.0)
    at_weekends = np.interp(hour, hours, rhythm.weekend, period=24.0)
    shape = np.where(weekday >= SUNDAY - 1, at_weekends, on_weekdays) ** sharpness
    weight = np.asarray(rhythm.days)[weekday] * np.where(is_holiday, rhythm.holiday, 1.0)
    load: Floats = shape * weight
    return load
