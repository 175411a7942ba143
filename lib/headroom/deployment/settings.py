"""What a cluster needs to know beside the configuration: places, sizes, roles."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from headroom.config import Settings

Uri = Annotated[str, Field(pattern=r"^(s3|s3a|gs|abfss|hdfs)://[^\s?#]+[^/\s?#]$")]
S3Uri = Annotated[str, Field(pattern=r"^s3://[a-z0-9][a-z0-9.-]+/[^\s?#]+[^/\s?#]$")]
RoleArn = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/\S+$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,40}$")]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
# Neither a blank nor a quote: it becomes part of a command line.
Word = Annotated[str, Field(pattern=r"^[^\s'\"\\]+$")]
Count = Annotated[int, Field(ge=1, le=10_000)]


class Size(Settings):
    """One JVM with what lives beside it."""

    cores: int = Field(ge=1, le=128)
    memory_gib: int = Field(ge=1, le=1024, description="Heap of the JVM.")
    overhead_gib: int = Field(
        ge=1, le=1024, description="Beside the heap: Python workers, MXNet, a Horovod rank."
    )

    @property
    def total_gib(self) -> int:
        """What the container asks for."""
        return self.memory_gib + self.overhead_gib


class LockTable(Settings):
    """A DynamoDB table through which several drivers may write one Delta table on S3."""

    table: Word
    region: Word


class Yarn(Settings):
    queue: Word = "default"
    discovery_script: Word = Field(
        "/usr/lib/spark/scripts/gpu/getGpusResources.sh", description="Tells Spark a node's GPUs."
    )


class Kubernetes(Settings):
    """Python 3.11 in the image, at the path that the packed environment was made from."""

    master: Word = Field(description="k8s://https://HOST:PORT")
    image: Word
    namespace: Name = "headroom"
    service_account: Name = "headroom"
    discovery_script: Word = "/opt/spark/examples/src/main/scripts/getGpusResources.sh"


class Standalone(Settings):
    """The driver runs where spark-submit is started: Spark knows no other way for Python."""

    master: Word = "spark://master:7077"
    python: Word = Field(".venv/bin/python", description="The driver's Python, same packages.")
    jars: Word = Field("dist/jars/*.jar", description="Delta, where the driver starts.")


class Emr(Settings):
    release: Word = "emr-7.10.0"
    service_role: Word = "EMR_DefaultRole_V2"
    instance_profile: Word = "EMR_EC2_DefaultRole"
    subnet: Word = Field(description="A private one: ranks find each other unauthenticated.")
    security_configuration: Word | None = Field(
        None, description="Name of an EMR security configuration: encryption at rest, in transit."
    )
    primary: Word = "m6i.xlarge"
    core: Word = "m6i.2xlarge"
    core_nodes: Count = 4
    gpu: Word = Field("g4dn.xlarge", description="V100, T4 or A10G; no H100 (docs/running.md).")
    job_flow_id: Word = Field("j-EXAMPLE", description="A running cluster, for added steps.")


class EmrServerless(Settings):
    release: Word = "emr-7.10.0"
    application_id: Annotated[str, Field(pattern=r"^[0-9a-z]{1,64}$")] = "00example00000001"
    role: RoleArn
    subnets: tuple[Word, ...] = Field(min_length=1)
    security_groups: tuple[Word, ...] = Field(min_length=1)


class Databricks(Settings):
    """Defaults of the bundle's variables; each target may set its own."""

    host: Annotated[str, Field(pattern=r"^https://\S+$")]
    catalog: Identifier = "main"
    dev_schema: Identifier = "headroom_dev"
    schema_name: Identifier = "headroom"
    volume: Identifier = "artifacts"
    spark_version: Word = "15.4.x-scala2.12"
    node_type: Word = "m6id.2xlarge"
    workers: Count = 4
    gpu_node_type: Word = "g4dn.xlarge"
    image: Word = Field(description="Container with the environment (docs/running.md).")
    gpu_image: Word
    run_as: Word = Field(description="Service principal of the prod target, by application id.")
    notify: Word = Field(description="E-mail address that failures go to.")
    cron: str = Field("0 0 5 * * ?", description="Quartz cron expression, UTC.")


class Deployment(Settings):
    """Where headroom runs, and on what."""

    name: Name = "headroom"
    code: S3Uri = Field(description="Prefix that `dist/` is copied to: wheel, environment, jobs.")
    logs: S3Uri
    tags: Mapping[Word, Word] = Field(default_factory=dict)
    driver: Size = Size(cores=2, memory_gib=6, overhead_gib=2)
    executor: Size = Size(cores=4, memory_gib=12, overhead_gib=4)
    executors: Count = 4
    rank: Size = Field(
        Size(cores=2, memory_gib=4, overhead_gib=6),
        description="An executor that hosts one Horovod rank; the rank lives in the overhead.",
    )
    jars: tuple[Word, ...] = Field(description="Delta's jars under <code>/jars.", min_length=2)
    lock_table: LockTable | None = None
    yarn: Yarn = Yarn()
    kubernetes: Kubernetes
    standalone: Standalone = Standalone()
    emr: Emr
    emr_serverless: EmrServerless
    databricks: Databricks
