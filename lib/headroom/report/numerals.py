"""Numbers, money, dates and lengths of time as a person writes them."""

import math
from datetime import UTC, datetime, timedelta

from headroom.freq import DAY, WEEK, parse_freq

NONE = "–"
NBSP = "\u00a0"  # a number and its unit stay on one line
_SCALES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_UNITS = {
    "s": ("second", "seconds"),
    "min": ("minute", "minutes"),
    "h": ("hour", "hours"),
    "D": ("day", "days"),
    "W": ("week", "weeks"),
    "MS": ("month", "months"),
}


def quantity(value: float | None, digits: int = 3) -> str:
    """`1.23 M`, `812`, `0.0042`: so many significant digits, by thousands from 10 000 on."""
    if value is None or not math.isfinite(value):
        return NONE
    if value == 0:
        return "0"
    scaled, suffix = _scaled(value, digits)
    text = _significant(scaled, digits)
    return f"{text}{NBSP}{suffix}" if suffix else text


def _scaled(value: float, digits: int) -> tuple[float, str]:
    rounded = float(f"{value:.{digits - 1}e}")
    for scale, suffix in _SCALES:
        if abs(rounded) >= (10_000 if scale == 1e3 else scale):
            return value / scale, suffix
    return value, ""


def _significant(value: float, digits: int) -> str:
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    decimals = min(max(digits - 1 - magnitude, 0), 8)
    text = f"{value:,.{decimals}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")


def count(value: int | None) -> str:
    """`12,345`."""
    return NONE if value is None else f"{value:,}"


def percent(share: float | None, digits: int = 0) -> str:
    """`89 %`; a share that is not zero never reads `0 %`, one below 1 never `100 %`."""
    if share is None or not math.isfinite(share):
        return NONE
    smallest = 10.0**-digits
    value = share * 100
    if 0 < value < smallest / 2:
        return f"<{NBSP}{smallest:.{digits}f}{NBSP}%"
    if 100 - smallest / 2 <= value < 100:
        return f">{NBSP}{100 - smallest:.{digits}f}{NBSP}%"
    return f"{value:.{digits}f}{NBSP}%".replace("-", "−")


def money(dollars: float | None) -> str:
    """`$3.50`, `$842`, `$43,100`, `$1.2 M`: three significant digits from a thousand on."""
    if dollars is None or not math.isfinite(dollars):
        return NONE
    sign, size = "−" if dollars < 0 else "", abs(dollars)
    if size >= 1e6:
        return f"{sign}${quantity(size)}".replace("G", "B")
    rounded = float(f"{size:.3g}") if size >= 1000 else size
    return f"{sign}${rounded:,.2f}" if 0 < size < 10 else f"{sign}${rounded:,.0f}"


def day(at: datetime | None) -> str:
    """`4 March 2025`."""
    return NONE if at is None else f"{at.day} {at:%B %Y}"


def short_day(at: datetime) -> str:
    """`4 Mar`."""
    return f"{at.day} {at:%b}"


def moment(at: datetime | None) -> str:
    """`4 March 2025, 13:00 UTC`."""
    return NONE if at is None else f"{day(at)}, {at:%H:%M} UTC"


def duration(seconds: float | None) -> str:
    """`0.4 s`, `42 s`, `3 min 5 s`, `2 h 10 min`."""
    if seconds is None or not math.isfinite(seconds):
        return NONE
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"


def steps(n: int, freq: str) -> str:
    """`48 hours` or `288 steps of 5 minutes`."""
    step = parse_freq(freq)
    one, many = _UNITS[step.unit]
    if step.count == 1:
        return f"{n:,} {one if n == 1 else many}"
    return f"{n:,} {'step' if n == 1 else 'steps'} of {step.count} {many}"


def frequency(freq: str) -> str:
    """`hourly`, `daily`, … or `5-minute`."""
    names = {"h": "hourly", "D": "daily", "W": "weekly", "MS": "monthly"}
    step = parse_freq(freq)
    is_named = step.count == 1 and step.unit in names
    return names[step.unit] if is_named else f"{step.count}-{_UNITS[step.unit][0]}"


def plural(n: int, one: str, many: str | None = None) -> str:
    """`1 window`, `3 windows`, `2 series`."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


_NAMES = {
    "log_ar": "log autoregression",
    "lstm": "LSTM",
    "lstm_zero_shot": "LSTM, zero-shot",
    "lstm_scratch": "LSTM, from scratch",
    "lstm_tuned": "LSTM, tuned",
    "rightsize_down": "right-size down",
    "cpu_utilisation": "CPU utilisation",
}


def words(code: str) -> str:
    """A code, or codes joined by colons, as they are read: `capacity shortfall`, `LSTM`."""
    parts = code.split(": ")
    return ": ".join(_NAMES.get(part) or part.replace("_", " ").strip() for part in parts)


def season(freq: str) -> str:
    """What the seasonal naive repeats, in words: `the day before`, `the week before`, …"""
    step = parse_freq(freq)
    lengths = {DAY: "the day before", WEEK: "the week before"}
    if not step.seasons:
        return "the last values"
    return lengths.get(step.seasons[0] * step.seconds, "the year before")


def sentence_case(text: str) -> str:
    """The text with its first letter in upper case, and every % on one line with its number."""
    return (text[:1].upper() + text[1:]).replace(" %", f"{NBSP}%")


def from_epoch(seconds: float | None) -> datetime | None:
    """The aware UTC datetime of seconds since 1970, or None."""
    return (
        None if seconds is None else datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    )
