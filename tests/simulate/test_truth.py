"""What the truth table says is what the noise-free fleet does."""

import json

import numpy as np
import pytest

from headroom.config import Simulate
from headroom.freq import DAY
from headroom.simulate import truth
from headroom.simulate.fleet import (
    AUTOSCALED,
    COST_ANOMALY,
    EFFICIENCY_REGRESSION,
    HEALTHY,
    HOUR,
    IDLE,
    OUTLOOK,
    OVER_PROVISIONED,
    PLANTED,
    SHORTFALL,
    Group,
    build_fleet,
)
from headroom.simulate.signals import regression_deployment, signals
from headroom.simulate.sizing import expected_demand, hosts_at, sizing
from headroom.simulate.truth import TruthRow, group_truth

FLEETS = [build_fleet(Simulate(services=24, regions=3, dirt=0), seed) for seed in range(3)]
GROUPS = [fleet.group(index) for fleet in FLEETS for index in range(fleet.n_groups)]


def of_kind(*kinds: str) -> list[Group]:
    return [group for group in GROUPS if group.kind in kinds]


def truth_of(group: Group) -> TruthRow:
    (row,) = group_truth(group)
    return row


def ahead(group: Group) -> np.ndarray:
    end = group.fleet.end
    return np.arange(end, end + OUTLOOK, HOUR, dtype=np.int64) + HOUR // 2


def used_of_safe(group: Group, seconds: np.ndarray) -> np.ndarray:
    """Noise-free demand ÷ what the tier lets it use, from the model's own demand and hosts."""
    capacity = hosts_at(group, seconds) * sizing(group).cores_per_host
    return expected_demand(group, seconds) / (group.service.safe_utilisation * capacity)


def test_only_planted_kinds_have_a_row() -> None:
    for group in GROUPS:
        kinds = [row.kind for row in group_truth(group)]
        assert kinds == ([group.kind] if group.kind in PLANTED else [])


def test_a_shortfall_is_breached_first_in_the_hour_of_its_date() -> None:
    days = []
    for group in of_kind(SHORTFALL):
        row = truth_of(group)
        # The peak that the capacity was measured against is equal, not above.
        over = ahead(group)[used_of_safe(group, ahead(group)) > 1 + 1e-9]
        assert over[0] // HOUR * HOUR == row.starts
        assert row.magnitude == pytest.approx(used_of_safe(group, ahead(group)).max())
        assert row.magnitude > 1
        days.append((row.starts - group.fleet.end) / DAY)
        noisy = np.datetime64(json.loads(row.detail)["first_breach_with_noise"].rstrip("Z"), "s")
        # Noise brings the first breach forward, most where days are flat and growth is slow.
        assert -45 * DAY < noisy.astype(int) - row.starts < 8 * DAY
    assert len(days) > 20
    assert min(days) >= 10 and max(days) <= 75
    assert max(days) - min(days) > 30


def test_a_shortfall_has_not_come_before_the_end() -> None:
    for group in of_kind(SHORTFALL):
        past = np.arange(group.fleet.start, group.fleet.end, HOUR, dtype=np.int64)
        assert used_of_safe(group, past).max() < 1


def test_over_provisioned_and_idle_need_the_share_that_truth_says() -> None:
    for group in of_kind(OVER_PROVISIONED, IDLE):
        row = truth_of(group)
        assert row.magnitude == pytest.approx(used_of_safe(group, ahead(group)).max())
        assert row.magnitude < (0.1 if group.kind == IDLE else 0.5)
        assert row.starts == group.fleet.start and row.ends is None


def test_idle_has_almost_no_requests_and_pays_all_the_same() -> None:
    for group in of_kind(IDLE):
        values = signals(group, 0, group.fleet.n_steps)
        assert values["requests"].max() < 50
        assert values["cpu_utilisation"].max() < 0.05
        assert values["cost"].min() > 0


def test_the_healthy_have_neither_shortfall_nor_much_too_much() -> None:
    for group in of_kind(HEALTHY, EFFICIENCY_REGRESSION, COST_ANOMALY):
        needed = used_of_safe(group, ahead(group)).max()
        assert 1 / 1.6 < needed < 1, group
    for group in of_kind(AUTOSCALED):
        assert used_of_safe(group, ahead(group)).max() < 1.01


def test_telemetry_of_the_healthy_stays_within_safe_utilisation() -> None:
    for group in of_kind(HEALTHY):
        used = signals(group, 0, group.fleet.n_steps)["cpu_utilisation"]
        assert (used > group.service.safe_utilisation).mean() < 0.002


def test_cores_per_request_step_up_by_the_size_of_the_regression() -> None:
    for group in of_kind(EFFICIENCY_REGRESSION):
        row, fleet = truth_of(group), group.fleet
        assert 0.10 <= row.magnitude <= 0.40
        values = signals(group, 0, fleet.n_steps)
        demand = values["cpu_utilisation"] * values["capacity_cores"]
        busy = values["requests"] > np.median(values["requests"])
        work = (demand - sizing(group).idle_cores) / values["requests"]
        step = (row.starts - fleet.start) // HOUR
        after = np.arange(fleet.n_steps) >= step
        ratio = np.median(work[after & busy]) / np.median(work[~after & busy])
        assert ratio == pytest.approx(1 + row.magnitude, rel=0.01)
        assert regression_deployment(group).ends == row.starts


def test_spend_without_load_lasts_as_long_as_truth_says() -> None:
    for group in of_kind(COST_ANOMALY):
        row, fleet = truth_of(group), group.fleet
        values = signals(group, 0, fleet.n_steps)
        unit_cost = values["cost"] / values["capacity_cores"]
        at = fleet.start + np.arange(fleet.n_steps) * HOUR
        inside = (at >= row.starts) & (at < row.ends)
        assert 3 * 24 - 1 <= inside.sum() <= 8 * 24
        assert unit_cost[inside].min() > 1.2 * unit_cost[~inside].max()
        near = slice(np.argmax(inside) - 12, np.argmax(inside) + 12)
        steps = unit_cost[near]
        assert steps[12:].mean() / steps[:12].mean() == pytest.approx(1 + row.magnitude, rel=0.07)


@pytest.mark.parametrize(("days", "freq"), [(1, "h"), (3, "5min"), (400, "D")])
def test_truth_holds_for_short_and_long_histories(days: int, freq: str) -> None:
    fleet = build_fleet(Simulate(services=7, regions=3, days=days, dirt=0), 5, freq)
    for index in range(fleet.n_groups):
        group = fleet.group(index)
        rows = group_truth(group)
        needed = used_of_safe(group, ahead(group)).max()
        if group.kind == SHORTFALL:
            assert 10 * DAY <= rows[0].starts - fleet.end <= 75 * DAY
        elif group.kind not in (AUTOSCALED, OVER_PROVISIONED, IDLE):
            assert 1 / 1.6 < needed < 1
        for row in rows:
            assert row.ends is None or row.starts < row.ends <= fleet.end


def test_faults_are_counted_alike_in_any_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = build_fleet(Simulate(dirt=0.05), 7)
    group = fleet.group(4)  # of the service that has a counter
    whole = group_truth(group)
    assert "dirt_counter_reset" in {row.kind for row in whole}
    monkeypatch.setattr(truth, "_CHUNK", 100)
    assert set(group_truth(group)) == set(whole)
