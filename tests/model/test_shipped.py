"""The networks that come with the package: small, with their origin, and of use as they are."""

from headroom import pretraining
from headroom.config import Pretrain, build_config
from headroom.model.artifact import digest, unpack
from headroom.scoring import ModelFile
from headroom.training.ensemble import starting_weights


def shipped() -> bytes:
    packed = starting_weights(build_config({"warehouse": "anywhere"}))
    assert packed is not None
    return packed


def test_they_say_what_made_them_and_are_small() -> None:
    packed = shipped()
    about = unpack(packed).about
    assert len(packed) < 1_000_000
    assert {"seed", "data", "settings", "held_out"} <= set(about)
    fleets = [fleet.model_dump(mode="json") for fleet in Pretrain().fleets]
    assert about["settings"]["pretrain"]["fleets"] == fleets


def test_they_forecast_series_that_no_training_has_seen_better_than_their_floor() -> None:
    packed = shipped()
    model = ModelFile("", packed, digest(packed))
    for fleet in Pretrain().fleets:
        if fleet.freq in ("h", "D"):
            windows = pretraining._held_out_windows(fleet, seed=99, batch_size=16)
            losses = pretraining._mean_losses(windows, 1, model)
            assert losses["network"] < 0.85 * losses["floor"], (fleet.freq, losses)
