"""What an owner reads: a sentence or two per decision, each number of which is in the evidence."""

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import numpy as np

from headroom.recommend.decision import (
    CAPACITY_SHORTFALL,
    DATA_GAP,
    RECOMMENDED,
    RIGHTSIZE_DOWN,
    UNJUDGED,
    Decision,
)

_WHAT = {
    RIGHTSIZE_DOWN: "No smaller size is proposed for {place}",
    CAPACITY_SHORTFALL: "No shortfall is announced for {place}",
    DATA_GAP: "The data of {place} can be trusted",
}
_NOT_JUDGED = {
    RIGHTSIZE_DOWN: "The size of {place} was not judged",
    CAPACITY_SHORTFALL: "The capacity of {place} was not judged",
    DATA_GAP: "The data of {place} was not judged",
}
_STEADY = 0.002  # growth per week below which demand is called steady
_NARROW = 0.02  # savings are told as one number where P10 and P90 are so close
_BY_EVENT = 0.5  # share of first passages on days of known events


def place_name(dimensions: Mapping[str, str], group_id: str) -> str:
    """`checkout in eu-west`, or the group's id where it has no service."""
    service, region = dimensions.get("service"), dimensions.get("region")
    if not service:
        return group_id
    return f"{service} in {region}" if region else service


def summary(decision: Decision, place: str, as_of: np.datetime64) -> str:
    """The sentence for the owner of `place`; for what is not recommended, the reason in words."""
    if decision.outcome != RECOMMENDED:
        opening = _NOT_JUDGED if decision.outcome in UNJUDGED else _WHAT
        return f"{opening[decision.rec_type].format(place=place)}: {decision.detail}."
    return _SENTENCES[decision.rec_type](decision, place, as_of)


def action(decision: Decision, as_of: np.datetime64) -> str | None:
    """What to do, in the imperative; None where nothing is recommended."""
    if decision.outcome != RECOMMENDED:
        return None
    if decision.rec_type == DATA_GAP:
        metrics = sorted({fault["metric"] for fault in decision.evidence["faults"]})
        return f"Check where {listed(metrics)} {'come' if len(metrics) > 1 else 'comes'} from"
    verb = "Add" if decision.rec_type == CAPACITY_SHORTFALL else "Remove"
    text = f"{verb} {_change(decision)}"
    if decision.rec_type == RIGHTSIZE_DOWN:
        return text
    return f"{text} {_by(decision, as_of)}"


def _shortfall(decision: Decision, place: str, as_of: np.datetime64) -> str:
    facts = decision.evidence
    chance = chance_text(decision.risk_now, facts["resolution"])
    horizon = facts["horizon_days"]
    limit = (
        f"{percent(facts['safe_utilisation'])} of its "
        f"{amount(facts['capacity'])} {unit_name(facts['unit'])}"
    )
    return (
        f"{place} {_when(decision, as_of)}: {_driver(facts)} pass {limit}. "
        f"{action(decision, as_of)}; without them the chance of running short within "
        f"{horizon} days is {chance}."
    )


def _when(decision: Decision, as_of: np.datetime64) -> str:
    early, middle, late = decision.event_dates
    if early is None:
        return "may run out of capacity"
    first = day(early, as_of)
    if decision.event_days and decision.event_days[2] <= 1:
        return "is at its safe capacity already"
    if middle is None:
        return f"may run out of capacity, from {first} on"
    likely = f"(most likely {day(middle, as_of)})"
    if late is None:
        return f"is likely to run out of capacity from {first} on {likely}"
    if first == day(late, as_of):
        return f"runs out of capacity on {first}"
    return f"runs out of capacity between {first} and {day(late, as_of)} {likely}"


def _driver(facts: Mapping[str, Any]) -> str:
    if facts["share_by_event"] >= _BY_EVENT:
        lift = percent(facts["event_factor"] - 1)
        return f"known events lift peak demand by up to {lift}, and it will"
    growth = facts["weekly_growth"][1]
    if growth >= _STEADY:
        return f"peak demand grows {percent(growth, 1)} a week and will"
    if growth <= -_STEADY:
        return f"peak demand falls {percent(-growth, 1)} a week but varies enough to"
    return "peak demand is steady but varies enough to"


def _rightsize(decision: Decision, place: str, as_of: np.datetime64) -> str:
    facts = decision.evidence
    low, middle, high = decision.savings or (0.0, 0.0, 0.0)
    kept = (
        f"{amount(decision.proposed)} of its {amount(decision.current)} {unit_name(decision.unit)}"
    )
    is_sure = high - low <= _NARROW * middle
    spread = "" if is_sure else f" ({money(low)} to {money(high)})"
    chance = chance_text(decision.risk_after, facts["resolution"])
    share = percent(facts["safe_utilisation"])
    cap = ", as a first step" if facts["step_cap_binds"] else ""
    most = f"{amount(facts['observed_peak_max'])} {unit_name(facts['unit'])}"
    return (
        f"{place} can do with {kept}{cap}: its daily peak was {most} at most in "
        f"{facts['n_days']} days. {action(decision, as_of)} to save about {money(middle)} every "
        f"30 days{spread}; the chance of passing {share} of what remains within "
        f"{facts['horizon_days']} days is {chance}."
    )


