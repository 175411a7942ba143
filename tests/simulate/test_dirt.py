"""Faults: each step has at most one, in the shares that were asked for."""

import numpy as np
import pytest

from headroom.config import Simulate
from headroom.simulate import dirt
from headroom.simulate.dirt import dirty_rows, fault_codes, fault_runs, has_local_time
from headroom.simulate.fleet import Fleet, Group, build_fleet
from headroom.simulate.signals import metrics_of


def fleet_of(share: float, **settings: object) -> Fleet:
    return build_fleet(Simulate.model_validate({"dirt": share, **settings}), 7)


def items_of(fleet: Fleet) -> list[tuple[Group, str]]:
    groups = [fleet.group(index) for index in range(fleet.n_groups)]
    return [(group, metric.name) for group in groups for metric in metrics_of(group)]


def test_rows_carry_the_faults_of_their_steps() -> None:
    at = np.arange(10) * 3600
    values = np.asarray([1.0, 2.0, 3.0, 4.0, 0.5, 6.0, 7.0, 8.0, 9.0, 10.0])
    codes = [0, dirt.GAP, dirt.DUPLICATE, dirt.LATE, dirt.CONFLICT, dirt.NEGATIVE]
    codes += [dirt.UNIT_JUMP, dirt.FLAT_LINE, dirt.FUTURE, dirt.GAP_RUN]
    rows = dirty_rows(at, values, np.asarray(codes, dtype=np.int32), stuck=0.7)
    hours = [0, 2, 2, 4, 4, 5, 6, 7, 8 + 18_262 * 24, 3]
    assert list(rows.at) == [hour * 3600 for hour in hours]
    assert list(rows.value) == [1.0, 3.0, 3.0, 0.375, 0.5, -7.0, 7000.0, 0.7, 9.0, 4.0]
    assert list(values[:3]) == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("value", [0.0, 1.0, 2.0, 0.00001, 12.5])
def test_a_conflicting_first_value_is_never_the_right_one(value: float) -> None:
    codes = np.asarray([dirt.CONFLICT], dtype=np.int32)
    rows = dirty_rows(np.asarray([0]), np.asarray([value]), codes, stuck=0.0)
    assert rows.value[0] != value and rows.value[1] == value and rows.value[0] >= 0


def test_a_clean_fleet_has_no_fault() -> None:
    fleet = fleet_of(0.0)
    for group, metric in items_of(fleet):
        assert not fault_codes(group, metric, 0, fleet.n_steps).any()
        assert not has_local_time(group)


@pytest.mark.parametrize("share", [0.01, 0.1])
def test_single_faults_hit_the_share_of_steps_that_was_asked_for(share: float) -> None:
    fleet = fleet_of(share)
    codes = np.concatenate([fault_codes(g, m, 0, fleet.n_steps) for g, m in items_of(fleet)])
    in_runs = np.isin(codes, [dirt.GAP_RUN, dirt.UNIT_JUMP, dirt.FLAT_LINE])
    single = (codes[~in_runs] != 0).mean()
    assert single == pytest.approx(share, rel=0.05)
    assert set(np.unique(codes)) == {dirt.CLEAN, *dirt.KINDS}


def test_faults_of_a_block_are_a_block_of_the_faults() -> None:
    fleet = fleet_of(0.05)
    for group, metric in items_of(fleet)[:40]:
        whole = fault_codes(group, metric, 0, fleet.n_steps)
        np.testing.assert_array_equal(fault_codes(group, metric, 500, 300), whole[500:800])


def test_runs_cover_the_hours_they_say() -> None:
    fleet = fleet_of(0.2)
    runs = [(run, m) for g, m in items_of(fleet) for run in fault_runs(g, m)]
    lengths = {code: [r.last - r.first + 1 for r, _ in runs if r.code == code] for code in (2, 11)}
    assert max(lengths[dirt.GAP_RUN]) <= 36 and max(lengths[dirt.GAP_RUN]) > 24
    assert all(12 <= length <= 36 for length in lengths[dirt.UNIT_JUMP])
    assert {m for run, m in runs if run.code == dirt.FLAT_LINE} == {"cpu_utilisation"}


def test_only_counts_of_requests_go_below_zero() -> None:
    fleet = fleet_of(0.5)
    for group, metric in items_of(fleet):
        negative = (fault_codes(group, metric, 0, fleet.n_steps) == dirt.NEGATIVE).any()
        assert not negative or metric == "requests"


def test_local_time_is_written_in_a_region_whose_clock_changes() -> None:
    fleet = fleet_of(0.01)
    local = [group for group, metric in items_of(fleet) if has_local_time(group)]
    assert {group.group_id for group in local} == {"playback/eu-central"}
    alone = fleet_of(0.01, regions=1)
    assert [g.group_id for g, m in items_of(alone) if has_local_time(g)][:1] == ["playback/us-east"]
