"""Real ranks: `horovod.spark.run` in the tasks of the shared session. Each start costs seconds, so
one run shows several things."""

import os
import signal
import sys
from typing import Any

from pyspark.sql import SparkSession

from headroom.config import Training
from headroom.training.communicator import Communicator
from headroom.training.launch import run_on_ranks

SETTINGS = Training(ranks=2, timeout_seconds=120, stall_seconds=60)


def test_ranks_sum_broadcast_and_gather(spark: SparkSession) -> None:
    def talk(communicator: Communicator) -> dict[str, Any]:
        from headroom.model.mx import mx

        rank = communicator.rank
        a, b = mx.nd.array([rank + 1.0, 10.0]), mx.nd.full((2, 2), rank)
        communicator.sum_([a, b])
        communicator.sum_([a])  # again, another count: 2 x 3 and 2 x 20
        weights = mx.nd.full((3,), 7.0 + rank)
        communicator.broadcast_([weights])
        if rank == 0:
            print("step 1 of 1")
        communicator.barrier()
        return {
            "rank": rank,
            "size": communicator.size,
            "sums": (a.asnumpy().tolist(), b.asnumpy().tolist()),
            "weights": weights.asnumpy().tolist(),
            "gathered": communicator.gather({"rank": rank, "é": "x" * 10 * rank}),
            "threads": os.environ["OMP_NUM_THREADS"],
        }

    handlers = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    lines: list[str] = []
    first, second = run_on_ranks(
        talk, ranks=2, settings=SETTINGS, spark=spark, progress=lines.append
    )

    assert [first["rank"], second["rank"]] == [0, 1]
    assert first["sums"] == second["sums"] == ([6.0, 40.0], [[1.0, 1.0], [1.0, 1.0]])
    assert first["weights"] == second["weights"] == [7.0, 7.0, 7.0]
    assert first["gathered"] == second["gathered"]
    assert first["gathered"] == [{"rank": 0, "é": ""}, {"rank": 1, "é": "x" * 10}]
    assert first["threads"] == "1"
    assert lines == ["step 1 of 1"]
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_a_single_rank_needs_no_horovod(spark: SparkSession) -> None:
    def talk(communicator: Communicator) -> tuple[int, list[float], list[str], list[str]]:
        from headroom.model.mx import mx

        array = mx.nd.array([1.0, 2.0])
        communicator.sum_([array])
        communicator.broadcast_([array])
        communicator.barrier()
        loaded = [name for name in sys.modules if name.startswith("horovod")]
        return communicator.size, array.asnumpy().tolist(), communicator.gather("a"), loaded

    settings = Training(ranks=1)
    assert run_on_ranks(talk, ranks=1, settings=settings, spark=spark) == [
        (1, [1.0, 2.0], ["a"], [])
    ]
