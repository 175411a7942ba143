"""What a policy decides on: the items of one group put on one grid, as plain arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from headroom.config import Recommend, Roles, TierPolicy
from headroom.freq import DAY, Freq
from headroom.recommend.decision import MISSING_INPUTS, UNKNOWN_TIER, UNSUPPORTED_FREQ
from headroom.recommend.events import Event, event_lift
from headroom.series.panel import PERCENT_UNITS
from headroom.series.trend import Floats

HOURS_PER_MONTH = 720.0  # money is stated per 30 days
PRICE_DAYS = 28
SATURATED = 0.98  # utilisation from which demand is cut off by capacity, so unknown


@dataclass(frozen=True)
class Item:
    """One series of the group, as stored."""

    item_id: str
    metric: str
    metric_kind: str
    unit: str
    start: np.datetime64  # seconds
    values: Floats  # (step,), NaN where not observed
    status: str = "ok"
    reason: str = ""
    events: Sequence[Event] = ()
    issues: Mapping[str, float] = field(default_factory=dict)  # share of steps by quality issue
    forecast_start: np.datetime64 | None = None
    forecast_means: Floats | None = None  # (step,)

    @property
    def n_seen(self) -> int:
        """Steps up to and with the last observed one."""
        seen = np.flatnonzero(np.isfinite(self.values))
        return int(seen[-1]) + 1 if len(seen) else 0


@dataclass(frozen=True)
class Refusal:
    """Why nothing could be decided: a code and a sentence."""

    outcome: str
    detail: str


@dataclass(frozen=True)
class Group:
    """Demand and capacity of one service in one region, on one grid that ends at the last step."""

    group_id: str
    dimensions: Mapping[str, str]
    tier: str
    policy: TierPolicy
    end: np.datetime64  # start of the last observed step, seconds
    freq: Freq
    unit: str  # of demand and capacity
    demand: Floats  # (step,), NaN where not observed
    capacity: Floats  # (step,), carried forward over gaps
    hosts: Floats | None  # (step,)
    unit_prices: Floats  # US dollars per unit and hour, one per day; at least one
    price_source: str  # cost ÷ capacity, or settings
    lift: Floats  # (step + horizon steps,), expected share above normal by known events
    responses: Mapping[str, float]  # by kind of event, what share of its expected lift is followed
    n_saturated: int  # steps at SATURATED utilisation or more
    forecast: Floats | None  # (step,), mean of demand right after `end`

    @property
    def steps_per_day(self) -> int:
        return DAY // self.freq.seconds

    @property
    def capacity_now(self) -> float:
        """The median of the last day."""
        return float(np.median(self.capacity[-self.steps_per_day :]))

    @property
    def host_size(self) -> float | None:
        """Capacity of one host, from the last day; None where hosts are not measured."""
        if self.hosts is None:
            return None
        hosts = float(np.median(self.hosts[-self.steps_per_day :]))
        return self.capacity_now / hosts if hosts >= 0.5 else None

    @property
    def unit_price(self) -> float:
        return float(np.median(self.unit_prices))

    def date(self, day: float) -> np.datetime64:
        """Start of the day counted from 1 after the last step."""
        first = self.end + np.timedelta64(self.freq.seconds, "s")
        return first + np.timedelta64(round((day - 1) * DAY), "s")


def assemble(
    items: Sequence[Item],
    dimensions: Mapping[str, str],
    group_id: str,
    freq: Freq,
    settings: Recommend,
) -> Group | Refusal:
    """The items of a group by their roles on one grid, or the reason why that cannot be done."""
    if freq.is_monthly or freq.seconds > DAY or DAY % freq.seconds:
        return Refusal(UNSUPPORTED_FREQ, "daily peaks need steps that divide a day")
    tier = dimensions.get("tier", settings.default_tier)
    if tier not in settings.tiers:
        return Refusal(UNKNOWN_TIER, f"tier {tier!r} has no policy in recommend.tiers")
    roles = _by_role(items, settings.roles)
    if isinstance(roles, Refusal):
        return roles
    return _on_one_grid(roles, dimensions, group_id, freq, settings)


def _on_one_grid(
    roles: Mapping[str, Item],
    dimensions: Mapping[str, str],
    group_id: str,
    freq: Freq,
    settings: Recommend,
) -> Group | Refusal:
    source, tier = roles["demand"], dimensions.get("tier", settings.default_tier)
    end = source.n_seen
    capacity = carried_forward(_on_grid(roles["capacity"], source, freq, end))
    if not np.isfinite(capacity).any():
        return Refusal(MISSING_INPUTS, "capacity has no value at the time of demand")
    if np.median(capacity[-(DAY // freq.seconds) :]) <= 0:
        return Refusal(MISSING_INPUTS, "capacity is zero")
    factor = _demand_factor(source, settings.roles, capacity)
    demand = _on_grid(source, source, freq, end) * factor
    n_ahead = settings.horizon_days * (DAY // freq.seconds)
    lift, responses = event_lift(source.events, demand, n_ahead, freq)
    prices = _unit_prices(roles.get("cost"), source, capacity, freq)
    return Group(
        group_id=group_id,
        dimensions=dimensions,
        tier=tier,
        policy=settings.tiers[tier],
        end=source.start + np.timedelta64(freq.seconds * (end - 1), "s"),
        freq=freq,
        unit=roles["capacity"].unit or "units",
        demand=demand,
        capacity=capacity,
        hosts=_hosts(roles.get("hosts"), source, freq, end),
        unit_prices=prices if len(prices) else np.array([settings.unit_cost]),
        price_source="cost divided by capacity" if len(prices) else "settings",
        lift=lift,
        responses=responses,
        n_saturated=int(np.sum((demand >= SATURATED * capacity) & (capacity > 0))),
        forecast=_forecast(source, freq, float(factor[-1])),
    )


def carried_forward(values: Floats) -> Floats:
    """Each gap takes the last value before it; a gap at the start the first value after it."""
    seen = np.flatnonzero(np.isfinite(values))
    if len(seen) == 0:
        return values
    last = np.searchsorted(seen, np.arange(len(values)), side="right") - 1
    return values[seen[np.maximum(last, 0)]]


def _by_role(items: Sequence[Item], roles: Roles) -> dict[str, Item] | Refusal:
    """The items that play a role; of several with one metric the first by id."""
    with_values = [item for item in items if item.n_seen]
    found = {item.metric: item for item in sorted(with_values, key=_item_id, reverse=True)}
    demand = found.get(roles.demand or "") or found.get(roles.utilisation)
    capacity = found.get(roles.capacity)
    if demand is None or capacity is None:
        wanted = roles.demand or roles.utilisation if demand is None else roles.capacity
        return Refusal(MISSING_INPUTS, f"the group has no values of {wanted}")
    chosen = {"demand": demand, "capacity": capacity}
    for role, metric in (("hosts", roles.hosts), ("cost", roles.cost)):
        if metric in found:
            chosen[role] = found[metric]
    return chosen


def _item_id(item: Item) -> str:
    return item.item_id


def _demand_factor(item: Item, roles: Roles, capacity: Floats) -> Floats:
    """What turns the item's values into demand in units of capacity, (step,)."""
    if item.metric == roles.demand:
        return np.ones(len(capacity))
    return capacity * (0.01 if item.unit.lower() in PERCENT_UNITS else 1.0)


