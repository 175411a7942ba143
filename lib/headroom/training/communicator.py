"""What the ranks of one training say to each other: the same lines for one rank and for many."""

import json
from collections.abc import Sequence
from typing import Any, Protocol

from headroom.training.heartbeat import Heartbeat


class Communicator(Protocol):
    """One rank's view of all of them. Every rank makes the same calls in the same order."""

    rank: int
    size: int
    gpus: tuple[str, ...]  # addresses that Spark assigned to the task of this rank
    heartbeat: Heartbeat

    def sum_(self, arrays: Sequence[Any]) -> None:
        """Replaces MXNet arrays by their sums over the ranks, and waits for the result."""

    def broadcast_(self, arrays: Sequence[Any]) -> None:
        """Replaces MXNet arrays by those of rank 0, and waits for the result."""

    def gather(self, value: Any) -> list[Any]:
        """The values of all ranks in rank order, on every rank; a value is what JSON can hold."""

    def barrier(self) -> None:
        """Returns once every rank has come here."""

    def beat(self) -> None:
        """A sign of life, for stretches of more than a few seconds between two of the above."""


class Alone:
    """A single rank: sums and broadcasts are what they are. Needs no Horovod."""

    rank = 0
    size = 1

    def __init__(self, gpus: Sequence[str] = ()) -> None:
        self.gpus = tuple(gpus)
        self.heartbeat = Heartbeat()

    def sum_(self, arrays: Sequence[Any]) -> None:
        for array in arrays:
            array.wait_to_read()
        self.beat()

    def broadcast_(self, arrays: Sequence[Any]) -> None:
        self.sum_(arrays)

    def gather(self, value: Any) -> list[Any]:
        self.beat()
        return [json.loads(json.dumps(value))]

    def barrier(self) -> None:
        self.beat()

    def beat(self) -> None:
        self.heartbeat.beat()


class HorovodRanks:
    """One of several ranks, joined by Horovod over Gloo or NCCL.

    Gradients are summed and never averaged here: Horovod's own averaging differs between the two.
    """

    def __init__(self, gpus: Sequence[str] = ()) -> None:
        from headroom.model.mx import mx

        self._mx = mx  # loaded before Horovod, which imports MXNet as well
        import horovod.mxnet as hvd

        hvd.init()
        self._hvd = hvd
        self.rank: int = hvd.rank()
        self.size: int = hvd.size()
        self.gpus = tuple(gpus)
        self.heartbeat = Heartbeat()

    def sum_(self, arrays: Sequence[Any]) -> None:
        arrays = list(arrays)
        with self.heartbeat.waiting():
            # One name per operation: Horovod then answers from its cache at every later step.
            self._hvd.grouped_allreduce_(arrays, name=f"sum.{len(arrays)}", op=self._hvd.Sum)
            self._wait(arrays)

    def broadcast_(self, arrays: Sequence[Any]) -> None:
        arrays = list(arrays)
        with self.heartbeat.waiting():
            for i, array in enumerate(arrays):
                self._hvd.broadcast_(array, root_rank=0, name=f"broadcast.{i}")
            self._wait(arrays)

    def gather(self, value: Any) -> list[Any]:
        nd = self._mx.nd
        text = json.dumps(value).encode()
        with self.heartbeat.waiting():
            lengths = self._hvd.allgather(nd.array([len(text)], dtype="int32"), name="lengths")
            sizes = lengths.asnumpy()
            values = self._hvd.allgather(nd.array(list(text), dtype="uint8"), name="values")
            joined = values.asnumpy().tobytes()
        ends = sizes.cumsum()
        return [json.loads(joined[end - size : end]) for size, end in zip(sizes, ends, strict=True)]

    def barrier(self) -> None:
        self.gather(None)

    def beat(self) -> None:
        self.heartbeat.beat()

    @staticmethod
    def _wait(arrays: Sequence[Any]) -> None:
        for array in arrays:
            array.wait_to_read()
