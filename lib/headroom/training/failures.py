"""What the ranks tell of themselves, and which failure is the cause of the others."""

import json
import os
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from threading import Lock, get_ident
from typing import Any, Literal

from headroom.errors import HeadroomError

MARK = "headroom-rank "
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
        message = "it ended without a word: killed (often for memory), frozen, or its host was lost"
        return Failure(ended[0], "Died", message)
    return failures[0] if failures else None


def tell(event: Literal["started", "done"], rank: int) -> None:
    """Tells the driver how far this rank is."""
    _say({"event": event, "rank": rank})


def tell_failure(failure: Failure) -> None:
    """Tells the driver why this rank ends."""
    _say({"event": "failed", **asdict(failure)})


def _say(words: dict[str, Any]) -> None:
    # One line past every buffer: the process may be dying.
    os.write(2, f"\n{MARK}{json.dumps(words)}\n".encode())


class RankOutput:
    """A text stream for `horovod.spark.run`: keeps what ranks tell, passes other lines on.

    Each rank writes from a thread of its own, in pieces that may end within a line.
    """

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self.failures: list[Failure] = []
        self.failed_at: float | None = None  # time.monotonic of the first failure
        self._seen: dict[str, set[int]] = {"started": set(), "done": set(), "failed": set()}
        self._tail: list[str] = []
        self._pieces: dict[int, str] = {}
        self._on_line = on_line
        self._lock = Lock()

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
        return self._seen["started"] - self._seen["done"] - self._seen["failed"]

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
            self._hear(json.loads(line.removeprefix(MARK)))
        elif line.strip():
            self._tail = [*self._tail[-_TAIL_LINES:], line]
            self._on_line(line)

    def _hear(self, words: dict[str, Any]) -> None:
        event = words.pop("event")
        self._seen[event].add(words["rank"])
        if event == "failed":
            self.failures.append(Failure(**words))
            self.failed_at = self.failed_at or time.monotonic()


def without_prefix(line: str) -> str:
    """The line without the `[1]<stderr>:` that Horovod puts before it."""
    head, found, rest = line.partition(">:")
    return rest if found and head.startswith("[") and "]<std" in head else line
