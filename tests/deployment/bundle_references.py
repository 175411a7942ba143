"""References inside a bundle, which its schema does not check."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Block = dict[str, Any]
_REFERENCE = re.compile(r"\$\{([^}]*)\}")
# What the bundle itself offers, of all that headroom uses.
_OFFERED = {"bundle.name", "bundle.target", "workspace.file_path"}


def reference_faults(bundle: Block, folder: Path) -> list[str]:
    """Sentences on what points nowhere. `folder` is where the file of the jobs lies."""
    faults = list(_variable_faults(bundle))
    for name, job in bundle["resources"]["jobs"].items():
        faults += [f"job {name}: {fault}" for fault in _job_faults(job, folder)]
    return faults


def _variable_faults(bundle: Block) -> Iterator[str]:
    defined = {f"var.{name}" for name in bundle["variables"]}
    used = set(_references(bundle))
    for name in sorted(used - defined - _OFFERED):
        yield f"${{{name}}} is not defined"
    for name in sorted(defined - used):
        yield f"{name} is not used"
    for target, settings in bundle["targets"].items():
        for name in settings.get("variables", {}):
            if f"var.{name}" not in defined:
                yield f"target {target} sets {name}, which is no variable"


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)
    elif isinstance(value, str):
        yield from _REFERENCE.findall(value)


def _job_faults(job: Block, folder: Path) -> Iterator[str]:
    clusters = [cluster["job_cluster_key"] for cluster in job["job_clusters"]]
    yield from _repeated("cluster", clusters)
    yield from _repeated("task", [task["task_key"] for task in job["tasks"]])
    used = {task["job_cluster_key"] for task in job["tasks"]}
    yield from (f"cluster {key} is not used" for key in clusters if key not in used)
    earlier: set[str] = set()  # a task depends on earlier ones only, so there is no circle
    for task in job["tasks"]:
        key = task["task_key"]
        if task["job_cluster_key"] not in clusters:
            yield f"task {key}: there is no cluster {task['job_cluster_key']}"
        for needed in task.get("depends_on", []):
            if needed["task_key"] not in earlier:
                yield f"task {key}: depends on {needed['task_key']}, which is not before it"
        if not (folder / task["spark_python_task"]["python_file"]).is_file():
            yield f"task {key}: there is no file {task['spark_python_task']['python_file']}"
        earlier.add(key)


def _repeated(kind: str, keys: list[str]) -> Iterator[str]:
    yield from (
        f"{kind} {key} is there twice" for key in sorted({k for k in keys if keys.count(k) > 1})
    )
