"""The evidence of a recommendation, drawn: past peaks, their forecast, capacity, and the dates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from markupsafe import Markup

from headroom.report import svg
from headroom.report.charts import value_range
from headroom.report.facts import Advice
from headroom.report.numerals import percent, quantity, short_day, words
from headroom.report.svg import Frame, Scale

FRAME = Frame(width=480, height=260, left=48, right=14, top=40, bottom=24)
DAYS = 1000  # longest past and longest future drawn
DEPTH = 3  # of nested evidence that is written out
ITEMS = 8  # of one list or mapping that is written out
CHART = "chart"

Point = tuple[datetime, float]


@dataclass(frozen=True)
class Limit:
    """A level that demand should stay below."""

    value: float
    label: str
    css: str


@dataclass(frozen=True)
class Drawing:
    """Daily peaks, the band of their future as (day, P10, P50, P90), and the limits."""

    past: tuple[Point, ...]
    future: tuple[tuple[datetime, float, float, float], ...]
    limits: tuple[Limit, ...]
    unit: str

    @property
    def days(self) -> list[datetime]:
        """All days drawn, in order."""
        return [at for at, *_ in self.past] + [at for at, *_ in self.future]


def read_drawing(evidence: Mapping[str, object]) -> Drawing | None:
    """What of the stored evidence can be drawn, or None; malformed parts are left out."""
    chart = evidence.get(CHART)
    if not isinstance(chart, Mapping):
        return None
    past = _daily(chart.get("past_from"), [chart.get("past_peaks")])
    future = _daily(chart.get("future_from"), _band(chart))
    if len(past) + len(future) < 2:
        return None
    unit = words(str(evidence.get("unit") or ""))
    return Drawing(
        past=tuple((at, row[0]) for at, row in past),
        future=tuple((at, row[0], row[1], row[2]) for at, row in future),
        limits=tuple(_limits(evidence, unit)),
        unit=unit,
    )


def _daily(first: object, columns: Sequence[object]) -> list[tuple[datetime, list[float]]]:
    """One row of numbers per day from `first` on, without the days that lack one."""
    start = _instant(first)
    if start is None or not columns or not all(isinstance(column, list) for column in columns):
        return []
    rows = zip(*[column[:DAYS] for column in columns if isinstance(column, list)], strict=False)
    days = [(start + timedelta(days=k), [_number(v) for v in row]) for k, row in enumerate(rows)]
    return [(at, [v for v in row if v is not None]) for at, row in days if None not in row]


def _band(chart: Mapping[str, object]) -> list[object]:
    """The rows at P10, P50 and P90 of the future peaks, or nothing."""
    levels, rows = chart.get("levels"), chart.get("future_peaks")
    if not isinstance(levels, list) or not isinstance(rows, list):
        return []
    wanted = [level for level in (0.1, 0.5, 0.9) if level in levels[: len(rows)]]
    return [rows[levels.index(level)] for level in wanted] if len(wanted) == 3 else []


def _limits(evidence: Mapping[str, object], unit: str) -> list[Limit]:
    """The safe share of the present and of the proposed capacity."""
    share = _number(evidence.get("safe_utilisation"))
    found = []
    for key, css in (("capacity", "capacity"), ("proposed_capacity", "proposed")):
        capacity = _number(evidence.get(key))
        if capacity is not None and share is not None:
            name = "proposed " if css == "proposed" else ""
            label = f"{percent(share)} of {name}{quantity(capacity)} {unit}".rstrip()
            found.append(Limit(share * capacity, label, css))
    return found


def _number(value: object) -> float | None:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
    return float(value) if usable else None  # type: ignore[arg-type]


def _instant(value: object) -> datetime | None:
    """The UTC instant of an ISO date, or None."""
    try:
        at = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def evidence_chart(advice: Advice) -> Markup | None:
    """Past peaks, their forecast (P10 to P90), the limits, the dates between which the present one
    is passed, and the day to act by; None where the evidence holds neither past nor future."""
    drawing = read_drawing(advice.evidence)
    if drawing is None:
        return None
    first, last = min(drawing.days), max(drawing.days)
    x = FRAME.horizontal(first.timestamp(), last.timestamp())
    y = FRAME.vertical(*_heights(drawing))
    parts = [*svg.y_axis(FRAME, y), *_event(advice, x, first, last)]
    parts += [*_future(drawing, x, y), *_past(drawing, x, y), *_limit_lines(drawing, y)]
    parts += [*svg.time_axis(FRAME, x, first, last), *_act_by(advice, x, first, last)]
    return svg.picture(FRAME, _described(advice, drawing), parts)


def _heights(drawing: Drawing) -> tuple[float, float]:
    inner = [value for _, value in drawing.past]
    inner += [limit.value for limit in drawing.limits] + [row[2] for row in drawing.future]
    outer = [end for row in drawing.future for end in (row[1], row[3])]
    low, high = value_range(inner, outer)
    low = min(low, 0.0) if low < 0.5 * high else low
    return low, high + 0.08 * (high - low)  # room for the label of the highest limit


def _future(drawing: Drawing, x: Scale, y: Scale) -> list[Markup]:
    rows = drawing.future
    xs = [x(row[0].timestamp()) for row in rows]
    lower, upper = [y(row[1]) for row in rows], [y(row[3]) for row in rows]
    middle = svg.line((at, y(row[2])) for at, row in zip(xs, rows, strict=True))
    return [svg.path(svg.area(xs, lower, upper), "fan fan-80"), svg.path(middle, "fan-median")]


def _past(drawing: Drawing, x: Scale, y: Scale) -> list[Markup]:
    points = ((x(at.timestamp()), y(value)) for at, value in drawing.past)
    return [svg.path(svg.line(points), "history")]


def _limit_lines(drawing: Drawing, y: Scale) -> list[Markup]:
    parts = []
    heights = svg.apart([y(limit.value) for limit in drawing.limits])
    for limit, height in zip(drawing.limits, heights, strict=True):
        at = y(limit.value)
        parts.append(svg.rule(FRAME.left, at, FRAME.width - FRAME.right, at, limit.css))
        parts.append(svg.text(FRAME.left + 4, height - 5, limit.label, f"label {limit.css}-label"))
    return parts


def _event(advice: Advice, x: Scale, first: datetime, last: datetime) -> list[Markup]:
    """The dates from P10 to P90 as a band, the P50 as a line within."""
    early, middle, late = advice.event
    if early is None or early > last:
        return []
    left, right = x(early.timestamp()), x((late or last).timestamp())
    bottom = FRAME.height - FRAME.bottom
    width, height = f"{max(right - left, 2):.1f}", f"{bottom - FRAME.top:.1f}"
    parts = [svg.rectangle(f"{left:.1f}", f"{FRAME.top:.1f}", width, height, "event")]
    ends = f"{short_day(early)} – {short_day(late) if late and late <= last else 'later'}"
    starts = left < FRAME.width - 120  # to the right of the day to act by, which comes before
    at, anchor = (left, "start") if starts else (max(right, left), "end")
    parts.append(svg.text(at, FRAME.top - 6, ends, "label event-label", anchor))
    if middle and first <= middle <= last:
        at = x(middle.timestamp())
        parts.append(svg.rule(at, FRAME.top, at, bottom, "event-median"))
    return parts


def _act_by(advice: Advice, x: Scale, first: datetime, last: datetime) -> list[Markup]:
    if advice.act_by is None or not first <= advice.act_by <= last:
        return []
    at = x(advice.act_by.timestamp())
    anchor = "end" if at > FRAME.width / 2 else "start"
    return [
        svg.rule(at, 18, at, FRAME.height - FRAME.bottom, "act-by"),
        svg.text(at, 13, f"act by {short_day(advice.act_by)}", "label act-label", anchor),
    ]


def _described(advice: Advice, drawing: Drawing) -> str:
    found = [f"Evidence for recommendation {advice.rank}"]
    if drawing.past:
        found.append(f"latest daily peak {quantity(drawing.past[-1][1])} {drawing.unit}".rstrip())
    if drawing.future:
        _, low, middle, high = drawing.future[-1]
        found.append(
            f"at the end {quantity(middle)}, P10 to P90 {quantity(low)} to {quantity(high)}"
        )
    found += [f"limit {quantity(limit.value)}, {limit.label}" for limit in drawing.limits]
    return "; ".join(found)


# -- the rest in words -----------------------------------------------------------------------------


def evidence_numbers(evidence: Mapping[str, object], n: int = 40) -> list[tuple[str, str]]:
    """Name and value of what the picture does not show, at most `n`, in the stored order."""
    said = ((key, _said(value)) for key, value in evidence.items() if key != CHART)
    return [(words(key), text) for key, text in said if text][:n]


def _said(value: object, depth: int = DEPTH) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return quantity(float(value), 4) if abs(value) < 1e300 else ""
    if isinstance(value, Mapping | list):
        return _listed(value, depth - 1) if depth else "…"
    return value[:200] if isinstance(value, str) else ""


def _listed(values: Mapping[str, object] | list[object], depth: int) -> str:
    more = " …" if len(values) > ITEMS else ""
    if isinstance(values, Mapping):
        pairs = list(values.items())[:ITEMS]
        return ", ".join(f"{words(str(k))} {_said(v, depth)}" for k, v in pairs) + more
    separator = "; " if any(isinstance(value, Mapping) for value in values) else ", "
    return separator.join(_said(value, depth) for value in values[:ITEMS]) + more
