"""The configuration: every setting with its default, its range and its meaning, once.

`load_config` reads YAML, applies `--set` overrides and returns a frozen `Config`, or raises one
`ConfigError` that lists everything wrong and the nearest known name for what is misspelt.
"""

import difflib
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args
from zoneinfo import available_timezones

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from headroom.errors import ConfigError
from headroom.freq import parse_freq

SHIPPED = "shipped"
IDENTIFIER = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Probability = Annotated[float, Field(gt=0.0, lt=1.0)]
MetricKind = Literal["count", "rate", "gauge", "ratio", "latency", "cost", "capacity", "counter"]
METRIC_KINDS: tuple[str, ...] = get_args(MetricKind)
SourceFormat = Literal["simulated", "csv", "json", "parquet", "delta", "table"]
Names = str | tuple[str, ...]


def check_zone(zone: str) -> str:
    """The zone, where it has an IANA name; else ValueError."""
    if zone not in available_timezones():
        raise ValueError(f"{zone!r} is no IANA time zone; write UTC or Europe/Berlin")
    return zone


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


AnySettings = TypeVar("AnySettings", bound=Settings)


def known_freq(freq: str) -> str:
    """The frequency as it is. Raises ValueError for what is none."""
    try:
        parse_freq(freq)
    except ConfigError as error:
        raise ValueError(str(error)) from error
    return freq


class SourceColumns(Settings):
    """Which column of the source holds what. Unmapped optional columns take the `defaults`."""

    item_id: Names = Field("item_id", description="One column, or several: [host, metric].")
    timestamp: str = "timestamp"
    target: str = "target"
    metric: str | None = None
    metric_kind: str | None = None
    unit: str | None = None
    time_zone: str | None = None
    country: str | None = None
    group_id: Names | None = None
    revision: str | None = Field(
        None, description="Whole number or time: of several rows for one instant the last counts."
    )


class Metric(Settings):
    """What is known of one metric of the source."""

    metric: str | None = Field(
        None, pattern=r"^[^/]+$", description="Its name from here on; default: as in the source."
    )
    metric_kind: MetricKind | None = None
    unit: str | None = None


class LocalTime(Settings):
    """Whose local times those are that name no zone, and what becomes of them when clocks change.
    Without this section they are UTC."""

    zone: str | None = Field(None, description="IANA zone of all rows, or where `column` is empty.")
    column: str | None = Field(None, description="Column of the source with the zone of each row.")
    repeated_hour: Literal["first", "second", "refuse"] = Field(
        "first", description="Which of the two instants a time of the repeated hour means."
    )
    missing_hour: Literal["shift", "refuse"] = Field(
        "shift", description="A time that clocks skipped is moved on by what they skipped."
    )

    @field_validator("zone")
    @classmethod
    def _zone_is_known(cls, zone: str | None) -> str | None:
        return check_zone(zone) if zone else zone

    @model_validator(mode="after")
    def _says_where(self) -> "LocalTime":
        if not (self.zone or self.column):
            raise ValueError("name the zone, or the column that holds the zone of each row")
        return self


class ItemDefaults(Settings):
    """What an item is taken for where the source has no column that says so."""

    metric: str = "value"
    metric_kind: MetricKind = "gauge"
    unit: str = ""
    time_zone: str = Field("UTC", description="IANA zone of the item's calendar.")
    country: str | None = Field(
        None,
        pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$",
        description="Whose public holidays count: DE, or with a part of it DE-BY. None: those that "
        "the past shows, see features.guess_country.",
    )

    @field_validator("time_zone")
    @classmethod
    def _zone_is_known(cls, zone: str) -> str:
        return check_zone(zone)


class FileSource(Settings):
    path: str
    format: Literal["csv", "json", "parquet", "delta", "table"] = "csv"


