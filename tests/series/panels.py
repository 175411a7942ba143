"""Small panels for the tests of the numerics."""

from typing import Any

import numpy as np

from headroom.series.examples import N_STEP
from headroom.series.panel import Panel, panel_of

# Places among the inputs of a step; events come last: flags, coming and gone by kind, three lifts,
# two of yesterday, two of last week.
LIFT, YESTERDAY = N_STEP - 7, N_STEP - 4
COMING, GONE = LIFT - 8, LIFT - 4


def series(seed: int, length: int = 560) -> np.ndarray:
    rng = np.random.default_rng(seed)
    hours = np.arange(length)
    return (50 + 20 * np.sin(hours * 2 * np.pi / 24)) * rng.lognormal(0, 0.1, length)


def make_panel(
    *targets: np.ndarray,
    events: Any = None,
    zone: str = "UTC",
    freq: str = "h",
    kind: str = "gauge",
    unit: str = "",
) -> Panel:
    n = len(targets)
    return panel_of(
        {
            "item_id": [f"item {i}" for i in range(n)],
            "freq": [freq] * n,
            "start": [np.datetime64("2024-01-01")] * n,
            "target": list(targets),
            "time_zone": [zone] * n,
            "static_codes": [[1]] * n,
            "series_events": [events] * n,
            "metric_kind": [kind] * n,
            "unit": [unit] * n,
        }
    )
