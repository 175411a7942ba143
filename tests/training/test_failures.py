"""Which rank is to blame, how it is heard, when a silent one is ended; without a cluster."""

import json
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from headroom.errors import DataError, TrainingError
from headroom.model.mx import mx
from headroom.training import device
from headroom.training.communicator import Alone
from headroom.training.device import choose_device, gpu_ordinal
from headroom.training.failures import (
    RankOutput,
    failure_of,
    root_cause,
    stall_of,
    without_prefix,
)
from headroom.training.slots import check_properties, check_slots, task_slots
from headroom.training.wire import MARK, Address, Listener, Wire

ECHO = failure_of(0, mx.base.MXNetError("Horovod has been shut down. This was caused by ..."))
OWN = failure_of(1, ValueError("no such\n  series"))


def test_the_cause_is_no_echo() -> None:
    assert ECHO.is_echo and not OWN.is_echo
    assert OWN.sentence == "rank 1 failed: ValueError: no such series"
    assert "ValueError: no such" in OWN.trace
    assert root_cause([ECHO, OWN], silent=[]) == OWN


def test_a_rank_that_hangs_is_to_blame_and_not_those_that_wait_for_it() -> None:
    waits, hangs = stall_of(0, 31, is_waiting=True), stall_of(1, 30, is_waiting=False)
    assert root_cause([waits, hangs], silent=[]) == hangs


def test_a_rank_that_ended_without_a_word_is_to_blame_where_others_echo() -> None:
    cause = root_cause([ECHO], silent=[2, 1])
    assert cause is not None and (cause.rank, cause.error) == (1, "Died")
    assert "memory" in cause.message


def test_without_any_failure_there_is_no_cause() -> None:
    assert root_cause([], silent=[]) is None
    assert root_cause([ECHO], silent=[]) == ECHO


def test_only_what_headroom_refuses_is_final() -> None:
    assert failure_of(0, DataError("empty")).is_final
    assert not failure_of(0, OSError("disk full")).is_final


def test_output_of_ranks_is_put_together_again() -> None:
    output = RankOutput(print)
    failed = f"[1]<stderr>:{MARK}" + json.dumps({"event": "failed", **asdict(OWN)})
    output.write(f'[0]<stdout>:{MARK}{{"event": "started", "rank": 0}}\n[0]<stdout>:st')
    other = threading.Thread(target=output.write, args=(failed[:50],))
    other.start()
    other.join()
    output.write("ep 1\n\n")
    assert output.last_words == "step 1"
    assert output.silent == {0}
    assert output.failures == [] and output.failed_at is None  # its line has not ended

    output.write(failed + "\n" + failed + "\n")
    assert output.failures == [OWN]  # once, however often it is told
    assert output.failed_at is not None
    assert output.silent == {0}


def talk(address: Address) -> None:
    wire = Wire(1, address)
    wire.say("started")
    with wire.printing():
        print("step 1")
        print("step", 2)
    wire.say("failed", **asdict(OWN))
    wire.close()


def test_what_ranks_say_is_heard_while_they_run() -> None:
    lines: list[str] = []
    output = RankOutput(lines.append)
    with Listener(output.hear, "127.0.0.1", is_local=True) as listener:
        wire = Wire(0, listener.address)
        wire.say("started")
        until = time.monotonic() + 10
        while output.silent != {0} and time.monotonic() < until:
            time.sleep(0.01)
        assert output.silent == {0}  # rank 0 is still there
        wire.close()
        talk(listener.address)
        until = time.monotonic() + 10
        while len(lines) < 2 and time.monotonic() < until:
            time.sleep(0.01)
    assert lines == ["step 1", "step 2"]
    assert output.failures == [OWN]


def test_a_stranger_is_not_heard() -> None:
    output = RankOutput(print)
    with Listener(output.hear, "127.0.0.1", is_local=True) as listener:
        talk(replace(listener.address, token="0" * 32))
    assert output.failures == [] and output.silent == set()


def test_without_a_wire_the_words_go_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    with Listener(print, "127.0.0.1", is_local=True) as listener:
        closed = listener.address
    talk(closed)
    said = capfd.readouterr()
    assert said.out == "step 1\nstep 2\n"
    output = RankOutput(print)
    output.write(said.err)
    assert output.failures == [OWN]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("[12]<stdout>:loss 0.1", "loss 0.1"),
        ("a [1]<stdout>:b", "a [1]<stdout>:b"),
        ("if a >: b", "if a >: b"),
    ],
)
def test_the_prefix_is_taken_off(line: str, expected: str) -> None:
    assert without_prefix(line) == expected


HANG = """
import sys, time
from headroom.training.rank import run_single
from headroom.training.wire import Address

def hang(communicator):
    for _ in range(5):
        time.sleep(0.2)
        communicator.beat()
    HOW

print(run_single(hang, 0.8, Address("127.0.0.1", 1, "")))
"""


def run_hanging(how: str) -> tuple[subprocess.CompletedProcess[str], float]:
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", HANG.replace("HOW", how)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done, time.monotonic() - started