class Source(Settings):
    """Where observations come from."""

    format: SourceFormat = Field("simulated", description="`simulated`: what `simulate` wrote.")
    path: str | None = Field(None, description="File, folder, glob, or table name for `table`.")
    columns: SourceColumns = SourceColumns()
    metrics: Mapping[str, Metric] = Field(
        default_factory=dict,
        description="Kind and unit by metric: of each value of `columns.metric`; without that "
        "column, each is a column of its own and makes an item of its own (wide tables).",
    )
    local_time: LocalTime | None = None
    dimensions: tuple[str, ...] = Field(
        (), description="Source columns kept as business dimensions: service, region, team, tier."
    )
    defaults: ItemDefaults = ItemDefaults()
    where: Mapping[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="Keep only rows whose column holds one of these values: {region: [eu, us]}.",
    )
    until: datetime | None = Field(
        None, description="Rows of this instant (UTC) or later are refused as future_dated."
    )
    options: Mapping[str, str] = Field(
        default_factory=dict, description="Reader options passed to Spark: {sep: ';'}."
    )
    aliases: FileSource | None = Field(
        None, description="Renamed items: a table of old_id and new_id, as in table items."
    )
    events: FileSource | None = Field(None, description="Calendar of launches, live events, …")

    @field_validator("where", mode="before")
    @classmethod
    def _one_value_is_a_list_too(cls, where: Any) -> Any:
        if not isinstance(where, Mapping):
            return where
        return {name: [v] if isinstance(v, str) else v for name, v in where.items()}

    @field_validator("until")
    @classmethod
    def _until_is_utc(cls, until: datetime | None) -> datetime | None:
        return until.astimezone(UTC).replace(tzinfo=None) if until and until.tzinfo else until

    @property
    def is_wide(self) -> bool:
        """True where each metric has a column of its own."""
        return bool(self.metrics) and self.columns.metric is None

    def digest(self) -> str:
        """Sixteen hex digits of how rows are read, wherever they lie."""
        how = self.model_dump(mode="json", exclude={"path", "options", "aliases", "events"})
        return hashlib.sha256(json.dumps(how, sort_keys=True).encode()).hexdigest()[:16]

    @model_validator(mode="after")
    def _has_one_shape(self) -> "Source":
        if self.is_wide and "target" in self.columns.model_fields_set:
            raise ValueError(
                "metrics names a column per metric, so leave columns.target out; or name the "
                "column with the metric's name in columns.metric"
            )
        return self

    @model_validator(mode="after")
    def _path_is_given(self) -> "Source":
        if self.format != "simulated" and not self.path:
            raise ValueError(f"source.path is required when source.format is {self.format}")
        return self


class Series(Settings):
    """The regular grid and what makes a series fit to be forecast."""

    freq: str = Field("h", description="Length of a step: 5min, h, D, 7D, W, MS, …")
    min_observed: int = Field(8, ge=2, description="Fewer observed steps: status short_history.")
    max_length: int = Field(20_000, ge=100, description="Only the latest steps are kept.")
    retired: tuple[str, ...] = Field((), description="Items that are forecast no more.")
    retire_after_days: float | None = Field(
        None, gt=0, description="So does an item that is silent for so long before the latest row."
    )
    finer: Literal["refuse", "aggregate"] = Field(
        "refuse", description="What to do with a series whose own step is finer than `freq`."
    )

    @field_validator("freq")
    @classmethod
    def _freq_is_known(cls, freq: str) -> str:
        return known_freq(freq)


class Rule(Settings):
    """One rule of cleansing. Its name is the issue in table `quality`."""

    enabled: bool = True

    def applies_to(self, kind: str) -> bool:
        """Whether values of this metric kind are looked at."""
        return self.enabled and kind in getattr(self, "kinds", (kind,))


class StrayRows(Rule):
    """Rows far before or after all others: clocks that were wrong. Left out."""

    max_share: Share = Field(0.01, description="More rows than this share are no strays.")
    min_rows: int = Field(10, ge=3, description="Of shorter series no row is a stray.")
    min_steps: int = Field(100, ge=1, description="A stray is farther away than this.")


