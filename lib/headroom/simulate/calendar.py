"""What happens in the fleet at known times: live events, launches, holidays, freezes, deployments,
incidents. The world holds no live event or launch that the calendar does not know at the end of the
telemetry, so that truth beyond that end can be known in principle."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import numpy as np

from headroom.freq import DAY, WEEK
from headroom.simulate.draws import Integers, draw, draw_log, key_of, normals
from headroom.simulate.fleet import HOUR, OUTLOOK, Fleet, Region, Service
from headroom.simulate.rhythm import local_seconds

LIVE_EVENT, LAUNCH, FREEZE, HOLIDAY = "live_event", "launch", "freeze", "holiday"
INCIDENT, DEPLOYMENT = "incident", "deployment"
QUARTER = 90 * DAY
MINUTE = 60


@dataclass(frozen=True)
class Event:
    """An entry of the calendar. Times are UTC epoch seconds; an empty `service` or `region` means
    all of them. `effect` is what truly happens, `expected_lift` what the calendar says."""

    event_id: str
    kind: str
    name: str
    starts: int
    ends: int
    known: int
    service: str = ""
    region: str = ""
    effect: float = 0.0
    expected_lift: float | None = None

    def touches(self, service: str, region: str) -> bool:
        return self.service in ("", service) and self.region in ("", region)


@lru_cache(maxsize=4)
def fleet_events(fleet: Fleet) -> tuple[Event, ...]:
    """Live events, holidays, freezes and regional incidents, in order of time."""
    events = [
        *_live_events(fleet),
        *(event for region in fleet.regions for event in _holidays(fleet, region)),
        *_freezes(fleet),
        *(event for region in fleet.regions for event in _incidents(fleet, "", region)),
    ]
    return tuple(sorted(events, key=lambda event: (event.starts, event.event_id)))


@lru_cache(maxsize=64)
def service_events(fleet: Fleet, service: Service) -> tuple[Event, ...]:
    """Launches, deployments and incidents of one service, in order of time."""
    events = [
        *_launches(fleet, service.name),
        *_deployments(fleet, service.name),
        *(event for region in fleet.regions for event in _incidents(fleet, service.name, region)),
    ]
    return tuple(sorted(events, key=lambda event: (event.starts, event.event_id)))


def holiday_days(region: Region, first: int, last: int) -> Integers:
    """Local days since 1970 that are holidays of the region, in the years of two UTC times."""
    years = range(_year(first) - 1, _year(last) + 2)
    days = [
        np.datetime64(f"{year}-{month:02d}-{day:02d}", "D").astype(np.int64)
        for year in years
        for month, day, _ in region.holidays
    ]
    return np.asarray(days, dtype=np.int64)


def _windows(first: int, last: int, length: int) -> range:
    """Numbers of the absolute windows of `length` seconds that meet [first, last)."""
    return range(first // length, -(-last // length))


def _live_events(fleet: Fleet) -> Iterator[Event]:
    """About three in two weeks, half of them for the whole fleet, on the evening of a region."""
    for week in _windows(fleet.start - WEEK, fleet.end + OUTLOOK, WEEK):
        for number in range(3):
            names = (fleet.seed, LIVE_EVENT, week, number)
            if draw(0, 1, *names, "happens") > 0.5:
                continue
            region = fleet.regions[int(draw(0, len(fleet.regions), *names, "region"))]
            evening = week * WEEK + int(draw(0, 7, *names, "day")) * DAY + 20 * HOUR
            starts = evening - _utc_offset(region, evening) + _half_hours(-4, 3, *names, "hour")
            known = starts - int(draw(14, 120, *names, "lead")) * DAY
            if starts < fleet.start - WEEK or known > fleet.end:
                continue
            effect = 0.2 + 1.8 * draw(0, 1, *names, "effect") ** 3
            yield Event(
                event_id=f"{LIVE_EVENT}-{week}-{number}",
                kind=LIVE_EVENT,
                name=f"Live final {week % 100}{'ABC'[number]}",
                starts=starts,
                ends=starts + _half_hours(2, 7, *names, "length"),
                known=known,
                region="" if draw(0, 1, *names, "scope") < 0.5 else region.name,
                effect=effect,
                expected_lift=_expectation(effect, *names),
            )


def _launches(fleet: Fleet, service: str) -> Iterator[Event]:
    """A new feature or market in about one quarter of three: a step, then a ramp, that stays."""
    for quarter in _windows(fleet.start, fleet.end + OUTLOOK, QUARTER):
        names = (fleet.seed, LAUNCH, service, quarter)
        day = quarter * QUARTER + int(draw(0, 90, *names, "day")) * DAY
        starts = day + 10 * HOUR
        known = starts - int(draw(28, 63, *names, "lead")) * DAY
        if draw(0, 1, *names, "happens") > 0.35 or starts < fleet.start or known > fleet.end:
            continue
        effect = draw(0.06, 0.30, *names, "effect")
        yield Event(
            event_id=f"{LAUNCH}-{service}-{quarter}",
            kind=LAUNCH,
            name=f"Launch of {service} {quarter % 100}.0",
            starts=starts,
            ends=starts + int(draw(7, 21, *names, "ramp")) * DAY,
            known=known,
            service=service,
            effect=effect,
            expected_lift=_expectation(effect, *names),
        )


def _holidays(fleet: Fleet, region: Region) -> Iterator[Event]:
    """Each a local day, known for a year."""
    last = fleet.end + OUTLOOK
    for year in range(_year(fleet.start), _year(last) + 1):
        for month, day, name in region.holidays:
            midnight = int(np.datetime64(f"{year}-{month:02d}-{day:02d}", "s").astype(np.int64))
            starts = midnight - _utc_offset(region, midnight)
            if fleet.start <= starts < last:
                yield Event(
                    event_id=f"{HOLIDAY}-{region.name}-{year}-{month:02d}-{day:02d}",
                    kind=HOLIDAY,
                    name=name,
                    starts=starts,
                    ends=starts + DAY,
                    known=starts - 365 * DAY,
                    region=region.name,
                )


def _freezes(fleet: Fleet) -> Iterator[Event]:
    """No deployments over the turn of the year, and four days in late June."""
    for year in range(_year(fleet.start) - 1, _year(fleet.end + OUTLOOK) + 1):
        for name, month_day, days in (("Midyear", "06-26", 4), ("Year-end", "12-18", 17)):
            starts = int(np.datetime64(f"{year}-{month_day}", "s").astype(np.int64))
            if starts + days * DAY > fleet.start and starts < fleet.end + OUTLOOK:
                yield Event(
                    event_id=f"{FREEZE}-{year}-{month_day}",
                    kind=FREEZE,
                    name=f"{name} freeze {year}",
                    starts=starts,
                    ends=starts + days * DAY,
                    known=starts - 200 * DAY,
                )


def _deployments(fleet: Fleet, service: str) -> Iterator[Event]:
    """About two in three weeks, from Tuesday to Thursday, never in a freeze; recorded when done."""
    freezes = [event for event in fleet_events(fleet) if event.kind == FREEZE]
    for week in _windows(fleet.start, fleet.end, WEEK):
        names = (fleet.seed, DEPLOYMENT, service, week)
        # Absolute weeks begin on Thursday; five days on is Tuesday.
        day = week * WEEK + int(draw(5, 8, *names, "day")) * DAY
        starts = day + int(draw(9 * 60, 16 * 60, *names, "minute")) * MINUTE
        frozen = any(freeze.starts <= starts < freeze.ends for freeze in freezes)
        if frozen or draw(0, 1, *names, "happens") > 0.66 or not fleet.start <= starts < fleet.end:
            continue
        yield deployment(
            f"{DEPLOYMENT}-{service}-{week}", f"{service} build {week}", starts, service
        )


def deployment(event_id: str, name: str, starts: int, service: str, region: str = "") -> Event:
    """A deployment of forty minutes that lifts latency while it runs."""
    ends = starts + 40 * MINUTE
    return Event(event_id, DEPLOYMENT, name, starts, ends, ends, service, region, effect=0.25)


def _incidents(fleet: Fleet, service: str, region: Region) -> Iterator[Event]:
    """In one month of three for a service in a region; one in eight for a region as a whole."""
    chance = 0.33 if service else 0.12
    for month in _windows(fleet.start, fleet.end, 30 * DAY):
        names = (fleet.seed, INCIDENT, service, region.name, month)
        starts = month * 30 * DAY + int(draw(0, 30 * DAY // MINUTE, *names, "start")) * MINUTE
        if draw(0, 1, *names, "happens") > chance or not fleet.start <= starts < fleet.end:
            continue
        yield Event(
            event_id="-".join(filter(None, (INCIDENT, service, region.name, str(month)))),
            kind=INCIDENT,
            name=f"{service or 'Network'} degraded in {region.name}",
            starts=starts,
            ends=starts + int(draw_log(30, 360, *names, "length")) * MINUTE,
            known=starts + int(draw(4, 30, *names, "seen")) * MINUTE,
            service=service,
            region=region.name,
            effect=draw_log(0.03, 0.5, *names, "effect"),
        )


def _expectation(effect: float, *names: str | int) -> float | None:
    """What planners say: nothing in one case of five, else within about a quarter of the truth."""
    if draw(0, 1, *names, "silent") < 0.2:
        return None
    error = float(normals(key_of(*names, "error"), np.zeros(1, dtype=np.int64))[0])
    return max(0.05, round(effect * float(np.exp(0.2 * error)) * 20) / 20)


def _half_hours(low: int, high: int, *names: str | int) -> int:
    return int(np.floor(draw(low, high, *names))) * HOUR // 2


def _utc_offset(region: Region, local: int) -> int:
    """Seconds that the region's clock is ahead of UTC, near a local time."""
    utc = np.asarray([local], dtype=np.int64)
    return int((local_seconds(region.time_zone, utc) - utc)[0])


def _year(seconds: int) -> int:
    return datetime.fromtimestamp(seconds, UTC).year
