from pathlib import Path

from setuptools import find_packages, setup

ABOUT: dict[str, str] = {}
for line in Path("lib/headroom/__init__.py").read_text(encoding="utf-8").splitlines():
    if line.startswith("__version__"):
        ABOUT["version"] = line.split('"')[1]

setup(
    name="headroom",
    version=ABOUT["version"],
    description="Forecasts of a fleet's metrics on Spark, turned into recommendations",
    license="Apache-2.0",
    python_requires=">=3.11,<3.12",
    package_dir={"": "lib", "jobs": "jobs"},
    packages=[*find_packages("lib"), "jobs"],
    package_data={"headroom": ["**/*.npz", "**/*.css", "**/*.js", "**/*.html"]},
    install_requires=[
        "pyspark>=3.5.3,<4.1",
        "delta-spark>=3.3.3,<=4.4.0",
        "pyarrow>=18,<24",  # 24 and later need numpy 2, which MXNet cannot load
        "pandas>=2.2,<3",
        "numpy>=1.26,<2",
        "pydantic>=2.9,<3",
        "pyyaml>=6,<7",
        "holidays>=0.60",
        "jinja2>=3.1,<4",
    ],
    extras_require={
        "network": ["mxnet==1.9.1"],
        # Horovod itself is built from source against MXNet (requirements-horovod.lock); these are
        # what it imports. Its extra `spark` would pin a pyarrow that Spark 4 refuses.
        "training": ["cloudpickle>=3", "psutil>=6", "packaging>=24"],
        "dev": [
            "pytest>=8",
            "chispa>=0.11",
            "hypothesis>=6.100",
            "ruff>=0.8",
            "mypy>=1.13",
            "pandas-stubs>=2.2,<3",
            "types-PyYAML",
            "types-jsonschema",
            "botocore>=1.35",
            "jsonschema>=4.23",
            "pip-tools>=7.4",
            "venv-pack>=0.2",
        ],
    },
)
