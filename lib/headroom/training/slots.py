"""Whether this Spark application can host the ranks at all, asked before anything waits."""

import time

from pyspark import SparkContext

from headroom.errors import TrainingError

_ARRIVAL_SECONDS = 60.0  # executors of a cluster may still be on their way


def check_properties(context: SparkContext, ranks: int) -> None:
    """Raises TrainingError where a property of the application would corrupt a training."""
    conf = context.getConf()
    if conf.get("spark.speculation", "false") == "true":
        raise TrainingError(
            "training needs spark.speculation=false: a second copy of a rank corrupts the run"
        )
    dynamic = conf.get("spark.dynamicAllocation.enabled", "false") == "true"
    if ranks > 1 and dynamic and not is_local(context):
        raise TrainingError(
            f"training on {ranks} ranks needs spark.dynamicAllocation.enabled=false and a fixed "
            "spark.executor.instances: an executor that leaves takes its rank with it"
        )


def check_slots(context: SparkContext, ranks: int) -> None:
    """Raises TrainingError where fewer than `ranks` tasks can run at once; on a cluster, after
    some time for executors to arrive."""
    until = time.monotonic() + (0 if is_local(context) else _ARRIVAL_SECONDS)
    slots = task_slots(context)
    while slots is not None and slots < ranks and time.monotonic() < until:
        time.sleep(1)
        slots = task_slots(context)
    if slots is not None and slots < ranks:
        more = f"--master local[{ranks}]" if is_local(context) else "more or larger executors"
        raise TrainingError(
            f"training.ranks={ranks} needs {ranks} task slots, this application has {slots}; "
            f"set training.ranks={max(slots, 1)}, or start it with {more}"
        )


def task_slots(context: SparkContext) -> int | None:
    """Tasks that can run at once: cores over `spark.task.cpus`. None where Spark does not tell."""
    conf = context.getConf()
    promised = int(conf.get("spark.executor.instances", "0") or 0) * int(
        conf.get("spark.executor.cores", "1") or 1
    )
    if conf.contains("spark.default.parallelism"):  # then Spark's own count is hidden by it
        cores = promised
    else:
        cores = max(promised, context.defaultParallelism)
    return cores // task_cpus(context) or None


def task_cpus(context: SparkContext) -> int:
    """Cores that each task may use."""
    return int(context.getConf().get("spark.task.cpus", "1") or 1)


def is_local(context: SparkContext) -> bool:
    """Whether driver and tasks are one process on one machine."""
    return context.master == "local" or context.master.startswith("local[")
