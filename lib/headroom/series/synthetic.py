"""Synthetic series to learn from before any real one is seen.

Each series is drawn from a recipe of parts met in telemetry of services: profiles of the day and
of the week, drifting amplitude and phase, regimes, trends and level shifts, noise with memory,
bursts that decay, outliers, idle days, holidays, counts, saturation, rounding, gaps; and announced
events, which most series answer to. All of it follows from one generator, so that a number and a
seed give the same series everywhere.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rng = np.random.Generator


@dataclass(frozen=True)
class Announced:
    """An entry of a calendar; steps count from the start of the series, `last_step` inclusive."""

    kind: str
    first_step: int
    last_step: int
    known_step: int
    expected_lift: float | None = None


def synthetic_series(
    rng: Rng, length: int, seasons: Sequence[int]
) -> tuple[Floats, tuple[Announced, ...]]:
    """One series of `length` steps (step,), NaN where not observed, non-negative more often than
    not; and what a calendar says about it."""
    values = _unmeasured(rng, length, seasons)
    events: tuple[Announced, ...] = ()
    if rng.random() < 0.4:
        factors, events = announced(rng, length, seasons)
        values = values * factors
    return _measured(rng, values, seasons) * 10.0 ** rng.uniform(-2, 6), events


def _unmeasured(rng: Rng, length: int, seasons: Sequence[int]) -> Floats:
    shape = quasi_periodic if rng.random() < 0.15 else seasonal_shape
    rhythm = shape(rng, length, seasons)
    amplitude = np.exp(rng.normal(-0.5, 0.8)) * drift(rng, length, 0.3)
    level = trend(rng, length) + level_shifts(rng, length)
    if rng.random() < 0.15:
        other = regimes(rng, length, seasons)
        amplitude = amplitude * np.where(other, rng.uniform(0, 1.5), 1.0)
        level = level + np.where(other, rng.normal(0, 0.7), 0.0)
    memory = noise(rng, length)
    spread = np.exp(rng.normal(-2.0, 1.0))
    latent = level + amplitude * rhythm + spread * memory
    latent += bursts(rng, length) if rng.random() < 0.3 else 0.0
    if rng.random() < 0.7:
        values = np.exp(np.clip(latent, -20, 20))
    else:
        values = latent + rng.choice([0.0, 2.0, 6.0])
    if rng.random() < 0.2:
        values = values + _unmeasured(rng, length, seasons) * rng.choice([0.3, 1.0])
    return values


def seasonal_shape(rng: Rng, length: int, seasons: Sequence[int]) -> Floats:
    """The rhythm (step,), about one unit wide: profiles of the short season, modulated or replaced
    within the long one, with holidays that look like the quietest day."""
    if not seasons or rng.random() < 0.06:
        return np.zeros(length)
    day = seasons[0]
    steps = np.arange(length + day)
    phase = phase_drift(rng, length + day, day)
    position = ((steps + phase) % day) / day
    kinds = [profile(rng) for _ in range(2)]
    usual, other = (kind(position) for kind in kinds)
    if len(seasons) > 1:
        days_in_week = max(seasons[1] // day, 1)
        weekday = ((steps // day) + rng.integers(0, days_in_week)) % days_in_week
        gain = np.ones(days_in_week) + rng.choice([0.0, 0.05, 0.3]) * rng.normal(size=days_in_week)
        shift = rng.choice([0.0, 0.1, 0.5]) * rng.normal(size=days_in_week)
        weekend = rng.integers(0, 3)
        quiet = weekday >= days_in_week - weekend
        if rng.random() < 0.3:
            quiet |= rng.random(length // day + 2)[steps // day] < 0.02
        strength = rng.choice([0.0, 0.4, 1.0])
        mixed = np.where(quiet, usual + strength * (other - usual), usual)
        shape = mixed * gain[weekday] + shift[weekday]
    else:
        shape = usual
    return shape[:length]


def quasi_periodic(rng: Rng, length: int, seasons: Sequence[int]) -> Floats:
    """A rhythm (step,) about one unit wide that never quite repeats: waves near the harmonics of
    the seasons, a Gaussian process by random Fourier features (Rahimi & Recht 2007)."""
    if not seasons:
        return np.zeros(length)
    steps, values = np.arange(length), np.zeros(length)
    for season in seasons:
        weight = rng.uniform(0.2, 1.0)
        for order in range(1, int(rng.integers(2, 7))):
            for _ in range(3):
                frequency = (order + rng.normal(0, 0.04)) / season
                angle = 2 * np.pi * (frequency * steps + rng.random())
                values += weight * rng.normal() / order * np.sin(angle)
    return values / (values.std() + 1e-9)


def regimes(rng: Rng, length: int, seasons: Sequence[int]) -> NDArray[np.bool_]:
    """Whether the other of two states holds (step,); each lasts some of the longest season."""
    mean = max(seasons[-1] if seasons else 12, 4) * rng.uniform(0.3, 3.0)
    lasts = np.maximum(rng.exponential(mean, int(3 * length / mean) + 4), 2)
    changes = np.cumsum(lasts)
    return np.searchsorted(changes, np.arange(length)) % 2 == 1


def profile(rng: Rng) -> Callable[[Floats], Floats]:
    """A function of the position in a period (0 to 1): smooth, spiky, or on and off."""
    kind = rng.random()
    if kind < 0.55:
        n_waves = rng.integers(1, 6)
        size = rng.normal(size=n_waves) / np.arange(1, n_waves + 1) ** rng.uniform(0.5, 1.5)
        angle = rng.uniform(0, 2 * np.pi, n_waves)
        norm = np.sqrt((size**2).sum() / 2) + 1e-9
        order = np.arange(1, n_waves + 1)
        return lambda x: (
            (size * np.sin(2 * np.pi * order * np.asarray(x)[..., None] + angle)).sum(axis=-1)
            / norm
        )
    if kind < 0.8:
        centers, widths = rng.random(rng.integers(1, 4)), 10 ** rng.uniform(-2, -0.7)
        heights = rng.exponential(1.5, len(centers))

        def spiky(x: Floats) -> Floats:
            away = (np.asarray(x)[..., None] - centers + 0.5) % 1.0 - 0.5
            return (heights * np.exp(-0.5 * (away / widths) ** 2)).sum(axis=-1)

        return spiky
    begin, width, height = rng.random(), rng.uniform(0.15, 0.7), rng.normal(0, 1.5)
    edge = 10 ** rng.uniform(-2.5, -1)

    def plateau(x: Floats) -> Floats:
        inside = np.abs((np.asarray(x) - begin + 0.5) % 1.0 - 0.5)
        return height / (1 + np.exp(np.clip((inside - width / 2) / edge, -50, 50)))

    return plateau


def phase_drift(rng: Rng, length: int, day: int) -> Floats:
    """Shift of the rhythm in steps: mostly none, sometimes a clock change or a slow walk."""
    kind = rng.random()
    if kind < 0.85:
        return np.zeros(length)
    if kind < 0.93:
        return np.where(np.arange(length) > rng.integers(0, length), max(day // 24, 1), 0).astype(
            float
        )
    return np.cumsum(rng.normal(0, 0.02, length)) * day / 24


def drift(rng: Rng, length: int, size: float) -> Floats:
    """A positive factor that wanders slowly around one."""
    if rng.random() < 0.5:
        return np.ones(length)
    knots = rng.normal(0, size, max(length // 150, 2) + 1)
    at = np.linspace(0, len(knots) - 1, length)
    return np.exp(np.interp(at, np.arange(len(knots)), knots))


def trend(rng: Rng, length: int) -> Floats:
    """Piecewise linear, mostly flat."""
    if rng.random() < 0.5:
        return np.zeros(length)
    n_pieces = rng.integers(1, 4)
    knots = np.concatenate([[0.0], np.cumsum(rng.normal(0, 0.4, n_pieces))])
    inner = np.sort(rng.random(n_pieces - 1)) if n_pieces > 1 else np.zeros(0)
    return np.interp(np.linspace(0, 1, length), np.concatenate([[0], inner, [1]]), knots)


def level_shifts(rng: Rng, length: int) -> Floats:
    """Jumps that stay."""
    level = np.zeros(length)
    for _ in range(rng.poisson(0.5)):
        level[rng.integers(0, length) :] += rng.normal(0, 0.5)
    return level


def noise(rng: Rng, length: int) -> Floats:
    """Unit noise: white or heavy-tailed, with the memory of an autoregression or a walk."""
    shocks = rng.normal(size=length) if rng.random() < 0.6 else rng.standard_t(4, length) / 1.41
    if rng.random() < 0.3:
        shocks = shocks * drift(rng, length, 0.6)
    memory = rng.choice([0.0, rng.uniform(0.3, 0.95), rng.uniform(0.95, 0.999)])
    values = autoregressed(shocks, memory) * np.sqrt(1 - memory**2)
    if rng.random() < 0.3:
        values = values + np.cumsum(rng.normal(size=length)) * 10 ** rng.uniform(-2.5, -1)
    return values


def autoregressed(shocks: Floats, memory: float) -> Floats:
    """x_t = memory · x_{t-1} + shock_t, in blocks so that no power underflows."""
    if memory == 0:
        return shocks.copy()
    values = np.empty_like(shocks)
    block, last = 64, 0.0
    powers = memory ** np.arange(1, block + 1)
    kernel = np.tril(
        memory ** np.clip(np.subtract.outer(np.arange(block), np.arange(block)), 0, None)
    )
    for begin in range(0, len(shocks), block):
        part = shocks[begin : begin + block]
        n = len(part)
        values[begin : begin + n] = kernel[:n, :n] @ part + powers[:n] * last
        last = float(values[begin + n - 1])
    return values


def bursts(rng: Rng, length: int) -> Floats:
    """Sudden rises that decay: incidents, live events."""
    values = np.zeros(length)
    for _ in range(rng.poisson(length / 400)):
        begin, decay = rng.integers(0, length), 10 ** rng.uniform(0, 1.3)
        after = np.arange(length - begin)
        values[begin:] += rng.exponential(0.8) * np.exp(-after / decay)
    return values


def announced(
    rng: Rng, length: int, seasons: Sequence[int]
) -> tuple[Floats, tuple[Announced, ...]]:
    """What announced events do to a series, as factors (step,), and the calendar's entries.

    Each series has its own answer: to live events and launches in proportion to the lift that was
    expected (one in four does not answer at all), to holidays the same way every time. In half of
    the series live events and holidays are felt before they begin and after they end. A freeze
    changes nothing.
    """
    day = seasons[0] if len(seasons) > 1 else 1
    beside = {
        kind: _beside(rng, day * reach) for kind, reach in (("live_event", 0.2), ("holiday", 1))
    }
    answer = 0.0 if rng.random() < 0.25 else float(np.exp(rng.normal(0, 0.25)))
    holiday = float(np.exp(rng.normal(-0.2, 0.4)))
    log_factors, events = np.zeros(length), []
    for _ in range(rng.poisson(max(length / day / 12, 2))):
        kind = str(rng.choice(["live_event", "live_event", "holiday", "launch", "freeze"]))
        first = int(rng.integers(0, length))
        lift = float(0.1 + 1.9 * rng.random() ** 2) * (0.3 if kind == "launch" else 1.0)
        lasts = {
            "live_event": max(day * rng.uniform(0.06, 0.4), 1),
            "holiday": day,
            "launch": day * rng.uniform(3, 21),
            "freeze": day * rng.uniform(2, 14),
        }[kind]
        if kind == "holiday":
            first -= first % day
        last = min(first + int(np.ceil(lasts)) - 1, length + day)
        if kind == "live_event":
            log_factors += np.log1p(answer * lift) * beside[kind](first, last, length)
        elif kind == "holiday":
            log_factors += np.log(holiday) * beside[kind](first, last, length)
        elif kind == "launch":
            ramp = np.clip((np.arange(length) - first + 1) / lasts, 0, 1)
            log_factors += np.log1p(answer * lift) * (0.4 * (ramp > 0) + 0.6 * ramp)
        if rng.random() < 0.1:
            continue  # nobody told the calendar
        told = kind in ("live_event", "launch") and rng.random() < 0.8
        expected = max(0.05, lift * float(np.exp(0.2 * rng.normal()))) if told else None
        known = first - int(day * rng.uniform(7, 60))
        events.append(Announced(kind, first, last, known, expected))
    return np.exp(np.clip(log_factors, -4, 4)), tuple(events)


def _beside(rng: Rng, reach: float) -> Callable[[int, int, int], Floats]:
    """How much of an event is felt (step,): all of it inside; in half of the series a share before
    and a share after, which fall off within about `reach` steps."""
    shares = rng.uniform(-0.1, 0.6, 2) if rng.random() < 0.5 else np.zeros(2)
    decays = np.maximum(reach * rng.uniform(0.1, 1.0, 2), 0.3)

    def felt(first: int, last: int, length: int) -> Floats:
        steps = np.arange(length)
        away = np.stack([first - 1 - steps, steps - last - 1])
        parts = shares[:, None] * np.exp(-np.maximum(away, 0) / decays[:, None])
        return np.where(away[0] >= 0, parts[0], np.where(away[1] >= 0, parts[1], 1.0))

    return felt


def _measured(rng: Rng, values: Floats, seasons: Sequence[int]) -> Floats:
    """What a monitoring system makes of it: outliers, idle times, counts, limits, rounding."""
    size = np.abs(values).mean() + 1e-9
    values = values / size
    if rng.random() < 0.25:
        at = rng.random(len(values)) < 10 ** rng.uniform(-3.3, -2)
        values = np.where(at, values * rng.choice([0.0, 0.1, 3.0, 10.0], len(values)), values)
    if rng.random() < 0.05 and seasons:
        begin = rng.integers(0, len(values))
        values[begin : begin + rng.integers(1, 3 * seasons[0])] = 0.0
    if rng.random() < 0.25:
        mean = 10 ** rng.uniform(-1, 3)
        values = rng.poisson(np.clip(values, 0, 1e3) * mean) / mean
    if rng.random() < 0.08:
        values = np.minimum(values, np.quantile(values, rng.uniform(0.8, 0.98)))
    if rng.random() < 0.2:
        digits = 10 ** rng.uniform(0.3, 2.5)
        values = np.round(values * digits) / digits
    if rng.random() < 0.15:
        missing = rng.random(len(values)) < 10 ** rng.uniform(-3, -1)
        begin = int(rng.integers(0, len(values)))
        missing[begin : begin + int(rng.exponential(10))] = True
        missing[[0, -1]] = False
        values = np.where(missing, np.nan, values)
    return values
