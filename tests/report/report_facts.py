"""Facts as a pipeline would gather them, for the tests and for looking at the page."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import numpy as np

from headroom.report.facts import (
    Accuracy,
    Advice,
    DimensionScores,
    Facts,
    Fan,
    Fleet,
    Issue,
    Line,
    Loss,
    ModelFacts,
    Picture,
    Recommendations,
    RunFacts,
    Score,
    Slice,
    Tally,
    TypeTotal,
    WorstItem,
)

NOW = datetime(2025, 11, 3, tzinfo=UTC)
HOUR = timedelta(hours=1)
LEVELS = (0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975)
SIGMAS = (-1.96, -1.64, -1.28, -0.84, -0.52, -0.25, 0, 0.25, 0.52, 0.84, 1.28, 1.64, 1.96)
SERVICES = ("payments", "checkout", "search", "catalogue", "recommender", "identity")
REGIONS = ("eu-west", "us-east", "ap-south")
METRICS = {
    "requests": ("requests per hour", 1.2e6),
    "cpu_utilisation": ("percent", 48.0),
    "latency_p99": ("milliseconds", 240.0),
    "error_rate": ("ratio", 0.0021),
    "cost": ("US dollars per hour", 31.0),
}


def rhythm(start: datetime, n_steps: int, level: float, seed: int) -> np.ndarray:
    """Hourly values with a day, a week, some growth and noise."""
    noise = np.random.default_rng(seed)
    hours = np.arange(n_steps) + start.hour
    day = 1 + 0.45 * np.sin(2 * np.pi * (hours - 9) / 24) + 0.12 * np.sin(4 * np.pi * hours / 24)
    weekday = (start.weekday() + hours // 24) % 7
    week = np.where(weekday >= 5, 0.72, 1.0)
    return level * day * week * (1 + hours * 2e-4) * np.exp(noise.normal(0, 0.05, n_steps))


def fan_around(times: list[datetime], middle: np.ndarray, spread: float) -> Fan:
    """A fan that widens with the horizon."""
    widths = spread * (0.5 + np.sqrt(np.arange(1, len(times) + 1) / len(times)))
    values = middle[:, None] * np.exp(widths[:, None] * np.array(SIGMAS)[None, :])
    return Fan(tuple(times), LEVELS, tuple(tuple(map(float, row)) for row in values))


def make_picture(k: int = 0) -> Picture:
    """One series: eight days of history with a gap, three backtest windows, two days ahead."""
    metric = list(METRICS)[k % len(METRICS)]
    unit, level = METRICS[metric]
    service, region = SERVICES[k % len(SERVICES)], REGIONS[k % len(REGIONS)]
    start = NOW - 192 * HOUR
    times = [start + i * HOUR for i in range(240)]
    values = rhythm(start, 240, level, seed=k)
    seen = [float(value) for value in values[:192]]
    history = Line(
        tuple(times[:192]), tuple(None if 40 <= i < 46 else v for i, v in enumerate(seen))
    )
    smooth = rhythm(start, 240, level, seed=k + 100)
    windows = [range(48 + 48 * w, 96 + 48 * w) for w in range(3)]
    return Picture(
        item_id=f"{service}/{region}/{metric}",
        why="behind recommendation 1" if k == 0 else f"among the largest by {metric}",
        metric=metric,
        unit=unit,
        dimensions={"service": service, "region": region, "tier": "T1", "team": "core"},
        history=history,
        forecast=fan_around(times[192:], smooth[192:], 0.07),
        backtests=tuple(
            fan_around([times[i] for i in steps], smooth[list(steps)], 0.05) for steps in windows
        ),
        method="lstm" if k % 3 else "log_ar",
        ratio=0.55 + 0.05 * (k % 11),
        coverage_90=0.86 + 0.01 * (k % 8),
    )


def peaks_evidence(
    level: float, growth: float, capacity: float, proposed: float
) -> dict[str, object]:
    """Sixty days of daily peaks and the fan of ninety more, with what recomputes the decision."""
    noise = np.random.default_rng(5)
    days = np.arange(150)
    weekend = np.array([(NOW + timedelta(days=int(d) - 60)).weekday() > 4 for d in days])
    middle = level * np.exp(growth * days) * np.where(weekend, 0.86, 1.0)
    past = np.round(middle[:60] * np.exp(noise.normal(0, 0.03, 60)), 2)
    width = 0.05 + 0.0016 * np.arange(90)
    fan = [np.round(middle[60:] * np.exp(z * width), 2) for z in (-1.28, 0, 1.28)]
    return {
        "n_days": 60,
        "safe_utilisation": 0.65,
        "capacity": capacity,
        "proposed_capacity": proposed,
        "unit": "cores",
        "lead_days": 14,
        "weekly_growth": [0.018, 0.031, 0.044],
        "price_source": "cost divided by capacity",
        "largest_peaks": [{"date": "2025-10-30", "value": 79.2, "covered": True}],
        "chart": {
            "past_from": f"{NOW - timedelta(days=60):%Y-%m-%d}",
            "past_peaks": [None if k == 20 else float(v) for k, v in enumerate(past)],
            "future_from": f"{NOW:%Y-%m-%d}",
            "levels": [0.1, 0.5, 0.9],
            "future_peaks": [[float(v) for v in row] for row in fan],
        },
    }


def make_advice(rank: int = 1, **changes: object) -> Advice:
    """A capacity shortfall (odd ranks) or a smaller size, with its evidence; fields by name."""
    place = f"{SERVICES[rank % len(SERVICES)]} in {REGIONS[rank % len(REGIONS)]}"
    fields: dict[str, object] = {
        "rank": rank,
        "target": place.replace(" in ", "/"),
        "dimensions": dict(zip(("service", "region"), place.split(" in "), strict=True)),
        "unit": "cores",
        "value": 18_400.0 / rank,
        "confidence": 0.86,
    }
    kind = shortfall_fields(place) if rank % 2 else smaller_fields(place)
    return Advice(**(fields | kind | changes))  # type: ignore[arg-type]


def shortfall_fields(place: str) -> dict[str, object]:
    """What a capacity shortfall says."""
    days = (24, 34, 52)
    return {
        "rec_type": "capacity_shortfall",
        "summary": f"{place} runs out of capacity between 27 November and 25 December (most "
        "likely 7 December): peak demand grows 3.1 % a week and will pass 65 % of its 120 cores. "
        "Add 36 cores by 17 November.",
        "action": "Add 36 cores by 17 November",
        "current": 120.0,
        "proposed": 156.0,
        "savings": None,
        "risk_now": 0.91,
        "risk_after": 0.04,
        "event": tuple(NOW + timedelta(days=day) for day in days),
        "act_by": NOW + timedelta(days=14),
        "evidence": peaks_evidence(54, 0.004, 120.0, 156.0),
    }


def smaller_fields(place: str) -> dict[str, object]:
    """What a right-sizing says."""
    return {
        "rec_type": "rightsize_down",
        "summary": f"{place} can do with 112 of its 160 cores, as a first step: its daily peak was "
        "61 cores at most in 60 days. Remove 48 cores to save about $1,380 every 30 days.",
        "action": "Remove 48 cores",
        "current": 160.0,
        "proposed": 112.0,
        "savings": (980.0, 1380.0, 1410.0),
        "risk_now": 0.015,
        "risk_after": 0.041,
        "event": (None, None, None),
        "act_by": None,
        "evidence": peaks_evidence(58, 0.0005, 160.0, 112.0),
    }


def make_score(model: str, ratio: float | None, **changes: object) -> Score:
    """The score of a model over 250 series."""
    fields: dict[str, object] = {
        "model": model,
        "n_series": 250,
        "loss": None if ratio is None else 0.1012 * ratio,
        "ratio": ratio,
        "mase": None if ratio is None else 1.08 * ratio,
        "coverage_50": 0.489,
        "coverage_80": 0.79,
        "coverage_90": 0.893,
        "coverage_95": 0.944,
    }
    return Score(**(fields | changes))  # type: ignore[arg-type]


def make_accuracy() -> Accuracy:
    """Five models, three dimensions and a calibration slightly too narrow in the tails."""
    slices = {"metric": list(METRICS), "region": list(REGIONS), "service": list(SERVICES)}
    dimensions = tuple(
        DimensionScores(
            name,
            len(values) if name != "service" else 12,
            tuple(
                Slice(value, make_score("served", 0.58 + 0.09 * k, n_series=40 - k), None)
                for k, value in enumerate(values)
            ),
        )
        for name, values in slices.items()
    )
    return Accuracy(
        n_windows=4,
        first_window=NOW - timedelta(days=8),
        last_window=NOW - timedelta(days=2),
        scores=(
            make_score("served", 0.69),
            make_score("lstm", 0.74),
            make_score("log_ar", 0.78),
            make_score("seasonal_naive", 1.0, coverage_90=0.915),
        ),
        dimensions=dimensions,
        calibration=tuple((q, q + 0.03 * (0.5 - q) * 2 * abs(q - 0.5) * 2) for q in LEVELS),
    )


def make_model() -> ModelFacts:
    """Two members trained on two ranks."""
    epochs = tuple(range(1, 21))
    curves = tuple(
        Loss(m, epochs, tuple(0.21 + (0.3 + 0.05 * m) * float(np.exp(-e / 4)) for e in epochs))
        for m in range(2)
    )
    return ModelFacts(
        version="20251103-7f3a9c",
        stage="champion",
        code_version="0.1.0+3f9a1c2b7d",
        config_digest="9c1f02ab77de",
        sha256="b7" * 32,
        inputs={"series": "4be1d90c77aa"},
        metrics={"validation_loss": 0.2113, "parameters": 48211.0},
        curves=curves,
        n_ranks=2,
        seconds=74.2,
        windows_per_second=1630.0,
    )


def make_run(k: int, job: str, **changes: object) -> RunFacts:
    """The k-th job of a pipeline."""
    fields: dict[str, object] = {
        "job": job,
        "status": "done",
        "started_at": NOW + timedelta(hours=1, seconds=40 * k),
        "seconds": 8.5 + 11 * (k % 4),
        "message": "",
        "counts": {"rows": 381_024 // (k + 1), "series": 252},
        "read": {"observations": 4, "items": 2},
        "written": {"series": 3, "quality": 3},
        "code_version": "0.1.0+3f9a1c2b7d",
        "config_digest": "9c1f02ab77de",
    }
    return RunFacts(**(fields | changes))  # type: ignore[arg-type]


def make_facts(n_pictures: int = 24, n_advice: int = 12, **changes: object) -> Facts:
    """A whole report."""
    jobs = ("simulate", "ingest", "features", "train", "backtest", "score", "recommend")
    fields: dict[str, object] = {
        "warehouse": "warehouse",
        "config_digest": "9c1f02ab77de",
        "code_version": "0.1.0+3f9a1c2b7d",
        "fleet": make_fleet(),
        "accuracy": make_accuracy(),
        "recommendations": make_recommendations(n_advice),
        "pictures": tuple(make_picture(k) for k in range(n_pictures)),
        "issues": make_issues(),
        "rejected": make_rejected(),
        "model": make_model(),
        "runs": tuple(make_run(k, job) for k, job in enumerate(jobs)),
    }
    return Facts(**(fields | changes))  # type: ignore[arg-type]


def make_fleet() -> Fleet:
    """252 hourly series, two of them not fit to be forecast."""
    return Fleet(
        n_series=252,
        n_forecast=250,
        n_stale=3,
        freq="h",
        prediction_length=48,
        first_at=NOW - timedelta(days=63),
        last_at=NOW - HOUR,
        statuses=(
            Tally("ok", 250),
            Tally("short_history", 1, "search/ap-south/cost", "5 of at least 8 steps observed"),
            Tally("constant", 1, "catalogue/eu-west/cost", "all values are 3"),
        ),
        metrics=tuple(Tally(name, 36) for name in METRICS),
        methods=(Tally("lstm", 160), Tally("log_ar", 90)),
    )


def make_recommendations(n_advice: int) -> Recommendations:
    """Fourteen recommendations, and 51 cases left with a reason."""
    small = "The change of 4 % is below the least worth making."
    far = "P(shortfall in 90 days) is 2 %."
    return Recommendations(
        as_of=NOW,
        n=14,
        totals=(
            TypeTotal("capacity_shortfall", 8, 41_200.0),
            TypeTotal("rightsize_down", 6, 9_310.0),
        ),
        top=tuple(make_advice(rank) for rank in range(1, n_advice + 1)),
        left=(
            Tally("rightsize_down: too_small_change", 21, "search/eu-west", small),
            Tally("capacity_shortfall: not_within_horizon", 30, "identity/us-east", far),
        ),
    )


def make_rejected() -> tuple[Tally, ...]:
    """Twelve rows."""
    raw = '{"item_id": "search/eu-west/cost", "timestamp": "2025-13-01"}'
    return (Tally("bad_timestamp", 12, raw, "the timestamp 2025-13-01 cannot be read"),)


def make_issues() -> tuple[Issue, ...]:
    """Three kinds of issue."""
    worst: Mapping[str, int] = {"search/eu-west/requests": 61, "catalogue/us-east/cost": 44}
    items = tuple(WorstItem(item, n, n / 1512) for item, n in worst.items())
    return (
        Issue("gap", 118, 1920, "left empty and masked", items),
        Issue("duplicate", 90, 402, "merged: the last value is kept", items),
        Issue("counter_reset", 3, 5, "difference taken from zero", items[:1]),
    )
