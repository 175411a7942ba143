"""The few pieces of SVG the pictures are drawn with. All text and attributes are escaped."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from markupsafe import Markup

from headroom.report.numerals import quantity, short_day

HOUR, DAY = 3600, 86_400
_TIME_STEPS = tuple(
    timedelta(seconds=seconds)
    for seconds in (60, 300, 900, 1800, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR)
) + tuple(timedelta(days=days) for days in (1, 2, 4, 7, 14))
_MONTH_STEPS = (1, 2, 3, 6, 12, 24, 60, 120)
_MONDAY = datetime(1970, 1, 5, tzinfo=UTC)


@dataclass(frozen=True)
class Scale:
    """Maps values from `low` to `high` onto coordinates from `start` to `end`, clamped to them."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The coordinate of a value."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)


@dataclass(frozen=True)
class Frame:
    """The box of a picture and the margins around its plot, in SVG units."""

    width: float = 420
    height: float = 190
    left: float = 46
    right: float = 12
    top: float = 12
    bottom: float = 24

    def horizontal(self, low: float, high: float) -> Scale:
        """The scale along the plot's width."""
        return Scale(low, high if high > low else low + 1, self.left, self.width - self.right)

    def vertical(self, low: float, high: float) -> Scale:
        """The scale along the plot's height, upwards."""
        return Scale(low, high if high > low else low + 1, self.height - self.bottom, self.top)


def tag(name: str, content: str = "", /, **attributes: object) -> Markup:
    """`<name attribute="…">content</name>`; `_` in attribute names reads `-`, `class_` is class."""
    pairs = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), value)
        for key, value in attributes.items()
    )
    return Markup("<{0}{1}>{2}</{0}>").format(name, pairs, content)


def picture(frame: Frame, label: str, parts: Iterable[Markup], css: str = "chart") -> Markup:
    """The whole picture, with `label` as what it shows for those who do not see it."""
    content = tag("title", label) + Markup("").join(parts)
    box = f"0 0 {frame.width:g} {frame.height:g}"
    return tag("svg", content, class_=css, viewBox=box, role="img", aria_label=label)


def line(points: Iterable[tuple[float, float] | None]) -> str:
    """Path data through the points; None breaks the line."""
    data, pen = [], "M"
    for point in points:
        if point is None:
            pen = "M"
            continue
        data.append(f"{pen}{point[0]:.1f} {point[1]:.1f}")
        pen = "L"
    return "".join(data)


def area(xs: Sequence[float], lower: Sequence[float], upper: Sequence[float]) -> str:
    """Path data of the area between two lines."""
    there = [f"{x:.1f} {y:.1f}" for x, y in zip(xs, upper, strict=True)]
    back = [f"{x:.1f} {y:.1f}" for x, y in zip(xs, lower, strict=True)][::-1]
    return f"M{'L'.join(there + back)}Z" if there else ""


def path(data: str, css: str) -> Markup:
    """A path, or nothing where there is nothing to draw."""
    return tag("path", d=data, class_=css) if data else Markup("")


def rule(x1: float, y1: float, x2: float, y2: float, css: str) -> Markup:
    """A straight line."""
    return tag("line", x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}", class_=css)


def rectangle(x: str, y: str, width: str, height: str, css: str) -> Markup:
    """A rectangle."""
    return tag("rect", x=x, y=y, width=width, height=height, class_=css)


def circle(x: float, y: float, radius: float, css: str) -> Markup:
    """A circle."""
    return tag("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=f"{radius:g}", class_=css)


def text(x: float, y: float, content: str, css: str = "tick", anchor: str = "start") -> Markup:
    """A text that starts, ends or is centred (`middle`) at x."""
    return tag("text", content, x=f"{x:.1f}", y=f"{y:.1f}", class_=css, text_anchor=anchor)


def apart(heights: Sequence[float], gap: float = 14) -> list[float]:
    """The heights of labels, the lowest kept, the others moved up where they would overlap."""
    placed, free = list(heights), math.inf
    for k in sorted(range(len(heights)), key=lambda k: -heights[k]):
        placed[k] = min(heights[k], free)
        free = placed[k] - gap
    return placed


# -- axes ------------------------------------------------------------------------------------------


def ticks(low: float, high: float, n: int = 4) -> list[float]:
    """About `n` round values between low and high."""
    if not high > low:
        return [low]
    rough = (high - low) / n
    unit = 10.0 ** math.floor(math.log10(rough))
    step = unit * next(m for m in (1, 2, 2.5, 5, 10) if m * unit >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [k * step for k in range(first, last + 1)]


def time_ticks(first: datetime, last: datetime, n: int = 5) -> list[tuple[datetime, str]]:
    """At most about `n` round instants between the two, each with its label, in UTC."""
    rough = (last - first) / n
    step = next((step for step in _TIME_STEPS if step >= rough), None)
    if step is None:
        return _month_ticks(first, last, rough)
    anchor = _MONDAY if step >= timedelta(days=7) else _MONDAY.replace(month=first.month, day=1)
    anchor = anchor.replace(year=first.year) if step < timedelta(days=7) else anchor
    k = -((anchor - first) // step)
    found = []
    while (at := anchor + k * step) <= last:
        if at >= first:
            found.append((at, f"{at:%H:%M}" if at.hour or at.minute else short_day(at)))
        k += 1
    return found


def _month_ticks(first: datetime, last: datetime, rough: timedelta) -> list[tuple[datetime, str]]:
    months = rough / timedelta(days=30.44)
    step = next((step for step in _MONTH_STEPS if step >= months), _MONTH_STEPS[-1])
    number = first.year * 12 + first.month - 1
    found = []
    for k in range(-(-number // step) * step, last.year * 12 + last.month, step):
        at = datetime(k // 12, k % 12 + 1, 1, tzinfo=UTC)
        if at >= first:
            found.append((at, f"{at:%Y}" if step >= 12 else f"{at:%b %Y}"))
    return found


def y_axis(frame: Frame, scale: Scale, n: int = 4, percent: bool = False) -> list[Markup]:
    """Grid lines with their values at the left."""
    parts = []
    for value in ticks(scale.low, scale.high, n):
        y = scale(value)
        label = f"{value * 100:.4g} %" if percent else quantity(value)
        parts.append(rule(frame.left, y, frame.width - frame.right, y, "grid"))
        parts.append(text(frame.left - 6, y + 4, label, anchor="end"))
    return parts


def time_axis(frame: Frame, scale: Scale, first: datetime, last: datetime) -> list[Markup]:
    """Dates below the plot."""
    y = frame.height - frame.bottom
    parts = [rule(frame.left, y, frame.width - frame.right, y, "axis")]
    for at, label in time_ticks(first, last):
        x = scale(at.timestamp())
        parts.append(rule(x, y, x, y + 4, "axis"))
        if frame.left + 8 <= x <= frame.width - frame.right - 8:
            parts.append(text(x, y + 17, label, anchor="middle"))
    return parts
