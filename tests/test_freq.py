"""Frequencies and their seasons."""

import numpy as np
import pytest

from headroom.errors import ConfigError
from headroom.freq import parse_freq


@pytest.mark.parametrize(
    ("text", "seasons"),
    [
        ("5min", (288, 2016)),
        ("h", (24, 168)),
        ("6h", (4, 28)),
        ("D", (7, 364)),
        ("7D", (52,)),
        ("W", (52,)),
        ("MS", (12,)),
        ("3MS", (4,)),
        ("12MS", ()),
        ("7min", (1440,)),
    ],
)
def test_seasons_follow_from_the_step(text: str, seasons: tuple[int, ...]) -> None:
    assert parse_freq(text).seasons == seasons


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("s", 288), ("min", 288), ("5min", 288), ("30min", 48), ("h", 48), ("12h", 4), ("D", 14),
        ("3D", 4), ("7D", 13), ("W", 13), ("26W", 1), ("MS", 12), ("3MS", 4), ("24MS", 1),
    ],
)  # fmt: skip
def test_how_far_ahead_follows_from_the_step(text: str, steps: int) -> None:
    assert parse_freq(text).usual_horizon == steps


def test_months_keep_to_the_calendar() -> None:
    stamps = parse_freq("MS").timestamps(np.datetime64("2023-12-01"), 4)
    assert stamps.astype("datetime64[D]").astype(str).tolist() == [
        "2023-12-01", "2024-01-01", "2024-02-01", "2024-03-01"
    ]  # fmt: skip


def test_steps_of_fixed_length() -> None:
    stamps = parse_freq("5min").timestamps(np.datetime64("2024-01-01"), 3)
    assert np.diff(stamps).astype(int).tolist() == [300, 300]


def test_what_is_no_frequency() -> None:
    with pytest.raises(ConfigError, match="'0h' is no frequency"):
        parse_freq("0h")
