"""What the page and the summary say, gathered once. Nothing here grows with the fleet.

Every list is cut to a number stated where it is gathered. Times are aware UTC datetimes; shares lie
between 0 and 1; None means not known.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Tally:
    """How many carry a label, with one example of them."""

    label: str
    n: int
    example: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Fleet:
    """The series there are, and how fresh."""

    n_series: int
    n_forecast: int  # series with a forecast
    n_stale: int  # series that end more than a day and a step before the freshest one
    freq: str
    prediction_length: int
    first_at: datetime | None
    last_at: datetime | None
    statuses: tuple[Tally, ...] = ()
    metrics: tuple[Tally, ...] = ()
    methods: tuple[Tally, ...] = ()  # what serves the forecasts
    unserved: tuple[Tally, ...] = ()  # series without a forecast, by status

    @property
    def unfit(self) -> tuple[Tally, ...]:
        """Series not fit to be forecast, by status."""
        return tuple(tally for tally in self.statuses if tally.label != "ok")


@dataclass(frozen=True)
class Score:
    """Accuracy and coverage of one model over the backtest windows of some series.

    `loss` is the weighted quantile loss and `ratio` that loss over the seasonal naive's: sums
    within a metric, because units may not be added, then the geometric mean over metrics, weighted
    by series. The others are means over series and windows.
    """

    model: str
    n_series: int
    loss: float | None
    ratio: float | None
    mase: float | None
    coverage_50: float | None
    coverage_80: float | None
    coverage_90: float | None
    coverage_95: float | None


@dataclass(frozen=True)
class Slice:
    """One value of a business dimension: what was served there, beside the seasonal naive."""

    value: str
    served: Score
    naive: Score | None


@dataclass(frozen=True)
class DimensionScores:
    """The largest slices of one business dimension."""

    dimension: str
    n_values: int
    slices: tuple[Slice, ...]


@dataclass(frozen=True)
class Accuracy:
    """What the backtest found."""

    n_windows: int
    first_window: datetime
    last_window: datetime
    scores: tuple[Score, ...]  # `served` first
    dimensions: tuple[DimensionScores, ...] = ()
    calibration: tuple[tuple[float, float], ...] = ()  # quantile level, share of actuals below

    def score(self, model: str) -> Score | None:
        """The score of that model, or None."""
        return next((score for score in self.scores if score.model == model), None)


@dataclass(frozen=True)
class Line:
    """A value over time; None where not observed."""

    times: tuple[datetime, ...]
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class Fan:
    """Quantiles over time: `values[i][k]` is the quantile at `levels[k]` for `times[i]`."""

    times: tuple[datetime, ...]
    levels: tuple[float, ...]
    values: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Picture:
    """One series worth a look."""

    item_id: str
    why: str
    metric: str
    unit: str
    dimensions: Mapping[str, str]
    history: Line
    forecast: Fan | None
    backtests: tuple[Fan, ...]
    method: str
    ratio: float | None  # loss of what was served over the seasonal naive's
    coverage_90: float | None


@dataclass(frozen=True)
class Advice:
    """One recommendation with its evidence as it was stored."""

    rank: int
    rec_type: str
    summary: str
    action: str
    target: str  # the group it speaks of
    dimensions: Mapping[str, str]
    unit: str
    current: float | None
    proposed: float | None
    savings: tuple[float, float, float] | None  # P10, P50, P90; US dollars per 30 days
    value: float | None
    risk_now: float | None
    risk_after: float | None
    event: tuple[datetime | None, datetime | None, datetime | None]  # P10, P50, P90
    act_by: datetime | None
    confidence: float | None
    evidence: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class TypeTotal:
    """All recommendations of one type."""

    rec_type: str
    n: int
    value: float  # US dollars per 30 days


@dataclass(frozen=True)
class Recommendations:
    """The most valuable recommendations, the totals, and what was considered and left."""

    as_of: datetime | None
    n: int
    totals: tuple[TypeTotal, ...]
    top: tuple[Advice, ...]
    left: tuple[Tally, ...]  # label: "type: reason"


@dataclass(frozen=True)
class WorstItem:
    """An item in which an issue weighs most."""

    item_id: str
    n_affected: int
    share: float | None


@dataclass(frozen=True)
class Issue:
    """One kind of data quality issue over the fleet."""

    kind: str
    n_series: int
    n_affected: int
    action: str
    worst: tuple[WorstItem, ...]


@dataclass(frozen=True)
class Loss:
    """Training loss of one member of the ensemble, by epoch."""

    member: int
    epochs: tuple[int, ...]
    losses: tuple[float, ...]


@dataclass(frozen=True)
class ModelFacts:
    """The network that serves."""

    version: str
    stage: str
    code_version: str
    config_digest: str
    sha256: str
    inputs: Mapping[str, str]
    metrics: Mapping[str, float]
    curves: tuple[Loss, ...]
    n_ranks: int
    seconds: float | None
    windows_per_second: float | None


@dataclass(frozen=True)
class RunFacts:
    """The latest run of one job."""

    job: str
    status: str
    started_at: datetime | None
    seconds: float | None
    message: str
    counts: Mapping[str, int]
    read: Mapping[str, int]
    written: Mapping[str, int]
    code_version: str
    config_digest: str


@dataclass(frozen=True)
class Facts:
    """Everything the report says. A section is None where the pipeline has not come so far."""

    warehouse: str
    config_digest: str
    code_version: str
    fleet: Fleet | None
    accuracy: Accuracy | None
    recommendations: Recommendations | None
    pictures: tuple[Picture, ...] = ()
    issues: tuple[Issue, ...] | None = None
    rejected: tuple[Tally, ...] | None = None  # rows of the source
    model: ModelFacts | None = None
    runs: tuple[RunFacts, ...] = ()
