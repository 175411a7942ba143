"""The pictures of the report: data in, one inline SVG out. Colours come from the page's style."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import numpy as np
from markupsafe import Markup

from headroom.report import svg
from headroom.report.facts import Fan, Line, Loss
from headroom.report.numerals import moment, percent, plural, quantity
from headroom.report.svg import Frame, Scale

BANDS = (0.95, 0.8, 0.5)  # widest first, so that the narrow ones lie on top
CELL = Frame(width=84, height=16, left=2, right=2, top=2, bottom=2)


def band(fan: Fan, share: float) -> tuple[list[float], list[float]] | None:
    """Lower and upper end of the central band that holds that share, by interpolation between
    the fan's levels; None where the levels do not reach so far."""
    low, high = (1 - share) / 2, (1 + share) / 2
    if not fan.levels or low < fan.levels[0] - 1e-9 or high > fan.levels[-1] + 1e-9:
        return None
    ends = [np.interp([low, high], fan.levels, values) for values in fan.values]
    return [float(end[0]) for end in ends], [float(end[1]) for end in ends]


def median(fan: Fan) -> list[float]:
    """The middle of the fan."""
    return [float(np.interp(0.5, fan.levels, values)) for values in fan.values]


def fan_chart(
    label: str,
    history: Line,
    forecast: Fan | None,
    backtests: Sequence[Fan] = (),
    frame: Frame | None = None,
) -> Markup:
    """History, what the backtest had forecast for it (80 % band), and the forecast's fan."""
    frame = frame or Frame()
    fans = [*backtests, *([forecast] if forecast else [])]
    instants = [*history.times, *[at for fan in fans for at in fan.times]]
    if not instants:
        return svg.picture(frame, f"{label}: nothing to draw", [])
    first, last = min(instants), max(instants)
    x = frame.horizontal(first.timestamp(), last.timestamp())
    y = frame.vertical(*_value_range(history, fans))
    parts = [*svg.y_axis(frame, y), *svg.time_axis(frame, x, first, last)]
    for fan in backtests:
        parts += _fan(fan, x, y, (0.8,), "past")
    parts += _fan(forecast, x, y, BANDS, "fan") if forecast else []
    parts.append(_line(history.times, history.values, x, y, "history"))
    if forecast and forecast.times:
        now = x(forecast.times[0].timestamp())
        parts.append(svg.rule(now, frame.top, now, frame.height - frame.bottom, "now"))
    return svg.picture(frame, f"{label}: {_described(history, forecast)}", parts)


def _described(history: Line, forecast: Fan | None) -> str:
    seen = [value for value in history.values if value is not None]
    found = "no history"
    if seen:
        found = f"history between {quantity(min(seen))} and {quantity(max(seen))}"
    if not forecast or not forecast.times:
        return f"{found}; no forecast"
    middle = median(forecast)
    return (
        f"{found}; median forecast between {quantity(min(middle))} and {quantity(max(middle))} "
        f"from {moment(forecast.times[0])} on"
    )


def _value_range(history: Line, fans: Iterable[Fan]) -> tuple[float, float]:
    """The values to show: all of the history and the 80 % bands; wider bands are cut where they
    would make the rest flat. From zero where the lowest value is near it."""
    inner = [value for value in history.values if value is not None]
    outer: list[float] = []
    for fan in fans:
        inner += [end for side in (band(fan, 0.8) or ()) for end in side] or median(fan)
        outer += [end for side in (band(fan, 0.95) or ()) for end in side]
    return value_range(inner, outer)


def value_range(inner: Sequence[float], outer: Sequence[float] = ()) -> tuple[float, float]:
    """Lowest and highest value to show; `outer` widens it by half at most."""
    if not inner:
        return 0.0, 1.0
    low, high = min(inner), max(inner)
    room = (high - low or abs(high) or 1.0) / 2
    low = max(min(low, *outer), low - room) if outer else low
    high = min(max(high, *outer), high + room) if outer else high
    if 0 < low < 0.4 * high:
        low = 0.0
    if high <= low:
        low, high = low - room, high + room
    return low, high + 0.04 * (high - low)


def _line(
    times: Sequence[datetime], values: Sequence[float | None], x: Scale, y: Scale, css: str
) -> Markup:
    points = (
        None if value is None else (x(at.timestamp()), y(value))
        for at, value in zip(times, values, strict=True)
    )
    return svg.path(svg.line(points), css)


