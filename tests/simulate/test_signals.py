"""The metrics of services: rhythm by the local clock, shared noise, and laws that bind them."""

import numpy as np
import pytest

from headroom.config import Simulate
from headroom.freq import DAY
from headroom.simulate.calendar import INCIDENT, LAUNCH, LIVE_EVENT
from headroom.simulate.fleet import AUTOSCALED, HEALTHY, HOUR, IDLE, Fleet, Group, build_fleet
from headroom.simulate.load import expected_requests, group_events, noisy_requests
from headroom.simulate.rhythm import EVENING, OFFICE, local_seconds, relative_load
from headroom.simulate.signals import METRICS, counter, counter_resets, signals


def groups(fleet: Fleet, *kinds: str) -> list[Group]:
    found = [fleet.group(index) for index in range(fleet.n_groups)]
    return [group for group in found if not kinds or group.kind in kinds]


def fleet_of(freq: str = "h", seed: int = 7, **settings: object) -> Fleet:
    return build_fleet(Simulate.model_validate(settings), seed, freq)


def hours_of(fleet: Fleet) -> np.ndarray:
    return np.arange(fleet.start, fleet.end, HOUR, dtype=np.int64) + HOUR // 2


def test_local_seconds_follow_the_change_of_the_clock() -> None:
    before = np.datetime64("2025-10-26T00:30:00", "s").astype(np.int64)
    local = local_seconds("Europe/Berlin", np.asarray([before, before + HOUR]))
    assert list(local.astype("datetime64[s]").astype(str)) == [
        "2025-10-26T02:30:00",
        "2025-10-26T02:30:00",
    ]


def test_a_day_peaks_where_its_table_says() -> None:
    monday = 4 * DAY  # 5 January 1970
    hours = monday + np.arange(24) * HOUR
    none = np.asarray([], dtype=np.int64)
    load = relative_load(EVENING, hours, phase_hours=0, sharpness=1, holidays=none)
    assert int(load.argmax()) == 20
    assert load.max() == pytest.approx(0.92)
    later = relative_load(EVENING, hours, phase_hours=1, sharpness=1, holidays=none)
    assert int(later.argmax()) == 21


def test_a_holiday_runs_like_a_sunday() -> None:
    wednesday, sunday = 6 * DAY, 10 * DAY
    hours = np.arange(24) * HOUR
    kwargs = {"phase_hours": 0.0, "sharpness": 1.0, "holidays": np.asarray([6])}
    holiday = relative_load(OFFICE, wednesday + hours, **kwargs)
    np.testing.assert_allclose(holiday, 0.9 * relative_load(OFFICE, sunday + hours, **kwargs))


