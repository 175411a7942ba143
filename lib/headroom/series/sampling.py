"""Which windows a training step sees: the same for any number of ranks.

The second half of the data is cut into BLOCKS blocks. For each block the floor is fitted on what
lies before it, so that the network learns from errors that the floor makes out of its sample.
A step draws its windows over the whole fleet from a generator keyed by (seed, step); each rank
builds those of its own series. Where fleets of several frequencies are learnt from together, a step
draws one of them, and one of its horizons.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from headroom.series.examples import Examples, build_examples
from headroom.series.fitted import Fitted, fit
from headroom.series.panel import Panel

Ints = NDArray[np.int64]

BLOCKS = 4
STEPS_PER_ROOT = 2.0  # of the number of origins; with more steps a fleet is learnt by heart
LEAST_STEPS = 25
SHARE = 0.5  # of the typical series that windows come from
LEAST_PAST = 4  # steps before an origin, if no season is longer
LONG = 288  # steps; a step of training draws fewer windows of longer horizons
UNKNOWN_SHARE = 0.1  # of windows have their categories hidden, so that the unknown one is learnt


@dataclass(frozen=True)
class Plan:
    """Sizes that all ranks agree on before training."""

    n_series: int  # over all ranks
    batch_size: int  # over all ranks
    horizons: tuple[int, ...]  # a step draws one
    back: tuple[int, ...]  # first origin of each block, in steps before the end, falling
    n_origins: int  # that windows may begin at, over all ranks

    @property
    def last_back(self) -> int:
        """The latest origin: half the horizon must lie inside the data."""
        return max(max(self.horizons) // 2, 1)


def make_plan(lengths: Sequence[int], batch_size: int, horizons: tuple[int, ...]) -> Plan:
    """The plan for a fleet of series of these lengths (over all ranks)."""
    present = [length for length in lengths if length]
    typical = int(np.median(present)) if present else 0
    last = max(max(horizons) // 2, 1)
    reach = max(int(typical * SHARE), last + 1)
    back = np.linspace(reach, last, BLOCKS + 1)[:-1].astype(int)
    n_origins = sum(max(min(length, reach) - last, 0) for length in lengths)
    falling = tuple(sorted(set(back.tolist()), reverse=True))
    return Plan(len(lengths), batch_size, horizons, falling, n_origins)


def windows_per_step(batch_size: int, horizon: int) -> int:
    """How many windows a step of training draws: `batch_size`, of long horizons fewer, so that a
    step costs no more; neighbouring steps of one window tell much the same."""
    return min(batch_size, max(batch_size * LONG // horizon, 1))


class Windows:
    """The training windows of one rank's series."""

    def __init__(self, panel: Panel, plan: Plan, positions: Ints) -> None:
        self.plan = plan
        self._row_at = np.full(plan.n_series, -1)  # row of the series at a position in the fleet
        self._row_at[positions] = np.arange(len(positions))
        backs = plan.back if panel.n_steps else ()  # a rank may have no series, or none with a past
        longest = max(plan.horizons)
        self.blocks = [fit(panel, longest, max(panel.n_steps - back, 1)) for back in backs]
        least_past = max([*panel.freq.seasons[:1], LEAST_PAST])
        self._earliest = panel.n_steps - panel.lengths + least_past
        self._n_steps = panel.n_steps
        self.least_length = least_past + plan.last_back + 1  # of a series with a window

    @property
    def exist(self) -> bool:
        """Whether any series of this rank is long enough for a window."""
        return bool((self._n_steps - self.plan.last_back > self._earliest).any())

    def draw(self, seed: int, step: int) -> list[Examples]:
        """This rank's windows of one step, grouped by block; together at most `batch_size`."""
        rng = np.random.default_rng([seed, step])
        series = rng.integers(0, max(self.plan.n_series, 1), self.plan.batch_size)
        block = rng.integers(0, len(self.plan.back), self.plan.batch_size)
        place = rng.random(self.plan.batch_size)
        hidden = rng.random(self.plan.batch_size) < UNKNOWN_SHARE
        horizon = int(rng.choice(self.plan.horizons))
        kept = slice(windows_per_step(self.plan.batch_size, horizon))
        rows, block = self._row_at[series[kept]], block[kept]
        place, hidden = place[kept], hidden[kept]
        drawn = []
        for number, fitted in enumerate(self.blocks):
            chosen = (rows >= 0) & (block == number)
            examples = self._build(
                replace(fitted, horizon=horizon),
                number,
                rows[chosen],
                place[chosen],
                hidden[chosen],
            )
            if examples is not None:
                drawn.append(examples)
        return drawn

    def _build(
        self,
        fitted: Fitted,
        block: int,
        rows: Ints,
        place: NDArray[np.float64],
        hidden: NDArray[np.bool_],
    ) -> Examples | None:
        backs = (*self.plan.back, self.plan.last_back)
        begin, end = self._n_steps - backs[block], self._n_steps - backs[block + 1]
        origins = begin + (place * max(end - begin, 1)).astype(np.int64)
        usable = origins >= self._earliest[rows]
        if not usable.any():
            return None
        examples = build_examples(fitted, rows[usable], origins[usable])
        codes = np.where(hidden[usable, None], 0, examples.codes)
        return replace(examples, codes=codes)


class Fleets:
    """The training windows of several fleets: a step draws one of them by its number of series."""

    def __init__(self, fleets: Sequence[Windows]) -> None:
        self.fleets = fleets
        sizes = np.array([fleet.plan.n_series for fleet in fleets], dtype=np.float64)
        self._shares = sizes / sizes.sum()

    def worthwhile(self, steps: int) -> int:
        """As many of so many steps as there are origins to learn from. Their root counts: windows
        of neighbouring origins, and of series at the same time, are much alike."""
        n_origins = sum(fleet.plan.n_origins for fleet in self.fleets)
        return min(steps, max(LEAST_STEPS, round(STEPS_PER_ROOT * n_origins**0.5)))

    @property
    def least_length(self) -> int:
        """Of a series with a window."""
        return min(fleet.least_length for fleet in self.fleets)

    @property
    def exist(self) -> bool:
        """Whether this rank has any window."""
        return any(fleet.exist for fleet in self.fleets)

    def draw(self, seed: int, step: int) -> list[Examples]:
        """This rank's windows of one step, all of one fleet and horizon."""
        place = np.random.default_rng([seed, step, 1]).choice(len(self.fleets), p=self._shares)
        return self.fleets[place].draw(seed, step)


def joined(parts: Sequence[Examples]) -> Examples:
    """The windows of several groups, one after the other."""
    if len(parts) == 1:
        return parts[0]
    names = Examples.__dataclass_fields__
    return Examples(**{n: np.concatenate([getattr(part, n) for part in parts]) for n in names})