class CounterResets(Rule):
    """Counters that began again from zero: the reading is what was counted since. Not enabled: the
    step is missing."""

    longest_gap: float = Field(
        1.5, ge=1, description="Typical steps; what was counted over a longer one is no step's."
    )


class IncompleteSteps(Rule):
    """Steps, combined from finer rows, that have too few of them. Missing."""

    min_share: Share = Field(0.5, description="Share of the usual rows that a step needs.")


class PartialEnds(Rule):
    """A first or last value far below its like beside a normal one: a step that the source exported
    before it was over. Left out."""

    kinds: tuple[MetricKind, ...] = ("count", "cost")
    min_share: Share = Field(
        0.5, description="Of the smallest value at the same phase of the seasons beside it."
    )


class SilentSteps(Rule):
    """Sources that write no row where nothing happened: a step without one is a zero."""

    enabled: bool = False
    kinds: tuple[MetricKind, ...] = ("count",)


class NegativeValues(Rule):
    """Values below zero of kinds that have none. Missing."""

    kinds: tuple[MetricKind, ...] = ("count", "cost", "ratio", "latency", "capacity")


class UnitJumps(Rule):
    """Runs of values that fit when divided or multiplied by the factor. Missing."""

    kinds: tuple[MetricKind, ...] = ("count", "rate", "gauge", "latency", "cost", "capacity")
    factor: float = Field(1000, ge=50, description="Such as 1000, 1024 or 1000000.")
    min_steps: int = Field(3, ge=1, description="Shorter runs are not told from spikes.")
    max_share: Share = Field(0.2, description="More of the values are another level.")
    max_spread: float = Field(30, ge=1, description="Largest ÷ smallest of all other values.")


class FalseZeros(Rule):
    """Zeros in a series that is otherwise never near zero: nothing was measured. Flagged."""

    kinds: tuple[MetricKind, ...] = ("gauge", "latency", "capacity")
    min_level: Share = Field(0.1, description="All other values lie above this × their median.")
    max_share: Share = Field(0.2, description="More zeros are how the series is.")


class FlatLine(Rule):
    """One value, not zero, over a season or longer in a series that otherwise moves. Flagged."""

    kinds: tuple[MetricKind, ...] = ("gauge", "latency", "rate", "ratio")
    min_steps: int = Field(24, ge=2, description="And at least the shortest season.")
    max_repeats: Share = Field(0.2, description="Share of repeated values elsewhere.")


class Outliers(Rule):
    """Values far from the same phase of the seasons beside them, but for announced events; and one
    value far above all others. Flagged."""

    deviations: float = Field(10, ge=3, description="Robust standard deviations.")
    max_share: Share = Field(0.05, description="More of them are how the series is.")
    min_values: int = Field(24, ge=8, description="Fewer values have no scale.")
    summit: float = Field(3, gt=1, description="Times the second largest value.")


class Incidents(Rule):
    """Steps in a calendar entry of these kinds in whose scope the series is. Flagged."""

    event_kinds: tuple[str, ...] = ("incident",)


class Rules(Settings):
    """What is looked for in every series. *Missing* is null in `target`; *flagged* keeps its value,
    but no scale and no training learns from it."""

    stray_rows: StrayRows = StrayRows()
    counter_resets: CounterResets = CounterResets()
    partial_steps: Rule = Rule()
    incomplete_steps: IncompleteSteps = IncompleteSteps()
    partial_ends: PartialEnds = PartialEnds()
    silent_steps: SilentSteps = SilentSteps()
    negative_values: NegativeValues = NegativeValues()
    unit_jumps: UnitJumps = UnitJumps()
    false_zeros: FalseZeros = FalseZeros()
    flat_line: FlatLine = FlatLine()
    outliers: Outliers = Outliers()
    incidents: Incidents = Incidents()


