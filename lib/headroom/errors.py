"""What can go wrong, by what the person at the terminal can do about it."""

import signal


class HeadroomError(Exception):
    """A failure with a message for a person: what went wrong, and what to do. Exit code 1."""

    exit_code = 1


class ConfigError(HeadroomError):
    """The command line or the configuration is wrong; nothing was read or written. Exit code 2."""

    exit_code = 2


class SchemaError(HeadroomError):
    """A frame or a file lacks a column, or holds one of another type."""


class DataError(HeadroomError):
    """The data cannot be used: unreadable, empty, or refused beyond the configured share."""


class TrainingError(HeadroomError):
    """Training did not end with weights: a rank failed, hung, or the loss was not finite."""


class ArtifactError(HeadroomError):
    """A model file is missing, was altered, or does not fit the network that reads it."""


class Interrupted(HeadroomError):
    """The run was told to stop by a signal. Exit code 128 + its number, as shells count."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}; start it again to go on")
        self.exit_code = 128 + number
