"""A configuration for a source, proposed from a few of its rows: what a person would guess from the
names and looks of the columns. Plain Python over a sample; nothing here reads the source."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any

import yaml

from headroom.config import METRIC_KINDS, build_config, check_zone
from headroom.errors import DataError
from headroom.freq import parse_freq
from headroom.ingest.mapping import list_names
from headroom.ingest.values import MISSING

Row = Mapping[str, Any]

# Names by what they usually mean, the surest first.
_TIMES = ("timestamp", "ts", "time", "datetime", "date_time", "date", "ds", "at", "epoch", "period")
_TARGETS = ("target", "value", "val", "y", "reading", "measurement", "average", "avg", "mean")
_ITEMS = (
    "item_id", "series_id", "series", "series_key", "unique_id", "resource_id", "id", "key",
    "instance", "host", "hostname", "node", "device", "sensor", "service", "name",
)  # fmt: skip
_METRICS = ("metric", "metric_name", "measure", "variable", "field")
_OPTIONAL = {
    "metric_kind": ("metric_kind", "kind", "metric_type", "type"),
    "unit": ("unit", "units"),
    "time_zone": ("time_zone", "timezone", "tz"),
    "country": ("country", "country_code"),
    "group_id": ("group_id", "group"),
    "revision": ("revision", "version", "updated_at", "ingested_at", "loaded_at"),
}

# The kind of a metric by a word of its name; the first that is met counts.
_KINDS = (
    ("latency", r"latency|duration|response_time|p\d\d+|ms|millis"),
    ("cost", r"cost|costs|price|spend|usd|eur|dollars"),
    ("rate", r"rate|rps|qps|throughput|per_(s|sec|second|min|minute)"),
    ("ratio", r"pct|percent|percentage|ratio|share|util|utili[sz]ation|availability"),
    ("capacity", r"capacity|cores|limit|quota|hosts|replicas|instances"),
    ("count", r"count|counts|requests|calls|hits|errors|events|total|orders|users|sessions"),
)
_UNITS = (
    ("ms", r"ms|millis"), ("s", r"s|sec|seconds"), ("%", r"pct|percent|percentage"),
    ("bytes", r"bytes"), ("USD", r"usd|dollars"), ("EUR", r"eur"),
)  # fmt: skip

_ISO = re.compile(r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d|$)")
_NAMES_ZONE = re.compile(r"(Z|UTC|GMT|[+-]\d\d(:?\d\d)?)$")
_GROUPED = re.compile(r"^\s*[+-]?\d+([.,' ]\d+)+\s*$")  # 1,5 or 10,001.50
_NAMELESS = re.compile(r"^(_c\d+|Unnamed: \d+)$")  # the index that pandas writes
_COUNTRY = re.compile(r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$")
_EPOCHS = (1, 1e3, 1e6, 1e9)
_FIRST, _LAST = 946_684_800, 4_102_444_800  # 2000 to 2100: a number outside is no time

_MOST = 0.95  # of the values of a column that is taken for one of times or numbers
_UNIQUE = 0.97  # of the rows that differ in item and time; some are duplicates
_RISES = 10  # of a counter, at least, and so many to one fall
_FEW = 100  # values of a dimension
_LISTED = 30  # metrics by name

_STEPS = (
    (1, "s"), (5, "5s"), (10, "10s"), (15, "15s"), (30, "30s"), (60, "min"), (300, "5min"),
    (600, "10min"), (900, "15min"), (1_800, "30min"), (3_600, "h"), (7_200, "2h"), (10_800, "3h"),
    (14_400, "4h"), (21_600, "6h"), (43_200, "12h"), (86_400, "D"), (604_800, "W"),
    (2_629_800, "MS"),
)  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """Some rows of a source: the names of its columns in order, and values as Spark gives them."""

    columns: Sequence[str]
    rows: Sequence[Row]

    def values(self, name: str) -> list[Any]:
        """What is not missing."""
        found = [row[name] for row in self.rows]
        return [v for v in found if v is not None and str(v).strip().lower() not in MISSING]


def propose(sample: Sample, place: Mapping[str, Any], warehouse: str) -> str:
    """YAML that validates, with a comment on each guess that a person should look at. `place` holds
    the path, the format and the options of the source.

    Raises DataError where no column holds times, values or names of series.
    """
    time = _choose(sample, _TIMES, lambda name: _share(sample, name, _seconds), "times")
    free = [name for name in sample.columns if name != time]
    optional = _find_optional(sample, free)
    free = [name for name in free if name not in optional.values()]
    numbers = [name for name in free if _is_measured(sample, name)]
    texts = [name for name in free if name not in numbers and _is_text(sample, name)]
    metric = next((name for name in _by_hint(texts, _METRICS)), None)
    targets = _by_hint(numbers, _TARGETS) or (numbers if len(numbers) == 1 else [])
    if not numbers:
        raise DataError(
            f"no column of the source holds numbers; it has: {list_names(free)}"
            f"{_hint(sample, free)}"
        )
    is_wide = not targets
    item = _item_columns(sample, time, [t for t in texts if t != metric], metric, is_wide)

    columns: dict[str, Any] = {"item_id": item[0] if len(item) == 1 else item, "timestamp": time}
    source: dict[str, Any] = {**place, "columns": columns}
    if is_wide:
        source["metrics"] = {
            name: _about(name, _sequences(sample, time, item, name)) for name in numbers
        }
    else:
        columns["target"] = targets[0]
        is_known = "metric_kind" in optional
        source |= _metrics_of(sample, time, item, metric, targets[0], is_known)
    columns |= ({"metric": metric} if metric and not is_wide else {}) | optional
    used = {*item, metric}
    source["dimensions"] = [
        name for name in texts if name not in used and len(set(sample.values(name))) <= _FEW
    ]
    freq = _frequency(sample, time, item)
    values = {
        "warehouse": warehouse,
        "source": source,
        "series": {"freq": freq or "h"},
        "forecast": {"prediction_length": parse_freq(freq or "h").usual_horizon},
    }
    text = "".join(f"# {line}\n" for line in _remarks(sample, time, freq, columns, is_wide))
    text += yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    build_config(yaml.safe_load(text))
    return text


# -- columns ---------------------------------------------------------------------------------------


def _choose(sample: Sample, hints: Sequence[str], share: Any, what: str) -> str:
    fit = [name for name in sample.columns if share(name) >= _MOST]
    if not fit:
        raise DataError(
            f"no column of the source holds {what}; it has: {list_names(sample.columns)}"
            f"{_hint(sample, sample.columns)}"
        )
    return (_by_hint(fit, hints) or fit)[0]


def _hint(sample: Sample, names: Sequence[str]) -> str:
    """What may be behind texts that are neither times nor numbers."""
    if any("\x00" in name for name in names):
        return "; the file seems to be UTF-16: convert it to UTF-8"
    for name in names:
        grouped = [v for v in sample.values(name) if isinstance(v, str) and _GROUPED.match(v)]
        if grouped and len(grouped) >= _MOST * len(sample.values(name)):
            return (
                f"; column {name!r} holds texts such as {grouped[0]!r}: write numbers with a "
                "decimal point and nothing between thousands"
            )
    return ""


def _by_hint(names: Iterable[str], hints: Sequence[str]) -> list[str]:
    """The names that are hints, or end with one, the surest first."""
    names = list(names)
    whole = [name for hint in hints for name in names if _plain(name) == hint]
    ends = [name for hint in hints for name in names if _plain(name).endswith(f"_{hint}")]
    return list(dict.fromkeys([*whole, *ends]))


def _plain(name: str) -> str:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)
    return re.sub(r"[^a-z0-9%]+", "_", spaced.lower()).strip("_")


def _share(sample: Sample, name: str, read: Any) -> float:
    values = sample.values(name)
    return sum(read(value) is not None for value in values) / len(values) if values else 0.0


def _seconds(value: Any) -> float | None:
    """The time as seconds since 1970, None where it is no time."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=value.tzinfo or UTC).timestamp()
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp()
    if isinstance(value, bool):
        return None
    text = str(value).strip()
    if _ISO.match(text):
        return _iso_seconds(text)
    number = _number(value)
    if number is None:
        return None
    return next((number / unit for unit in _EPOCHS if _FIRST <= number / unit < _LAST), None)


