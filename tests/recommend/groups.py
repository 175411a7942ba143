"""A service in a region, by hand: hourly demand with a day and a week in it, and its hosts."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from headroom.config import Recommend
from headroom.freq import parse_freq
from headroom.recommend.group import Group, Item, Refusal, assemble

HOURLY = parse_freq("h")
START = np.datetime64("2025-09-01T00:00:00", "s")
PLACE = {"service": "checkout", "region": "eu-west", "tier": "T2"}
HOST = 8.0  # cores


def demand(n_days: int = 63, peak: float = 40.0, growth: float = 0.0, seed: int = 1) -> Any:
    """Cores by hour; `growth` is the log per day, `peak` that of a usual day at the end."""
    hours = np.arange(24 * n_days)
    day = 0.6 + 0.4 * np.sin(2 * np.pi * hours / 24)
    week = 1 + 0.1 * np.sin(2 * np.pi * hours / 168)
    noise = np.random.default_rng(seed).normal(0, 0.03, len(hours))
    return peak * day * week * np.exp(growth * (hours / 24 - n_days) + noise)


def items(
    cores: Any, hosts: Any = 12.0, price: float | None = 0.05, **of_demand: Any
) -> list[Item]:
    """The items of a group with this demand, on so many hosts of 8 cores."""
    hosts = np.broadcast_to(np.asarray(hosts, dtype=float), len(cores))
    capacity = HOST * hosts
    made = [
        item("cpu_utilisation", "ratio", "1", np.asarray(cores) / capacity, **of_demand),
        item("capacity_cores", "capacity", "cores", capacity),
        item("hosts", "gauge", "hosts", hosts),
    ]
    if price is not None:
        made.append(item("cost", "cost", "USD", capacity * price))
    return made


def item(metric: str, kind: str, unit: str, values: Any, **more: Any) -> Item:
    return Item(
        item_id=f"checkout/eu-west/{metric}",
        metric=metric,
        metric_kind=kind,
        unit=unit,
        start=START,
        values=np.asarray(values, dtype=float),
        **more,
    )


def group(cores: Any, settings: Recommend | None = None, **more: Any) -> Group:
    """The assembled group."""
    place: Mapping[str, str] = {**PLACE, "tier": more.pop("tier", "T2")}
    made = assemble(
        items(cores, **more), place, "checkout/eu-west", HOURLY, settings or Recommend()
    )
    assert not isinstance(made, Refusal), made
    return made
