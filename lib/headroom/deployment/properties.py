"""Spark properties: what is the same everywhere, and what a training application needs."""

from headroom.config import Config
from headroom.deployment.applications import ENVIRONMENT
from headroom.deployment.settings import Deployment, Size

Properties = dict[str, str]

# What Spark sends between its processes is signed and encrypted, and so is what it spills.
_SECURE = {
    "spark.authenticate": "true",
    "spark.network.crypto.enabled": "true",
    "spark.io.encryption.enabled": "true",
}
# A second copy of a training task corrupts the Horovod run, and ranks need all their executors.
FIXED = {
    "spark.speculation": "false",
    "spark.dynamicAllocation.enabled": "false",
}


def cluster_properties(
    config: Config, deployment: Deployment, *, trains: bool, gpu: bool, secure: bool = True
) -> Properties:
    """Properties of one application, whatever the cluster manager.

    Those of SQL and Delta are not among them: `headroom.session` sets these itself.
    """
    size = deployment.rank if trains else deployment.executor
    return {
        **FIXED,
        **(_SECURE if secure else {}),
        **sizes(deployment.driver, size, executors(config, deployment, trains=trains)),
        **(training_properties(deployment.rank, gpu=gpu) if trains else thread_properties(1)),
        **lock_table_properties(deployment),
    }


def executors(config: Config, deployment: Deployment, *, trains: bool) -> int:
    """One executor per rank, so that each has its own memory, cores and GPU."""
    return config.training.ranks if trains else deployment.executors


def sizes(driver: Size, executor: Size, count: int) -> Properties:
    """Cores and memory of driver and executors, and how many executors there are."""
    return {
        "spark.driver.cores": str(driver.cores),
        "spark.driver.memory": f"{driver.memory_gib}g",
        "spark.driver.memoryOverhead": f"{driver.overhead_gib}g",
        "spark.executor.instances": str(count),
        "spark.executor.cores": str(executor.cores),
        "spark.executor.memory": f"{executor.memory_gib}g",
        "spark.executor.memoryOverhead": f"{executor.overhead_gib}g",
    }


def training_properties(rank: Size, *, gpu: bool) -> Properties:
    """One task, hence one rank, per executor, and none starts before all are there."""
    return {
        "spark.task.cpus": str(rank.cores),
        "spark.scheduler.minRegisteredResourcesRatio": "1.0",
        "spark.scheduler.maxRegisteredResourcesWaitingTime": "600s",
        **thread_properties(rank.cores),
        **(gpu_properties() if gpu else {}),
    }


def gpu_properties() -> Properties:
    """One GPU per executor, assigned to its one task; CUDA's libraries come with the archive."""
    return {
        "spark.executorEnv.LD_LIBRARY_PATH": f"./{ENVIRONMENT}/lib",
        "spark.executor.resource.gpu.amount": "1",
        "spark.task.resource.gpu.amount": "1",
    }


def thread_properties(threads: int) -> Properties:
    """Native libraries take the cores of a task, not those of the machine."""
    return {
        "spark.executorEnv.OMP_NUM_THREADS": str(threads),
        "spark.executorEnv.OPENBLAS_NUM_THREADS": str(threads),
        "spark.executorEnv.MXNET_CPU_WORKER_NTHREADS": "1",
    }


def lock_table_properties(deployment: Deployment) -> Properties:
    """Delta's commits through DynamoDB, where several drivers write one table on S3."""
    lock = deployment.lock_table
    if lock is None:
        return {}
    store = "spark.io.delta.storage.S3DynamoDBLogStore.ddb"
    return {
        "spark.delta.logStore.s3.impl": "io.delta.storage.S3DynamoDBLogStore",
        "spark.delta.logStore.s3a.impl": "io.delta.storage.S3DynamoDBLogStore",
        f"{store}.tableName": lock.table,
        f"{store}.region": lock.region,
    }


def as_file(properties: Properties) -> str:
    """Text of a properties file, sorted by name."""
    return "".join(f"{name} {value}\n" for name, value in sorted(properties.items()))


def as_options(properties: Properties) -> tuple[str, ...]:
    """The same as options of spark-submit."""
    return tuple(
        word for name, value in sorted(properties.items()) for word in ("--conf", f"{name}={value}")
    )
