"""Real ranks: `horovod.spark.run` in the tasks of the shared session. Each start costs seconds, so
one run shows several things."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from headroom.config import Training
from headroom.errors import DataError, TrainingError
from headroom.training import watch
from headroom.training.communicator import Communicator
from headroom.training.launch import AttemptError, run_on_ranks, run_with_restarts

SETTINGS = Training(ranks=2, timeout_seconds=240, stall_seconds=60, attempts=1)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Whatever happens, signals go where they went before."""
    before = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    hook = threading.excepthook
    yield
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == before
    assert threading.excepthook is hook


def test_ranks_sum_broadcast_and_gather(spark: SparkSession, tmp_path: Path) -> None:
    heard = tmp_path / "heard"

    def talk(communicator: Communicator) -> dict[str, Any]:
        from headroom.model.mx import mx

        if communicator.rank == 0:
            print("step 1 of 1")
            while not heard.exists():
                time.sleep(0.05)  # progress comes while ranks run, or never

        rank = communicator.rank
        a, b = mx.nd.array([rank + 1.0, 10.0]), mx.nd.full((2, 2), rank)
        communicator.sum_([a, b])
        communicator.sum_([a])  # again, another count: 2 x 3 and 2 x 20
        weights = mx.nd.full((3,), 7.0 + rank)
        communicator.broadcast_([weights])
        communicator.barrier()
        return {
            "rank": rank,
            "size": communicator.size,
            "sums": (a.asnumpy().tolist(), b.asnumpy().tolist()),
            "weights": weights.asnumpy().tolist(),
            "gathered": communicator.gather({"rank": rank, "é": "x" * 10 * rank}),
            "threads": os.environ["OMP_NUM_THREADS"],
        }

    def progress(line: str) -> None:
        lines.append(line)
        heard.touch()

    lines: list[str] = []
    first, second = run_on_ranks(talk, ranks=2, settings=SETTINGS, spark=spark, progress=progress)

    assert [first["rank"], second["rank"]] == [0, 1]
    assert first["sums"] == second["sums"] == ([6.0, 40.0], [[1.0, 1.0], [1.0, 1.0]])
    assert first["weights"] == second["weights"] == [7.0, 7.0, 7.0]
    assert first["gathered"] == second["gathered"]
    assert first["gathered"] == [{"rank": 0, "é": ""}, {"rank": 1, "é": "x" * 10}]
    assert first["threads"] == "1"
    assert lines == ["step 1 of 1"]


def test_a_failed_attempt_is_explained_and_the_next_goes_on(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)

    def go_on(communicator: Communicator) -> int:
        attempts = len(list(tmp_path.glob(f"{communicator.rank}-*")))
        (tmp_path / f"{communicator.rank}-{attempts}").touch()
        if attempts == 0 and communicator.rank == 1:
            raise OSError("the disk of rank 1 is full")
        communicator.barrier()  # where rank 0 learns that rank 1 has gone
        return attempts

    settings = SETTINGS.model_copy(update={"attempts": 2})
    assert run_with_restarts(go_on, settings=settings, spark=spark) == [1, 1]
    assert "attempt 1 of 2: rank 1 failed: OSError: the disk of rank 1 is full" in caplog.text
    assert "in go_on" in caplog.text  # the traceback of the rank


def test_a_killed_rank_is_named(spark: SparkSession) -> None:
    def die(communicator: Communicator) -> None:
        if communicator.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        communicator.barrier()

    with pytest.raises(AttemptError, match=r"rank 1 failed: Died: .* killed"):
        run_on_ranks(die, ranks=2, settings=SETTINGS, spark=spark)


@pytest.mark.slow
def test_a_hung_rank_is_ended(spark: SparkSession) -> None:
    def hang(communicator: Communicator) -> None:
        communicator.barrier()
        if communicator.rank == 1:
            time.sleep(1000)
        communicator.barrier()

    settings = SETTINGS.model_copy(update={"stall_seconds": 5})
    started = time.monotonic()
    message = r"rank 1 failed: Stalled: no step for [5-9] s .* in its own work"
    with pytest.raises(AttemptError, match=message) as caught:
        run_on_ranks(hang, ranks=2, settings=settings, spark=spark)
    assert not caught.value.is_final
    assert time.monotonic() - started < 60


