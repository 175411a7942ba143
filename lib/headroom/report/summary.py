"""What the pipeline prints at its end: plain text, at most 80 columns."""

import textwrap
from collections.abc import Iterator, Sequence

from headroom.evaluation.measures import SERVED
from headroom.report.facts import Advice, Facts, Fleet, Recommendations, Score
from headroom.report.fleet import TOP
from headroom.report.numerals import (
    NBSP,
    count,
    day,
    frequency,
    money,
    percent,
    plural,
    season,
    sentence_case,
    short_day,
    steps,
    words,
)
from headroom.series.methods import SEASONAL_NAIVE

WIDTH = 80
RECOMMENDATIONS = 5
EVEN = 0.005  # a difference from the naive that reads 0 %

_BOLD, _DIM, _PLAIN = "\033[1m", "\033[2m", "\033[0m"


def summary(facts: Facts, report_path: str | None = None, colour: bool = False) -> str:
    """The run in about twenty lines: series, accuracy beside the seasonal naive, the five most
    valuable recommendations in words, and the path of the report where one was written."""
    blocks = [_title(facts), *_fleet(facts.fleet), *_accuracy(facts)]
    blocks += _recommendations(facts.recommendations)
    if report_path:
        blocks.append(f"*Report*\n  {report_path}")
    text = "\n\n".join(blocks) + "\n"
    return _styled(text, colour)


def _styled(text: str, colour: bool) -> str:
    """A line between asterisks is a heading: bold in a terminal with colour, else as it is."""
    lines = []
    for line in text.split("\n"):
        is_heading = len(line) > 2 and line.startswith("*") and line.endswith("*")
        plain = line[1:-1] if is_heading else line
        lines.append(f"{_BOLD}{plain}{_PLAIN}" if is_heading and colour else plain)
    return "\n".join(lines)


def _title(facts: Facts) -> str:
    rule = "─" * (WIDTH - 2)
    return f"{rule}\n*headroom · {_short(printable(facts.warehouse), WIDTH - 13)}*"


def printable(text: str) -> str:
    """The text without control characters: what comes from the data may not steer the terminal."""
    return "".join(letter if letter.isprintable() or letter == NBSP else " " for letter in text)


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else "…" + text[-width + 1 :]


def _wrap(text: str, indent: str = "  ", first: str | None = None) -> str:
    return textwrap.fill(
        printable(text),
        WIDTH - 2,
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
    )


def _fleet(fleet: Fleet | None) -> Iterator[str]:
    if fleet is None:
        yield "  No series yet."
        return
    yield _wrap(" ".join(fleet_sentences(fleet)))


def fleet_sentences(fleet: Fleet) -> list[str]:
    """The fleet in one or two sentences: how many series, how far ahead, how many refused."""
    n_metrics = len(fleet.metrics)
    metrics = f" of {n_metrics} metrics" if 1 < n_metrics < TOP else ""  # TOP: there may be more
    span = f", {day(fleet.first_at)} to {day(fleet.last_at)}" if fleet.last_at else ""
    found = [f"{count(fleet.n_series)} {frequency(fleet.freq)} series{metrics}{span}."]
    if fleet.n_forecast:
        ahead = steps(fleet.prediction_length, fleet.freq)
        found.append(f"{count(fleet.n_forecast)} are forecast {ahead} ahead.")
    if fleet.unfit:
        n_unfit = sum(status.n for status in fleet.unfit)
        reasons = ", ".join(f"{words(status.label)} {count(status.n)}" for status in fleet.unfit)
        are = "is" if n_unfit == 1 else "are"
        found.append(f"{count(n_unfit)} {are} not fit to be forecast: {reasons}.")
    return found


def lead(facts: Facts) -> str:
    """What the forecasts are worth, in words."""
    served = facts.accuracy.score(SERVED) if facts.accuracy else None
    if served is None:
        return (
            "No backtest has run yet, or none of its windows had a past, so nothing is known about "
            "the accuracy of the forecasts."
        )
    repeated = season(facts.fleet.freq) if facts.fleet else "the last season"
    inside, band = percent(served.coverage_90), percent(0.9)
    found = [_comparison(served.ratio, repeated)]
    if served.coverage_90 is not None:
        found.append(f"{inside} of the actual values fell inside the {band} band.")
    return " ".join(found)


def _comparison(ratio: float | None, repeated: str) -> str:
    if ratio is None:
        return "The seasonal naive made no error to compare with."
    if abs(1 - ratio) < EVEN:
        return f"The forecasts are as good as repeating {repeated}, and no better."
    better = "better" if ratio < 1 else "worse"
    return f"The forecasts are {percent(abs(1 - ratio))} {better} than repeating {repeated}."


def _accuracy(facts: Facts) -> Iterator[str]:
    yield f"*Accuracy*\n{_wrap(lead(facts))}"
    accuracy = facts.accuracy
    if accuracy is None:
        return
    chosen = [score for name in (SERVED, SEASONAL_NAIVE) if (score := accuracy.score(name))]
    if chosen:
        yield _table(chosen, accuracy.n_windows)


def _table(scores: Sequence[Score], n_windows: int) -> str:
    head = (
        f"  {'over ' + plural(n_windows, 'window'):<18}{'quantile loss':>14}{'MASE':>8}"
        f"{'in 50 %':>9}{'in 80 %':>9}{'in 90 %':>9}{'in 95 %':>9}"
    )
    return "\n".join([head, *[_table_row(score) for score in scores]])


def _table_row(score: Score) -> str:
    loss = "–" if score.loss is None else f"{score.loss:.4f}"
    mase = "–" if score.mase is None else f"{score.mase:.3f}"
    bands = (score.coverage_50, score.coverage_80, score.coverage_90, score.coverage_95)
    shares = "".join(f"{percent(share):>9}" for share in bands)
    return f"  {words(score.model):<18}{loss:>14}{mase:>8}{shares}"


def _recommendations(made: Recommendations | None) -> Iterator[str]:
    if made is None:
        return
    if not made.n:
        considered = sum(tally.n for tally in made.left)
        yield f"*Recommendations*\n  None; {plural(considered, 'case')} considered."
        return
    shown = made.top[:RECOMMENDATIONS]
    head = "Recommendations"
    if len(shown) < made.n:
        head = f"The {len(shown)} most valuable of {made.n:,} recommendations"
    yield "\n".join([f"*{head}*", *[_advice(advice) for advice in shown]])


def _advice(advice: Advice) -> str:
    """The sentence, then what it is worth and by when."""
    text = advice.summary or advice.action or words(advice.rec_type)
    said = _wrap(sentence_case(" ".join(printable(text).split())), "     ", f"  {advice.rank}. ")
    facts = []
    if advice.value:  # a gap in the data has no price
        facts.append(f"worth {money(advice.value)} in 30 days")
    if advice.act_by is not None:
        facts.append(f"act by {short_day(advice.act_by)}")
    return f"{said}\n     {' · '.join(facts)}" if facts else said
