"""From the tables to `Facts`: aggregated in Spark, a bounded number of rows on the driver."""

from collections.abc import Mapping

from pyspark.sql import DataFrame

from headroom.config import Config
from headroom.report.accuracy import gather_accuracy
from headroom.report.advice import gather_recommendations
from headroom.report.facts import Facts
from headroom.report.fleet import gather_fleet, gather_issues, gather_rejected
from headroom.report.making import gather_model, gather_runs
from headroom.report.pictures import gather_pictures

Frames = Mapping[str, DataFrame]  # by name of table; a table that is not there yet is not in it


def gather_facts(frames: Frames, config: Config, code_version: str) -> Facts:
    """Everything the page and the summary say."""
    made = gather_recommendations(frames, config.report.series)
    return Facts(
        warehouse=config.warehouse,
        config_digest=config.digest(),
        code_version=code_version,
        fleet=gather_fleet(frames, config),
        accuracy=gather_accuracy(frames),
        recommendations=made,
        pictures=gather_pictures(frames, made.top if made else (), config),
        issues=gather_issues(frames),
        rejected=gather_rejected(frames),
        model=gather_model(frames),
        runs=gather_runs(frames),
    )