@pytest.mark.slow
def test_a_frozen_rank_does_not_hold_the_others_for_ever(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def freeze(communicator: Communicator) -> None:
        communicator.barrier()
        if communicator.rank == 1:
            os.kill(os.getpid(), signal.SIGSTOP)  # its own watchdog is frozen with it
        communicator.barrier()

    monkeypatch.setattr(watch, "FAREWELL_SECONDS", 1.0)
    settings = SETTINGS.model_copy(update={"stall_seconds": 5})
    started = time.monotonic()
    with pytest.raises(AttemptError, match=r"rank 1 failed: Died: .* frozen"):
        run_on_ranks(freeze, ranks=2, settings=settings, spark=spark)
    assert time.monotonic() - started < 90


@pytest.mark.slow
def test_a_run_past_its_deadline_is_cancelled(spark: SparkSession) -> None:
    def dawdle(communicator: Communicator) -> None:
        while True:
            communicator.beat()
            time.sleep(0.1)

    settings = SETTINGS.model_copy(update={"timeout_seconds": 10})
    started = time.monotonic()
    with pytest.raises(AttemptError, match=r"training\.timeout_seconds=10") as caught:
        run_on_ranks(dawdle, ranks=2, settings=settings, spark=spark)
    assert caught.value.is_final
    assert time.monotonic() - started < 60
    with pytest.raises(AttemptError, match=r"training\.timeout_seconds=10"):
        run_on_ranks(dawdle, ranks=1, settings=settings, spark=spark, deadline=time.monotonic() + 3)


def test_ctrl_c_ends_the_run_and_reaches_the_driver(spark: SparkSession) -> None:
    def dawdle(communicator: Communicator) -> None:
        communicator.barrier()
        if communicator.rank == 0:
            print("running")
        time.sleep(1000)

    interrupted: list[float] = []

    def interrupt(line: str) -> None:
        interrupted.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run_with_restarts(
            dawdle,
            settings=SETTINGS.model_copy(update={"attempts": 3}),
            spark=spark,
            progress=interrupt,
        )
    assert len(interrupted) == 1  # and nothing was tried again
    assert time.monotonic() - interrupted[0] < SETTINGS.stall_seconds


def test_a_single_rank_needs_no_horovod(spark: SparkSession) -> None:
    def talk(communicator: Communicator) -> tuple[int, list[float], list[str], list[str]]:
        from headroom.model.mx import mx

        array = mx.nd.array([1.0, 2.0])
        communicator.sum_([array])
        communicator.broadcast_([array])
        communicator.barrier()
        print("step 1 of 1")
        loaded = [name for name in sys.modules if name.startswith("horovod")]
        return communicator.size, array.asnumpy().tolist(), communicator.gather("a"), loaded

    lines: list[str] = []
    assert run_on_ranks(talk, ranks=1, settings=SETTINGS, spark=spark, progress=lines.append) == [
        (1, [1.0, 2.0], ["a"], [])
    ]
    assert lines == ["step 1 of 1"]


def test_what_headroom_refuses_is_not_tried_again(spark: SparkSession, tmp_path: Path) -> None:
    def refuse(communicator: Communicator) -> None:
        with (tmp_path / "tries").open("a") as tries:
            tries.write("x")
        raise DataError("the series are empty")

    settings = SETTINGS.model_copy(update={"ranks": 1, "attempts": 3})
    with pytest.raises(AttemptError, match="rank 0 failed: DataError: the series are empty"):
        run_with_restarts(refuse, settings=settings, spark=spark)
    assert (tmp_path / "tries").read_text() == "x"


def test_a_single_rank_that_dies_or_stalls_is_explained(spark: SparkSession) -> None:
    settings = SETTINGS.model_copy(update={"stall_seconds": 5})
    with pytest.raises(AttemptError, match="rank 0 failed: Died: its process ended"):
        run_on_ranks(lambda _: os._exit(3), ranks=1, settings=settings, spark=spark)
    with pytest.raises(AttemptError, match=r"rank 0 failed: Stalled: no step for [5-9] s"):
        run_on_ranks(lambda _: time.sleep(1000), ranks=1, settings=settings, spark=spark)


def test_what_cannot_start_is_said_at_once(spark: SparkSession) -> None:
    message = r"training.ranks=4 needs 4 task slots, this application has 2; .*--master local\[4\]"
    with pytest.raises(TrainingError, match=message):
        run_on_ranks(lambda _: None, ranks=4, settings=SETTINGS, spark=spark)

    errors: list[BaseException] = []

    def elsewhere() -> None:
        try:
            run_on_ranks(lambda _: None, ranks=2, settings=SETTINGS, spark=spark)
        except TrainingError as error:
            errors.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert "from the main thread" in str(errors[0])