def _iso_seconds(text: str) -> float | None:
    try:
        read = datetime.fromisoformat(re.sub(r" ?(UTC|GMT)$", "Z", text))
    except ValueError:
        return None
    return read.replace(tzinfo=read.tzinfo or UTC).timestamp()


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _is_measured(sample: Sample, name: str) -> bool:
    """True for numbers that are neither names of things nor marks such as is_anomaly."""
    if _is_identity(sample, name) or _plain(name).startswith("is_") or _NAMELESS.match(name):
        return False
    return _share(sample, name, _number) >= _MOST


def _is_identity(sample: Sample, name: str) -> bool:
    """True under the name of an identity, such as server_id, unless values are fractions."""
    plain = _plain(name)
    numbers = [number for value in sample.values(name)[:_FEW] if (number := _number(value))]
    return (plain in _ITEMS or plain.endswith("_id")) and all(n.is_integer() for n in numbers)


def _is_text(sample: Sample, name: str) -> bool:
    """True for what can name something: texts, and numbers under the name of an identity."""
    values = sample.values(name)
    kinds = (str, int) if _is_identity(sample, name) else (str,)
    return (
        bool(values)
        and not _NAMELESS.match(name)
        and all(isinstance(value, kinds) for value in values[:_FEW])
    )


def _find_optional(sample: Sample, names: Sequence[str]) -> dict[str, str]:
    found = {}
    for meaning, hints in _OPTIONAL.items():
        for name in [n for hint in hints for n in names if _plain(n) == hint]:
            values = {str(value) for value in sample.values(name)}
            if values and _is_possible(meaning, values):
                found[meaning] = name
                break
    return found