class Ratio(Settings):
    """The metrics of one group whose quotient a ratio is."""

    numerator: str
    denominator: str


class Features(Settings):
    """From observations to series: what is cleansed, rebuilt and added up."""

    rules: Rules = Rules()
    ratios: Mapping[str, Ratio] = Field(
        default_factory=dict,
        description="Metrics rebuilt from their parts: {error_rate: {numerator: errors, "
        "denominator: requests}}.",
    )
    aggregates: tuple[tuple[str, ...], ...] = Field(
        (),
        description="Items to make by adding up others, per metric and value of these dimensions: "
        "[[team], [region, tier], []]; [] is the whole fleet.",
    )
    guess_country: bool = Field(
        True,
        description="Items of half a year and more that name no country: take the public holidays "
        "that their past shows, where one country's stand out.",
    )
    incremental: bool = Field(
        True, description="Rebuild only the series of which something changed since the last run."
    )


class Forecast(Settings):
    """What is forecast and how far ahead. Lengths count steps of `series.freq`."""

    prediction_length: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="Steps ahead; default by frequency: 288 of 5min, 48 of h, 14 of D, 13 of W, "
        "12 of MS.",
    )
    context_length: int | None = Field(
        None, ge=1, le=100_000, description="Past steps the network sees; default by frequency."
    )
    quantile_levels: tuple[Probability, ...] = (
        0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975,
    )  # fmt: skip

    @field_validator("quantile_levels")
    @classmethod
    def _levels_rise(cls, levels: tuple[float, ...]) -> tuple[float, ...]:
        if not levels or list(levels) != sorted(set(levels)):
            raise ValueError(f"levels must rise and be distinct, got {list(levels)}")
        return levels


class Backtest(Settings):
    windows: int = Field(4, ge=1, le=200, description="Consecutive windows at the end.")
    selection_windows: int = Field(
        4, ge=1, le=50, description="Windows before the first one, for choice and calibration."
    )


class Training(Settings):
    """The global network. Steps, not epochs, bound the cost: it does not grow with the fleet."""

    ranks: int = Field(2, ge=1, le=1024, description="Horovod ranks; each takes one Spark task.")
    steps: int = Field(
        750, ge=1, description="Optimiser steps; fewer where there is less to learn from."
    )
    batch_size: int = Field(
        128,
        ge=1,
        description="Windows per step over all ranks together; of long horizons fewer.",
    )
    learning_rate: float = Field(2e-3, gt=0, le=1)
    tuning_rate: float = Field(
        3e-4, gt=0, le=1, description="Learning rate of networks that start from `start_from`."
    )
    hidden_size: int = Field(48, ge=1, le=1024, description="Cells of each LSTM.")
    dropout: float = Field(0.1, ge=0, lt=1)
    designs: tuple[Literal["full", "horizon", "plain"], ...] = Field(
        ("full", "horizon"),
        min_length=1,
        description="Of networks that start from nothing, in turn: LSTMs over past and horizon, "
        "over the horizon alone, or none.",
    )
    members: int = Field(
        6,
        ge=1,
        le=20,
        description="Networks that learn from the fleet and serve; up to three more stand in for "
        "them where the choice per series is made.",
    )
    start_from: str | None = Field(
        SHIPPED,
        description="Networks that forecast as they are and that every third network starts from: "
        "`shipped` with headroom, a file that `pretrain` wrote, or null for none.",
    )
    checkpoint_every: int = Field(100, ge=1, description="Steps between two checkpoints.")
    device: Literal["auto", "cpu", "gpu"] = "auto"
    timeout_seconds: int = Field(3600, ge=10, description="The whole run, then it is cancelled.")
    stall_seconds: int = Field(300, ge=5, description="No step for so long: the rank is ended.")
    attempts: int = Field(2, ge=1, le=10, description="Restarts from the last checkpoint + 1.")
    interfaces: tuple[str, ...] = Field(
        (), description="Network interfaces between ranks, such as eth0; default: what all share."
    )


