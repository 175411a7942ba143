"""The edge of every job: arguments, logging, exit codes and the run record."""

import argparse
import hashlib
import importlib.resources
import json
import logging
import signal
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from py4j.protocol import Py4JError, Py4JNetworkError
from pyspark.sql import SparkSession

from headroom import columns as c
from headroom.config import Config, json_schema, load_config
from headroom.errors import HeadroomError, Interrupted, first_line
from headroom.schemas import RUNS
from headroom.session import build_session, end_session, is_hosted
from headroom.tables import Tables

log = logging.getLogger("headroom")

DONE, FAILED, USAGE, PARTIAL = 0, 1, 2, 3
_SPARK_GONE = (
    "Spark's driver process is gone: it was stopped from outside, or out of memory (give it more "
    "with -- --driver-memory 8g); start the job again, what is finished is not repeated"
)
DEFAULT_CONFIG = "conf/demo.yaml"


@dataclass
class Job:
    """One run of one job: what it works with, and what it will be remembered for."""

    name: str
    config: Config
    tables: Tables
    arguments: Sequence[str] = ()
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    counts: dict[str, int] = field(default_factory=dict)
    partial: str = ""  # why the run ends with exit code 3
    fingerprint: str = ""  # of what lies outside the tables
    failure: HeadroomError | None = None
    closing: str = ""  # what a person reads on stdout when all is done

    @property
    def spark(self) -> SparkSession:
        return self.tables.spark

    def count(self, **counts: int) -> None:
        """Adds to the numbers of the run record, and logs them."""
        self.counts.update(counts)
        log.info("%s: %s", self.name, ", ".join(f"{k} {v:,}" for k, v in counts.items()))

    def note(self, sentence: str) -> None:
        """Tells the person who watches."""
        log.info("%s: %s", self.name, sentence)

    def limit_refused(self, refused: int, total: int) -> None:
        """Ends the run with exit code 3 where more of the series were refused than configured."""
        limit = self.config.limits.max_refused_series
        if total and refused / total > limit:
            self.partial = (
                f"{refused:,} of {total:,} series were refused, more than "
                f"limits.max_refused_series={limit:g}; see `status` and `reason` in the series "
                "and forecasts tables"
            )


Body = Callable[[Job], None]


def main(name: str, doc: str, body: Body, argv: Sequence[str] | None = None) -> None:
    """Runs a job from its command line; returns when done, else exits with the code."""
    run_command(
        name, doc, lambda config, arguments, _: run_alone(name, config, body, arguments), argv
    )


