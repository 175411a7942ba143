"""Several series side by side, right-aligned, as the numerics want them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from headroom.errors import SchemaError
from headroom.freq import Freq, parse_freq

Floats = NDArray[np.float64]

RATIO, PERCENT_UNITS = "ratio", ("percent", "%")

# Kinds that a calendar announces. What happens unannounced (incident, deployment) is no covariate.
EVENT_KINDS = ("live_event", "launch", "freeze", "holiday")


@dataclass(frozen=True)
class Events:
    """Announced events of each series, padded: arrays (series, event) in steps of the matrix."""

    kind: NDArray[np.int64]  # position in EVENT_KINDS, -1 = padding
    first: NDArray[np.int64]
    last: NDArray[np.int64]  # inclusive
    known: NDArray[np.int64]
    lift: Floats  # 0 where not given


@dataclass(frozen=True)
class Panel:
    """Series of one frequency. `values` is (series, step), NaN where not observed or before the
    start; the last column is the last step of every series."""

    item_ids: tuple[str, ...]
    freq: Freq
    values: Floats
    lengths: NDArray[np.int64]
    starts: NDArray[np.datetime64]  # datetime64[s]
    zones: tuple[str, ...]
    codes: NDArray[np.int64]  # (series, static column), 0 = unknown
    events: Events
    ceilings: Floats  # (series,), what a share cannot exceed; infinity for what is none

    @property
    def n_steps(self) -> int:
        return int(self.values.shape[1])

    def until(self, end: int) -> "Panel":
        """The panel without its last `end` steps; shorter series keep none."""
        if end == 0:
            return self
        return replace(
            self,
            values=self.values[:, : max(self.n_steps - end, 0)],
            lengths=np.maximum(self.lengths - end, 0),
        )

    def take(self, rows: NDArray[np.int64]) -> "Panel":
        """The panel of these rows."""
        events = Events(*[getattr(self.events, name)[rows] for name in Events.__dataclass_fields__])
        return replace(
            self,
            item_ids=tuple(self.item_ids[row] for row in rows),
            values=self.values[rows],
            lengths=self.lengths[rows],
            starts=self.starts[rows],
            zones=tuple(self.zones[row] for row in rows),
            codes=self.codes[rows],
            events=events,
            ceilings=self.ceilings[rows],
        )

    def limits(self) -> tuple[Floats, Floats]:
        """What no forecast passes, (series,) each: 0 where the series was never negative, and the
        ceiling of a share that was never above it; else infinity."""
        return limits_of(self.values, self.ceilings)

    def timestamps(self, row: int, extra: int = 0) -> NDArray[np.datetime64]:
        """Step starts of one series, and of `extra` steps after its end."""
        return self.freq.timestamps(self.starts[row], int(self.lengths[row]) + extra)

    def local_seconds(self, extra: int) -> NDArray[np.int64]:
        """Seconds since 1970 on the local clock, (series, step + extra); 0 before the start."""
        local = np.zeros((len(self.item_ids), self.n_steps + extra), dtype=np.int64)
        cache: dict[tuple[Any, ...], NDArray[np.int64]] = {}
        for row, zone in enumerate(self.zones):
            length = int(self.lengths[row])
            key = (zone, self.starts[row], length)
            if key not in cache:
                cache[key] = _local(self.timestamps(row, extra), zone)
            local[row, self.n_steps - length :] = cache[key]
        return local


def _local(timestamps: NDArray[np.datetime64], zone: str) -> NDArray[np.int64]:
    index = pd.DatetimeIndex(timestamps)
    if zone not in ("", "UTC"):
        index = index.tz_localize("UTC").tz_convert(zone).tz_localize(None)
    return index.to_numpy().astype("datetime64[s]").astype(np.int64)


def panel_of(rows: Mapping[str, Sequence[Any]]) -> Panel:
    """The panel of columns of the `series` table: item_id, freq, start, target, time_zone,
    static_codes, series_events; and metric_kind and unit where they matter. Raises SchemaError for
    mixed frequencies or missing columns."""
    wanted = ("item_id", "freq", "start", "target", "time_zone", "static_codes", "series_events")
    missing = [name for name in wanted if name not in rows]
    if missing:
        raise SchemaError(f"series rows lack {missing}; they have {sorted(rows)}")
    freqs = sorted(set(rows["freq"])) or ["h"]  # of no series any frequency is true
    if len(freqs) > 1:
        raise SchemaError(f"one panel holds one frequency, got {freqs}")
    targets = [np.asarray(target, dtype=np.float64) for target in rows["target"]]
    lengths = np.array([len(target) for target in targets], dtype=np.int64)
    n_steps = int(lengths.max(initial=0))
    values = np.full((len(targets), n_steps), np.nan)
    for row, target in enumerate(targets):
        values[row, n_steps - len(target) :] = target
    return Panel(
        tuple(rows["item_id"]),
        parse_freq(freqs[0]),
        values,
        lengths,
        np.array(list(rows["start"]), dtype="datetime64[s]"),
        tuple(zone or "UTC" for zone in rows["time_zone"]),
        _codes(rows["static_codes"]),
        _events(rows["series_events"], n_steps - lengths),
        ceilings_of(*[rows.get(name, [""] * len(targets)) for name in ("metric_kind", "unit")]),
    )


def ceilings_of(kinds: Sequence[str | None], units: Sequence[str | None]) -> Floats:
    """What a metric of this kind and unit cannot exceed (series,): a ratio 1, in per cent 100."""
    most = [
        (100.0 if (unit or "").lower() in PERCENT_UNITS else 1.0) if kind == RATIO else np.inf
        for kind, unit in zip(kinds, units, strict=True)
    ]
    return np.array(most, dtype=np.float64)


def limits_of(values: Floats, ceilings: Floats) -> tuple[Floats, Floats]:
    """`Panel.limits` of a matrix (series, step) and the ceilings of its series."""
    is_seen = ~np.isnan(values)
    smallest = np.where(is_seen, values, np.inf).min(axis=1, initial=np.inf)
    largest = np.where(is_seen, values, -np.inf).max(axis=1, initial=-np.inf)
    low = np.where(smallest >= 0, 0.0, -np.inf)
    return low, np.where(largest <= ceilings, ceilings, np.inf)


def _codes(codes: Sequence[Sequence[int] | None]) -> NDArray[np.int64]:
    width = max((len(code) for code in codes if code is not None), default=0)
    matrix = np.zeros((len(codes), width), dtype=np.int64)
    for row, code in enumerate(codes):
        if code is not None:
            matrix[row, : len(code)] = code
    return matrix


def _events(events: Sequence[Any], offsets: NDArray[np.int64]) -> Events:
    known = [
        [event for event in (series or ()) if event["kind"] in EVENT_KINDS] for series in events
    ]
    shape = (len(known), max((len(series) for series in known), default=0))
    kind = np.full(shape, -1, dtype=np.int64)
    first, last, at = (np.zeros(shape, dtype=np.int64) for _ in range(3))
    lift = np.zeros(shape)
    for row, series in enumerate(known):
        for place, event in enumerate(series):
            kind[row, place] = EVENT_KINDS.index(event["kind"])
            first[row, place] = event["first_step"] + offsets[row]
            last[row, place] = event["last_step"] + offsets[row]
            at[row, place] = event["known_step"] + offsets[row]
            lift[row, place] = event["expected_lift"] or 0.0
    return Events(kind, first, last, at, lift)