class SyntheticFleet(Settings):
    """Synthetic series of one frequency, and the horizons that networks learn to forecast there."""

    freq: str = "h"
    horizons: tuple[Annotated[int, Field(ge=1, le=10_000)], ...] = Field(min_length=1)
    series: int = Field(ge=1, le=10_000_000)
    min_length: int = Field(ge=16)
    max_length: int = Field(ge=16)

    @field_validator("freq")
    @classmethod
    def _freq_is_known(cls, freq: str) -> str:
        return known_freq(freq)

    @model_validator(mode="after")
    def _lengths_rise(self) -> "SyntheticFleet":
        if self.min_length > self.max_length:
            raise ValueError(f"min_length {self.min_length} is above max_length {self.max_length}")
        return self


class Pretrain(Settings):
    """The synthetic fleets that `pretrain` learns from, with `training` as given."""

    fleets: tuple[SyntheticFleet, ...] = Field(
        (
            SyntheticFleet(
                freq="h", horizons=(24, 48, 168), series=6_000, min_length=120, max_length=1_400
            ),
            SyntheticFleet(
                freq="5min", horizons=(12, 96, 288), series=500, min_length=600, max_length=4_500
            ),
            SyntheticFleet(
                freq="D", horizons=(7, 28, 60), series=1_500, min_length=60, max_length=900
            ),
            SyntheticFleet(
                freq="W", horizons=(4, 13, 26), series=500, min_length=60, max_length=300
            ),
            SyntheticFleet(
                freq="MS", horizons=(6, 12, 24), series=500, min_length=40, max_length=240
            ),
        ),
        min_length=1,
        description="One per frequency.",
    )
    output: str | None = Field(
        None, description="File for the weights; default <artifacts>/pretrained.npz."
    )

    @field_validator("fleets")
    @classmethod
    def _one_per_frequency(cls, fleets: tuple[SyntheticFleet, ...]) -> tuple[SyntheticFleet, ...]:
        freqs = [fleet.freq for fleet in fleets]
        if len(set(freqs)) < len(freqs):
            raise ValueError(f"one fleet per frequency, got {freqs}")
        return fleets


class TierPolicy(Settings):
    """What a tier tolerates (`docs/recommendations.md`)."""

    safe_utilisation: Probability
    violation_probability: Probability = Field(description="P(any violation in 28 days).")
    shortfall_trigger: Probability = Field(description="P(shortfall before lead + review).")
    shortage_cost: float = Field(gt=1, description="Cost of an hour short, in capacity hours.")
    min_hosts: int = Field(2, ge=1, description="Hosts that stay, whatever the demand.")


class Roles(Settings):
    """Which metric plays which part in a group. A group that lacks a needed part is skipped."""

    demand: str | None = Field(
        None, description="Metric that is demand in units of capacity; comes before utilisation."
    )
    utilisation: str = "cpu_utilisation"
    capacity: str = "capacity_cores"
    hosts: str | None = "hosts"
    cost: str | None = "cost"


