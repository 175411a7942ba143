"""One plain function of (task, communicator): one rank and N ranks run the same lines.

Each step draws one global batch over the fleet; every rank computes the gradient of its own part,
the parts are summed, and all ranks take the same step. Randomness is keyed by (seed, member, step),
so that a run resumed from a checkpoint ends in the same weights.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headroom.columns import EPOCH, LOSS, RANK, SECONDS, WINDOWS_PER_SECOND
from headroom.config import Training as Settings
from headroom.errors import TrainingError
from headroom.freq import parse_freq
from headroom.model.artifact import SHARES, Member, digest, pack, unpack
from headroom.model.loss import pinball_loss
from headroom.model.mx import mx
from headroom.model.network import QuantileNetwork, Shape, build_network, start_from, weights_of
from headroom.model.predict import known_codes
from headroom.series.methods import SCRATCH, TUNED, ZERO_SHOT
from headroom.series.panel import panel_of
from headroom.series.sampling import Fleets, Windows, joined, make_plan, windows_per_step
from headroom.training import checkpoint
from headroom.training.communicator import Communicator
from headroom.training.device import choose_device
from headroom.training.shards import COLUMNS, Manifest, read_shards, shards_of
from headroom.training.weighing import Placed, weigh

WARM_UP = 50  # steps
LAST_RATE = 0.02  # of the learning rate, at the end of the cosine
# Whether there is an LSTM over the past, and one over the horizon.
DESIGNS = {"full": (True, True), "horizon": (False, True), "plain": (False, False)}
_NOBODY = Placed(panel_of({name: [] for name in COLUMNS}), np.zeros(0, dtype=np.int64))
CLIP = 1.0  # norm of the gradient over the whole batch


@dataclass(frozen=True)
class Stage:
    """Some members, each of a kind, and what training keeps from them."""

    holdout: int  # steps at the end of every series
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class Task:
    """What to train on and how; the same on every rank."""

    manifest: Manifest
    folder: str  # checkpoints of this run
    horizons: Mapping[str, tuple[int, ...]]  # by frequency
    stages: tuple[Stage, ...]
    cardinalities: tuple[int, ...]
    settings: Settings
    seed: int
    start: bytes | None = None  # packed networks that some members start from, in turn
    is_synthetic: bool = False  # series drawn one by one are too many to be learnt by heart

    @property
    def n_members(self) -> int:
        return sum(len(stage.kinds) for stage in self.stages)


@dataclass(frozen=True)
class Trained:
    """What rank 0 brings home; `packed` is None on the other ranks."""

    packed: bytes | None
    log: tuple[Mapping[str, Any], ...]


def train(task: Task, comm: Communicator) -> Trained:
    """The ensemble: the networks to start from, as they are, and those of each stage, which learn
    from the fleet. Where its series are too short for the last stage, the former serve alone.

    Raises TrainingError where there are none either, the loss is not finite, or the ranks end with
    different weights.
    """
    device = choose_device(task.settings.device, comm)
    begin = unpack(task.start).members if task.start is not None else ()
    members = [replace(member, kind=ZERO_SHOT, holdout=None) for member in begin]
    own = _own_series(task, comm)
    log: list[Mapping[str, Any]] = []
    about: dict[str, Any] = {}
    for stage in task.stages:
        if len(members) > len(begin):  # each kind has one that saw nothing of the windows between
            between = (task.stages[0].holdout, stage.holdout)
            n_series = task.manifest.rows
            about[SHARES] = weigh(members, own, n_series, task.horizons, between, comm)
        windows = _windows(task, own, stage.holdout, comm)
        comm.beat()
        learns = any(comm.gather(windows.exist))
        if not learns and stage is task.stages[-1]:
            _say_too_short(stage, windows.least_length, bool(begin), comm)
            del members[len(begin) :]
            break
        if comm.rank == 0 and about.get(SHARES):
            said = (f"{kind} {share:.0%}" for kind, share in about[SHARES].items())
            print(f"say of each kind of network: {', '.join(said)}", flush=True)
        done = len(members) - len(begin)
        for place, kind in enumerate(stage.kinds):
            turn = stage.kinds[:place].count(kind)
            start = begin[turn % len(begin)] if kind == TUNED else None
            shape = _shape(task, turn, start)
            fitting = Fitting(task, comm, windows, done + place, shape, start, device)
            # What learns from nothing stands in for others as it began.
            steps = fitting.steps if learns else 0
            members.append(replace(fitting.run(steps), holdout=stage.holdout))
            log += fitting.log
    digests = comm.gather([digest(pack([member], {})) for member in members])
    if any(other != digests[0] for other in digests):
        raise TrainingError("the ranks ended with different weights; report this with the log")
    about |= {"seed": task.seed, "horizons": task.horizons, "data": task.manifest.digest}
    packed = pack(members, about) if comm.rank == 0 else None
    return Trained(packed, tuple(log))


def _say_too_short(stage: Stage, least: int, may_go_on: bool, comm: Communicator) -> None:
    why = (
        f"no series is long enough to learn from, which takes {stage.holdout + least} steps: the "
        f"last {stage.holdout} (backtest.windows × forecast.prediction_length) are held back, and "
        f"{least} must lie before them"
    )
    if not may_go_on:
        raise TrainingError(f"{why}; lower one of the two, or set training.start_from=shipped")
    if comm.rank == 0:
        served = "the networks of training.start_from serve as they are"
        print(f"{why}; {served}, unless one of the two is lowered", flush=True)


class Fitting:
    """The state of one member while it trains."""

    def __init__(
        self,
        task: Task,
        comm: Communicator,
        windows: Fleets,
        number: int,
        shape: Shape,
        start: Member | None,
        device: Any,
    ) -> None:
        self.task, self.comm, self.windows = task, comm, windows
        self.number, self.device, self.shape = number, device, shape
        steps = task.settings.steps
        self.steps = steps if task.is_synthetic else windows.worthwhile(steps)
        self.seed = task.seed * 1000 + number
        self.kind = TUNED if start else SCRATCH
        self.rate = task.settings.tuning_rate if start else task.settings.learning_rate
        self.network = build_network(shape, self.seed, device)
        if start:
            start_from(self.network, start.weights)
        self.network.hybridize()
        self.parameters = {
            name: parameter
            for name, parameter in sorted(self.network.collect_params().items())
            if parameter.grad_req != "null"
        }
        self.trainer = mx.gluon.Trainer(self.parameters, "adam", kvstore=None)
        self.folder = f"{task.folder}/member-{number}"
        self.log: list[Mapping[str, Any]] = []

    def run(self, n_steps: int) -> Member:
        """The network after so many of its steps."""
        every = self.task.settings.checkpoint_every
        first = self._resume()
        self.comm.broadcast_([parameter.data() for parameter in self.parameters.values()])
        loss, n_windows, clock = 0.0, 0, time.monotonic()
        for step in range(first, n_steps):
            step_loss, step_windows = self._step(step)
            loss, n_windows = loss + step_loss, n_windows + step_windows
            if (step + 1) % every == 0 or step + 1 == n_steps:
                self._close_epoch(step + 1, loss, n_windows, time.monotonic() - clock)
                loss, n_windows, clock = 0.0, 0, time.monotonic()
        return Member(self.kind, self.shape.to_dict(), weights_of(self.network))

    def _step(self, step: int) -> tuple[float, int]:
        """One step of all ranks; this rank's loss (a sum over its windows) and windows."""
        settings = self.task.settings
        parts = self.windows.draw(self.seed, step)
        gradients = [parameter.grad() for parameter in self.parameters.values()]
        total, n_windows = 0.0, 0
        mx.random.seed(hash((self.seed, step, self.comm.rank)) % 2**31)
        if parts:
            examples = joined(parts)
            n_windows, horizon = examples.target.shape
            n_drawn = windows_per_step(settings.batch_size, horizon)
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
                loss = losses.sum() / (n_drawn * horizon)
            loss.backward()
            total = float(loss.asscalar())
        else:
            for gradient in gradients:
                gradient[:] = 0
            for parameter in self.parameters.values():
                parameter.data()._fresh_grad = True  # as a backward pass leaves it
        self.comm.sum_(gradients)
        mx.gluon.utils.clip_global_norm(gradients, CLIP, check_isfinite=False)
        self.trainer.set_learning_rate(self.rate * schedule(step, self.steps))
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
                    "member": self.number,
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
            left = (self.steps * (self.task.n_members - self.number) - step) * seconds / n_steps
            print(
                f"network {self.number + 1}/{self.task.n_members} step {step}/{self.steps} "
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


def schedule(step: int, steps: int) -> float:
    """Share of the learning rate: linear warm-up, then a cosine down to LAST_RATE."""
    warm = min(1.0, (step + 1) / WARM_UP)
    cosine = 0.5 * (1 + math.cos(math.pi * step / steps))
    return warm * (LAST_RATE + (1 - LAST_RATE) * cosine)


def _shape(task: Task, turn: int, start: Member | None) -> Shape:
    """That of the network to start from, else the design whose turn it is."""
    settings = task.settings
    fleet = (settings.dropout, task.cardinalities)
    if start:
        begin = Shape.of(start.shape)
        return Shape(begin.hidden_size, *fleet, begin.encoder, begin.decoder)
    design = DESIGNS[settings.designs[turn % len(settings.designs)]]
    return Shape(settings.hidden_size, *fleet, *design)


def _own_series(task: Task, comm: Communicator) -> dict[str, Placed]:
    """The series of this rank by frequency. Where one stands does not depend on the number of
    ranks."""
    mine = sorted(shards_of(comm.rank, comm.size, task.manifest))
    rows = read_shards(task.manifest, mine)
    offsets = np.concatenate([[0], np.cumsum(task.manifest.rows_by_shard)]).astype(np.int64)
    positions = np.concatenate(
        [np.arange(offsets[shard], offsets[shard + 1]) for shard in mine] or [np.zeros(0, np.int64)]
    )
    own = {}
    for freq in sorted(set(rows["freq"])):
        chosen = np.flatnonzero(np.array(rows["freq"]) == freq)
        picked = {name: [values[i] for i in chosen] for name, values in rows.items()}
        own[freq] = Placed(panel_of(picked), positions[chosen])
    return own


def _windows(task: Task, series: Mapping[str, Placed], holdout: int, comm: Communicator) -> Fleets:
    """The windows of this rank's series without their last `holdout` steps, a fleet per frequency.

    Raises TrainingError where no rank has a series.
    """
    panels = {freq: placed.panel.until(holdout) for freq, placed in series.items()}
    own = {
        freq: list(zip(placed.places.tolist(), panels[freq].lengths.tolist(), strict=True))
        for freq, placed in series.items()
    }
    everyone = comm.gather(own)
    fleets = []
    for freq in sorted({freq for part in everyone for freq in part}):
        fleet = sorted(entry for part in everyone for entry in part.get(freq, ()))
        lengths = [length for _, length in fleet]
        plan = make_plan(lengths, task.settings.batch_size, task.horizons[freq])
        placed = series.get(freq, _NOBODY)
        panel = panels.get(freq) or replace(_NOBODY.panel, freq=parse_freq(freq))
        at = np.searchsorted([place for place, _ in fleet], placed.places)
        fleets.append(Windows(panel, plan, at.astype(np.int64)))
    if not fleets:
        raise TrainingError("there is no series to train on; see the status column of `series`")
    return Fleets(fleets)


def ordered_log(results: Sequence[Trained]) -> tuple[Mapping[str, Any], ...]:
    """The log of rank 0, which has everybody's."""
    return results[0].log