def _is_possible(meaning: str, values: set[str]) -> bool:
    if meaning == "metric_kind":
        return all(value.strip().lower() in METRIC_KINDS for value in values)
    if meaning == "time_zone":
        return all(_is_zone(value.strip()) for value in values)
    if meaning == "country":
        return all(_COUNTRY.match(value.strip()) for value in values)
    if meaning == "revision":
        return all(re.fullmatch(r"-?\d+", v) or _seconds(v) is not None for v in values)
    return True


def _is_zone(name: str) -> bool:
    try:
        return bool(check_zone(name))
    except ValueError:
        return False


def _item_columns(
    sample: Sample, time: str, texts: Sequence[str], metric: str | None, is_wide: bool
) -> list[str]:
    """The fewest columns, likely ones first, by which the rows of one time are told apart."""
    last = [metric] if metric and not is_wide else []
    likely = list(dict.fromkeys([*_by_hint(texts, _ITEMS), *texts]))
    if not likely and not last:
        raise DataError(
            "no column of the source names a series; it has: "
            f"{list_names(sample.columns)}. Add one with a fixed name"
        )
    candidates = [[name] for name in likely] + [likely[:n] for n in range(2, len(likely) + 1)]
    for chosen in [*candidates, []]:
        for key in ([*chosen], [*chosen, *last]):
            if key and _uniqueness(sample, [*key, time]) >= _UNIQUE:
                return key
    return [*likely[:1], *last]


def _uniqueness(sample: Sample, names: Sequence[str]) -> float:
    keys = {tuple(row[name] for name in names) for row in sample.rows}
    return len(keys) / len(sample.rows)


# -- metrics, steps, remarks -----------------------------------------------------------------------


def _sequences(
    sample: Sample, time: str, item: Sequence[str], name: str
) -> dict[tuple[Any, ...], list[float]]:
    """The numbers of a column by item, in the order of their times."""
    found: dict[tuple[Any, ...], list[tuple[float, float]]] = {}
    for row in sample.rows:
        at, number = _seconds(row[time]), _number(row[name])
        if at is not None and number is not None:
            found.setdefault(tuple(row[key] for key in item), []).append((at, number))
    return {key: [number for _, number in sorted(of_item)] for key, of_item in found.items()}


