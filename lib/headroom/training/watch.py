"""What the driver does while ranks run: looks at the clock, at failures and at signals."""

import itertools
import logging
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pyspark import SparkContext

from headroom.training.failures import RankOutput

log = logging.getLogger(__name__)

FAREWELL_SECONDS = 15.0  # from the first failure until what still runs is cancelled
_numbers = itertools.count()


class Signals:
    """Horovod replaces the handlers of SIGINT and SIGTERM for good; this notes what comes
    meanwhile, puts the handlers back, and then lets them have it."""

    def __init__(self) -> None:
        self._received: set[int] = set()

    def __enter__(self) -> "Signals":
        numbers = (signal.SIGINT, signal.SIGTERM)
        self._handlers = {n: signal.getsignal(n) or signal.SIG_DFL for n in numbers}
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._previous = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._previous)
        replaced = {n for n, handler in self._handlers.items() if signal.getsignal(n) != handler}
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        received = self.received()
        self._reader.close()
        self._writer.close()
        for number in replaced & received:
            signal.raise_signal(number)

    def received(self) -> set[int]:
        """The numbers of SIGINT and SIGTERM where they came."""
        with suppress(BlockingIOError):
            self._received |= set(self._reader.recv(4096))
        return self._received & set(self._handlers)


class Watch:
    """Cancels a Spark job group at the deadline, on SIGINT or SIGTERM, and some time after the
    first failure of a rank: a frozen rank keeps `horovod.spark.run` waiting for ever."""

    def __init__(
        self,
        context: SparkContext,
        group: str,
        deadline: float,
        output: RankOutput,
        signals: Signals | None = None,
    ) -> None:
        self.is_overdue = False
        self._context, self._group, self._deadline = context, group, deadline
        self._output, self._signals = output, signals
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="training-watch", daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.5):
            if self._is_over():
                self._context.cancelJobGroup(self._group)
                self._done.wait(3)  # then again: the job may not have begun the first time

    def _is_over(self) -> bool:
        now = time.monotonic()
        self.is_overdue = self.is_overdue or now > self._deadline
        failed_at = self._output.failed_at
        is_farewell_over = failed_at is not None and now > failed_at + FAREWELL_SECONDS
        is_interrupted = self._signals is not None and bool(self._signals.received())
        return self.is_overdue or is_farewell_over or is_interrupted


@contextmanager
def job_group(context: SparkContext) -> Iterator[str]:
    """Inside, jobs of this thread belong to a group of their own, whose name this is."""
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
def quiet_threads() -> Iterator[None]:
    """Horovod's threads die loudly when a run fails; the failure itself is raised anyway."""
    kept = threading.excepthook
    threading.excepthook = lambda args: log.debug("thread ended: %s", args.exc_value)
    try:
        yield
    finally:
        threading.excepthook = kept
