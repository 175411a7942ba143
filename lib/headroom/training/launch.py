"""Runs one function on N ranks, each hosted by a Spark task, and says plainly why it failed."""

import itertools
import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import cloudpickle
from pyspark import SparkContext, SparkFiles
from pyspark.sql import SparkSession

from headroom.config import Training
from headroom.errors import TrainingError
from headroom.training.failures import Failure, RankOutput, root_cause
from headroom.training.rank import RankFunction, died, run_joined, run_single
from headroom.training.slots import check_properties, check_slots, is_local, task_cpus

log = logging.getLogger(__name__)

T = TypeVar("T")
Progress = Callable[[str], None]

_GLOO_TIMEOUT_SECONDS = 120  # containers start at different times; Horovod's 30 is too short
_START_TIMEOUT_SECONDS = 600
_FAREWELL_SECONDS = 15.0  # from the first failure until what still runs is cancelled
_numbers = itertools.count()


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
    `progress` line by line as it is printed; of a single rank, the log of its executor. `deadline`
    is on `time.monotonic`, by default `settings.timeout_seconds` from now. Raises TrainingError
    that names the rank and its exception.
    """
    context = spark.sparkContext
    deadline = deadline or time.monotonic() + settings.timeout_seconds
    check_properties(context, ranks)
    check_slots(context, ranks)
    if ranks == 1:
        return [_run_single(function, settings, context, deadline)]
    if threading.current_thread() is not threading.main_thread():
        raise TrainingError("training on several ranks must be started from the main thread")
    with _signals_kept(), _quiet_threads():
        return _run_joined(function, ranks, settings, context, progress or log.info, deadline)


def _run_single(
    function: RankFunction[T], settings: Training, context: SparkContext, deadline: float
) -> T:
    stall_seconds = settings.stall_seconds
    with _job_group(context) as group, _Watch(context, group, deadline, None) as watch:
        try:
            tasks = context.parallelize([0], 1).map(lambda _: run_single(function, stall_seconds))
            result, failure = tasks.collect()[0]
        except Exception as error:
            log.debug("the task of the only rank failed: %s", error)
            failure = died(0, stall_seconds)
    if failure is not None:
        raise _explained(watch, failure, settings)
    return result


def _run_joined(
    function: RankFunction[T],
    ranks: int,
    settings: Training,
    context: SparkContext,
    progress: Progress,
    deadline: float,
) -> list[T]:
    import horovod.spark
    from horovod.spark.driver import job_id

    import headroom.model  # noqa: F401 - Horovod imports MXNet in a fork of the driver, as a test

    stderr = RankOutput(log.debug)
    group = f"horovod.spark.run.{job_id.JOB_ID + 1}"  # as horovod.spark.run will name it
    with _Watch(context, group, deadline, stderr) as watch:
        try:
            return horovod.spark.run(
                _shipped(function, settings.stall_seconds, context),
                num_proc=ranks,
                use_gloo=True,
                start_timeout=min(_START_TIMEOUT_SECONDS, settings.timeout_seconds),
                env=_environment(context),
                stdout=RankOutput(progress),
                stderr=stderr,
                nics=_interfaces(settings, context),
                executable=context.pythonExec,  # what the Python of the tasks is
                verbose=0,
            )
        except Exception as error:
            cause = root_cause(stderr.failures, stderr.silent)
            last_words = stderr.last_words or " ".join(str(error).split())
            log.debug("what the ranks wrote last:\n%s", stderr.tail)
            raise _explained(watch, cause, settings, last_words) from error


def _explained(
    watch: "_Watch", cause: Failure | None, settings: Training, last_words: str = ""
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
    function: RankFunction[T], stall_seconds: float, context: SparkContext
) -> Callable[[], T]:
    """The function of a rank, which finds what `--py-files` brought: Horovod starts a rank as a
    process of its own, and Spark puts those files on the path of its own workers only."""
    payload = cloudpickle.dumps(partial(run_joined, function, stall_seconds))
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


class _Watch:
    """Cancels a Spark job group at the deadline, or some time after the first failure of a rank:
    a rank that is frozen keeps `horovod.spark.run` waiting for ever."""

    def __init__(
        self, context: SparkContext, group: str, deadline: float, output: RankOutput | None
    ) -> None:
        self.is_overdue = False
        self._context, self._group, self._deadline = context, group, deadline
        self._output = output
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="training-watch", daemon=True)

    def __enter__(self) -> "_Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.5):
            now = time.monotonic()
            failed_at = self._output.failed_at if self._output else None
            self.is_overdue = self.is_overdue or now > self._deadline
            if self.is_overdue or (failed_at and now > failed_at + _FAREWELL_SECONDS):
                self._context.cancelJobGroup(self._group)
                self._done.wait(3)  # then again: the job may not have begun the first time


@contextmanager
def _job_group(context: SparkContext) -> Iterator[str]:
    group = f"headroom.training.{next(_numbers)}"
    names = ("spark.jobGroup.id", "spark.job.description", "spark.job.interruptOnCancel")
    kept = {name: context.getLocalProperty(name) for name in names}
    context.setJobGroup(group, "training on one rank", interruptOnCancel=True)
    try:
        yield group
    finally:
        for name, value in kept.items():
            context.setLocalProperty(name, value)


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Horovod replaces the handlers of SIGINT and SIGTERM for good; this puts them back, and
    hands them a signal that came meanwhile."""
    kept = {s: signal.getsignal(s) or signal.SIG_DFL for s in (signal.SIGINT, signal.SIGTERM)}
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    previous = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(previous)
        replaced = {s for s, handler in kept.items() if signal.getsignal(s) != handler}
        for number, handler in kept.items():
            signal.signal(number, handler)
        received = _received(reader)
        reader.close()
        writer.close()
        for number in replaced & received:
            signal.raise_signal(number)


def _received(reader: socket.socket) -> set[int]:
    try:
        return set(reader.recv(4096))
    except BlockingIOError:
        return set()


@contextmanager
def _quiet_threads() -> Iterator[None]:
    """Horovod's threads die loudly when a run fails; the failure itself is raised anyway."""
    kept = threading.excepthook
    threading.excepthook = lambda args: log.debug("thread ended: %s", args.exc_value)
    try:
        yield
    finally:
        threading.excepthook = kept
