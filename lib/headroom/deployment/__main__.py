"""Writes the job definitions of every platform: `python -m headroom.deployment`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from headroom.config import build, load_config, read_yaml
from headroom.deployment.files import deployment_files
from headroom.deployment.settings import Deployment
from headroom.errors import HeadroomError


def main(argv: Sequence[str] | None = None) -> int:
    """Writes, or with --check compares, the files. Returns the exit code."""
    options = _parser().parse_args(argv)
    try:
        files = deployment_files(
            load_config(options.config),
            build(Deployment, read_yaml(options.deployment)),
            options.config.name,
        )
    except HeadroomError as error:
        print(f"headroom: {error}", file=sys.stderr)
        return error.exit_code
    stale = [path for path, text in files.items() if _read(options.out / path) != text]
    if options.check:
        for path in stale:
            print(f"headroom: {options.out / path} is stale; run `make conf`", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        _write(options.out / path, files[path])
    print(f"{len(stale)} of {len(files)} files written under {options.out}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m headroom.deployment", description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("conf/fleet.yaml"), metavar="FILE")
    parser.add_argument(
        "--deployment", type=Path, default=Path("conf/deployment.yaml"), metavar="FILE"
    )
    parser.add_argument("--out", type=Path, default=Path("conf"), metavar="FOLDER")
    parser.add_argument("--check", action="store_true", help="only say which files are stale")
    return parser


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    if path.suffix == ".sh":
        path.chmod(0o755)


if __name__ == "__main__":
    sys.exit(main())
