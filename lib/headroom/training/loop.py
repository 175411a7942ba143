"""One plain function of (task, communicator): one rank and N ranks run the same lines.

Each step draws one global batch over the fleet; every rank computes the gradient of its own part,
the parts are summed, and all ranks take the same step. Randomness is keyed by (seed, member, step),
so that a run resumed from a checkpoint ends in the same weights.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headroom.columns import EPOCH, LOSS, RANK, SECONDS, WINDOWS_PER_SECOND
from headroom.config import Training as Settings
from headroom.errors import TrainingError
from headroom.model.artifact import Weights, digest, pack, unpack
from headroom.model.loss import pinball_loss
from headroom.model.mx import mx
from headroom.model.network import QuantileNetwork, Shape, build_network, start_from, weights_of
from headroom.model.predict import known_codes
from headroom.series.panel import Panel, panel_of
from headroom.series.sampling import Windows, joined, make_plan
from headroom.training import checkpoint
from headroom.training.communicator import Communicator
from headroom.training.device import choose_device
from headroom.training.shards import Manifest, read_shards, shards_of

WARM_UP = 50  # steps
LAST_RATE = 0.02  # of the learning rate, at the end of the cosine
CLIP = 1.0  # norm of the gradient over the whole batch


@dataclass(frozen=True)
class Task:
    """What to train on and how; the same on every rank."""

    manifest: Manifest
    folder: str  # checkpoints of this run
    horizon: int
    holdout: int  # steps at the end of every series that training never sees
    cardinalities: tuple[int, ...]
    settings: Settings
    seed: int
    start: bytes | None = None  # packed weights that the members start from, in turn


@dataclass(frozen=True)
class Trained:
    """What rank 0 brings home; `packed` is None on the other ranks."""

    packed: bytes | None
    log: tuple[Mapping[str, Any], ...]


def train(task: Task, comm: Communicator) -> Trained:
    """The ensemble of `settings.members` networks. Raises TrainingError where the loss is not
    finite or the ranks end with different weights."""
    device = choose_device(task.settings.device, comm)
    panel, positions = _own_series(task, comm)
    lengths = [length for part in comm.gather(panel.lengths.tolist()) for length in part]
    if not lengths:
        raise TrainingError("there is no series to train on; see the status column of `series`")
    comm.beat()
    plan = make_plan(lengths, task.settings.batch_size, task.horizon)
    windows = Windows(panel, plan, positions)
    shape = Shape(task.settings.hidden_size, task.settings.dropout, task.cardinalities)
    members: list[Weights] = []
    log: list[Mapping[str, Any]] = []
    for member in range(task.settings.members):
        fitting = Fitting(task, comm, windows, shape, member, device)
        members.append(fitting.run())
        log += fitting.log
    digests = comm.gather([digest(pack([weights], {}, {})) for weights in members])
    if any(other != digests[0] for other in digests):
        raise TrainingError("the ranks ended with different weights; report this with the log")
    about = {"seed": task.seed, "horizon": task.horizon, "data": task.manifest.digest}
    packed = pack(members, shape.to_dict(), about) if comm.rank == 0 else None
    return Trained(packed, tuple(log))


class Fitting:
    """The state of one member while it trains."""

    def __init__(
        self,
        task: Task,
        comm: Communicator,
        windows: Windows,
        shape: Shape,
        member: int,
        device: Any,
    ) -> None:
        self.task, self.comm, self.windows = task, comm, windows
        self.member, self.device = member, device
        self.seed = task.seed * 1000 + member
        self.network = build_network(shape, self.seed, device)
        if task.start is not None:
            members = unpack(task.start).members
            start_from(self.network, members[member % len(members)])
        self.network.hybridize()
        self.parameters = {
            name: parameter
            for name, parameter in sorted(self.network.collect_params().items())
            if parameter.grad_req != "null"
        }
        self.trainer = mx.gluon.Trainer(self.parameters, "adam", kvstore=None)
        self.folder = f"{task.folder}/member-{member}"
        self.log: list[Mapping[str, Any]] = []

    def run(self) -> Weights:
        """The trained weights."""
        settings = self.task.settings
        first = self._resume()
        self.comm.broadcast_([parameter.data() for parameter in self.parameters.values()])
        loss, n_windows, clock = 0.0, 0, time.monotonic()
        for step in range(first, settings.steps):
            step_loss, step_windows = self._step(step)
            loss, n_windows = loss + step_loss, n_windows + step_windows
            if (step + 1) % settings.checkpoint_every == 0 or step + 1 == settings.steps:
                self._close_epoch(step + 1, loss, n_windows, time.monotonic() - clock)
                loss, n_windows, clock = 0.0, 0, time.monotonic()
        return weights_of(self.network)

    def _step(self, step: int) -> tuple[float, int]:
        """One step of all ranks; this rank's loss (a sum over its windows) and windows."""
        settings = self.task.settings
        parts = self.windows.draw(self.seed, step)
        gradients = [parameter.grad() for parameter in self.parameters.values()]
        total, n_windows = 0.0, 0
        mx.random.seed(hash((self.seed, step, self.comm.rank)) % 2**31)
        if parts:
            examples = joined(parts)
            n_windows = len(examples.patches)
            codes = known_codes(examples.codes, self.task.cardinalities)
            patches, steps, codes_, target, mask = (
                mx.nd.array(part, ctx=self.device)
                for part in (
                    examples.patches,
                    examples.steps,
                    codes,
                    examples.target,
                    examples.mask,
                )
            )
            with mx.autograd.record():
                losses = pinball_loss(self.network(patches, steps, codes_), target, mask)
                loss = losses.sum() / (settings.batch_size * self.task.horizon)
            loss.backward()
            total = float(loss.asscalar())
        else:
            for gradient in gradients:
                gradient[:] = 0
        self.comm.sum_(gradients)
        mx.gluon.utils.clip_global_norm(gradients, CLIP, check_isfinite=False)
        self.trainer.set_learning_rate(learning_rate(step, settings))
        self.trainer.update(1)
        return total, n_windows

    def _close_epoch(self, step: int, loss: float, n_windows: int, seconds: float) -> None:
        """Shares the epoch's loss among the ranks, stops all of them where it is not finite, logs
        and keeps a checkpoint."""
        settings = self.task.settings
        epoch = math.ceil(step / settings.checkpoint_every)
        n_steps = step - (epoch - 1) * settings.checkpoint_every
        shares = self.comm.gather([loss / n_steps, n_windows, seconds])
        whole = sum(share[0] for share in shares)
        if not math.isfinite(whole):
            raise TrainingError(
                f"the loss is not finite at step {step}; lower training.learning_rate"
            )
        for rank, (_, rank_windows, rank_seconds) in enumerate(shares):
            rate = rank_windows / max(rank_seconds, 1e-9)
            self.log.append(
                {
                    "member": self.member,
                    EPOCH: epoch,
                    RANK: rank,
                    LOSS: whole,
                    WINDOWS_PER_SECOND: rate,
                    SECONDS: rank_seconds,
                }
            )
        if self.comm.rank == 0:
            self._keep(step)
            rate = sum(share[1] for share in shares) / max(seconds, 1e-9)
            left = (settings.steps * (settings.members - self.member) - step) * seconds / n_steps
            print(
                f"network {self.member + 1}/{settings.members} step {step}/{settings.steps} "
                f"loss {whole:.4f}, {rate:,.0f} windows/s, {left:.0f} s left",
                flush=True,
            )
        self.comm.barrier()

    def _keep(self, step: int) -> None:
        arrays, state = checkpoint.trainer_state(self.trainer)
        arrays |= {f"weight/{name}": array for name, array in weights_of(self.network).items()}
        checkpoint.save(self.folder, step, arrays, {**state, "log": self.log})

    def _resume(self) -> int:
        """The step to go on from, the same on every rank; all ranks read the same checkpoint."""
        found = checkpoint.load_latest(self.folder)
        steps = self.comm.gather(found.step if found else 0)
        if found is None or len(set(steps)) > 1:
            return 0
        set_parameters(self.network, found.arrays)
        checkpoint.restore_trainer(self.trainer, found.arrays, found.state)
        self.log = list(found.state["log"])
        return found.step


