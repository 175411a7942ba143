"""Training: it learns, it resumes exactly, and the number of ranks does not matter."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headroom.config import Training
from headroom.errors import TrainingError
from headroom.model.artifact import unpack
from headroom.series.methods import SCRATCH, TUNED, ZERO_SHOT
from headroom.training import loop
from headroom.training.communicator import Alone
from headroom.training.heartbeat import Heartbeat
from headroom.training.shards import Manifest, Shard

N_SERIES, LENGTH, HORIZON = 6, 400, 12


def rows(shards: Sequence[int]) -> dict[str, list[Any]]:
    """Two series per shard, of a rhythm that an autoregression on three lags cannot know."""
    items = [2 * shard + place for shard in shards for place in range(2)]
    hours = np.arange(LENGTH)
    targets = []
    for item in items:
        rng = np.random.default_rng(item)
        wave = np.sin(hours * 2 * np.pi / 24) + 0.5 * (hours % 24 == 7 + item)
        targets.append(100 + 30 * wave + rng.normal(0, 2, LENGTH))
    n = len(items)
    return {
        "item_id": [f"item {item}" for item in items],
        "freq": ["h"] * n,
        "start": [np.datetime64("2024-01-01")] * n,
        "target": targets,
        "time_zone": ["UTC"] * n,
        "static_codes": [[1 + item % 2] for item in items],
        "series_events": [None] * n,
    }


@pytest.fixture(autouse=True)
def _shards_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "read_shards", lambda _, shards: rows(list(shards)))


def task(folder: Path, **settings: Any) -> loop.Task:
    defaults = {"steps": 8, "batch_size": 16, "hidden_size": 6, "dropout": 0.0}
    shards = tuple(Shard(shard, 2, 2 * LENGTH, ()) for shard in range(N_SERIES // 2))
    return loop.Task(
        manifest=Manifest("unused", "digest", shards),
        folder=str(folder),
        horizons={"h": (HORIZON,)},
        stages=(loop.Stage(HORIZON, (SCRATCH,)),),
        cardinalities=(2,),
        settings=Training(**{**defaults, **settings}),
        seed=5,
    )


def weights(trained: loop.Trained) -> dict[str, np.ndarray]:
    assert trained.packed is not None
    return unpack(trained.packed).members[0].weights


def test_the_loss_falls_below_that_of_the_floor(tmp_path: Path) -> None:
    trained = loop.train(
        task(tmp_path, steps=120, checkpoint_every=20, learning_rate=0.01, hidden_size=16), Alone()
    )
    losses = [row["loss"] for row in trained.log]
    assert losses[-1] < 0.9 * losses[0]


def test_synthetic_series_are_learnt_from_for_as_long_as_asked(tmp_path: Path) -> None:
    real = task(tmp_path / "real", steps=100, checkpoint_every=1)
    synthetic = replace(real, folder=str(tmp_path / "synthetic"), is_synthetic=True)
    few, all_ = (len(loop.train(given, Alone()).log) for given in (real, synthetic))
    assert few < all_ == 100


def test_a_run_that_was_stopped_ends_in_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"checkpoint_every": 4, "dropout": 0.2}
    straight = weights(loop.train(task(tmp_path / "straight", **settings), Alone()))
    original = loop.Fitting._step

    def stopped(self: loop.Fitting, step: int) -> Any:
        if step == 6:
            raise RuntimeError("the machine went away")
        return original(self, step)

    monkeypatch.setattr(loop.Fitting, "_step", stopped)
    with pytest.raises(RuntimeError):
        loop.train(task(tmp_path / "stopped", **settings), Alone())
    monkeypatch.setattr(loop.Fitting, "_step", original)
    resumed = loop.train(task(tmp_path / "stopped", **settings), Alone())
    for name, weight in weights(resumed).items():
        np.testing.assert_array_equal(weight, straight[name])
    assert [row["epoch"] for row in resumed.log] == [1, 2]


def test_fleets_of_two_frequencies_are_learnt_from_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mixed(_: Manifest, shards: Sequence[int]) -> dict[str, list[Any]]:
        columns = rows(shards)
        return {**columns, "freq": ["D" if shard == 2 else "h" for shard in shards for _ in "ab"]}

    monkeypatch.setattr(loop, "read_shards", mixed)
    both = replace(task(tmp_path / "one"), horizons={"h": (6, 12), "D": (7,)})
    alone = weights(loop.train(both, Alone()))
    two = in_threads(
        2, lambda comm: loop.train(replace(both, folder=str(tmp_path / f"two-{comm.rank}")), comm)
    )
    for name, weight in weights(two[0]).items():
        np.testing.assert_allclose(weight, alone[name], atol=2e-5)


def test_networks_that_were_given_stay_and_tuned_ones_start_from_them(
    tmp_path: Path,
) -> None:
    given = loop.train(replace(task(tmp_path / "given"), cardinalities=()), Alone())
    still = {"tuning_rate": 1e-12, "steps": 2}
    begun = replace(
        task(tmp_path / "begun", **still),
        start=given.packed,
        stages=(loop.Stage(HORIZON, (TUNED, SCRATCH)),),
    )
    trained = loop.train(begun, Alone())
    assert trained.packed is not None
    members = unpack(trained.packed).members
    assert [member.kind for member in members] == [ZERO_SHOT, TUNED, SCRATCH]
    zero_shot, tuned, _ = (member.weights for member in members)
    for name, weight in weights(given).items():
        np.testing.assert_array_equal(zero_shot[name], weight)
        categories = 3 if name == "network_c0_weight" else 1  # each starts as the unknown one
        np.testing.assert_allclose(tuned[name], np.repeat(weight, categories, axis=0), atol=1e-9)


def test_the_networks_of_a_stage_see_nothing_of_its_holdout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = (loop.Stage(3 * HORIZON, (SCRATCH,)), loop.Stage(HORIZON, (SCRATCH,)))
    calm = replace(task(tmp_path / "calm"), stages=stages)
    before = unpack(loop.train(calm, Alone()).packed or b"").members

    def broken(_: Manifest, shards: Sequence[int]) -> dict[str, list[Any]]:
        columns = rows(shards)
        for target in columns["target"]:
            target[-3 * HORIZON :] *= 10
        return columns

    monkeypatch.setattr(loop, "read_shards", broken)
    after = unpack(loop.train(replace(calm, folder=str(tmp_path / "x")), Alone()).packed or b"")
    assert [member.holdout for member in after.members] == [3 * HORIZON, HORIZON]
    for place, is_same in ((0, True), (1, False)):
        name = "network_head_weight"
        one, two = before[place].weights[name], after.members[place].weights[name]
        assert np.array_equal(one, two) == is_same


def test_kinds_are_trusted_by_windows_that_their_stand_ins_have_not_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Networks that were given after they had learnt this fleet, beside ones that hardly begin."""
    given = replace(task(tmp_path / "given", steps=120, learning_rate=0.01), cardinalities=())
    start = loop.train(given, Alone()).packed
    kinds = (TUNED, SCRATCH)
    stages = (loop.Stage(3 * HORIZON, kinds), loop.Stage(HORIZON, kinds))
    hardly = {"steps": 1, "learning_rate": 1e-9, "tuning_rate": 1e-9}
    begun = replace(task(tmp_path / "begun", **hardly), start=start, stages=stages)
    shares = shares_in(loop.train(begun, Alone()))
    assert shares[ZERO_SHOT] == shares[TUNED] > 1.5 * shares[SCRATCH]
    two = in_threads(
        2, lambda comm: loop.train(replace(begun, folder=str(tmp_path / f"two-{comm.rank}")), comm)
    )
    assert shares_in(two[0]) == pytest.approx(shares, abs=1e-5)

    def broken(_: Manifest, shards: Sequence[int]) -> dict[str, list[Any]]:
        columns = rows(shards)
        for target in columns["target"]:
            target[-HORIZON:] *= 10
        return columns

    monkeypatch.setattr(loop, "read_shards", broken)
    again = loop.train(replace(begun, folder=str(tmp_path / "broken")), Alone())
    assert shares_in(again) == shares  # the windows that judge have no say


