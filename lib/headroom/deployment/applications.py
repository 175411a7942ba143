"""Which Spark applications a deployment starts, in order, and what each is given."""

from dataclasses import dataclass

import headroom
from headroom.config import Config

ENVIRONMENT = "environment"
PYTHON = f"./{ENVIRONMENT}/bin/python"
WHEEL = f"headroom-{headroom.__version__}-py3-none-any.whl"
# The wheel under a name that Spark puts on the workers' path: it knows .zip, but not .whl.
ZIP = f"headroom-{headroom.__version__}.zip"

_ORDER = (
    "simulate", "ingest", "features", "train", "backtest", "score", "recommend", "monitor",
    "report", "maintain",
)  # fmt: skip
_TRAINING = "train"  # backtest judges what it trained, without ranks


@dataclass(frozen=True)
class Application:
    """One job as a Spark application of its own. `trains`: it holds Horovod ranks."""

    job: str
    trains: bool

    @property
    def script(self) -> str:
        return f"jobs/{self.job}.py"


@dataclass(frozen=True)
class Shipped:
    """Where a platform finds what `dist/` holds."""

    prefix: str

    @property
    def packages(self) -> str:
        return f"{self.prefix}/{ZIP}"

    def environment(self, gpu: bool = False) -> str:
        """The packed Python environment, and the folder it is unpacked to."""
        return f"{self.prefix}/environment{'-gpu' if gpu else ''}.tar.gz#{ENVIRONMENT}"

    def file(self, name: str) -> str:
        return f"{self.prefix}/{name}"


def applications(config: Config) -> tuple[Application, ...]:
    """The jobs of the pipeline in order; `simulate` only where its fleet is the source."""
    skipped = () if config.source.format == "simulated" else ("simulate",)
    return tuple(Application(job, job == _TRAINING) for job in _ORDER if job not in skipped)


def arguments(application: Application, config_path: str, gpu: bool = False) -> tuple[str, ...]:
    """The command line of the job. On GPUs, a rank without one fails instead of being slow."""
    device = ("--set", "training.device=gpu") if gpu and application.trains else ()
    return ("--config", config_path, *device)
