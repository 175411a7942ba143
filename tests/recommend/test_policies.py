"""Right-sizing and shortfall: what they propose, when, and why not."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from headroom.config import Recommend, TierPolicy
from headroom.recommend.build import decide
from headroom.recommend.decision import Decision
from headroom.recommend.group import Refusal, assemble
from headroom.recommend.outlook import build_outlook
from headroom.recommend.rightsize import rightsize, smallest_capacity
from headroom.recommend.sentence import summary
from headroom.recommend.shortfall import shortfall
from tests.recommend.groups import HOST, HOURLY, PLACE, START, demand, group, item, items

SETTINGS = Recommend(horizon_days=60)
SEED = 7


def sized(cores: Any, settings: Recommend = SETTINGS, **more: Any) -> Decision:
    made = group(cores, settings, **more)
    return rightsize(made, build_outlook(made, settings, SEED), settings)


def dated(cores: Any, settings: Recommend = SETTINGS, **more: Any) -> Decision:
    made = group(cores, settings, **more)
    return shortfall(made, build_outlook(made, settings, SEED), settings)


def decided(made: list[Any], settings: Recommend = SETTINGS, **dimensions: str) -> dict[str, str]:
    end = START + np.timedelta64(len(made[0].values) - 1, "h")
    place = {**PLACE, **dimensions}
    decisions = decide(made, place, "checkout/eu-west", end, HOURLY, settings, SEED)
    return {decision.rec_type: decision.outcome for decision in decisions}


# -- right-sizing ----------------------------------------------------------------------------------


def test_too_many_hosts_are_reduced_by_a_first_step() -> None:
    decision = sized(demand(peak=40), hosts=40)
    assert (decision.outcome, decision.unit) == ("recommended", "hosts")
    assert (decision.current, decision.proposed) == (40, 28)  # 30 % at once, no more
    assert decision.evidence["step_cap_binds"]
    # 12 hosts of 8 cores for 720 hours at 5 cents
    assert decision.savings == pytest.approx([12 * 8 * 720 * 0.05] * 3)
    assert decision.risk_after == decision.evidence["resolution"]


def test_without_hosts_sizes_are_told_in_the_unit_of_capacity() -> None:
    """2,000 cores come in steps of 100: neither 20 units nor 2,000 hosts."""
    made = [one for one in items(demand(peak=300), hosts=250) if one.metric != "hosts"]
    end = START + np.timedelta64(len(made[0].values) - 1, "h")
    decisions = decide(made, PLACE, "checkout/eu-west", end, HOURLY, SETTINGS, SEED)
    one = next(decision for decision in decisions if decision.outcome == "recommended")
    assert (one.unit, one.current, one.proposed) == ("cores", 2_000, 1_400)
    text = summary(one, "checkout", end)
    assert "can do with 1,400 of its 2,000 cores" in text
    assert "Remove 600 cores" in text


def test_a_capacity_of_zero_is_not_judged() -> None:
    made = items(demand())
    nothing = replace(made[1], values=np.zeros_like(made[1].values))
    assert decided([made[0], nothing, *made[2:]])["rightsize_down"] == "missing_inputs"
    group = assemble([made[0], nothing], PLACE, "g", HOURLY, SETTINGS)
    assert group == Refusal("missing_inputs", "capacity is zero")


def test_the_proposal_covers_the_demand_that_comes() -> None:
    cores = demand(n_days=123, peak=40)
    decision = sized(cores[: 63 * 24], hosts=14)
    assert decision.outcome == "recommended"
    limit = 0.65 * decision.evidence["proposed_capacity"]
    assert cores[63 * 24 :].max() <= limit
    smaller = 0.65 * (decision.evidence["proposed_capacity"] - 3 * HOST)
    assert cores[63 * 24 :].max() > smaller  # and not by much


def test_smallest_capacity_falls_as_the_allowed_chance_rises() -> None:
    sizes = []
    for chance in (0.005, 0.01, 0.05, 0.2, 0.5):
        policy = TierPolicy(
            safe_utilisation=0.65,
            violation_probability=chance,
            shortfall_trigger=0.1,
            shortage_cost=2,
        )
        settings = Recommend(tiers={"T2": policy}, horizon_days=60)
        made = group(demand(), settings)
        sizes.append(smallest_capacity(made, build_outlook(made, settings, SEED), 0.1))
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > sizes[-1]


def test_a_tight_time_budget_asks_for_more_than_the_chance_does() -> None:
    def size(shortage_cost: float) -> float:
        policy = TierPolicy(
            safe_utilisation=0.65,
            violation_probability=0.9,
            shortfall_trigger=0.1,
            shortage_cost=shortage_cost,
        )
        settings = Recommend(tiers={"T2": policy}, horizon_days=60)
        made = group(demand(), settings)
        return smallest_capacity(made, build_outlook(made, settings, SEED), 0.1)

    assert size(100_000) > size(2)


def test_repeated_runs_do_not_ratchet_down_a_group_whose_hosts_were_reduced() -> None:
    cores, hosts, sizes = demand(peak=40), 40.0, []
    for _ in range(10):
        decision = sized(cores, hosts=hosts)
        if decision.outcome != "recommended":
            break
        hosts = decision.proposed or 0.0
        sizes.append(hosts)
    assert sizes == [28, 20, 14, 10]
    assert decision.outcome == "within_band"
    assert 0.65 * HOST * hosts > cores.max()


def test_hosts_that_follow_demand_are_left_to_the_autoscaler() -> None:
    cores = demand()
    hosts = np.ceil(cores / 0.5 / HOST)
    assert sized(cores, hosts=hosts).outcome == "autoscaled"
    assert dated(cores, hosts=hosts).outcome == "autoscaled"


def test_a_fitting_size_is_within_the_band() -> None:
    assert sized(demand(peak=40), hosts=10).outcome == "within_band"


def test_a_small_saving_is_of_low_value() -> None:
    decision = sized(demand(peak=4), hosts=10, price=0.001)
    assert decision.outcome == "low_value"
    assert "less than $50" in decision.detail


def test_hosts_stay_at_the_least_number_of_the_tier() -> None:
    assert sized(demand(peak=0.1), hosts=2).outcome == "within_band"
    assert sized(demand(peak=0.1), hosts=3, tier="T1").outcome == "within_band"


def test_after_a_change_of_capacity_nothing_is_reduced() -> None:
    cores = demand(peak=40)
    hosts = np.where(np.arange(len(cores)) < len(cores) - 5 * 24, 60, 40)
    decision = sized(cores, hosts=hosts)
    assert decision.outcome == "recent_change"
    assert decision.detail == "capacity changed within the last 14 days"


def test_after_a_jump_of_demand_nothing_is_reduced() -> None:
    cores = demand(peak=10)
    cores[-6 * 24 :] *= 2
    assert sized(cores, hosts=40).detail == "demand left its usual range within the last week"


def test_demand_cut_off_by_capacity_is_no_reason_to_reduce() -> None:
    cores = demand(peak=40)
    cores[500:510] = 40 * HOST
    assert sized(cores, hosts=40).outcome == "saturated"


def test_growing_demand_is_a_shortfall_risk_not_a_reduction() -> None:
    assert sized(demand(peak=40, growth=0.01), hosts=12).outcome == "shortfall_risk"


def test_savings_are_ordered_and_follow_the_prices_of_the_latest_days() -> None:
    cores = demand(peak=40)
    made = items(cores, hosts=40)
    prices = np.where(np.arange(len(cores)) // 24 % 2 == 0, 0.04, 0.06)
    made[3] = item("cost", "cost", "USD", 320 * prices)
    both = assemble(made, PLACE, "checkout/eu-west", HOURLY, SETTINGS)
    assert not isinstance(both, Refusal)
    decision = rightsize(both, build_outlook(both, SETTINGS, SEED), SETTINGS)
    assert decision.savings is not None
    low, middle, high = decision.savings
    assert low <= middle <= high
    assert (low, high) == pytest.approx((96 * 720 * 0.04, 96 * 720 * 0.06))


def test_without_cost_the_price_of_the_settings_holds() -> None:
    decision = sized(demand(peak=40), hosts=40, price=None)
    assert decision.evidence["price_source"] == "settings"
    assert decision.savings == pytest.approx([96 * 720 * 0.04] * 3)


# -- shortfall -------------------------------------------------------------------------------------


def test_growth_runs_into_capacity_on_a_date() -> None:
    cores = demand(n_days=63 + 60, peak=40 * np.exp(60 * 0.008), growth=0.008)
    decision = dated(cores[: 63 * 24], hosts=11)
    limit = 0.65 * 11 * HOST
    true_day = np.argmax(cores[63 * 24 :] > limit) // 24 + 1
    assert decision.outcome == "recommended"
    assert decision.event_days is not None
    early, likely, late = decision.event_days
    assert early <= true_day <= late
    assert early <= likely <= late
    assert abs(likely - true_day) <= 10
    end = START + np.timedelta64(63 * 24, "h")
    assert decision.event_dates[0] == end + np.timedelta64(int(early - 1), "D")
    assert decision.act_by == max(decision.event_dates[0] - np.timedelta64(14, "D"), end)
    assert decision.proposed is not None and decision.current == 11
    assert 0.65 * HOST * decision.proposed >= np.max(cores)
    assert decision.value > 0
    assert decision.risk_now == 1 - decision.evidence["resolution"]


def test_steady_demand_has_room() -> None:
    decision = dated(demand(peak=40), hosts=12)
    assert decision.outcome == "capacity_suffices"
    assert decision.detail == "the chance of running short within 60 days is 5 % or less"


def test_capacity_that_is_passed_already_is_due_now() -> None:
    decision = dated(demand(peak=40), hosts=6)
    assert decision.event_days is not None and decision.event_days[0] == 1
    assert decision.act_by == decision.event_dates[0]


def test_a_small_chance_soon_is_told_without_a_likely_date() -> None:
    cores = demand(peak=40)
    settings = Recommend(horizon_days=60, outlook_probability=0.99)
    made = group(cores, settings, hosts=12)
    outlook = build_outlook(made, settings, SEED)
    peaks = np.sort(outlook.paths.values[:, :21].max(axis=1))
    hosts = peaks[-40] / 0.65 / HOST  # a fifth of the paths pass it within three weeks
    decision = dated(cores, settings, hosts=hosts)
    assert decision.outcome == "recommended"
    assert decision.evidence["chance_soon"] == pytest.approx(0.195, abs=0.01)


def test_the_short_forecast_moves_the_near_days_only() -> None:
    cores = demand(peak=40)
    begins = START + np.timedelta64(len(cores), "h")
    usual = np.asarray(demand(n_days=65, peak=40)[-48:]) / (12 * HOST)

    def outlook(factor: float) -> Any:
        made = group(cores, SETTINGS, forecast_start=begins, forecast_means=usual * factor)
        return build_outlook(made, SETTINGS, SEED)

    plain = build_outlook(group(cores, SETTINGS), SETTINGS, SEED)
    raised = outlook(1.2)
    assert raised.anchor == pytest.approx(np.log(1.2), abs=0.05)
    ratio = np.median(raised.paths.values / plain.paths.values, axis=0)
    assert ratio[0] == pytest.approx(np.exp(raised.anchor))
    assert ratio[-1] == pytest.approx(1.0, abs=0.01)
    assert abs(outlook(1.0).anchor) < 0.05


def test_a_forecast_that_starts_elsewhere_is_not_used() -> None:
    made = group(demand(), SETTINGS, forecast_start=START, forecast_means=np.ones(48))
    assert build_outlook(made, SETTINGS, SEED).anchor is None


# -- what cannot be judged -------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["cpu_utilisation", "capacity_cores"])
def test_a_group_without_a_role_has_missing_inputs(metric: str) -> None:
    made = [one for one in items(demand()) if one.metric != metric]
    outcomes = decided(made)
    assert outcomes["rightsize_down"] == outcomes["capacity_shortfall"] == "missing_inputs"
    assert outcomes["data_gap"] == "data_complete"


def test_a_short_history_is_told() -> None:
    outcomes = decided(items(demand(n_days=20)))
    assert outcomes["rightsize_down"] == outcomes["capacity_shortfall"] == "insufficient_history"


def test_a_tier_without_policy_is_told() -> None:
    assert decided(items(demand()), tier="T9")["rightsize_down"] == "unknown_tier"


def test_a_silent_sensor_withholds_the_group() -> None:
    made = items(demand())
    made[0].values[-40:] = np.nan
    outcomes = decided(made)
    assert outcomes == {
        "data_gap": "recommended",
        "rightsize_down": "data_gap",
        "capacity_shortfall": "data_gap",
    }


def test_a_demand_metric_in_units_of_capacity_comes_before_utilisation() -> None:
    cores = demand(peak=40)
    made = [*items(cores, hosts=40), item("cores_used", "gauge", "cores", cores / 2)]
    settings = Recommend(roles={"demand": "cores_used"})
    both = assemble(made, PLACE, "checkout/eu-west", HOURLY, settings)
    assert not isinstance(both, Refusal)
    np.testing.assert_allclose(both.demand, cores / 2)


def test_utilisation_in_percent_is_demand_in_cores_all_the_same() -> None:
    cores = demand(peak=40)
    made = items(cores)
    made[0] = item("cpu_utilisation", "ratio", "percent", 100 * cores / (12 * HOST))
    both = assemble(made, PLACE, "checkout/eu-west", HOURLY, SETTINGS)
    assert not isinstance(both, Refusal)
    np.testing.assert_allclose(both.demand, cores)


def test_zero_demand_is_reduced_step_by_step_and_never_short() -> None:
    cores = np.zeros(63 * 24)
    assert sized(cores, hosts=10).proposed == 7
    assert dated(cores, hosts=10).outcome == "capacity_suffices"


def test_constant_demand_is_sized_to_itself() -> None:
    decision = sized(np.full(63 * 24, 40.0), hosts=11)
    assert decision.proposed == 8  # 40 cores ÷ 0.65 ÷ 8 cores = 7.7, and 30 % at once allows 8


def test_changes_after_the_last_step_change_nothing() -> None:
    cores = demand()
    base = sized(cores, hosts=40)
    longer = items(np.concatenate([cores, np.full(24, np.nan)]), hosts=40)
    made = assemble(longer, PLACE, "checkout/eu-west", HOURLY, SETTINGS)
    assert not isinstance(made, Refusal)
    again = rightsize(made, build_outlook(made, SETTINGS, SEED), SETTINGS)
    assert again.evidence == base.evidence
