"""What a backtest comes to, in one line."""

from headroom.evaluation.measures import sentence


def test_a_backtest_without_windows_says_so() -> None:
    assert sentence({}).startswith("no window could be judged, for none has a past: lower")


def test_the_line_names_what_was_served_and_every_method() -> None:
    line = sentence({"served": 0.05, "log_ar": 0.06, "coverage_80": 0.8})
    assert line == (
        "mean weighted quantile loss: served 0.0500 (log_ar 0.0600); "
        "80% of actuals inside the 80 % interval"
    )
