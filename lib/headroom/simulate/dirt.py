"""What is wrong in telemetry, step by step: decided once, applied to rows and counted as truth.

A step has at most one fault, so that each is attributable.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headroom.freq import DAY
from headroom.simulate.draws import Floats, Integers, draw, draw_log, uniforms
from headroom.simulate.fleet import HOUR, Group
from headroom.simulate.signals import CPU, LATENCY, REQUESTS

Codes = NDArray[np.int32]

CLEAN = 0
GAP = 1  # no row
GAP_RUN = 2  # no rows for some hours
DUPLICATE = 3  # the same row twice
CONFLICT = 4  # a first value, too low as a rule, then the right one
LATE = 5  # the row comes after younger ones
NO_VALUE = 6  # '', 'NaN' or 'null' instead of the value
NOT_A_NUMBER = 7  # '12,5 n/a' instead of the value
BAD_TIMESTAMP = 8  # a time that no calendar knows
FUTURE = 9  # fifty years too late
NEGATIVE = 10  # a count below zero
UNIT_JUMP = 11  # a thousand times the value
FLAT_LINE = 12  # a sensor that repeats one value

KINDS = {
    GAP: "dirt_gap",
    GAP_RUN: "dirt_gap_run",
    DUPLICATE: "dirt_duplicate",
    CONFLICT: "dirt_conflict",
    LATE: "dirt_late",
    NO_VALUE: "dirt_no_value",
    NOT_A_NUMBER: "dirt_not_a_number",
    BAD_TIMESTAMP: "dirt_bad_timestamp",
    FUTURE: "dirt_future",
    NEGATIVE: "dirt_negative",
    UNIT_JUMP: "dirt_unit_jump",
    FLAT_LINE: "dirt_flat_line",
}
LOCAL_TIME = "dirt_local_time"  # of the whole item: timestamps in local time with its offset
COUNTER_RESET = "dirt_counter_reset"

# Shares of the steps that single faults hit; what is left over are gaps.
_MIX = (
    (DUPLICATE, 0.22),
    (LATE, 0.20),
    (CONFLICT, 0.12),
    (NO_VALUE, 0.12),
    (NOT_A_NUMBER, 0.03),
    (BAD_TIMESTAMP, 0.02),
    (FUTURE, 0.02),
    (NEGATIVE, 0.02),
    (GAP, 0.25),
)
_FORTNIGHT = 14 * DAY
FUTURE_SHIFT = 18_262 * DAY


@dataclass(frozen=True)
class Run:
    """Steps `first` to `last`, both included, with the same fault."""

    code: int
    first: int
    last: int


@dataclass(frozen=True)
class Rows:
    """Rows in the order in which they are written: time (UTC epoch seconds), value, fault."""

    at: Integers
    value: Floats
    code: Codes


def fault_runs(group: Group, metric: str) -> list[Run]:
    """Runs of faults of one item, in no order; the first that covers a step counts."""
    fleet = group.fleet
    if fleet.dirt == 0:
        return []
    runs = []
    broken = {"unit_jump": (LATENCY, UNIT_JUMP, 12, 36), "flat_line": (CPU, FLAT_LINE, 48, 96)}
    if group.broken_sensor and broken[group.broken_sensor][0] == metric:
        _, code, shortest, longest = broken[group.broken_sensor]
        first = int(draw(0.3, 0.7, *group.names("sensor")) * fleet.n_steps)
        runs.append(_run(group, code, first, draw(shortest, longest, *group.names("sensor", "h"))))
    for fortnight in range(-(-fleet.days * DAY // _FORTNIGHT)):
        names = group.names("gap", metric, fortnight)
        if draw(0, 1, *names) < min(1.0, 5 * fleet.dirt):
            begins = fortnight * _FORTNIGHT + draw(0, _FORTNIGHT, *names, "start")
            first = int(begins // fleet.step)
            runs.append(_run(group, GAP_RUN, first, draw_log(3, 36, *names, "hours")))
    return [run for run in runs if run.first < fleet.n_steps]


def fault_codes(group: Group, metric: str, first: int, count: int) -> Codes:
    """The fault of each of `count` steps from step `first` on, 0 where there is none."""
    fleet = group.fleet
    steps = np.arange(first, first + count)
    codes = np.zeros(count, dtype=np.int32)
    if fleet.dirt == 0:
        return codes
    hit = uniforms(group.key("dirt", metric), steps) / fleet.dirt  # below 1: uniform again
    bound = 0.0
    for code, share in _MIX:
        codes[(hit >= bound) & (hit < bound + share)] = code
        bound += share
    if metric != REQUESTS:
        codes[codes == NEGATIVE] = GAP
    for run in reversed(fault_runs(group, metric)):
        codes[(steps >= run.first) & (steps <= run.last)] = run.code
    return codes


def dirty_rows(at: Integers, values: Floats, codes: Codes, stuck: float) -> Rows:
    """The rows of one item's steps, faults applied; what is text stays for the writer to put in.

    `stuck` is the value of a flat-lined sensor.
    """
    values = np.where(codes == NEGATIVE, -1.0 - values, values)
    values = np.where(codes == UNIT_JUMP, 1000.0 * values, values)
    values = np.where(codes == FLAT_LINE, stuck, values)
    at = np.where(codes == FUTURE, at + FUTURE_SHIFT, at)
    there = np.flatnonzero((codes != GAP) & (codes != GAP_RUN))
    twice = (codes[there] == DUPLICATE) | (codes[there] == CONFLICT)
    index = np.repeat(there, np.where(twice, 2, 1))
    is_first = np.diff(index, prepend=-1) > 0
    is_early = is_first & (codes[index] == CONFLICT)
    written = np.where(is_early, _too_early(values[index]), values[index])
    order = np.argsort(codes[index] == LATE, kind="stable")
    return Rows(at[index][order], written[order], codes[index][order])


def has_local_time(group: Group) -> bool:
    """One service of twelve, in one region whose clock changes, writes local time."""
    region = min(1, group.fleet.n_regions - 1)
    is_there = group.region == group.fleet.regions[region]
    return group.fleet.dirt > 0 and group.service.index % 12 == 0 and is_there


def _too_early(values: Floats) -> Floats:
    """What a count or a mean was before all of it had arrived: never the right value."""
    early = np.where(
        values == np.round(values), np.floor(0.75 * values), np.round(0.75 * values, 6)
    )
    return np.where(values == 0, 1.0, early)


def _run(group: Group, code: int, first: int, hours: float) -> Run:
    fleet = group.fleet
    length = max(1, min(int(hours * HOUR) // fleet.step, fleet.n_steps // 5))
    return Run(code, first, min(first + length, fleet.n_steps) - 1)
