"""Checkpoints: exact resumption, corruption, and how many are kept."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headroom.errors import ArtifactError, TrainingError
from headroom.model.mx import mx
from headroom.training import checkpoint

ARRAYS = {"weight/a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array(1e-45, "f4")}
STATE = {"log": [{"loss": 0.1}], "seed": 7}


class Learner:
    """A small LSTM and its trainer; the data of a step depends on the step alone."""

    def __init__(self) -> None:
        mx.random.seed(3)
        self.net = mx.gluon.nn.HybridSequential(prefix="net_")
        with self.net.name_scope():
            self.net.add(mx.gluon.rnn.LSTM(5, input_size=2), mx.gluon.nn.Dense(1, in_units=5))
        self.net.initialize(mx.init.Xavier())
        self.params = self.net.collect_params()
        self.trainer = mx.gluon.Trainer(self.params, "adam", {"learning_rate": 0.01}, kvstore=None)

    def fit(self, steps: range) -> None:
        for step in steps:
            rng = np.random.default_rng(step)
            x, y = mx.nd.array(rng.normal(size=(4, 3, 2))), mx.nd.array(rng.normal(size=(12, 1)))
            with mx.autograd.record():
                out = self.net[1](self.net[0](x).reshape((-3, 0)))
                loss = ((out - y) ** 2).mean()
            loss.backward()
            self.trainer.set_learning_rate(0.01 / (step + 1))
            self.trainer.update(1)

    def weights(self) -> dict[str, Any]:
        return {name: p.data().asnumpy() for name, p in self.params.items()}


def test_a_resumed_training_ends_in_the_same_bits(tmp_path: Path) -> None:
    straight = Learner()
    straight.fit(range(10))

    first = Learner()
    first.fit(range(5))
    arrays, state = checkpoint.trainer_state(first.trainer)
    arrays |= {f"weight/{name}": array for name, array in first.weights().items()}
    checkpoint.save(str(tmp_path), 5, arrays, state)

    found = checkpoint.load_latest(str(tmp_path))
    assert found is not None and found.step == 5
    second = Learner()
    for name, parameter in second.params.items():
        parameter.set_data(mx.nd.array(found.arrays[f"weight/{name}"]))
    checkpoint.restore_trainer(second.trainer, found.arrays, found.state)
    second.fit(range(5, 10))

    resumed, expected = second.weights(), straight.weights()
    assert all(resumed[name].tobytes() == expected[name].tobytes() for name in expected)
    # ... which the weights alone do not give: the moments count
    forgetful = Learner()
    for name, parameter in forgetful.params.items():
        parameter.set_data(mx.nd.array(found.arrays[f"weight/{name}"]))
    forgetful.fit(range(5, 10))
    assert any(forgetful.weights()[name].tobytes() != expected[name].tobytes() for name in expected)


def test_a_state_of_another_network_is_refused() -> None:
    learner = Learner()
    learner.fit(range(1))
    arrays, state = checkpoint.trainer_state(learner.trainer)
    arrays["optimizer/0/1"] = np.zeros((9, 9), dtype=np.float32)
    with pytest.raises(ArtifactError, match="optimizer/0/1 does not fit"):
        checkpoint.restore_trainer(Learner().trainer, arrays, state)


def test_an_optimiser_without_moments_is_refused() -> None:
    learner = Learner()
    learner.trainer = mx.gluon.Trainer(learner.params, "sgd", kvstore=None)
    learner.fit(range(1))
    with pytest.raises(TrainingError, match="SGD; use Adam"):
        checkpoint.trainer_state(learner.trainer)


def test_what_is_saved_comes_back_and_the_latest_two_stay(tmp_path: Path) -> None:
    for step in (100, 200, 1000):
        path = checkpoint.save(str(tmp_path), step, ARRAYS, STATE | {"at": step})
    assert path == f"{tmp_path}/step-00001000.json"
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "step-00000200.json",
        "step-00000200.npz",
        "step-00001000.json",
        "step-00001000.npz",
    ]
    found = checkpoint.load_latest(str(tmp_path))
    assert found is not None
    assert (found.step, found.state) == (1000, STATE | {"at": 1000})
    for name, array in ARRAYS.items():
        assert found.arrays[name].dtype == array.dtype
        assert found.arrays[name].tobytes() == array.tobytes()


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def change_a_number(path: Path) -> None:
    path.write_text(path.read_text().replace("0.1", "0.2"))


def point_elsewhere(path: Path) -> None:
    about = json.loads(path.read_text())
    path.write_text(json.dumps(about | {"sha256": "0" * 64}))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("step-00000200.npz", flip_a_bit),
        ("step-00000200.npz", cut_off),
        ("step-00000200.npz", Path.unlink),
        ("step-00000200.json", cut_off),
        ("step-00000200.json", change_a_number),
        ("step-00000200.json", point_elsewhere),
    ],
)
def test_a_damaged_checkpoint_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, damage: Any
) -> None:
    checkpoint.save(str(tmp_path), 100, ARRAYS, STATE)
    checkpoint.save(str(tmp_path), 200, ARRAYS, STATE)
    damage(tmp_path / name)
    found = checkpoint.load_latest(str(tmp_path))
    assert found is not None and found.step == 100
    assert "step-00000200" in caplog.text


def test_nothing_is_found_where_nothing_is_whole(tmp_path: Path) -> None:
    assert checkpoint.load_latest(str(tmp_path / "absent")) is None
    checkpoint.save(str(tmp_path), 100, ARRAYS, STATE)
    cut_off(tmp_path / "step-00000100.npz")
    assert checkpoint.load_latest(str(tmp_path)) is None


def test_no_array_is_ever_pickled(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="pickle"):
        checkpoint.save(str(tmp_path), 1, {"a": np.array([object()])}, {})
    assert list(tmp_path.iterdir()) == []