def shares_in(trained: loop.Trained) -> dict[str, float]:
    assert trained.packed is not None
    return dict(unpack(trained.packed).about["shares"])


def test_two_ranks_end_where_one_does(tmp_path: Path) -> None:
    alone = weights(loop.train(task(tmp_path / "one"), Alone()))
    results = in_threads(2, lambda comm: loop.train(task(tmp_path / f"two-{comm.rank}"), comm))
    assert results[1].packed is None
    for name, weight in weights(results[0]).items():
        np.testing.assert_allclose(weight, alone[name], atol=2e-5)
    assert {row["rank"] for row in results[0].log} == {0, 1}


def test_a_loss_that_is_not_finite_ends_the_training(tmp_path: Path) -> None:
    with pytest.raises(
        TrainingError, match=r"not finite at step \d+; lower training.learning_rate"
    ):
        loop.train(task(tmp_path, steps=60, learning_rate=1.0, checkpoint_every=60), Poisoned())


def test_a_fleet_too_young_to_train_on_says_so(tmp_path: Path) -> None:
    young = task(tmp_path)
    empty = Manifest("unused", "digest", tuple(Shard(s, 0, 0, ()) for s in range(3)))
    with pytest.raises(TrainingError, match="no series to train on"):
        loop.train(replace(young, manifest=empty), Alone())


