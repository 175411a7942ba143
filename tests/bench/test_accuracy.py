"""The bench of accuracy measures the defaults."""

import subprocess
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from bench import accuracy
from headroom.config import Training, load_config


@pytest.mark.parametrize(
    ("given", "expected"), [([], Training()), (["training.steps=9"], Training(steps=9))]
)
def test_training_is_that_of_the_defaults_but_for_what_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: list[str], expected: Training
) -> None:
    commands: list[list[str]] = []

    def submitted(command: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", submitted)
    options = Namespace(data=tmp_path / "a.parquet", freq="D", horizon=7, windows=3, set=given)
    accuracy.run(options, 8, f"{tmp_path}/8")
    ((_, *words),) = commands
    overrides = [word for word, before in zip(words[1:], words, strict=False) if before == "--set"]
    config = load_config(words[words.index("--config") + 1], overrides)
    assert config.training == expected
    assert (config.seed, config.series.freq, config.forecast.prediction_length) == (8, "D", 7)
    assert (config.backtest.windows, config.source.path) == (3, f"{tmp_path}/a.parquet")
    assert config.warehouse == f"{tmp_path}/8"
