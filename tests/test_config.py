"""The configuration: what is accepted, and what a person reads when something is not."""

import json
import re
from pathlib import Path

import pytest

from headroom.config import Config, Forecast, build_config, is_catalog, json_schema, load_config
from headroom.errors import ConfigError
from headroom.freq import parse_freq


def write(folder: Path, text: str) -> Path:
    path = folder / "conf.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_are_filled_in_and_overrides_win(tmp_path: Path) -> None:
    path = write(tmp_path, "warehouse: /w\nforecast:\n  prediction_length: 24\n")
    config = load_config(path, ["forecast.prediction_length=7", "source.dimensions=[region]"])
    assert config.forecast.prediction_length == 7
    assert config.source.dimensions == ("region",)
    assert config.training.ranks == 2


def test_how_far_ahead_is_as_asked_for_or_as_the_frequency_has_it() -> None:
    monthly = {"warehouse": "/w", "series": {"freq": "MS"}}
    assert build_config(monthly).prediction_length == 12
    assert build_config({**monthly, "forecast": {"prediction_length": 3}}).prediction_length == 3
    told = re.findall(
        r"(\d+) of (\w+)", Forecast.model_fields["prediction_length"].description or ""
    )
    assert len(told) == 5
    assert all(parse_freq(freq).usual_horizon == int(steps) for steps, freq in told)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("forecast.predictionlength=3", "unknown setting forecast.predictionlength; did you mean"),
        ("forcast.x=1", "unknown setting forcast; did you mean forecast?"),
        ("seed=-1", "seed: Input should be greater than or equal to 0, got -1"),
        ("series.freq=hourly", "'hourly' is no frequency; use 30s, 5min, h, D, 7D, W or MS"),
        ("forecast.quantile_levels=[0.9, 0.1]", "levels must rise and be distinct"),
        ("forecast.quantile_levels=[0.5, 1.5]", "less than 1"),
        ("forecast.prediction_length=0", "forecast.prediction_length: "),
        ("source.format=csv", "source.path is required when source.format is csv"),
        ("source.format=xls", "source.format: Input should be"),
        ("recommend.default_tier=T9", "'T9' is not among"),
        ("warehouse=", "warehouse: "),
        ("nonsense", "write it as name.of.setting=value"),
        ("seed.a=1", "seed is a value, not a section"),
        ("seed=[1", "no valid YAML"),
    ],
)
def test_a_mistake_is_told_with_its_name(tmp_path: Path, override: str, message: str) -> None:
    path = write(tmp_path, "warehouse: /w\nseed: 1\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path, [override])
    assert message in str(caught.value)
    assert caught.value.exit_code == 2


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        build_config({"seed": -1, "forecast": {"prediction_length": 0}})
    for part in ("warehouse is required", "seed: ", "forecast.prediction_length: "):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"), [("- a\n", "must hold a mapping"), ("a: [", "no valid YAML")]
)
def test_a_file_that_is_no_configuration(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(write(tmp_path, text))


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*/nowhere\.yaml: No such file"):
        load_config("/nowhere.yaml")


def test_a_configuration_does_not_change(config: Config) -> None:
    with pytest.raises(ValueError, match="frozen"):
        config.seed = 3  # type: ignore[misc]


def test_the_digest_follows_every_setting(tmp_path: Path) -> None:
    path = write(tmp_path, "warehouse: /w\n")
    assert load_config(path).digest() == load_config(path).digest()
    assert load_config(path).digest() != load_config(path, ["seed=8"]).digest()


def test_what_is_printed_loads_again(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, "warehouse: /w\n"))
    assert load_config(write(tmp_path, config.to_yaml())) == config


def test_one_value_of_a_column_is_a_list_too() -> None:
    values = {"warehouse": "w", "source": {"where": {"region": "eu", "tier": ["T1", "T2"]}}}
    assert build_config(values).source.where == {"region": ("eu",), "tier": ("T1", "T2")}


def test_a_catalog_needs_a_place_for_files() -> None:
    assert is_catalog("main.headroom")
    assert not is_catalog("s3://bucket/a.b")
    with pytest.raises(ConfigError, match="artifacts is required"):
        build_config({"warehouse": "main.headroom"})
    assert build_config({"warehouse": "a.b", "artifacts": "s3://x"}).artifacts_path == "s3://x"


def test_local_folders_are_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert build_config({"warehouse": "here"}).warehouse == str(tmp_path / "here")


def test_the_schema_for_editors_knows_every_section() -> None:
    properties = json.loads(json_schema())["properties"]
    assert set(properties) == set(Config.model_fields)
