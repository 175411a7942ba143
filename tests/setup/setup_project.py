"""What the tests of the set-up share: the project's root, its environment, and tiny jobs."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
Result = subprocess.CompletedProcess[str]
Bash = Callable[..., Result]

SHOW_JOB = '''"""Show what the launcher hands over. Two sentences."""
import json, os, shlex, sys
names = ("SPARK_LOCAL_IP", "PYSPARK_PYTHON", "TZ", "HEADROOM_JARS", "OMP_NUM_THREADS")
print(json.dumps({
    "arguments": sys.argv[1:],
    "spark": shlex.split(os.environ["PYSPARK_SUBMIT_ARGS"]),
    "environment": {name: os.environ.get(name) for name in names},
    "folder": os.getcwd(),
}))
'''
LEAVE_JOB = '''"""Leave with the exit code that is asked for."""
import sys
sys.exit(int(sys.argv[-1]))
'''
WAIT_JOB = '''"""Wait for a signal."""
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(42))
print("ready", flush=True)
time.sleep(60)
'''


def launcher_environment(**changes: str) -> dict[str, str]:
    """As a person has it, but with the environment that the tests themselves run in."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYSPARK")}
    java = kept.pop("HEADROOM_JAVA", None)
    if java:
        kept["JAVA_HOME"] = str(Path(java).parents[1])
    return {**kept, "HEADROOM_VENV": sys.prefix, **changes}
