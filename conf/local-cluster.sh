#!/usr/bin/env bash
# A Spark standalone cluster on this machine, to try what a cluster does: a master and two workers.
#
#   conf/local-cluster.sh start [CORES] [MEMORY]   per worker (default: 2 cores, 4g); says its address
#   conf/local-cluster.sh stop
set -euo pipefail
# shellcheck source=conf/environment.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"

readonly STATE=$HEADROOM_CACHE/local-cluster
readonly MASTER=spark://127.0.0.1:7077

launch() {
    local name=$1
    shift
    "$SPARK_HOME/bin/spark-class" "$@" >"$STATE/$name.log" 2>&1 &
    echo $! >"$STATE/$name.pid"
}

start() {
    local cores=${1:-2} memory=${2:-4g} name
    [[ ! -d $STATE ]] || die "a local cluster is running, or was not stopped: conf/local-cluster.sh stop"
    ensure_environment
    export_environment
    export_local_mode
    mkdir -p -- "$STATE"
    launch master org.apache.spark.deploy.master.Master --host 127.0.0.1 --port 7077 --webui-port 0
    for name in worker-1 worker-2; do
        launch "$name" org.apache.spark.deploy.worker.Worker --host 127.0.0.1 --webui-port 0 \
            --cores "$cores" --memory "$memory" --work-dir "$STATE/$name" "$MASTER"
    done
    say "$MASTER is starting, with two workers of $cores cores and $memory; logs are in $STATE"
}

stop() {
    local file
    [[ -d $STATE ]] || die "no local cluster is running"
    for file in "$STATE"/*.pid; do kill "$(<"$file")" 2>/dev/null || true; done
    rm -rf -- "$STATE"
}

case ${1:-} in
start | stop) "$@" ;;
*) die "usage: conf/local-cluster.sh start [CORES] [MEMORY] | stop" ;;
esac
