"""Which model serves: the new one and the champion are judged on the same windows, which neither
has seen, and a new one serves unless it is worse than the champion or than the seasonal naive."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark import StorageLevel
from pyspark.sql import DataFrame

from headroom import columns as c
from headroom.config import Config
from headroom.evaluation.backtest import Design, design_of, evaluate
from headroom.evaluation.measures import fleet_measures, loss_ratio, of_method, of_served
from headroom.evaluation.verdict import (
    build_backtest_forecasts,
    build_backtests,
    build_selections,
    fleet_record,
)
from headroom.scoring import ModelFile
from headroom.series.methods import SEASONAL_NAIVE
from headroom.series.selection import Record

VS_NAIVE, VS_CHAMPION = "vs_seasonal_naive", "vs_champion"


@dataclass(frozen=True)
class Judged:
    """A model on the windows of a backtest; frames are persisted until `release`."""

    version: str
    design: Design
    evaluations: DataFrame
    fleet: Record
    backtests: DataFrame
    measures: Mapping[str, float]

    @property
    def selections(self) -> DataFrame:
        """SELECTIONS of this model."""
        return build_selections(self.evaluations, self.fleet, self.version, self.design)

    @property
    def forecasts(self) -> DataFrame:
        """BACKTEST_FORECASTS of this model."""
        return build_backtest_forecasts(self.evaluations, self.fleet, self.design)

    def release(self) -> None:
        """Let go of what was persisted."""
        self.backtests.unpersist()
        self.evaluations.unpersist()


@dataclass(frozen=True)
class Verdict:
    """Who serves from now on, and why, as a sentence."""

    serves: str
    sentence: str


def judge(series: DataFrame, model: ModelFile, config: Config) -> Judged:
    """The backtest of a model. Raises ArtifactError where it has seen the windows."""
    design = design_of(config, model)
    steps = design.horizon * design.windows
    model.check_unseen((steps, steps + design.horizon * design.selection_windows))
    evaluations = evaluate(series, model, design, config.spark.series_per_task)
    evaluations = evaluations.persist(StorageLevel.DISK_ONLY)
    fleet = fleet_record(evaluations, design)
    backtests = build_backtests(evaluations, fleet, model.version, design)
    backtests = backtests.persist(StorageLevel.DISK_ONLY)
    measures = fleet_measures(backtests, series.select(c.ITEM_ID, c.METRIC))
    return Judged(model.version, design, evaluations, fleet, backtests, measures)


def compared(new: Judged, champion: Judged | None, series: DataFrame) -> dict[str, float]:
    """The measures of the new model, with its loss relative to the seasonal naive's and to the
    champion's on the same windows."""
    metric_of = series.select(c.ITEM_ID, c.METRIC)
    served, naive = of_served(new.backtests), of_method(new.backtests, SEASONAL_NAIVE)
    found = {VS_NAIVE: loss_ratio(served, naive, metric_of)}
    if champion is not None:
        found[VS_CHAMPION] = loss_ratio(served, of_served(champion.backtests), metric_of)
    return {**new.measures, **{name: ratio for name, ratio in found.items() if ratio is not None}}


def decide(new: str, champion: str | None, measures: Mapping[str, float], worse: float) -> Verdict:
    """`champion` is the version that serves, None where none does; `measures` are `compared`'s,
    `worse` the share by which the loss of a new model may be above the champion's."""
    if champion is None:
        return Verdict(new, f"model {new} serves")
    stays = f"model {champion} goes on serving:"
    naive, other = measures.get(VS_NAIVE, 1.0), measures.get(VS_CHAMPION, 1.0)
    if naive > 1:
        loss = f"{naive:.3f} times that of the seasonal naive"
        return Verdict(champion, f"{stays} the loss of {new} is {loss}")
    if other > 1 + worse:
        loss = f"{other:.3f} times its own on the same windows"
        limit = f"limits.max_loss_of_new_model={worse:g}"
        return Verdict(champion, f"{stays} the loss of {new} is {loss} ({limit})")
    if VS_CHAMPION not in measures:
        return Verdict(new, f"model {new} serves in place of {champion}")
    loss = f"its loss is {other:.3f} times the other's on the same windows"
    return Verdict(new, f"model {new} serves in place of {champion}: {loss}")


def shown(judged: Sequence[Judged], verdict: Verdict) -> Judged:
    """The one whose tables are written: that of the model that serves, if it was judged."""
    return next((one for one in judged if one.version == verdict.serves), judged[0])
