"""What runs inside a rank: the function of the training, watched, its end told to the driver."""

import os
from collections.abc import Callable
from typing import TypeVar

from headroom.training.communicator import Alone, Communicator, HorovodRanks
from headroom.training.failures import Failure, failure_of, stall_of, tell, tell_failure
from headroom.training.heartbeat import watched

T = TypeVar("T")
RankFunction = Callable[[Communicator], T]


def run_joined(function: RankFunction[T], stall_seconds: float) -> T:
    """The result of the function in this process, one of several that Horovod joins.

    An exception is told, then raised: the process must end, so that the others do.
    """
    rank = int(os.environ["HOROVOD_RANK"])
    tell("started", rank)
    try:
        from horovod.spark.task import get_available_devices

        result = _run_watched(function, HorovodRanks(get_available_devices()), stall_seconds)
    except BaseException as error:
        tell_failure(failure_of(rank, error))
        raise
    tell("done", rank)
    return result


def run_single(function: RankFunction[T], stall_seconds: float) -> tuple[T | None, Failure | None]:
    """The result of the function as the only rank, or its failure as a value: Spark would try a
    task that raised again, from where nobody asked it to."""
    from pyspark import TaskContext

    context = TaskContext.get()
    if context is not None and context.attemptNumber() > 0:
        return None, died(0, stall_seconds)
    resources = context.resources() if context is not None else {}
    gpus = resources["gpu"].addresses if "gpu" in resources else ()
    try:
        return _run_watched(function, Alone(gpus), stall_seconds), None
    except Exception as error:
        return None, failure_of(0, error)


def died(rank: int, stall_seconds: float) -> Failure:
    """The failure of a process that was there and then was not."""
    message = (
        "its process died: killed (often for memory: raise spark.executor.memoryOverhead), or "
        f"ended after {stall_seconds:.0f} s without a step; its executor's log has its last words"
    )
    return Failure(rank, "Died", message)


def _run_watched(function: RankFunction[T], communicator: Communicator, stall_seconds: float) -> T:
    heartbeat = communicator.heartbeat

    def on_stall() -> None:
        tell_failure(stall_of(communicator.rank, heartbeat.silence, heartbeat.is_waiting))

    with watched(heartbeat, stall_seconds, on_stall):
        return function(communicator)