def _is_cumulative(sequences: Iterable[Sequence[float]]) -> bool:
    """True for numbers that rise and hardly ever fall, as those of counters do."""
    steps = [b - a for numbers in sequences for a, b in pairwise(numbers)]
    rises, falls = sum(step > 0 for step in steps), sum(step < 0 for step in steps)
    return rises >= _RISES * max(falls, 1)


def _about(name: str, sequences: Mapping[Any, Sequence[float]]) -> dict[str, str]:
    """Kind and unit by the words of the name; nothing for a gauge without a unit."""
    plain = _plain(name)
    kind = next((kind for kind, words in _KINDS if _has_word(plain, words)), None)
    unit = next((unit for unit, words in _UNITS if re.search(rf"_({words})$", plain)), None)
    numbers = [number for of_item in sequences.values() for number in of_item]
    if kind in ("count", "ratio") and any(n < 0 for n in numbers):
        kind = None  # they would be refused
    if kind == "count" and _is_cumulative(sequences.values()):
        kind = "counter"
    said = {"metric_kind": kind, "unit": unit}
    return {key: value for key, value in said.items() if value}


def _has_word(plain: str, words: str) -> bool:
    return re.search(rf"(^|_)({words})(_|$)", plain) is not None


def _metrics_of(
    sample: Sample,
    time: str,
    item: Sequence[str],
    metric: str | None,
    target: str,
    is_known: bool,
) -> dict[str, Any]:
    if metric and not is_known:
        names = sorted({str(value) for value in sample.values(metric)})[:_LISTED]
        by_name = {
            name: Sample(sample.columns, [row for row in sample.rows if str(row[metric]) == name])
            for name in names
        }
        about = {
            name: _about(name, _sequences(part, time, item, target))
            for name, part in by_name.items()
        }
        return {"metrics": {name: said for name, said in about.items() if said}}
    defaults = {} if is_known else _about(target, _sequences(sample, time, item, target))
    return {"defaults": defaults} if defaults else {}


def _frequency(sample: Sample, time: str, item: Sequence[str]) -> str | None:
    """The commonest distance of one time of an item to the next, as the nearest known step."""
    times: dict[Any, set[float]] = {}
    for row in sample.rows:
        at = _seconds(row[time]) if row[time] is not None else None
        if at is not None:
            times.setdefault(tuple(row[name] for name in item), set()).add(at)
    if all(len(of_item) < 3 for of_item in times.values()):
        times = {(): set().union(*times.values())} if times else {}
    distances: Counter[float] = Counter()
    for of_item in times.values():
        ordered = sorted(of_item)
        distances.update(b - a for a, b in pairwise(ordered))
    if not distances:
        return None
    usual = distances.most_common(1)[0][0]
    return min(_STEPS, key=lambda step: abs(step[0] - usual) / step[0])[1]


def _remarks(
    sample: Sample, time: str, freq: str | None, columns: Mapping[str, Any], is_wide: bool
) -> list[str]:
    remarks = [f"Proposed from {len(sample.rows):,} rows. Look at each line before you rely on it."]
    texts = [value.strip() for value in sample.values(time) if isinstance(value, str)]
    iso = [text for text in texts if _ISO.match(text)]
    if iso and not any(_NAMES_ZONE.search(text[10:]) for text in iso):
        remarks.append(
            f"Times such as {iso[0]!r} name no zone and are read as UTC; where they are local, add "
            "source.local_time: {zone: Europe/Berlin}."
        )
    if iso and len(iso) < len(texts):
        other = next(text for text in texts if not _ISO.match(text))
        remarks.append(
            f"Column {time} has {iso[0]!r} and {other!r}: rows in the rarer form are refused."
        )
    if freq is None:
        remarks.append("No item has two rows in the sample: set series.freq to its step.")
    if "country" not in columns:
        remarks.append(
            "No column is a country: job features guesses whose public holidays count from half a "
            "year of data. Where you know it, set source.defaults.country to DE or DE-BY."
        )
    if is_wide:
        remarks.append("A column per metric; leave out those that are none. Each is an item.")
    return remarks