class Recommend(Settings):
    horizon_days: int = Field(90, ge=7, le=730)
    lead_days: float = Field(14, ge=0, description="Time to get capacity, 90th percentile.")
    review_days: int = Field(7, ge=1)
    paths: int = Field(200, ge=50, le=5_000, description="Sample paths per decision.")
    min_saving: float = Field(50, ge=0, description="US dollars per 30 days.")
    min_change: Share = Field(0.2, description="Smaller relative changes are not proposed.")
    max_step_down: Share = Field(0.3, description="Largest reduction in one change.")
    unit_cost: float = Field(0.04, gt=0, description="US dollars per core and hour, fallback.")
    outlook_probability: Probability = Field(
        0.5, description="P(shortfall inside the horizon) that is told before it is urgent."
    )
    min_history_days: int = Field(28, ge=14, description="Full days of demand, at least.")
    dwell_days: int = Field(14, ge=0, description="Rest after a change of capacity.")
    min_coverage: Share = Field(0.95, description="Share of steps observed in the last 7 days.")
    silent_hours: float = Field(24, gt=0, description="No value for so long: silent (≥ 3 steps).")
    roles: Roles = Roles()
    default_tier: str = "T2"
    tiers: Mapping[str, TierPolicy] = Field(
        default_factory=lambda: {
            "T1": TierPolicy(
                safe_utilisation=0.55,
                violation_probability=0.01,
                shortfall_trigger=0.05,
                shortage_cost=1000,
                min_hosts=3,
            ),
            "T2": TierPolicy(
                safe_utilisation=0.65,
                violation_probability=0.05,
                shortfall_trigger=0.10,
                shortage_cost=200,
            ),
            "T3": TierPolicy(
                safe_utilisation=0.80,
                violation_probability=0.20,
                shortfall_trigger=0.25,
                shortage_cost=50,
            ),
        }
    )

    @model_validator(mode="after")
    def _default_tier_exists(self) -> "Recommend":
        if self.default_tier not in self.tiers:
            raise ValueError(f"default_tier {self.default_tier!r} is not among {list(self.tiers)}")
        return self


class Simulate(Settings):
    """Size of the simulated fleet. Rows ≈ services × regions × 7 metrics × days × steps a day."""

    services: int = Field(12, ge=1, le=1_000_000)
    regions: int = Field(3, ge=1, le=12)
    days: int = Field(63, ge=1, le=3_650)
    start: str = Field("2025-09-01", pattern=r"^\d{4}-\d{2}-\d{2}$")
    dirt: Share = Field(0.01, description="Share of rows made dirty: gaps, duplicates, …")

    @field_validator("start")
    @classmethod
    def _start_is_a_date(cls, start: str) -> str:
        try:
            return date.fromisoformat(start).isoformat()
        except ValueError as error:
            raise ValueError(f"{start!r} is no date of the calendar") from error


class Limits(Settings):
    """Shares beyond which a run ends with exit code 3 (done, but look) or fails."""

    max_rejected_rows: Share = Field(0.05, description="Refused rows of the source: ingest fails.")
    max_refused_series: Share = Field(0.10, description="Series without a forecast: exit code 3.")
    max_drifting_groups: Share = Field(0.20, description="Groups that drift: exit code 3.")
    max_loss_of_new_model: Share = Field(
        0.02,
        description="Above the champion's loss on the same windows: a new model does not serve.",
    )


class Report(Settings):
    path: str | None = Field(None, description="HTML file; default <warehouse>/report.html.")
    series: int = Field(24, ge=1, le=500, description="Fan charts drawn.")


class Spark(Settings):
    """What the session sets beside the properties given to spark-submit."""

    shuffle_partitions: int = Field(8, ge=1, le=100_000)
    series_per_task: int = Field(200, ge=1, description="Series per scoring task, at most.")