def test_services_peak_at_the_same_local_hour_in_every_region() -> None:
    fleet = fleet_of(regions=6, days=56)
    hours = hours_of(fleet)
    for service in range(4):
        peaks, utc_peaks = set(), set()
        for region in range(6):
            group = fleet.group(service * 6 + region)
            if group.kind == IDLE:
                continue
            load = expected_requests(group, hours)
            local = local_seconds(group.region.time_zone, hours) % DAY // HOUR
            by_hour = [np.median(load[local == hour]) for hour in range(24)]
            peaks.add(int(np.argmax(by_hour)))
            utc = [np.median(load[hours % DAY // HOUR == hour]) for hour in range(24)]
            utc_peaks.add(int(np.argmax(utc)))
        # Half-hour zones and the middle of the step leave at most one hour between them.
        assert max(peaks) - min(peaks) <= 1, (service, peaks)
        assert len(utc_peaks) > 2


def test_noise_is_shared_within_a_region_most_and_across_regions_still() -> None:
    fleet = fleet_of(services=6, regions=3, days=300)
    hours = hours_of(fleet)

    def noise(group: Group) -> np.ndarray:
        return np.log(noisy_requests(group, hours) / expected_requests(group, hours))

    table = {(g.service.name, g.region.name): noise(g) for g in groups(fleet) if g.kind != IDLE}
    pairs: dict[str, list[float]] = {"region": [], "service": [], "neither": []}
    for one in table:
        for two in table:
            if one >= two:
                continue
            same = "service" if one[0] == two[0] else "region" if one[1] == two[1] else "neither"
            pairs[same].append(float(np.corrcoef(table[one], table[two])[0, 1]))
    means = {same: float(np.mean(values)) for same, values in pairs.items()}
    assert means["region"] > means["neither"] + 0.1
    assert means["service"] > means["neither"] + 0.05
    assert means["neither"] > 0.05


@pytest.mark.parametrize("freq", ["5min", "h", "6h", "D"])
def test_metrics_obey_their_laws_at_any_step(freq: str) -> None:
    fleet = fleet_of(freq, days=14)
    for group in groups(fleet)[:8]:
        values = signals(group, 0, fleet.n_steps)
        assert set(values) == {metric.name for metric in METRICS}
        assert all(np.isfinite(v).all() and len(v) == fleet.n_steps for v in values.values())
        assert all((v >= 0).all() for v in values.values())
        assert values["cpu_utilisation"].max() <= 1
        assert values["error_rate"].max() <= 1
        np.testing.assert_array_equal(values["requests"], np.round(values["requests"]))
        cores_per_host = values["capacity_cores"] / values["hosts"]
        np.testing.assert_allclose(cores_per_host, cores_per_host[0], rtol=0.01)
        unit_cost = values["cost"] / values["capacity_cores"] / (fleet.step / HOUR)
        assert unit_cost.min() > 0.02 and (group.kind == "cost_anomaly" or unit_cost.max() < 0.1)


def test_a_day_has_the_requests_of_its_hours() -> None:
    hourly, daily = fleet_of("h", days=7), fleet_of("D", days=7)
    by_hour = signals(hourly.group(0), 0, 168)["requests"].reshape(7, 24).sum(axis=1)
    np.testing.assert_array_equal(signals(daily.group(0), 0, 7)["requests"], by_hour)


def test_signals_of_a_part_are_a_part_of_the_signals() -> None:
    fleet = fleet_of(days=40)
    for group in groups(fleet)[:12]:
        whole, part = signals(group, 0, 960), signals(group, 300, 120)
        for name, values in part.items():
            np.testing.assert_array_equal(values, whole[name][300:420], err_msg=name)


def test_demand_follows_requests_and_hosts_follow_demand_where_autoscaled() -> None:
    fleet = fleet_of()
    for group in groups(fleet, HEALTHY, AUTOSCALED):
        values = signals(group, 0, fleet.n_steps)
        demand = values["cpu_utilisation"] * values["capacity_cores"]
        assert np.corrcoef(demand, values["requests"])[0, 1] > 0.99
        if group.kind == AUTOSCALED:
            assert np.corrcoef(demand, values["hosts"])[0, 1] > 0.9
        else:
            assert (np.diff(values["hosts"]) != 0).sum() <= 1


def test_events_move_the_requests_they_touch() -> None:
    fleet = fleet_of(services=24, days=300)
    live = launched = down = 0
    for group in groups(fleet, HEALTHY, AUTOSCALED):
        for event in group_events(group):
            if not fleet.start + DAY < event.starts < fleet.end - DAY:
                continue
            middle = (event.starts + event.ends) // 2
            at = np.asarray([event.starts - 2 * HOUR, middle])
            before, now = expected_requests(group, at)
            if event.kind == LIVE_EVENT and group.kind == AUTOSCALED:
                live += now > 1.1 * before
            elif event.kind == LAUNCH:
                week = np.asarray([event.starts - 60, event.starts + 60])
                launched += np.divide(*expected_requests(group, week)[::-1]) > 1.02
            elif event.kind == INCIDENT and event.effect > 0.3:
                edge = np.asarray([event.starts - 600, event.starts + 60])
                down += np.divide(*expected_requests(group, edge)[::-1]) < 0.6
    assert live > 100 and launched > 20 and down > 20


def test_incidents_raise_latency_and_errors() -> None:
    fleet = fleet_of()
    checked = 0
    for group in groups(fleet, HEALTHY):
        values = signals(group, 0, fleet.n_steps)
        for event in group_events(group):
            if event.kind == INCIDENT and event.ends - event.starts > 2 * HOUR:
                step = (event.starts - fleet.start) // HOUR + 1
                assert values["error_rate"][step] > 5 * np.median(values["error_rate"])
                assert values["latency_p99"][step] > 1.15 * np.median(values["latency_p99"])
                checked += 1
    assert checked > 3


def test_latency_rises_steeply_where_hosts_saturate() -> None:
    fleet = fleet_of(services=24, days=28)
    for group in groups(fleet, "shortfall"):
        late = signals(group, fleet.n_steps + 130 * 24, 14 * 24)  # the model goes on after the end
        full = late["latency_p99"][late["cpu_utilisation"] > 0.95]
        easy = late["latency_p99"][late["cpu_utilisation"] < 0.4]
        if len(full) > 5:
            assert np.median(full) > 3 * np.median(easy)
            assert late["error_rate"].max() > 2 * np.median(signals(group, 0, 336)["error_rate"])
            break
    else:
        pytest.fail("no service ran full")


def test_the_counter_adds_up_requests_between_its_resets() -> None:
    fleet = fleet_of()
    group = fleet.group(fleet.n_regions)  # the second service
    requests = signals(group, 0, 400)["requests"]
    total = counter(group, 0, 400)
    resets = counter_resets(group, 0, 400)
    inner = resets[resets > 0]
    assert 2 <= len(inner) <= 5
    grew = np.diff(total)
    is_reset = np.isin(np.arange(1, 400), inner)
    np.testing.assert_array_equal(grew[~is_reset], requests[1:][~is_reset])
    np.testing.assert_array_equal(total[inner], requests[inner])
    np.testing.assert_array_equal(counter(group, 250, 50), total[250:300])
