"""The country of items that name none, from what their past shows of its holidays."""

import logging
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from headroom import columns as c
from headroom.cli import Job
from headroom.config import build_config
from headroom.features.countries import guess_countries, guess_country
from headroom.features.holidays import public_holidays
from headroom.schemas import EVENTS, ITEMS, OBSERVATIONS, QUALITY, SERIES
from headroom.tables import Tables
from jobs import features

FIRST = date(2023, 1, 2)  # a Monday
N_DAYS = 400
RHYTHM = np.sin(np.arange(24) / 24 * 2 * np.pi)
AT_REST = np.roll(0.6 * RHYTHM, 3) - 0.5


def fleet(country: str, rest: int = 6, n_items: int = 4, seed: int = 1) -> NDArray[np.float64]:
    """Items [items, days, hours] whose holidays in this country are days of rest."""
    days = [FIRST + timedelta(k) for k in range(N_DAYS)]
    holidays = set(public_holidays(country, range(2023, 2025)))
    rests = np.array([day.weekday() == rest or day in holidays for day in days])
    levels = np.where(rests[:, None], AT_REST, RHYTHM)
    noise = np.random.default_rng(seed).normal(0, 0.15, (n_items, N_DAYS, 24))
    return np.exp(levels + noise)


@pytest.mark.parametrize(
    ("country", "rest"), [("PT", 6), ("DE", 6), ("JP", 6), ("US", 6), ("EG", 4), ("SA", 4)]
)
def test_holidays_that_look_like_days_of_rest_tell_the_country(country: str, rest: int) -> None:
    guess = guess_country(fleet(country, rest), FIRST)
    assert guess is not None
    assert guess.country == country
    assert guess.evidence > 2 * guess.chance


def test_gaps_are_no_evidence() -> None:
    profiles = fleet("FR")
    profiles[:, 100:130] = np.nan  # without the holidays of spring
    profiles[0, :, 5] = np.nan
    profiles[1] = np.nan
    guess = guess_country(profiles, FIRST)
    assert guess is not None
    assert guess.country == "FR"


@pytest.mark.parametrize("weeks", [5, 17, 29, 41])
def test_a_calendar_out_of_place_is_no_country(weeks: int) -> None:
    assert guess_country(np.roll(fleet("PT"), 7 * weeks, axis=1), FIRST) is None


def test_no_country_by_chance() -> None:
    """Neither from noise, with and without a weekly rhythm, nor from too few items or weeks."""
    for seed in range(12):
        rng = np.random.default_rng(seed)
        days = np.cumsum(rng.normal(0, 0.1, (5, N_DAYS)), axis=1)[:, :, None]
        noise = days + rng.normal(0, 0.15, (5, N_DAYS, 24))
        assert guess_country(np.exp(noise + RHYTHM), FIRST) is None
        assert guess_country(np.exp(days) * fleet("XX", n_items=5, seed=seed), FIRST) is None
    assert guess_country(fleet("PT", n_items=2), FIRST) is None
    assert guess_country(fleet("PT")[:, :20], FIRST) is None
    assert guess_country(-fleet("PT"), FIRST) is None
    assert guess_country(np.full((4, 0, 24), np.nan), FIRST) is None


def test_ten_clients_keep_the_holidays_of_portugal(data: Path) -> None:
    frame = pd.read_parquet(data / "electricity_clients.parquet")
    frame = frame[frame.timestamp < frame.timestamp.max() - pd.Timedelta(days=7)]
    wide = frame.pivot(index="timestamp", columns="item_id", values="target")
    wide = wide.iloc[: len(wide) // 24 * 24]
    profiles = wide.to_numpy().T.reshape(wide.shape[1], -1, 24)
    guess = guess_country(profiles, wide.index[0].date())
    assert guess is not None
    assert guess.country == "PT"
    assert guess.evidence > 1.5 * guess.chance


# -- in the job ------------------------------------------------------------------------------------


def write(tables: Tables, countries: list[str | None]) -> None:
    """Items of Berlin, one per name, with Portugal's holidays; a short and a silent one."""
    start = datetime(2023, 1, 1, 23)  # midnight there
    last = start + timedelta(days=N_DAYS, hours=-6)
    names = [f"item-{k}" for k in range(len(countries))]
    fleet_of = fleet("PT", n_items=len(countries))
    rows = [
        (name, start + timedelta(hours=6 * step), float(value), 1, "i", None)
        for name, profile in zip(names, fleet_of, strict=True)
        for step, value in enumerate(profile[:, ::6].ravel())
    ]
    short = [("short", *row[1:]) for row in rows[:40]]
    about: Any = ({}, "load", "gauge", "", "Europe/Berlin")
    items = [
        (name, name, *about, country, start, last)
        for name, country in zip(names, countries, strict=True)
    ]
    items.append(("short", "short", *about, None, start, short[-1][1]))
    items.append(("silent", "silent", *about, None, None, None))
    spark = tables.spark
    observations = pd.DataFrame(rows + short, columns=OBSERVATIONS.schema.names)
    tables.replace(spark.createDataFrame(observations, OBSERVATIONS.schema), OBSERVATIONS)
    tables.replace(spark.createDataFrame(items, ITEMS.schema), ITEMS)
    tables.create(EVENTS)


def countries_kept(tables: Tables) -> dict[str, int]:
    """Holidays in the calendar of each series."""
    kept = tables.read(SERIES).select(c.ITEM_ID, F.size(c.SERIES_EVENTS))
    return {row[0]: row[1] for row in kept.collect()}


def test_items_without_a_country_take_the_one_of_their_zone(
    spark: SparkSession, warehouse: str, caplog: pytest.LogCaptureFixture
) -> None:
    tables = Tables(spark, warehouse)
    write(tables, [None, None, None, "DE"])
    config = build_config({"warehouse": warehouse, "series": {"freq": "6h"}})
    with caplog.at_level(logging.WARNING):
        features.run(Job("features", config, tables))
    assert (
        "items of time zone Europe/Berlin name no country; by their past they keep the "
        in caplog.text
    )
    assert "holidays of PT (3 items, evidence" in caplog.text
    assert "set source.defaults.country, or features.guess_country to false" in caplog.text

    tables = Tables(spark, warehouse)
    quality = {
        row[c.ITEM_ID]: row
        for row in tables.read(QUALITY).where(F.col(c.ISSUE) == "guessed_country").collect()
    }
    assert sorted(quality) == ["item-0", "item-1", "item-2"]  # the short one saw none
    found = quality["item-0"]
    in_span = [d for d in public_holidays("PT", (2023, 2024)) if FIRST <= d <= date(2024, 2, 5)]
    assert found[c.N_AFFECTED] == len(in_span)
    assert found[c.SHARE] == pytest.approx(len(in_span) / N_DAYS)
    assert found[c.ACTION] == "public holidays of PT"
    kept = countries_kept(tables)
    assert kept["item-0"] == kept["item-1"] > 0
    assert kept["short"] > 0
    assert kept["item-3"] != kept["item-0"]  # its own country's

    off = config.model_copy(
        update={"features": config.features.model_copy(update={"guess_country": False})}
    )
    items, guessed = guess_countries(tables.read(ITEMS), tables.read(OBSERVATIONS), off)
    assert guessed.isEmpty()
    assert {row[c.COUNTRY] for row in items.collect()} == {None, "DE"}
