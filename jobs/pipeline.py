"""Everything in order, in one application: from the source to recommendations and a report.

Each job has its own row in `runs`. All writes can be repeated: a pipeline that was stopped at any
point is simply started again, and training goes on from its last checkpoint.
"""

import argparse
import logging
from collections.abc import Sequence

from headroom.cli import Body, Job, argument_parser, run_alone, run_command, run_job
from headroom.config import Config
from headroom.tables import Tables
from jobs import backtest, features, ingest, recommend, report, score, simulate, train

log = logging.getLogger("headroom")

ORDER: dict[str, Body] = {
    "simulate": simulate.run,
    "ingest": ingest.run,
    "features": features.run,
    "train": train.run,
    "backtest": backtest.run,
    "score": score.run,
    "recommend": recommend.run,
    "report": report.run,
}


def pipeline(config: Config, arguments: Sequence[str], options: argparse.Namespace) -> int:
    """Runs the jobs up to `--until`; the exit code of the first that failed, or 3, or 0."""

    def run(job: Job) -> None:
        for place, name in enumerate(names, start=1):
            log.info("—— %d/%d %s", place, len(names), name)
            step = Job(name, config, Tables(job.spark, config.warehouse), arguments)
            run_job(step, ORDER[name], announced=False)
            if step.failure:
                raise step.failure
            job.partial = job.partial or step.partial
            job.closing = step.closing

    names = jobs_until(options.until, config)
    return run_alone("pipeline", config, run, arguments)


def jobs_until(last: str, config: Config) -> list[str]:
    """The jobs of a run: `simulate` only where the source is the simulated fleet."""
    names = list(ORDER)[: list(ORDER).index(last) + 1]
    return [name for name in names if name != "simulate" or config.source.format == "simulated"]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser("pipeline", __doc__ or "")
    parser.add_argument(
        "--until",
        choices=list(ORDER),
        default="report",
        metavar="JOB",
        help=f"stop after this job: {', '.join(ORDER)} (default: %(default)s)",
    )
    run_command("pipeline", __doc__ or "", pipeline, argv, parser)


if __name__ == "__main__":
    main()
