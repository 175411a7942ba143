"""The sign of life of a rank, and the watchdog that ends a rank which gives none."""

import faulthandler
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STALLED_EXIT_CODE = 75  # EX_TEMPFAIL: another attempt may do
_GRACE_SECONDS = 5.0
_STDERR = 2


class Heartbeat:
    """Remembers when the rank last moved, and whether it waits for the other ranks."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self.is_waiting = False

    def beat(self) -> None:
        """The rank moved."""
        self._last = time.monotonic()

    @property
    def silence(self) -> float:
        """Seconds since the last beat."""
        return time.monotonic() - self._last

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Inside, the rank waits for the others; leaving is a beat."""
        self.is_waiting = True
        yield
        self.is_waiting = False
        self.beat()


@contextmanager
def watched(
    heartbeat: Heartbeat, stall_seconds: float, on_stall: Callable[[], None]
) -> Iterator[None]:
    """Inside, a silence of `stall_seconds` calls `on_stall`, dumps all stacks to stderr and ends
    the process with exit code 75; a hang that holds the interpreter's lock is ended a little later
    by a timer in C, with exit code 1."""
    done = threading.Event()
    pause = min(1.0, stall_seconds / 10)
    heartbeat.beat()

    def watch() -> None:
        while not done.wait(pause):
            faulthandler.dump_traceback_later(
                stall_seconds + _GRACE_SECONDS, exit=True, file=_STDERR
            )
            if heartbeat.silence > stall_seconds:
                on_stall()
                faulthandler.dump_traceback(file=_STDERR, all_threads=True)
                os._exit(STALLED_EXIT_CODE)

    watchdog = threading.Thread(target=watch, name="stall-watchdog", daemon=True)
    watchdog.start()
    try:
        yield
    finally:
        done.set()
        watchdog.join()
        faulthandler.cancel_dump_traceback_later()
