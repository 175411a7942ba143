"""What runs inside a rank: the function of the training, watched, its end told to the driver."""

import os
from collections.abc import Callable
from dataclasses import asdict
from typing import TypeVar

from headroom.training.communicator import Alone, Communicator, HorovodRanks
from headroom.training.failures import Failure, died, failure_of, stall_of
from headroom.training.heartbeat import watched
from headroom.training.wire import Address, Wire

T = TypeVar("T")
RankFunction = Callable[[Communicator], T]


def run_joined(function: RankFunction[T], stall_seconds: float, address: Address) -> T:
    """The result of the function in this process, one of several that Horovod joins.

    An exception is told, then raised: the process must end, so that the others do.
    """

    def join() -> Communicator:
        from horovod.spark.task import get_available_devices

        return HorovodRanks(get_available_devices())

    return _run(function, join, int(os.environ["HOROVOD_RANK"]), stall_seconds, address)


def run_single(
    function: RankFunction[T], stall_seconds: float, address: Address
) -> tuple[T | None, Failure | None]:
    """The result of the function as the only rank, or its failure as a value: Spark would try a
    task that raised again, from where nobody asked it to."""
    from pyspark import TaskContext

    context = TaskContext.get()
    if context is not None and context.attemptNumber() > 0:
        return None, died(0)
    resources = context.resources() if context is not None else {}
    gpus = resources["gpu"].addresses if "gpu" in resources else ()
    try:
        return _run(function, lambda: Alone(gpus), 0, stall_seconds, address), None
    except Exception as error:
        return None, failure_of(0, error)


def _run(
    function: RankFunction[T],
    join: Callable[[], Communicator],
    rank: int,
    stall_seconds: float,
    address: Address,
) -> T:
    wire = Wire(rank, address)
    wire.say("started")
    try:
        communicator = join()
        heartbeat = communicator.heartbeat

        def on_stall() -> None:
            stall = stall_of(rank, heartbeat.silence, heartbeat.is_waiting)
            wire.say("failed", **asdict(stall))

        with watched(heartbeat, stall_seconds, on_stall), wire.printing():
            result = function(communicator)
        wire.say("done")
        return result
    except BaseException as error:
        wire.say("failed", **asdict(failure_of(rank, error)))
        raise
    finally:
        wire.close()