def set_parameters(network: QuantileNetwork, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Sets the weights that a checkpoint holds under `weight/NAME`."""
    for name, parameter in network.collect_params().items():
        if parameter.grad_req != "null":
            parameter.set_data(mx.nd.array(arrays[f"weight/{name}"]))


def learning_rate(step: int, settings: Settings) -> float:
    """Linear warm-up, then a cosine down to LAST_RATE of the rate."""
    warm = min(1.0, (step + 1) / WARM_UP)
    cosine = 0.5 * (1 + math.cos(math.pi * step / settings.steps))
    return settings.learning_rate * warm * (LAST_RATE + (1 - LAST_RATE) * cosine)


def _own_series(task: Task, comm: Communicator) -> tuple[Panel, NDArray[np.int64]]:
    """The series of this rank without the held-out end, and their positions in the fleet, which do
    not depend on the number of ranks."""
    mine = sorted(shards_of(comm.rank, comm.size, task.manifest))
    rows = read_shards(task.manifest, mine)
    panel = panel_of(rows).until(task.holdout)
    sizes = task.manifest.rows_by_shard
    offsets = np.concatenate([[0], np.cumsum([sizes[shard] for shard in range(len(sizes))])])
    positions = [np.arange(offsets[shard], offsets[shard] + sizes[shard]) for shard in mine]
    return panel, np.concatenate(positions or [np.zeros(0, dtype=np.int64)])


def ordered_log(results: Sequence[Trained]) -> tuple[Mapping[str, Any], ...]:
    """The log of rank 0, which has everybody's."""
    return results[0].log
