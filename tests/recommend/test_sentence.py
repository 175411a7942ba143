"""The sentences, to the letter."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from headroom.config import Recommend
from headroom.recommend.build import decide
from headroom.recommend.decision import (
    CAPACITY_SHORTFALL,
    DATA_GAP,
    RECOMMENDED,
    RIGHTSIZE_DOWN,
    Decision,
)
from headroom.recommend.sentence import (
    action,
    amount,
    chance_text,
    day,
    listed,
    money,
    place_name,
    summary,
)
from tests.recommend.groups import HOURLY, PLACE, START, demand, items

AS_OF = np.datetime64("2026-01-31T23:00:00", "s")
SHORTFALL = Decision(
    CAPACITY_SHORTFALL,
    RECOMMENDED,
    unit="hosts",
    current=12,
    proposed=18,
    risk_now=0.92,
    risk_after=0.05,
    event_days=(28, 32, 37),
    event_dates=tuple(
        np.datetime64(f"2026-{at}T00:00:00", "s") for at in ("02-28", "03-04", "03-09")
    ),
    act_by=np.datetime64("2026-02-14T00:00:00", "s"),
    evidence={
        "resolution": 0.05,
        "horizon_days": 90,
        "safe_utilisation": 0.55,
        "capacity": 96.0,
        "unit": "cores",
        "share_by_event": 0.0,
        "event_factor": 1.0,
        "weekly_growth": [0.01, 0.021, 0.03],
    },
)
RIGHTSIZE = Decision(
    RIGHTSIZE_DOWN,
    RECOMMENDED,
    unit="hosts",
    current=40,
    proposed=28,
    savings=(3300.0, 3456.4, 3600.0),
    risk_after=0.05,
    evidence={
        "resolution": 0.05,
        "horizon_days": 90,
        "safe_utilisation": 0.65,
        "unit": "cores",
        "observed_peak_max": 47.6,
        "n_days": 63,
        "step_cap_binds": True,
    },
)


def test_shortfall() -> None:
    assert summary(SHORTFALL, "checkout in eu-west", AS_OF) == (
        "checkout in eu-west runs out of capacity between 28 February and 9 March (most likely "
        "4 March): peak demand grows 2.1 % a week and will pass 55 % of its 96 cores. Add 6 hosts "
        "by 14 February; without them the chance of running short within 90 days is 92 %."
    )
    assert action(SHORTFALL, AS_OF) == "Add 6 hosts by 14 February"


def test_shortfall_without_a_likely_or_a_late_date() -> None:
    early, likely, _ = SHORTFALL.event_dates
    open_end = replace(SHORTFALL, event_dates=(early, likely, None))
    assert "is likely to run out of capacity from 28 February on (most likely 4 March)" in summary(
        open_end, "a", AS_OF
    )
    only_early = replace(SHORTFALL, event_dates=(early, None, None))
    assert summary(only_early, "a", AS_OF).startswith(
        "a may run out of capacity, from 28 February on: "
    )
    at_once = replace(SHORTFALL, event_days=(1, 1, 1), act_by=AS_OF)
    assert summary(at_once, "a", AS_OF).startswith("a is at its safe capacity already: ")
    assert action(at_once, AS_OF) == "Add 6 hosts now"


def test_shortfall_by_an_event() -> None:
    facts = {**SHORTFALL.evidence, "share_by_event": 0.9, "event_factor": 1.3}
    assert "known events lift peak demand by up to 30 %, and it will pass 55 %" in summary(
        replace(SHORTFALL, evidence=facts), "a", AS_OF
    )


def test_right_sizing() -> None:
    assert summary(RIGHTSIZE, "checkout in eu-west", AS_OF) == (
        "checkout in eu-west can do with 28 of its 40 hosts, as a first step: its daily peak was "
        "48 cores at most in 63 days. Remove 12 hosts to save about $3,460 every 30 days ($3,300 "
        "to $3,600); the chance of passing 65 % of what remains within 90 days is less than 5 %."
    )
    assert action(RIGHTSIZE, AS_OF) == "Remove 12 hosts"
    one = replace(RIGHTSIZE, current=29)
    assert action(one, AS_OF) == "Remove 1 host"


def test_data_gap() -> None:
    since = "2026-01-29T13:00:00"
    faults = [
        {"metric": "cpu_utilisation", "code": "silent", "since": since, "value": 40.0},
        {"metric": "hosts", "code": "low_coverage", "since": since, "value": 0.8},
        {"metric": "cost", "code": "unit_jump", "since": since, "value": 0.001},
    ]
    decision = Decision(DATA_GAP, RECOMMENDED, evidence={"faults": faults})
    assert summary(decision, "checkout in eu-west", AS_OF) == (
        "In checkout in eu-west, cpu_utilisation has been silent since 29 January, 13:00 UTC, "
        "hosts lacks 20 % of its values since 29 January, 13:00 UTC and cost is 1/1,000 of what it "
        "was since 29 January, 13:00 UTC, as if its unit had changed. Check where cost, "
        "cpu_utilisation and hosts come from; until then, recommendations on its capacity are "
        "withheld."
    )


@pytest.mark.parametrize(
    ("rec_type", "text"),
    [
        (RIGHTSIZE_DOWN, "The size of a was not judged: 12 of 28 days of history."),
        (CAPACITY_SHORTFALL, "The capacity of a was not judged: 12 of 28 days of history."),
    ],
)
def test_a_reason_is_a_sentence_too(rec_type: str, text: str) -> None:
    decision = Decision(rec_type, "insufficient_history", "12 of 28 days of history")
    assert summary(decision, "a", AS_OF) == text
    assert action(decision, AS_OF) is None


def test_every_number_of_a_sentence_is_in_its_row() -> None:
    cores = demand(peak=40, growth=0.01)
    end = START + np.timedelta64(len(cores) - 1, "h")
    made = items(cores, hosts=11)
    settings = Recommend()
    decisions = decide(made, PLACE, "checkout/eu-west", end, HOURLY, settings, 7)
    told = [one for one in decisions if one.outcome == RECOMMENDED]
    assert [one.rec_type for one in told] == [CAPACITY_SHORTFALL]
    text = summary(told[0], "checkout", end)
    facts = json.loads(json.dumps(dict(told[0].evidence)))
    for shown in (
        f"{100 * facts['weekly_growth'][1]:.1f} %",
        f"{facts['capacity']:.0f} cores",
        f"{100 * facts['safe_utilisation']:.0f} %",
        f"{facts['horizon_days']} days",
        f"Add {told[0].proposed - told[0].current:.0f} hosts",
    ):
        assert shown in text
    assert len(re.findall(r"\d+ (?:October|November|December|January)", text)) >= 2


def test_words() -> None:
    assert place_name({"service": "a", "region": "b"}, "g") == "a in b"
    assert place_name({"service": "a"}, "g") == "a"
    assert place_name({}, "g") == "g"
    assert [amount(x) for x in (1204.4, 12.0, 4.54, 0.317, None)] == [
        "1,204",
        "12",
        "4.5",
        "0.32",
        "–",
    ]
    assert [money(x) for x in (1154.0, 86.4, 123_456.0)] == ["$1,150", "$86", "$123,000"]
    assert [chance_text(p, 0.048) for p in (0.01, 0.5, 0.99)] == [
        "less than 5 %",
        "50 %",
        "more than 95 %",
    ]
    assert day(np.datetime64("2027-03-04"), AS_OF) == "4 March 2027"
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
