"""Where a rank computes: the GPU that Spark assigned to its task, or the CPU."""

import ctypes
import os
from collections import Counter
from typing import Any, Literal

from headroom.errors import TrainingError
from headroom.training.communicator import Communicator


def choose_device(setting: Literal["auto", "cpu", "gpu"], communicator: Communicator) -> Any:
    """The MXNet context of this rank, tried with one operation. All ranks call it together.

    Raises TrainingError where a GPU is demanded and not assigned, does not work, or is assigned to
    two ranks.
    """
    from headroom.model.mx import mx

    context = mx.cpu()
    if setting != "cpu" and (communicator.gpus or setting == "gpu"):
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        ordinal = gpu_ordinal(communicator.gpus, mx.context.num_gpus(), visible)
        context = mx.gpu(ordinal)
    try:
        mx.nd.ones((1,), ctx=context).asscalar()
    except mx.base.MXNetError as error:
        raise TrainingError(
            f"rank {communicator.rank} cannot compute on {context}: {error}; "
            "set training.device=cpu, or check driver and CUDA libraries"
        ) from error
    _refuse_shared(communicator, context)
    return context


def gpu_ordinal(assigned: tuple[str, ...], n_visible: int, visible: str | None) -> int:
    """The ordinal, for this process, of the first GPU that Spark assigned.

    Spark's address is the ordinal itself, or, where the discovery script reports what nvidia-smi
    says, an entry of CUDA_VISIBLE_DEVICES. Raises TrainingError where it is neither.
    """
    if not assigned:
        raise TrainingError(
            "training.device=gpu, but Spark assigned no GPU to the task; set "
            "spark.executor.resource.gpu.amount, spark.task.resource.gpu.amount and a "
            "discovery script, or training.device=auto"
        )
    address = assigned[0]
    if address.isdigit() and int(address) < n_visible:
        return int(address)
    listed = [entry.strip() for entry in (visible or "").split(",")]
    if address in listed and listed.index(address) < n_visible:
        return listed.index(address)
    if n_visible == 1:
        return 0
    raise TrainingError(
        f"Spark assigned GPU {address}, but MXNet sees {n_visible} GPUs "
        f"(CUDA_VISIBLE_DEVICES={visible or 'not set'}); an mxnet-cu112 build is needed, and the "
        "executor must see the GPUs that its discovery script reports"
    )


def _refuse_shared(communicator: Communicator, context: Any) -> None:
    is_gpu = context.device_type == "gpu"
    chips = Counter(communicator.gather(gpu_uuid(context.device_id) if is_gpu else None))
    shared = [chip for chip, ranks in chips.items() if chip is not None and ranks > 1]
    if shared:
        raise TrainingError(
            f"several ranks would share one GPU ({', '.join(shared)}); assign one per task by "
            "spark.task.resource.gpu.amount=1"
        )


def gpu_uuid(ordinal: int) -> str:
    """The chip behind an ordinal, as 32 hex digits: ordinals repeat between containers of one host.

    From the CUDA driver (`cuDeviceGetUuid`), which numbers devices as MXNet does.
    """
    cuda = ctypes.CDLL("libcuda.so.1")
    device, uuid = ctypes.c_int(), (ctypes.c_ubyte * 16)()
    codes = (
        cuda.cuInit(0),
        cuda.cuDeviceGet(ctypes.byref(device), ordinal),
        cuda.cuDeviceGetUuid(uuid, device),
    )
    if any(codes):
        raise TrainingError(f"the CUDA driver does not know gpu({ordinal}): error {max(codes)}")
    return bytes(uuid).hex()