def _on_grid(item: Item, grid: Item, freq: Freq, n_steps: int) -> Floats:
    """The item's values at the steps of the grid's start, NaN where it has none."""
    offset = int((item.start - grid.start) / np.timedelta64(1, "s")) // freq.seconds
    values = np.full(n_steps, np.nan)
    first, last = max(offset, 0), min(offset + len(item.values), n_steps)
    if last > first:
        values[first:last] = item.values[first - offset : last - offset]
    return values


def _hosts(item: Item | None, grid: Item, freq: Freq, n_steps: int) -> Floats | None:
    if item is None:
        return None
    hosts = carried_forward(_on_grid(item, grid, freq, n_steps))
    return hosts if np.isfinite(hosts).all() else None


def _unit_prices(item: Item | None, grid: Item, capacity: Floats, freq: Freq) -> Floats:
    """US dollars per unit and hour of each of the latest days with cost; empty where unknown."""
    if item is None:
        return np.empty(0)
    cost = _on_grid(item, grid, freq, len(capacity))
    per_day = DAY // freq.seconds
    n_days = min(len(cost) // per_day, PRICE_DAYS)
    latest = slice(len(cost) - n_days * per_day, None)
    hours = freq.seconds / 3600
    with np.errstate(divide="ignore", invalid="ignore"):
        price = (cost / (capacity * hours))[latest].reshape(n_days, per_day)
    days = price[np.isfinite(price).any(axis=1)]
    prices = np.nanmedian(days, axis=1) if len(days) else np.empty(0)
    return prices[np.isfinite(prices) & (prices > 0)]


def _forecast(item: Item, freq: Freq, factor: float) -> Floats | None:
    """Forecast mean of demand right after the last step; None where it starts elsewhere."""
    if item.forecast_means is None or item.forecast_start is None:
        return None
    begins = item.start + np.timedelta64(freq.seconds * item.n_seen, "s")
    usable = item.forecast_start == begins and np.isfinite(item.forecast_means).all()
    return item.forecast_means * factor if usable else None
