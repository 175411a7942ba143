"""One HTML page with pictures: what to do, the forecasts, their accuracy, the data, the making.

Reads what the other jobs have written so far; a section whose job has not run says so. Writes one
self-contained file to report.path, which opens from disk without a network, and ends with a
summary on stdout.
"""

import sys

from headroom import schemas as s
from headroom.cli import Job, code_version, main
from headroom.report.gather import Frames, gather_facts
from headroom.report.page import render_page
from headroom.report.summary import summary
from headroom.storage import write_bytes

INPUTS = (
    s.SERIES, s.QUALITY, s.REJECTED_ROWS, s.BACKTESTS, s.BACKTEST_FORECASTS, s.FORECASTS,
    s.RECOMMENDATIONS, s.MODELS, s.TRAINING_LOG, s.RUNS,
)  # fmt: skip


def run(job: Job) -> None:
    facts = gather_facts(frames(job), job.config, code_version())
    page = render_page(facts).encode()
    write_bytes(job.config.report_path, page)
    job.count(series_drawn=len(facts.pictures), bytes=len(page))
    job.closing = summary(facts, job.config.report_path, colour=sys.stdout.isatty())


def frames(job: Job) -> Frames:
    """The tables that exist, by name."""
    return {table.name: job.tables.read(table) for table in INPUTS if job.tables.exists(table)}


if __name__ == "__main__":
    main("report", __doc__, run)