def _data_gap(decision: Decision, place: str, as_of: np.datetime64) -> str:
    faults = decision.evidence["faults"]
    texts = [_FAULTS[fault["code"]](fault, as_of) for fault in faults[:3]]
    more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
    return (
        f"In {place}, {listed(texts)}{more}. {action(decision, as_of)}; until then, "
        "recommendations on its capacity are withheld."
    )


def _silent(fault: Mapping[str, Any], as_of: np.datetime64) -> str:
    if fault["since"] is None:
        return f"{fault['metric']} has no value at all"
    return f"{fault['metric']} has been silent since {moment(fault['since'], as_of)}"


def _low_coverage(fault: Mapping[str, Any], as_of: np.datetime64) -> str:
    missing = percent(1 - fault["value"])
    return f"{fault['metric']} lacks {missing} of its values since {moment(fault['since'], as_of)}"


def _flatline(fault: Mapping[str, Any], as_of: np.datetime64) -> str:
    return f"{fault['metric']} has not changed since {moment(fault['since'], as_of)}"


def _unit_jump(fault: Mapping[str, Any], as_of: np.datetime64) -> str:
    factor = fault["value"]
    text = f"{amount(factor)} times" if factor >= 1 else f"1/{amount(1 / factor)} of"
    since = moment(fault["since"], as_of)
    return f"{fault['metric']} is {text} what it was since {since}, as if its unit had changed"


_SENTENCES: Mapping[str, Callable[[Decision, str, np.datetime64], str]] = {
    CAPACITY_SHORTFALL: _shortfall,
    RIGHTSIZE_DOWN: _rightsize,
    DATA_GAP: _data_gap,
}
_FAULTS: Mapping[str, Callable[[Mapping[str, Any], np.datetime64], str]] = {
    "silent": _silent,
    "low_coverage": _low_coverage,
    "flatline": _flatline,
    "unit_jump": _unit_jump,
}


# -- words -----------------------------------------------------------------------------------------


def _change(decision: Decision) -> str:
    count = abs((decision.proposed or 0.0) - (decision.current or 0.0))
    unit = unit_name(decision.unit)
    return f"{amount(count)} {unit[:-1] if amount(count) == '1' and unit.endswith('s') else unit}"


def _by(decision: Decision, as_of: np.datetime64) -> str:
    early = decision.event_dates[0]
    if decision.act_by is None or early is None or _to_day(decision.act_by) <= _to_day(as_of) + 1:
        return "now"
    return f"by {day(decision.act_by, as_of)}"


def unit_name(unit: str) -> str:
    """The unit as it is written in a sentence."""
    return unit.replace("_", " ") or "units"


def amount(value: float | None) -> str:
    """`1,204`, `12`, `4.5`, `0.32`: whole from ten on, else two significant digits."""
    if value is None:
        return "–"
    if abs(value) >= 9.95 or value == round(value):
        return f"{value:,.0f}"
    return f"{float(f'{value:.2g}'):g}"


def money(dollars: float) -> str:
    """`$1,150`, `$86`: three significant digits."""
    return f"${float(f'{dollars:.3g}'):,.0f}"


def percent(share: float, digits: int = 0) -> str:
    """`92 %`, `2.1 %`."""
    return f"{100 * share:.{digits}f} %"


def chance_text(probability: float | None, resolution: float) -> str:
    """`92 %`; at the edge of what the paths can tell, `less than 5 %` or `more than 95 %`."""
    if probability is None:
        return "unknown"
    if probability <= resolution:
        return f"less than {math.ceil(100 * resolution)} %"
    if probability >= 1 - resolution:
        return f"more than {100 - math.ceil(100 * resolution)} %"
    return percent(probability)


def day(moment_: np.datetime64, as_of: np.datetime64) -> str:
    """`4 March`, with the year where it is not the year of `as_of`."""
    date = _to_day(moment_).astype(datetime)
    year = "" if date.year == _to_day(as_of).astype(datetime).year else f" {date.year}"
    return f"{date.day} {date:%B}{year}"


def moment(text: str, as_of: np.datetime64) -> str:
    """`4 March, 13:00 UTC` of an ISO 8601 text."""
    at = np.datetime64(text, "s")
    return f"{day(at, as_of)}, {at.astype(datetime):%H:%M} UTC"


def listed(words: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _to_day(at: np.datetime64) -> np.datetime64:
    return at.astype("datetime64[D]")
