"""What can go wrong, by what the person at the terminal can do about it."""

import re
import signal

_JAVA_CAUSE = re.compile(r"^(?:Caused by)?: (?:[\w$]+\.)+[\w$]+: (.+)$")
_JAVA_FILE = re.compile(r"(?:while reading file|converted in file|CSV file:) (\S+?)\.?(?:\s|$)")
_ERROR_LINE = re.compile(r"^[A-Za-z_][A-Za-z0-9_.]*(Error|Exception|Warning|Interrupt|Exit): ")


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


def first_line(error: BaseException) -> str:
    """The line of an error's text that a person reads: the first; of an error in a Python worker
    the last of its traceback; of one in a Java task its cause, with the file that it was reading.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    causes = [found[1] for line in lines if (found := _JAVA_CAUSE.match(line))]
    if causes and lines[0].startswith("An error occurred while calling"):
        files = [found[1] for line in lines if (found := _JAVA_FILE.search(line))]
        return causes[-1] + (f" (in {files[0]})" if files else "")
    if any(line.startswith("Traceback (most recent call last)") for line in lines):
        lines = [line for line in lines if _ERROR_LINE.match(line)][-1:] or lines
    return lines[0] if lines else type(error).__name__
