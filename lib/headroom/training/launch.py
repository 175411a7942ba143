"""Runs one function on N ranks, each hosted by a Spark task, and says plainly why it failed."""

import logging
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import cloudpickle
from pyspark import SparkContext, SparkFiles
from pyspark.sql import SparkSession

from headroom.config import Training
from headroom.errors import TrainingError
from headroom.training.failures import Failure, RankOutput, root_cause
from headroom.training.rank import RankFunction, run_joined, run_single
from headroom.training.slots import check_properties, check_slots, is_local, task_cpus
from headroom.training.watch import Signals, Watch, job_group, quiet_threads
from headroom.training.wire import Address, Listener

log = logging.getLogger(__name__)

T = TypeVar("T")
Progress = Callable[[str], None]

_GLOO_TIMEOUT_SECONDS = 120  # containers start at different times; Horovod's 30 is too short
_START_TIMEOUT_SECONDS = 600


class AttemptError(TrainingError):
    """An attempt failed; `is_final` where another one would fail the same way."""

    def __init__(self, message: str, is_final: bool = False) -> None:
        self.is_final = is_final
        super().__init__(message)


def run_with_restarts(
    function: RankFunction[T],
    *,
    settings: Training,
    spark: SparkSession,
    progress: Progress | None = None,
) -> list[T]:
    """`run_on_ranks` on `settings.ranks`, started again after a failure up to `settings.attempts`
    times in all within `settings.timeout_seconds`. The function resumes from its own checkpoint.

    Raises AttemptError of the last attempt, or of the first that no other can mend.
    """
    deadline = time.monotonic() + settings.timeout_seconds
    attempt = 1
    while True:
        try:
            return run_on_ranks(
                function,
                ranks=settings.ranks,
                settings=settings,
                spark=spark,
                progress=progress,
                deadline=deadline,
            )
        except AttemptError as error:
            pause = min(2.0**attempt, 60.0)
            if error.is_final or attempt >= settings.attempts:
                raise
            log.warning("attempt %d of %d: %s", attempt, settings.attempts, error)
            log.warning("training starts again in %.0f s, from its last checkpoint", pause)
            attempt += 1
            time.sleep(pause)


def run_on_ranks(
    function: RankFunction[T],
    *,
    ranks: int,
    settings: Training,
    spark: SparkSession,
    progress: Progress | None = None,
    deadline: float | None = None,
) -> list[T]:
    """The results of `function(communicator)` in rank order; called from the main thread.

    A single rank runs in a Spark task without Horovod. What ranks print to stdout reaches
    `progress` (by default the log) line by line, as it is printed. `deadline` is on
    `time.monotonic`, by default `settings.timeout_seconds` from now. Raises TrainingError that
    names the rank and its exception.
    """
    context = spark.sparkContext
    deadline = deadline or time.monotonic() + settings.timeout_seconds
    check_properties(context, ranks)
    check_slots(context, ranks)
    output = RankOutput(progress or log.info)
    if ranks == 1:
        return [_run_single(function, settings, context, deadline, output)]
    if threading.current_thread() is not threading.main_thread():
        raise TrainingError("training on several ranks must be started from the main thread")
    return _run_joined(function, ranks, settings, context, deadline, output)


def _run_single(
    function: RankFunction[T],
    settings: Training,
    context: SparkContext,
    deadline: float,
    output: RankOutput,
) -> T:
    stall_seconds = settings.stall_seconds
    with job_group(context) as group, Watch(context, group, deadline, output) as watch:
        try:
            with _listener(output, context) as listener:
                address = listener.address
                task = context.parallelize([0], 1)
                run = task.map(lambda _: run_single(function, stall_seconds, address))
                result, failure = run.collect()[0]
        except Exception as error:
            log.debug("the task of the only rank failed: %s", error)
            failure = root_cause(output.failures, silent=[0])
    if failure is not None:
        raise _explained(watch, failure, settings)
    return result


