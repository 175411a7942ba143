#!/usr/bin/env bash
# ./spark-submit.sh JOB [--config FILE] [--set a.b=value …] [job options] [-- spark-submit options]
#
# Makes the environment on first use (conf/environment.sh), then runs jobs/JOB.py in it. In client
# mode the job is the process itself and Spark its child: a signal reaches the job, its exit code is
# ours, and a mistake in the configuration is told before a JVM starts.
set -euo pipefail
# shellcheck source=conf/environment.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/conf/environment.sh"

usage() {
    cat <<TEXT
headroom: forecasts of a fleet's metrics on Spark, turned into recommendations

usage: ./spark-submit.sh JOB [--config FILE] [--set a.b=value …] [job options] [-- spark-submit options]
       ./spark-submit.sh --package [DIR] [--code-only] [--python-prefix PREFIX]

jobs:
$(list_jobs)

  JOB --help          the options of a job
  JOB --print-config  the whole configuration that it would run with
  --package [DIR]     what a cluster needs: wheel, packed environment, jars (default: dist);
                      --code-only: without a new environment; PREFIX: where nodes have Python

environment variables:
  HEADROOM_MASTER         Spark's master (default: local, on every core)
  HEADROOM_DRIVER_MEMORY  memory of the driver, which in local mode does all the work (default: 4g)
  HEADROOM_SPARK          4.0 (default) or 3.5
  HEADROOM_PYTHON         the Python 3.11 to build on
  HEADROOM_CACHE          where the Horovod wheel, the jars and a Java runtime are kept

exit codes: 0 done, 1 failed, 2 usage or configuration, 3 done, but too many series were refused
TEXT
}

job_names() { (cd -- "$HEADROOM_ROOT/jobs" && printf '%s\n' [a-z]*.py | sed 's/\.py$//'); }

# Each job with the first sentence of its docstring.
list_jobs() {
    local job
    for job in $(job_names); do
        printf '  %-18s  %s\n' "$job" "$(sed -n '1s/^"""\([^".]*\).*/\1/p' "$HEADROOM_ROOT/jobs/$job.py")"
    done
}

refuse_unknown_job() {
    local near
    # shellcheck disable=SC2046  # names hold no blanks
    near=$("$(find_python)" -c 'import difflib, sys
print(" or ".join(difflib.get_close_matches(sys.argv[1], sys.argv[2:], 3, 0.5)))' "$1" $(job_names) || true)
    say "there is no job '$1'${near:+; did you mean $near?}"
    say "./spark-submit.sh --help lists the jobs"
    exit 2
}

# Splits the command line at `--` into the job's arguments and Spark's options.
split_arguments() {
    job_arguments=() spark_options=()
    while [[ $# -gt 0 && $1 != "--" ]]; do
        job_arguments+=("$1")
        shift
    done
    [[ $# -eq 0 ]] || spark_options=("${@:2}")
}

# option_value NAME OPTION…: the last value given to --NAME, as `--name value` or `--name=value`.
option_value() {
    local name=$1 value=""
    shift
    while [[ $# -gt 0 ]]; do
        case $1 in
        "$name="*) value=${1#*=} ;;
        "$name") value=${2:-} ;;
        esac
        shift
    done
    echo "$value"
}

# Defaults first: of two equal options Spark takes the last.
default_spark_options() {
    local master=$1 cores
    cores=$(nproc)
    default_options=(
        --master "$master"
        --driver-memory "${HEADROOM_DRIVER_MEMORY:-4g}"
        --jars "$HEADROOM_JARS"
        --properties-file "$HEADROOM_ROOT/conf/spark-defaults.conf"
    )
    [[ $master != local* ]] || default_options+=(
        --conf spark.ui.enabled=false
        --conf "spark.sql.warehouse.dir=$HEADROOM_CACHE/spark-warehouse"
    )
}

run_job() {
    local job=$1 master
    shift
    split_arguments "$@"
    [[ " ${job_arguments[*]} " == *" --config"[=\ ]* ]] ||
        job_arguments=(--config "$HEADROOM_ROOT/conf/demo.yaml" "${job_arguments[@]}")
    master=$(option_value --master "${spark_options[@]}")
    master=${master:-${HEADROOM_MASTER:-local[$(($(nproc) > 2 ? $(nproc) : 2)),4]}}

    ensure_environment
    local workers_python=${PYSPARK_PYTHON:-}
    export_environment
    if [[ $master == local* ]]; then
        export_local_mode
    elif [[ -n $workers_python ]]; then
        export PYSPARK_PYTHON=$workers_python
    fi
    default_spark_options "$master"
    local options=("${default_options[@]}" "${spark_options[@]}")
    local program="$HEADROOM_ROOT/jobs/$job.py"

    if [[ $(option_value --deploy-mode "${spark_options[@]}") == cluster ]]; then
        "$PYSPARK_DRIVER_PYTHON" "$program" "${job_arguments[@]}" --print-config >/dev/null
        exec "$SPARK_HOME/bin/spark-submit" "${options[@]}" "$program" "${job_arguments[@]}"
    fi
    PYSPARK_SUBMIT_ARGS="$(quote "${options[@]}") pyspark-shell" \
        exec "$PYSPARK_DRIVER_PYTHON" "$program" "${job_arguments[@]}"
}

# As PySpark reads them back (Python's shlex).
quote() {
    local word
    for word in "$@"; do printf "'%s' " "${word//\'/\'\"\'\"\'}"; done
}

main() {
    case ${1:-} in
    "") usage >&2; exit 2 ;;
    -h | --help) usage ;;
    --package) shift; exec "$HEADROOM_ROOT/conf/package.sh" "$@" ;;
    -*) say "the job comes first: ./spark-submit.sh JOB $1 …"; exit 2 ;;
    *)
        [[ $1 =~ ^[a-z][a-z0-9_]*$ && -f $HEADROOM_ROOT/jobs/$1.py ]] || refuse_unknown_job "$1"
        run_job "$@"
        ;;
    esac
}

main "$@"