def run_command(
    name: str,
    doc: str,
    command: Callable[[Config, Sequence[str], argparse.Namespace], int],
    argv: Sequence[str] | None = None,
    parser: argparse.ArgumentParser | None = None,
) -> None:
    """Parses the command line and runs `command`; returns when done, else exits with the code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = parser or argument_parser(name, doc)
    options = parser.parse_args(arguments)
    set_up_logging(options.verbose)
    try:
        if options.print_schema:
            print(json_schema(), end="")
            code = DONE
        else:
            config = load_config(options.config, options.set)
            if options.print_config:
                print(config.to_yaml(), end="")
                code = DONE
            else:
                code = command(config, arguments, options)
    except HeadroomError as error:
        last_word(f"{name} failed: {error}")
        code = error.exit_code
    except KeyboardInterrupt as error:
        code = _interrupted(error).exit_code
        last_word(f"{name} failed: {_interrupted(error)}")
    sys.stdout.flush()
    if code != DONE:  # hosted notebooks take even SystemExit(0) for a failure
        sys.exit(code)


def argument_parser(name: str, doc: str) -> argparse.ArgumentParser:
    """The options that every job has."""
    parser = argparse.ArgumentParser(
        prog=f"./spark-submit.sh {name}",
        description=doc,
        epilog="Options for spark-submit itself come last, after `--`.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--config", default=DEFAULT_CONFIG, metavar="FILE", help="YAML (default: %(default)s)"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="a.b=value",
        help="override one setting; may be repeated",
    )
    parser.add_argument(
        "--print-config", action="store_true", help="print the whole configuration and stop"
    )
    parser.add_argument(
        "--print-schema", action="store_true", help="print its JSON Schema, for editors, and stop"
    )
    parser.add_argument("--verbose", action="store_true", help="debug messages and stack traces")
    return parser


def set_up_logging(verbose: bool) -> None:
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(message)s",
        datefmt="%H:%M:%S",
        stream=sys.stderr,
    )
    for chatty in ("py4j", "urllib3", "matplotlib"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def run_alone(name: str, config: Config, body: Body, arguments: Sequence[str]) -> int:
    """One job in a session of its own. Returns the exit code."""
    spark = build_session(f"headroom-{name}", config.spark)
    stop_on_signals()
    job = Job(name, config, Tables(spark, config.warehouse), arguments)
    try:
        code = run_job(job, body)
    finally:
        end_session(spark)
    if job.closing and not job.failure:
        print(job.closing, flush=True)
    return code


def run_job(job: Job, body: Body, *, announced: bool = True) -> int:
    """Runs the body between two states of its `runs` row. Returns the exit code.

    Where it is not announced, as a step of a pipeline that is, the row comes at the end only.

    The only place that catches everything: a failure becomes one line for a person, a stack trace
    in the log with --verbose, and a row.
    """
    started = datetime.now(UTC)
    clock = time.monotonic()
    log.info("%s: started, warehouse %s", job.name, job.config.warehouse)
    try:
        if announced:
            _record(job, "running", started, "", None)
        body(job)
        code, status, message = DONE, "done", ""
        if job.partial:
            code, status, message = PARTIAL, "partial", job.partial
    except (KeyboardInterrupt, Exception) as error:
        job.failure = _failure(error)
        if isinstance(job.failure, Interrupted):
            _cancel_work(job.spark)
    if job.failure:
        code, status, message = job.failure.exit_code, "failed", str(job.failure)
    try:
        _record(job, status, started, message, code)
    except Exception as error:  # the warehouse itself may be what failed
        log.error("the run could not be recorded: %s", first_line(error))
        if not job.failure:
            job.failure = HeadroomError(f"the run could not be recorded: {first_line(error)}")
            code, message = FAILED, str(job.failure)
    seconds = time.monotonic() - clock
    if job.failure:
        last_word(f"{job.name} failed: {message}")
    elif code == PARTIAL:
        last_word(f"{job.name} done, but {message}")
    else:
        log.info("%s: done in %.1f s", job.name, seconds)
    return code


def stop_on_signals() -> None:
    """Lets SIGINT and SIGTERM end the job with its row written; a second one ends it at once.

    In place of PySpark's own handler, which calls the JVM in the middle of another call to it.
    """

    def stop(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise KeyboardInterrupt(number)

    if threading.current_thread() is threading.main_thread() and not is_hosted():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)


def _failure(error: BaseException) -> HeadroomError:
    """What a run that ended with this error failed of."""
    link: BaseException | None = error
    while link:  # closing a call that was interrupted may fail in its turn
        if isinstance(link, KeyboardInterrupt):
            return _interrupted(link)
        link = link.__context__
    if isinstance(error, HeadroomError):
        log.debug("%s", traceback.format_exc())
        return error
    if isinstance(error, Py4JNetworkError):
        log.debug("%s", error)
        return HeadroomError(_SPARK_GONE)
    log.error("%s", traceback.format_exc())
    return HeadroomError(f"{type(error).__name__}: {first_line(error)}")


def _interrupted(error: KeyboardInterrupt) -> Interrupted:
    return Interrupted(error.args[0] if error.args else signal.SIGINT)


def _cancel_work(spark: SparkSession) -> None:
    """Cancels all that Spark is doing. After an interrupted call Py4J lets the JVM close its
    connections, and now and then a new one among them: another try gets through. Where the JVM
    is gone there is nothing left to cancel."""
    for tries_left in reversed(range(5)):
        try:
            spark.sparkContext.cancelAllJobs()
            break
        except (Py4JError, OSError) as error:
            log.debug("Spark's work could not be cancelled, %d tries left: %s", tries_left, error)
            time.sleep(0.2)


def last_word(message: str) -> None:
    """The final line on stderr: what went wrong and what to do."""
    print("headroom: " + " ".join(message.split()), file=sys.stderr, flush=True)


def code_version(*parts: str) -> str:
    """Version of the package and a digest of its sources, so that a changed line is seen; of the
    named subpackages only, where there are names."""
    import headroom

    digest = hashlib.sha256()
    root = importlib.resources.files("headroom")
    folders = [root / part for part in parts] or [root]
    for folder in folders:
        for name, text in sorted(_sources(folder, folder.name)):
            digest.update(name.encode() + text)
    return f"{headroom.__version__}+{digest.hexdigest()[:10]}"


def _sources(folder: Any, prefix: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for entry in folder.iterdir():
        name = f"{prefix}/{entry.name}"
        if entry.is_dir() and entry.name != "__pycache__":
            found += _sources(entry, name)
        elif entry.name.endswith(".py"):
            found.append((name, entry.read_bytes()))
    return found


def _record(job: Job, status: str, started: datetime, message: str, code: int | None) -> None:
    row = {
        c.RUN_ID: job.run_id,
        c.JOB: job.name,
        c.STATUS: status,
        c.STARTED_AT: started,
        c.FINISHED_AT: None if code is None else datetime.now(UTC),
        c.ARGUMENTS: list(job.arguments),
        c.CONFIG: json.dumps(job.config.model_dump(mode="json")),
        c.CONFIG_DIGEST: job.config.digest(),
        c.CODE_VERSION: code_version(),
        c.FINGERPRINT: job.fingerprint,
        c.TABLES_READ: dict(job.tables.read_versions),
        c.TABLES_WRITTEN: dict(job.tables.written_versions),
        c.COUNTS: dict(job.counts),
        c.MESSAGE: message,
        c.EXIT_CODE: code,
    }
    frame = job.spark.createDataFrame([row], RUNS.schema)
    Tables(job.spark, job.config.warehouse).replace(frame, RUNS, {c.RUN_ID: job.run_id})