def _run_joined(
    function: RankFunction[T],
    ranks: int,
    settings: Training,
    context: SparkContext,
    deadline: float,
    output: RankOutput,
) -> list[T]:
    with (
        Signals() as signals,
        quiet_threads(),
        Watch(context, _next_group(), deadline, output, signals) as watch,
    ):
        try:
            with _listener(output, context) as listener:
                shipped = _shipped(function, settings.stall_seconds, listener.address, context)
                return _horovod_run(shipped, ranks, settings, context, output)
        except Exception as error:
            cause = root_cause(output.failures, output.silent)
            log.debug("what the ranks wrote last:\n%s", output.tail)
            last_words = output.last_words or " ".join(str(error).split())
            raise _explained(watch, cause, settings, last_words) from error


def _horovod_run(
    function: Callable[[], T],
    ranks: int,
    settings: Training,
    context: SparkContext,
    output: RankOutput,
) -> list[T]:
    import horovod.runner.launch
    import horovod.spark

    # Horovod would ask by importing MXNet in a fork of the driver, which shares the sockets to the
    # JVM and may close them. A rank without Gloo says so itself.
    horovod.runner.launch.gloo_built = lambda verbose=False: True  # noqa: ARG005
    return horovod.spark.run(
        function,
        num_proc=ranks,
        use_gloo=True,
        start_timeout=min(_START_TIMEOUT_SECONDS, settings.timeout_seconds),
        env=_environment(context),
        stdout=output,
        stderr=output,
        nics=_interfaces(settings, context),
        executable=context.pythonExec,  # what the Python of the tasks is
        verbose=0,
    )


def _listener(output: RankOutput, context: SparkContext) -> Listener:
    host = context.getConf().get("spark.driver.host") or socket.gethostname()
    return Listener(output.hear, host, is_local(context))


def _next_group() -> str:
    """The Spark job group that the next `horovod.spark.run` will use."""
    from horovod.spark.driver import job_id

    return f"horovod.spark.run.{job_id.JOB_ID + 1}"


def _explained(
    watch: Watch, cause: Failure | None, settings: Training, last_words: str = ""
) -> AttemptError:
    if watch.is_overdue:
        return AttemptError(
            f"training was cancelled after training.timeout_seconds={settings.timeout_seconds}; "
            "raise it, or lower training.steps",
            is_final=True,
        )
    if cause is None:
        return AttemptError(f"the ranks did not start: {last_words}")
    if cause.trace:
        log.error("rank %d failed:\n%s", cause.rank, cause.trace)
    return AttemptError(cause.sentence, cause.is_final)


def _shipped(
    function: RankFunction[T], stall_seconds: float, address: Address, context: SparkContext
) -> Callable[[], T]:
    """The function of a rank, which finds what `--py-files` brought: Horovod starts a rank as a
    process of its own, and Spark puts those files on the path of its own workers only."""
    payload = cloudpickle.dumps(partial(run_joined, function, stall_seconds, address))
    names, root = list(context._python_includes), SparkFiles.getRootDirectory()

    def start() -> T:  # pickled by value: it may name nothing of this module
        import os
        import pickle
        import sys

        for folder in (root, os.environ["HOROVOD_SPARK_WORK_DIR"]):
            sys.path[:0] = [f"{folder}/{name}" for name in names]
        return pickle.loads(payload)()  # noqa: S301 - made by the driver, signed by Horovod

    return start


def _environment(context: SparkContext) -> dict[str, str]:
    return {
        "OMP_NUM_THREADS": str(task_cpus(context)),
        "MXNET_CPU_WORKER_NTHREADS": "1",
        "HOROVOD_GLOO_TIMEOUT_SECONDS": str(_GLOO_TIMEOUT_SECONDS),
    }


def _interfaces(settings: Training, context: SparkContext) -> list[str] | None:
    if settings.interfaces:
        return list(settings.interfaces)
    names = {name for _, name in socket.if_nameindex()}
    return ["lo"] if is_local(context) and "lo" in names else None
