"""One aggregate from its members, one after the other: sum, mean or largest value at every step."""

from dataclasses import dataclass, field, fields

import numpy as np

from headroom.features.grid import MICROS, Floats, Ints, natural_origin
from headroom.freq import Freq

SUM, MEAN, MAX = "sum", "mean", "max"

_LEAST_SEEN = 0.8  # of the usual size of its members; an aggregate of less is missing


def _nothing() -> Floats:
    return np.zeros(0)


@dataclass
class Totals:
    """What all members so far come to, per step of the natural grid from `first` on.

    Steps are numbered in months, or in steps from the first midnight or Monday of 1970.
    """

    freq: Freq
    first: int = 0
    sums: Floats = field(default_factory=_nothing)
    largest: Floats = field(default_factory=_nothing)  # NaN where there is no value
    n_members: Floats = field(default_factory=_nothing)
    usual: Floats = field(default_factory=_nothing)  # what the members usually come to, in size
    seen: Floats = field(default_factory=_nothing)  # the same of those with a value

    def add(self, start: np.datetime64, values: Floats) -> None:
        """Counts a member in that begins there; NaN where it has no value."""
        is_seen = np.isfinite(values)
        size = float(np.abs(values[is_seen]).mean()) if is_seen.any() else 0.0
        here = self._make_room(start, len(values))
        self.sums[here] += np.where(is_seen, values, 0.0)
        self.largest[here] = np.fmax(self.largest[here], values)
        self.n_members[here] += 1
        self.usual[here] += size
        self.seen[here] += np.where(is_seen, size, 0.0)

    def values(self, how: str) -> Floats:
        """The aggregate at each step, NaN where too much of it is missing.

        Where some members are missing, those that are there stand for all in proportion to their
        usual size.
        """
        share = np.where(self.usual > 0, self.seen / np.where(self.usual > 0, self.usual, 1), 1.0)
        is_known = (share >= _LEAST_SEEN) & np.isfinite(self.largest)
        sums = self.sums / np.where(is_known, share, 1.0)
        means = sums / np.maximum(self.n_members, 1)
        return np.where(is_known, {SUM: sums, MEAN: means, MAX: self.largest}[how], np.nan)

    def times(self) -> Ints:
        """The begin of each step, µs since 1970."""
        steps = self.first + np.arange(len(self.sums))
        if self.freq.is_monthly:
            return steps.astype("datetime64[M]").astype("datetime64[us]").astype(np.int64)
        return steps * self.freq.seconds * MICROS + natural_origin(self.freq)

    def _make_room(self, start: np.datetime64, length: int) -> slice:
        """Where the steps of a member lie, with room for them."""
        stride = self.freq.count if self.freq.is_monthly else 1
        begin = self._step_of(start)
        end = begin + stride * (length - 1) + 1
        if not len(self.sums):
            self.first = begin
        before, after = max(self.first - begin, 0), max(end - self.first - len(self.sums), 0)
        if before or after:
            self.first -= before
            for part in fields(self):
                if isinstance(array := getattr(self, part.name), np.ndarray):
                    fill = np.nan if part.name == "largest" else 0.0
                    padded = np.pad(array, (before, after), constant_values=fill)
                    setattr(self, part.name, padded)
        return slice(begin - self.first, end - self.first, stride)

    def _step_of(self, start: np.datetime64) -> int:
        if self.freq.is_monthly:
            return int(start.astype("datetime64[M]").astype(np.int64))
        micros = int(start.astype("datetime64[us]").astype(np.int64))
        return (micros - natural_origin(self.freq)) // (self.freq.seconds * MICROS)
