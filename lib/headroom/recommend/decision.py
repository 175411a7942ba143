"""What a policy returns: an outcome, and the numbers that its sentence and its row are made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

RIGHTSIZE_DOWN = "rightsize_down"
CAPACITY_SHORTFALL = "capacity_shortfall"
DATA_GAP = "data_gap"
TYPES = (DATA_GAP, CAPACITY_SHORTFALL, RIGHTSIZE_DOWN)

RECOMMENDED = "recommended"

# Outcomes that leave open whether there is anything to do.
FAILED = "failed"
MISSING_INPUTS = "missing_inputs"
INSUFFICIENT_HISTORY = "insufficient_history"
UNSUPPORTED_FREQ = "unsupported_freq"
UNKNOWN_TIER = "unknown_tier"
AUTOSCALED = "autoscaled"
UNJUDGED = frozenset(
    {FAILED, MISSING_INPUTS, INSUFFICIENT_HISTORY, UNSUPPORTED_FREQ, UNKNOWN_TIER, AUTOSCALED}
    | {DATA_GAP}
)


@dataclass(frozen=True)
class Decision:
    """One (group, type) considered; all but the outcome is empty where nothing is proposed."""

    rec_type: str
    outcome: str  # recommended, or the code of the reason why not
    detail: str = ""  # the reason in words
    unit: str = ""
    current: float | None = None
    proposed: float | None = None
    savings: tuple[float, float, float] | None = None  # P10 P50 P90, US dollars per 30 days
    value: float = 0.0  # US dollars per 30 days
    risk_now: float | None = None
    risk_after: float | None = None
    event_days: tuple[float, float, float] | None = None  # P10 P50 P90; infinite beyond the horizon
    event_dates: tuple[np.datetime64 | None, ...] = (None, None, None)
    act_by: np.datetime64 | None = None
    confidence: float | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)


def told(probability: float, resolution: float) -> float:
    """The probability as it may be told: no nearer to 0 or 1 than the paths can resolve."""
    return float(np.clip(probability, resolution, 1.0 - resolution))
