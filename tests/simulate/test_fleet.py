"""Who is in the fleet, and which sizes it may not have."""

from collections import Counter

import pytest

from headroom.config import Simulate, build_config
from headroom.errors import ConfigError
from headroom.simulate.fleet import AUTOSCALED, HEALTHY, PLANTED, Fleet, build_fleet


def groups_of(fleet: Fleet) -> list[str]:
    return [fleet.group(index).kind for index in range(fleet.n_groups)]


@pytest.mark.parametrize("seed", range(10))
def test_every_kind_is_planted_in_the_default_fleet(seed: int) -> None:
    assert set(groups_of(build_fleet(Simulate(), seed))) >= {*PLANTED, AUTOSCALED, HEALTHY}


def test_shares_of_the_planted_kinds_are_as_documented() -> None:
    counts = Counter(groups_of(build_fleet(Simulate(services=100, regions=4), 7)))
    assert counts == {
        "over_provisioned": 60,
        "idle": 20,
        "shortfall": 60,
        "efficiency_regression": 40,
        "cost_anomaly": 20,
        "autoscaled": 60,
        "healthy": 140,
    }


def test_services_have_distinct_names_and_share_teams_and_tiers() -> None:
    fleet = build_fleet(Simulate(services=60), 7)
    services = [fleet.service(index) for index in range(60)]
    assert len({service.name for service in services}) == 60
    assert Counter(service.team for service in services[:12]).most_common()[-1][1] >= 2
    assert {service.tier for service in services[:12]} == {"T1", "T2", "T3"}
    assert fleet.service(24).name == "playback-2"


def test_tiers_are_taken_in_the_order_of_their_safe_utilisation() -> None:
    fleet = build_fleet(Simulate(), 7, tiers={"bronze": 0.7, "gold": 0.4})
    tiers = {(s.tier, s.safe_utilisation) for s in map(fleet.service, range(12))}
    assert tiers == {("gold", 0.4), ("bronze", 0.7)}


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("services", 0, "simulate.services: Input should be greater than or equal to 1, got 0"),
        ("regions", 13, "simulate.regions: Input should be less than or equal to 12, got 13"),
        ("days", 0, "simulate.days: Input should be greater than or equal to 1, got 0"),
        ("dirt", 1.5, "simulate.dirt: Input should be less than or equal to 1, got 1.5"),
        ("start", "2025-02-30", "simulate.start: '2025-02-30' is no date of the calendar"),
        ("servces", 3, "unknown setting simulate.servces; did you mean services?"),
    ],
)
def test_impossible_sizes_are_refused_by_name(setting: str, value: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
        build_config({"warehouse": "w", "simulate": {setting: value}})


@pytest.mark.parametrize("freq", ["MS", "W", "7D", "7min", "5h"])
def test_steps_that_do_not_divide_a_day_are_refused(freq: str) -> None:
    with pytest.raises(ConfigError, match=f"series.freq {freq}: .* whole steps in a day"):
        build_fleet(Simulate(), 7, freq)