def test_a_silent_rank_is_ended_with_its_stacks() -> None:
    done, _ = run_hanging("time.sleep(50)")
    assert done.returncode == 75
    assert '"error": "Stalled"' in done.stderr and "in its own work" in done.stderr
    assert "in hang" in done.stderr  # the frame that hung


def test_a_rank_that_holds_the_interpreter_is_ended_too() -> None:
    # 50 digits of backtracking: one call in C that never lets another thread run
    done, seconds = run_hanging("__import__('re').match('(a+)+$', 'a' * 60 + 'b')")
    assert done.returncode == 1
    assert "Timeout" in done.stderr and "in hang" in done.stderr
    assert seconds < 30


def test_a_rank_that_beats_is_left_alone() -> None:
    done, _ = run_hanging("return 'done'")
    assert (done.returncode, done.stdout) == (0, "('done', None)\n")


def test_one_rank_sums_to_itself() -> None:
    alone, array = Alone(), mx.nd.array([1, 2])
    alone.sum_([array])
    alone.broadcast_([array])
    np.testing.assert_array_equal(array.asnumpy(), [1, 2])
    assert alone.gather({"a": (1, 2)}) == [{"a": [1, 2]}]  # as the wire would have it


def test_the_cpu_is_chosen_where_no_gpu_is_assigned() -> None:
    assert choose_device("auto", Alone()) == mx.cpu()
    assert choose_device("cpu", Alone(gpus=["3"])) == mx.cpu()


def test_a_demanded_gpu_that_is_not_there_fails_at_once() -> None:
    with pytest.raises(TrainingError, match="Spark assigned no GPU"):
        choose_device("gpu", Alone())
    with pytest.raises(TrainingError, match="MXNet sees 0 GPUs"):
        choose_device("auto", Alone(gpus=["0"]))


class Three(Alone):
    """A rank that hears the same from two others."""

    def gather(self, value: Any) -> list[Any]:
        return ["other", value, value]


def test_two_ranks_on_one_gpu_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "gpu_uuid", lambda ordinal: f"chip {ordinal}")
    gpu = SimpleNamespace(device_type="gpu", device_id=1)
    with pytest.raises(TrainingError, match=r"share one GPU \(chip 1\); .*amount=1"):
        device._refuse_shared(Three(), gpu)
    device._refuse_shared(Alone(), gpu)
    device._refuse_shared(Three(), SimpleNamespace(device_type="cpu", device_id=0))


@pytest.mark.parametrize(
    ("assigned", "n_visible", "visible", "ordinal"),
    [
        ("1", 2, None, 1),
        ("1", 2, "4,5", 1),  # a position, as Spark's own convention has it
        ("5", 2, "4,5", 1),  # an entry, as nvidia-smi reports it
        ("GPU-abc", 2, "GPU-xyz,GPU-abc", 1),
        ("7", 1, None, 0),  # the container shows one GPU only
    ],
)
def test_the_address_becomes_an_ordinal(
    assigned: str, n_visible: int, visible: str | None, ordinal: int
) -> None:
    assert gpu_ordinal((assigned,), n_visible, visible) == ordinal


def test_an_address_that_means_nothing_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"GPU 7, but MXNet sees 2 GPUs .*=4,5"):
        gpu_ordinal(("7",), 2, "4,5")


def context(master: str, cores: int, **conf: str) -> Any:
    """What `slots` asks of a SparkContext."""
    known = {name.replace("_", "."): value for name, value in conf.items()}
    return SimpleNamespace(
        master=master,
        defaultParallelism=cores,
        getConf=lambda: SimpleNamespace(get=known.get, contains=known.__contains__),
    )


@pytest.mark.parametrize(
    ("conf", "slots"),
    [
        ({}, 4),
        ({"spark_task_cpus": "2"}, 2),
        ({"spark_executor_instances": "3", "spark_executor_cores": "2"}, 6),
        ({"spark_default_parallelism": "200"}, None),  # hides the number of cores
    ],
)
def test_slots_are_cores_over_cores_of_a_task(conf: dict[str, str], slots: int | None) -> None:
    assert task_slots(context("yarn", 4, **conf)) == slots


def test_too_few_slots_are_said_before_anything_waits() -> None:
    message = r"training.ranks=4 needs 4 task slots, this application has 2; set training.ranks=2"
    with pytest.raises(TrainingError, match=message):
        check_slots(context("local[2]", 2), 4)
    check_slots(context("local[4]", 4), 4)


def test_properties_that_corrupt_a_run_are_refused() -> None:
    with pytest.raises(TrainingError, match=r"spark\.speculation=false"):
        check_properties(context("yarn", 4, spark_speculation="true"), 1)
    dynamic = context("yarn", 4, spark_dynamicAllocation_enabled="true")
    with pytest.raises(TrainingError, match=r"spark\.dynamicAllocation\.enabled=false"):
        check_properties(dynamic, 2)
    check_properties(dynamic, 1)
