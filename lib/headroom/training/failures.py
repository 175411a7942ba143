"""What the ranks tell of themselves, and which failure is the cause of the others."""

import json
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import RLock, get_ident

from headroom.errors import HeadroomError
from headroom.training.wire import MARK, Words

_MAX_MESSAGE, _MAX_TRACE = 2_000, 6_000  # characters
_TAIL_LINES = 40

# What MXNet says in a rank whose neighbour has gone (Horovod 0.28.1, over Gloo and NCCL).
_ECHOES = (
    "Horovod has been shut down",
    "after one of the ranks finished",
    "Connection closed by peer",
    "Connection reset by peer",
    "Broken pipe",
    "Timed out waiting",
    "gloo",
    "NCCL",
)


@dataclass(frozen=True)
class Failure:
    """Why one rank ended."""

    rank: int
    error: str  # name of the class; Stalled or Died where there was none
    message: str
    trace: str = ""
    is_echo: bool = False  # the rank failed, or waited, only because another one did
    is_final: bool = False  # trying again is of no use

    @property
    def sentence(self) -> str:
        return f"rank {self.rank} failed: {self.error}: {self.message}"


def failure_of(rank: int, error: BaseException) -> Failure:
    """The failure that an exception is. What headroom itself refuses is final."""
    name = type(error).__name__
    message = " ".join(str(error).split())[:_MAX_MESSAGE] or "no message"
    is_echo = name in ("MXNetError", "HorovodInternalError") and any(e in message for e in _ECHOES)
    trace = "".join(traceback.format_exception(error))[-_MAX_TRACE:]
    return Failure(rank, name, message, trace, is_echo, isinstance(error, HeadroomError))


def stall_of(rank: int, seconds: float, is_waiting: bool) -> Failure:
    """The failure of a rank that gave no sign of life; of one that waited for others, an echo."""
    where = "waiting for the other ranks" if is_waiting else "in its own work"
    message = f"no step for {seconds:.0f} s (training.stall_seconds), {where}"
    return Failure(rank, "Stalled", message, is_echo=is_waiting)


def root_cause(failures: Iterable[Failure], silent: Iterable[int]) -> Failure | None:
    """The failure that came before the others: the first that is no echo, else that of the lowest
    rank which ended without a word, else the first echo."""
    failures = list(failures)
    own = [failure for failure in failures if not failure.is_echo]
    if own:
        return own[0]
    ended = sorted(silent)
    if ended:
        return died(ended[0])
    return failures[0] if failures else None


def died(rank: int) -> Failure:
    """The failure of a process that was there and then was not."""
    message = (
        "its process ended without a word: killed (often for memory: raise "
        "spark.executor.memoryOverhead), frozen, or its host was lost"
    )
    return Failure(rank, "Died", message)


class RankOutput:
    """All that ranks say: what comes over the wire is heard, and where a rank has none, what it
    writes to the streams of `horovod.spark.run`.

    Each rank writes to a stream from a thread of its own, in pieces that may end within a line.
    """

    def __init__(self, on_printed: Callable[[str], None]) -> None:
        self.failures: list[Failure] = []
        self.failed_at: float | None = None  # time.monotonic of the first failure
        self._told: dict[str, set[int]] = {"started": set(), "done": set(), "failed": set()}
        self._tail: list[str] = []
        self._pieces: dict[int, str] = {}
        self._on_printed = on_printed
        self._lock = RLock()

    def hear(self, words: Words) -> None:
        """Takes one thing that a rank told."""
        event, rank = words.pop("event"), int(words["rank"])
        if event == "printed":
            self._on_printed(str(words["line"]))
            return
        with self._lock:
            is_new = rank not in self._told[event]
            self._told[event].add(rank)
            if is_new and event == "failed":
                self.failures.append(Failure(**words))
                self.failed_at = self.failed_at or time.monotonic()

    def write(self, text: str) -> int:
        with self._lock:
            *lines, rest = (self._pieces.get(get_ident(), "") + text).split("\n")
            self._pieces[get_ident()] = rest
            for line in lines:
                self._take(without_prefix(line))
        return len(text)

    def flush(self) -> None:
        """Nothing is held back but unfinished lines."""

    @property
    def silent(self) -> set[int]:
        """The ranks that started and then told neither success nor failure."""
        return self._told["started"] - self._told["done"] - self._told["failed"]

    @property
    def last_words(self) -> str:
        """The last line that some rank wrote, empty where none did."""
        return self._tail[-1] if self._tail else ""

    @property
    def tail(self) -> str:
        """The last lines that the ranks wrote."""
        return "\n".join(self._tail)

    def _take(self, line: str) -> None:
        if line.startswith(MARK):
            self.hear(json.loads(line.removeprefix(MARK)))
        elif line.strip():
            self._tail = [*self._tail[-_TAIL_LINES:], line]


def without_prefix(line: str) -> str:
    """The line without the `[1]<stderr>:` that Horovod puts before it."""
    head, found, rest = line.partition(">:")
    return rest if found and head.startswith("[") and "]<std" in head else line
