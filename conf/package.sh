#!/usr/bin/env bash
# ./spark-submit.sh --package [DIR] [--code-only] [--python-prefix PREFIX]
#
# Fills DIR (default: dist) with what a cluster needs (docs/running.md). PREFIX is where the nodes
# have their Python 3.11, such as /usr; the default is where this machine has it. --code-only leaves
# the packed environment as it is: a change of code needs no new one.
set -euo pipefail
# shellcheck source=conf/environment.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"

target=dist
code_only=""
node_prefix=""
while [[ $# -gt 0 ]]; do
    case $1 in
    --python-prefix) node_prefix=${2:?a folder follows --python-prefix}; shift ;;
    --code-only) code_only=yes ;;
    -*) die "unknown option $1; use: ./spark-submit.sh --package [DIR] [--code-only] [--python-prefix PREFIX]" ;;
    *) target=$1 ;;
    esac
    shift
done

build=$(mktemp -d)
trap 'rm -rf -- "$build"' EXIT
headroom_log="$HEADROOM_CACHE/package.log"

# From a copy, so that nothing is left in the source and nothing old gets into the wheel.
make_wheel() {
    mkdir "$build/source"
    cp -r -- "$HEADROOM_ROOT"/{setup.py,pyproject.toml,lib,jobs} "$build/source"
    python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation \
        --wheel-dir "$build/wheel" "$build/source"
    mkdir -p -- "$target"
    cp -- "$build"/wheel/headroom-*.whl "$target"
    # Spark puts archives named .zip on the workers' path, but none named .whl.
    local name
    name=$(basename -- "$build"/wheel/headroom-*.whl)
    cp -- "$target/$name" "$target/${name%%-py3*}.zip"
}

# The cluster brings its own Spark; a second one in the environment would only weigh.
make_environment() (
    HEADROOM_VENV=$build/environment
    ensure_environment
    "$HEADROOM_VENV/bin/python" -m pip uninstall --quiet --yes pyspark py4j
    "$HEADROOM_VENV/bin/python" -m pip install --quiet --no-deps --no-index "$build"/wheel/*.whl
)

# Of bin/python, python3 and python3.11 the one that leads out of the environment.
base_python_link() { find "$1/bin" -name 'python*' -lname '/*'; }

pack_environment() {
    # venv-pack's own --python-prefix writes python3.113.11 where the link has its version.
    [[ -z $node_prefix ]] ||
        ln -sfn -- "$node_prefix/bin/python3.11" "$(base_python_link "$build/environment")"
    venv-pack --quiet --force --prefix "$build/environment" --output "$target/environment.tar.gz"
}

copy_the_rest() {
    local coordinates
    mkdir -p -- "$target/jars"
    while read -r coordinates; do
        cp -- "$(jar_path "$coordinates")" "$target/jars"
    done < <(jar_coordinates "$(lock_file jars)")
    cp -r -- "$HEADROOM_ROOT/jobs" "$target"
    find "$target/jobs" -name __pycache__ -prune -exec rm -rf {} +
    cp -- "$HEADROOM_ROOT"/conf/fleet.yaml "$HEADROOM_ROOT"/conf/emr/bootstrap-gpu.sh "$target"
    (cd -- "$target" && python -m zipfile -c conf.zip fleet.yaml)
}

ensure_environment dev
export_environment
: >"$headroom_log"
step "building the wheel" make_wheel
[[ -n $code_only ]] || step "making the environment for the nodes (2 minutes)" make_environment
[[ -n $code_only ]] || step "packing it (1 minute)" pack_environment
step "adding jars, jobs and configuration" copy_the_rest
say "$target holds:"
(cd -- "$target" && du -sh -- *) >&2
