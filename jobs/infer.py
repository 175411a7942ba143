"""Proposes a configuration for a source from a sample of its rows, and prints it as YAML.

    ./spark-submit.sh infer 's3://bucket/metrics/*.csv' > conf/mine.yaml

Reads some rows, writes nothing. The format is told by the names of the files.
"""

import argparse
from collections.abc import Sequence

from headroom.cli import DONE, argument_parser, run_command
from headroom.config import Config
from headroom.ingest.infer import Sample, propose
from headroom.ingest.mapping import check_readable
from headroom.readers import source_errors
from headroom.session import build_session, end_session
from headroom.sources import read_sample


def infer(config: Config, _: Sequence[str], options: argparse.Namespace) -> int:
    spark = build_session("headroom-infer", config.spark)
    try:
        place, frame = read_sample(spark, options.path, options.format)
        check_readable(frame)
        with source_errors(options.path, place["format"]):
            rows = [row.asDict() for row in frame.limit(options.rows).collect()]
        sample = Sample(frame.columns, rows)
    finally:
        end_session(spark)
    print(propose(sample, place, config.warehouse), end="")
    return DONE


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser("infer", __doc__ or "")
    parser.add_argument(
        "path", metavar="PATH", help="file, folder, pattern, or catalog.schema.table"
    )
    parser.add_argument(
        "--format", help="csv, json, parquet, delta or table (default: by the name)"
    )
    parser.add_argument("--rows", type=int, default=20_000, help="of the sample (default: 20000)")
    run_command("infer", __doc__ or "", infer, argv, parser)


if __name__ == "__main__":
    main()