class Config(Settings):
    """One run of headroom."""

    warehouse: str = Field(description="Folder or URI for the tables, or catalog.schema.")
    artifacts: str | None = Field(
        None, description="Folder for weights and shards; default beside a path warehouse."
    )
    seed: int = Field(7, ge=0, lt=2**31)
    source: Source = Source()
    series: Series = Series()
    features: Features = Features()
    forecast: Forecast = Forecast()
    backtest: Backtest = Backtest()
    training: Training = Training()
    pretrain: Pretrain = Pretrain()
    recommend: Recommend = Recommend()
    simulate: Simulate = Simulate()
    limits: Limits = Limits()
    report: Report = Report()
    spark: Spark = Spark()

    @field_validator("warehouse", "artifacts")
    @classmethod
    def _absolute(cls, place: str | None) -> str | None:
        """Local folders are absolute: tasks may run elsewhere than the driver."""
        if place is None or "://" in place or is_catalog(place):
            return place
        return str(Path(place).expanduser().absolute())

    @model_validator(mode="after")
    def _artifacts_have_a_place(self) -> "Config":
        if is_catalog(self.warehouse) and not self.artifacts:
            raise ValueError(
                "artifacts is required when warehouse is catalog.schema: "
                "weights and shards are files"
            )
        return self

    @property
    def prediction_length(self) -> int:
        """Steps ahead that are forecast, as asked for or as the frequency has it."""
        return self.forecast.prediction_length or parse_freq(self.series.freq).usual_horizon

    @property
    def artifacts_path(self) -> str:
        """Where files that are no tables live, never inside a Delta folder."""
        return self.artifacts or f"{self.warehouse.rstrip('/')}/_artifacts"

    @property
    def pretrained_path(self) -> str:
        """Where `pretrain` leaves its weights."""
        return self.pretrain.output or f"{self.artifacts_path.rstrip('/')}/pretrained.npz"

    @property
    def report_path(self) -> str:
        return self.report.path or f"{self.artifacts_path.rstrip('/')}/report.html"

    def digest(self) -> str:
        """Twelve hex digits that change with any setting."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def to_yaml(self) -> str:
        """The whole configuration with every default filled in."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def is_catalog(warehouse: str) -> bool:
    """True for `catalog.schema` or `schema`-like names; False for a path or a URI."""
    parts = warehouse.split(".")
    return len(parts) == 2 and all(IDENTIFIER.match(part) for part in parts)


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """The validated configuration of a YAML file with `a.b=value` overrides applied.

    Raises ConfigError listing every fault found.
    """
    values = read_yaml(path)
    for override in overrides:
        _apply(values, override)
    return build_config(values)


def build_config(values: Mapping[str, Any]) -> Config:
    """The validated configuration of nested values. Raises ConfigError listing every fault."""
    return build(Config, values)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises ConfigError."""
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is no valid YAML: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path} must hold a mapping of settings, not a {type(values).__name__}")
    return values


def build(model: type[AnySettings], values: Mapping[str, Any]) -> AnySettings:
    """Settings of that kind from nested values. Raises ConfigError listing every fault."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_explain(error, model)) from error


def json_schema() -> str:
    """JSON Schema of the configuration, for editors."""
    return json.dumps(Config.model_json_schema(), indent=2) + "\n"


def _apply(values: dict[str, Any], override: str) -> None:
    name, equals, text = override.partition("=")
    if not equals or not name:
        raise ConfigError(f"--set {override}: write it as name.of.setting=value")
    *sections, last = name.split(".")
    place = values
    for section in sections:
        inner = place.setdefault(section, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {override}: {section} is a value, not a section")
        place = inner
    try:
        place[last] = yaml.safe_load(text) if text else None
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override}: the value is no valid YAML ({error})") from error


def _explain(error: ValidationError, model: type[Settings]) -> str:
    return "configuration: " + "; ".join(_explain_one(fault, model) for fault in error.errors())


def _explain_one(fault: Any, model: type[Settings]) -> str:
    location = tuple(str(part) for part in fault["loc"])
    name = ".".join(location)
    if fault["type"] == "extra_forbidden":
        known = _known_names(model, location[:-1])
        near = difflib.get_close_matches(location[-1], known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
        return f"unknown setting {name}; {hint}"
    if fault["type"] == "missing":
        return f"{name} is required"
    message = str(fault["msg"]).removeprefix("Value error, ")
    given = "" if isinstance(fault["input"], dict) else f", got {fault['input']!r}"
    return f"{name}: {message}{given}" if name else message


def _known_names(settings: type[Settings], sections: Sequence[str]) -> list[str]:
    model: Any = settings
    for section in sections:
        field = model.model_fields.get(section)
        annotation = field.annotation if field else None
        options = [annotation, *getattr(annotation, "__args__", ())]
        model = next((o for o in options if isinstance(o, type) and issubclass(o, Settings)), None)
        if model is None:
            return []
    return list(model.model_fields)
