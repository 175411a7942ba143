"""`Facts` as one self-contained HTML page: inline style, script and pictures, nothing fetched."""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from headroom.evaluation.measures import SERVED
from headroom.report import charts, numerals
from headroom.report.evidence import evidence_chart, evidence_numbers
from headroom.report.facts import Advice, Facts, Picture
from headroom.report.summary import fleet_sentences, lead
from headroom.series.methods import SEASONAL_NAIVE

OPEN_ADVICE = 5  # the rest is folded away
OPEN_PICTURES = 9
_FIRST = ("service",)  # the dimension that is named first

_FILTERS: tuple[Callable[..., object], ...] = (
    numerals.quantity,
    numerals.count,
    numerals.percent,
    numerals.money,
    numerals.day,
    numerals.moment,
    numerals.duration,
    numerals.frequency,
    numerals.words,
    numerals.sentence_case,
)


@dataclass(frozen=True)
class Figure:
    """One of the few large numbers at the top."""

    name: str
    value: str
    note: str


def render_page(facts: Facts) -> str:
    """The whole page. Everything that comes from the data is escaped."""
    environment = _environment()
    style, script = _asset(environment, "report.css"), _asset(environment, "report.js")
    return environment.get_template("report.html").render(
        facts=facts,
        lead=lead(facts),
        fleet_text=" ".join(fleet_sentences(facts.fleet)) if facts.fleet else "No series yet.",
        figures=figures(facts),
        style=style,
        script=script,
        policy=f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}",
        open_advice=OPEN_ADVICE,
        open_pictures=OPEN_PICTURES,
        served=SERVED,
        naive=SEASONAL_NAIVE,
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("headroom.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update({function.__name__: function for function in _FILTERS})
    environment.globals.update(
        charts=charts,
        evidence_chart=evidence_chart,
        evidence_numbers=evidence_numbers,
        fan=_fan,
        plural=numerals.plural,
        steps=numerals.steps,
        target=target,
        haystack=haystack,
    )
    return environment


def _asset(environment: Environment, name: str) -> str:
    return environment.get_template(name).render()


def _hash(content: str) -> str:
    """The source expression that lets exactly this inline content through."""
    digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _fan(picture: Picture) -> Markup:
    label = " ".join(part for part in (picture.item_id, picture.unit) if part)
    return charts.fan_chart(label, picture.history, picture.forecast, picture.backtests)


def target(entry: Advice | Picture) -> str:
    """What an entry speaks of: its dimensions in words."""
    names = sorted(entry.dimensions, key=lambda name: (name not in _FIRST, name))
    return " · ".join(entry.dimensions[name] for name in names if entry.dimensions[name])


def haystack(*texts: str) -> str:
    """What the filter box searches in."""
    return " ".join(" ".join(texts).lower().split())


def figures(facts: Facts) -> list[Figure]:
    """The large numbers: what to do, by when, for how many series, on how fresh data."""
    return [*_advice_figures(facts), *_fleet_figures(facts)]


def _advice_figures(facts: Facts) -> list[Figure]:
    made = facts.recommendations
    if made is None:
        return []
    value = sum(total.value for total in made.totals)
    worth = f"worth {numerals.money(value)} in 30 days" if value else ""
    if not made.n:
        worth = "nothing to do"
    found = [Figure("Recommendations", numerals.count(made.n), worth)]
    dated = [entry for entry in made.top if entry.act_by]
    if dated:
        first = min(dated, key=lambda entry: (entry.act_by, entry.rank))
        found.append(Figure("First to act by", numerals.day(first.act_by), first.target))
    return found


def _fleet_figures(facts: Facts) -> list[Figure]:
    fleet = facts.fleet
    if fleet is None:
        return []
    total = numerals.count(fleet.n_series)
    ahead = f"of {total}, {numerals.steps(fleet.prediction_length, fleet.freq)} ahead"
    found = [Figure("Series forecast", numerals.count(fleet.n_forecast), ahead)]
    if not fleet.n_forecast:
        found = [Figure("Series", total, "none forecast yet")]
    if fleet.last_at:
        stale = f"{numerals.count(fleet.n_stale)} series end earlier" if fleet.n_stale else ""
        fresh = stale or "all series are up to date"
        found.append(Figure("Data up to", numerals.day(fleet.last_at), fresh))
    return found