def test_series_too_short_to_learn_from_are_left_to_the_networks_that_were_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = loop.train(replace(task(tmp_path / "given"), cardinalities=()), Alone())
    kinds = (TUNED, SCRATCH)
    stages = (loop.Stage(LENGTH - 2, kinds), loop.Stage(LENGTH - 10, kinds))
    short = replace(task(tmp_path / "short"), stages=stages)
    trained = loop.train(replace(short, start=given.packed), Alone())
    assert [m.kind for m in unpack(trained.packed or b"").members] == [ZERO_SHOT]
    assert trained.log == ()
    # A day of past, and half of the horizon behind the origin.
    least = 24 + HORIZON // 2 + 1
    said = capsys.readouterr().out
    assert f"which takes {390 + least} steps: the last 390 (backtest.windows" in said
    assert f"and {least} must lie before them" in said
    with pytest.raises(TrainingError, match=r"set training\.start_from=shipped"):
        loop.train(
            replace(short, start=None, stages=(loop.Stage(LENGTH - 10, (SCRATCH,)),)), Alone()
        )


def test_a_rank_whose_series_all_lie_in_the_holdout_goes_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mixed(_: Manifest, shards: Sequence[int]) -> dict[str, list[Any]]:
        columns = rows(shards)
        for place, item in enumerate(columns["item_id"]):
            if item not in ("item 0", "item 1"):
                columns["target"][place] = columns["target"][place][: HORIZON - 1]
        return columns

    monkeypatch.setattr(loop, "read_shards", mixed)
    results = in_threads(2, lambda comm: loop.train(task(tmp_path / f"{comm.rank}"), comm))
    by_rank = {row["rank"]: row["windows_per_second"] > 0 for row in results[0].log}
    assert sorted(by_rank.values()) == [False, True]


def test_where_only_the_stand_ins_cannot_learn_they_stay_as_they_began(tmp_path: Path) -> None:
    stages = (loop.Stage(LENGTH - 10, (SCRATCH,)), loop.Stage(HORIZON, (SCRATCH,)))
    trained = loop.train(replace(task(tmp_path), stages=stages), Alone())
    stand_in, serving = (
        m.weights["network_out_weight"] for m in unpack(trained.packed or b"").members
    )
    assert not stand_in.any()  # it answers with the floor
    assert serving.any()
    assert {row["member"] for row in trained.log} == {1}


class Poisoned(Alone):
    """Gradients that overflow, as those of a network that diverges do."""

    def sum_(self, arrays: Sequence[Any]) -> None:
        super().sum_(arrays)
        for array in arrays:
            array[:] = float("nan")


class Threads:
    """Ranks as threads of this process, for tests of the loop without Horovod."""

    gpus: tuple[str, ...] = ()

    def __init__(self, rank: int, size: int, shared: dict[str, Any]) -> None:
        self.rank, self.size, self.shared = rank, size, shared
        self.heartbeat = Heartbeat()

    def gather(self, value: Any) -> list[Any]:
        self.shared["slots"][self.rank] = value
        self.shared["barrier"].wait()
        values = list(self.shared["slots"])
        self.shared["barrier"].wait()
        return values

    def sum_(self, arrays: Sequence[Any]) -> None:
        parts = self.gather([array.asnumpy().copy() for array in arrays])
        for place, array in enumerate(arrays):
            array[:] = sum(part[place] for part in parts)

    def broadcast_(self, arrays: Sequence[Any]) -> None:
        first = self.gather([array.asnumpy().copy() for array in arrays])[0]
        for array, value in zip(arrays, first, strict=True):
            array[:] = value

    def barrier(self) -> None:
        self.gather(None)

    def beat(self) -> None:
        self.heartbeat.beat()


def in_threads(size: int, function: Any) -> list[Any]:
    shared = {"slots": [None] * size, "barrier": threading.Barrier(size, timeout=120)}
    results: list[Any] = [None] * size

    def run(rank: int) -> None:
        try:
            results[rank] = function(Threads(rank, size, shared))
        except BaseException as error:
            results[rank] = error
            shared["barrier"].abort()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in sorted(
        (result for result in results if isinstance(result, BaseException)),
        key=lambda error: isinstance(error, threading.BrokenBarrierError),
    ):
        raise error  # what went wrong first, not that others waited in vain
    return results