def _fan(fan: Fan, x: Scale, y: Scale, shares: Sequence[float], css: str) -> list[Markup]:
    xs = [x(at.timestamp()) for at in fan.times]
    parts = []
    for share in shares:
        ends = band(fan, share)
        if ends:
            data = svg.area(xs, [y(value) for value in ends[0]], [y(value) for value in ends[1]])
            parts.append(svg.path(data, f"{css} {css}-{share * 100:.0f}"))
    parts.append(_line(fan.times, median(fan), x, y, f"{css}-median"))
    return parts


def calibration_chart(calibration: Sequence[tuple[float, float]]) -> Markup:
    """Share of actual values at or below each quantile, beside what it should be."""
    frame = Frame(width=300, height=300, left=48, right=14, top=14, bottom=44)
    x, y = frame.horizontal(0, 1), frame.vertical(0, 1)
    parts = svg.y_axis(frame, y, percent=True)
    for value in svg.ticks(0, 1):
        parts.append(svg.text(x(value), 274, f"{value * 100:.4g} %", anchor="middle"))
    parts.append(svg.text(x(0.5), 293, "quantile level", "label", "middle"))
    parts.append(svg.rule(x(0), y(0), x(1), y(1), "ideal"))
    points = [(x(level), y(share)) for level, share in calibration]
    parts.append(svg.path(svg.line(points), "fan-median"))
    parts += [svg.circle(a, b, 3.2, "dot") for a, b in points]
    said = "; ".join(f"{percent(level, 1)}: {percent(share, 1)}" for level, share in calibration)
    return svg.picture(frame, f"Share of actual values below each quantile. {said}", parts)


def training_chart(curves: Sequence[Loss]) -> Markup:
    """Training loss by epoch, one line for each member."""
    frame = Frame(height=200, right=70, bottom=40)
    epochs = [epoch for curve in curves for epoch in curve.epochs]
    losses = [loss for curve in curves for loss in curve.losses]
    if not losses:
        return svg.picture(frame, "No training loss recorded", [])
    low, high = min(losses), max(losses)
    room = (high - low or abs(high) or 1.0) * 0.05
    x, y = frame.horizontal(min(epochs), max(epochs)), frame.vertical(low - room, high + room)
    parts = svg.y_axis(frame, y)
    for value in svg.ticks(min(epochs), max(epochs)):
        parts.append(svg.text(x(value), frame.height - 22, f"{value:,.4g}", anchor="middle"))
    parts.append(
        svg.text(x((min(epochs) + max(epochs)) / 2), frame.height - 4, "epoch", "label", "middle")
    )
    labels = svg.apart([y(curve.losses[-1]) + 4 for curve in curves])
    for k, (curve, label_y) in enumerate(zip(curves, labels, strict=True)):
        points = [(x(e), y(loss)) for e, loss in zip(curve.epochs, curve.losses, strict=True)]
        parts.append(svg.path(svg.line(points), f"member member-{k % 4}"))
        parts.append(svg.text(points[-1][0] + 6, label_y, f"member {curve.member + 1}", "label"))
    said = f"from {quantity(high)} at most to {quantity(low)} at least"
    return svg.picture(frame, f"Training loss of {plural(len(curves), 'member')}, {said}", parts)


def ratio_cell(ratio: float | None) -> Markup:
    """A mark between 0 and twice the naive's loss: left of the tick is better than the naive."""
    if ratio is None:
        return Markup("")
    scale = CELL.horizontal(0, 2)
    harm = " harm" if ratio > 1 else ""
    parts = [
        svg.rule(scale(0), 8, scale(2), 8, "grid"),
        svg.rule(scale(1), 2, scale(1), 14, "axis"),
        svg.rule(scale(1), 8, scale(ratio), 8, f"gain{harm}"),
        svg.circle(scale(ratio), 8, 4, f"dot{harm}"),
    ]
    return svg.picture(CELL, f"{percent(ratio)} of the seasonal naive's loss", parts, "cell")


def bar_cell(value: float, largest: float, label: str) -> Markup:
    """A bar of that length beside the largest."""
    scale = CELL.horizontal(0, largest if largest > 0 else 1)
    bar = svg.rectangle("2", "4", f"{scale(value) - 2:.1f}", "8", "bar")
    return svg.picture(CELL, label, [bar], "cell")
