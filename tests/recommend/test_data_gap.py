"""Items that cannot be trusted."""

from typing import Any

import numpy as np
import pytest

from headroom.config import Recommend
from headroom.freq import parse_freq
from headroom.recommend.data_gap import data_gap, item_fault
from tests.recommend.groups import HOURLY, START, demand, item, items

SETTINGS = Recommend()
END = START + np.timedelta64(63 * 24 - 1, "h")


def fault_of(values: Any, freq: str = "h", **more: Any) -> Any:
    one = item("cpu_utilisation", "ratio", "1", values)
    step = parse_freq(freq)
    end = START + np.timedelta64(step.seconds * (len(values) - 1), "s")
    return item_fault(one, more.get("end", end), step, SETTINGS)


def test_complete_items_have_no_fault() -> None:
    decision = data_gap(items(demand()), END, HOURLY, SETTINGS)
    assert decision.outcome == "data_complete"
    assert decision.detail == "all 4 series are up to date and complete enough"
    assert decision.evidence["faults"] == []


def test_an_item_behind_the_fleet_is_silent_since_its_last_value() -> None:
    fault = fault_of(demand(), end=END + np.timedelta64(25, "h"))
    assert (fault.code, fault.since, fault.value) == ("silent", END, 25.0)
    assert fault_of(demand(), end=END + np.timedelta64(24, "h")) is None


def test_a_daily_item_may_be_three_steps_late() -> None:
    values = np.arange(1.0, 61.0)
    end = START + np.timedelta64(59, "D")
    assert fault_of(values, "D", end=end + np.timedelta64(3, "D")) is None
    assert fault_of(values, "D", end=end + np.timedelta64(4, "D")).code == "silent"


def test_an_item_without_any_value_is_silent_since_ever() -> None:
    fault = fault_of(np.full(48, np.nan))
    assert (fault.code, fault.since) == ("silent", None)
    assert fault_of(np.empty(0), end=END).code == "silent"


def test_many_missing_values_in_the_last_week_are_low_coverage() -> None:
    values = demand()
    values[-100:-90] = np.nan  # 10 of 168
    fault = fault_of(values)
    assert fault.code == "low_coverage"
    assert fault.value == pytest.approx(158 / 168)
    assert fault.since == START + np.timedelta64(63 * 24 - 100, "h")


def test_three_flat_days_in_a_lively_series_are_a_flatline() -> None:
    values = demand()
    values[-72:] = 5.0
    fault = fault_of(values)
    assert (fault.code, fault.value) == ("flatline", 3.0)
    assert fault.since == START + np.timedelta64(60 * 24, "h")


def test_a_series_that_is_often_flat_has_no_flatline() -> None:
    hosts = np.repeat([10.0, 12.0, 12.0, 14.0], 14 * 24)
    assert fault_of(hosts) is None
    assert fault_of(np.full(63 * 24, 3.0)) is None


def test_flat_days_at_different_levels_are_no_flatline() -> None:
    values = demand()
    values[-72:] = np.repeat([5.0, 6.0, 7.0], 24)
    assert fault_of(values) is None


@pytest.mark.parametrize("factor", [1000.0, 1 / 1024, 60.0, 0.01])
def test_a_step_by_the_ratio_of_two_units_is_a_unit_jump(factor: float) -> None:
    values = demand()
    values[40 * 24 :] *= factor
    fault = fault_of(values)
    assert fault.code == "unit_jump"
    assert fault.value == pytest.approx(factor, rel=0.05)
    assert abs(fault.since - (START + np.timedelta64(40, "D"))) <= np.timedelta64(3, "D")


def test_a_doubling_is_no_unit_jump() -> None:
    values = demand()
    values[40 * 24 :] *= 2
    assert fault_of(values) is None


def test_faults_are_listed_by_item_with_what_features_found() -> None:
    made = items(demand())
    made[1].values[-60:] = np.nan
    poor = item("latency_p99", "latency", "ms", demand(), issues={"gaps": 0.2}, status="irregular")
    decision = data_gap([*made, poor], END, HOURLY, SETTINGS)
    assert decision.outcome == "recommended"
    assert decision.current == pytest.approx(0.8)  # four of five items are trusted
    assert [fault["code"] for fault in decision.evidence["faults"]] == ["silent"]
    assert decision.evidence["items_not_ok"] == {poor.item_id: "irregular"}
    assert decision.evidence["quality_issues"] == {poor.item_id: {"gaps": 0.2}}
