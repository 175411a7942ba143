#!/usr/bin/env bash
# Written by `make conf`: change fleet.yaml or deployment.yaml instead.
# All jobs in order, or those named: submit.sh ingest features
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."
every="ingest features train backtest score recommend monitor report maintain"
wanted=" ${*:-$every} "
for job in $wanted; do
  if [[ " $every " != *" $job "* ]]; then
    echo "no job $job; there are: $every" >&2
    exit 2
  fi
done

if [[ $wanted == *" ingest "* ]]; then
  spark-submit \
    --master spark://master.example.com:7077 \
    --deploy-mode client \
    --name headroom-ingest \
    --properties-file conf/standalone/processing.properties \
    --archives 'dist/environment.tar.gz#environment' \
    --py-files dist/headroom-0.1.0.zip \
    jobs/ingest.py \
    --config conf/fleet.yaml
fi

if [[ $wanted == *" features "* ]]; then
  spark-submit \
    --master spark://master.example.com:7077 \
    --deploy-mode client \
    --name headroom-features \
    --properties-file conf/standalone/processing.properties \
    --archives 'dist/environment.tar.gz#environment' \
    --py-files dist/headroom-0.1.0.zip \
    jobs/features.py \
    --config conf/fleet.yaml
fi

if [[ $wanted == *" train "* ]]; then
  spark-submit \
    --master spark://master.example.com:7077 \
    --deploy-mode client \
    --name headroom-train \
    --properties-file conf/standalone/training.properties \
    --archives 'dist/environment.tar.gz#environment' \
    --py-files dist/headroom-0.1.0.zip \
    jobs/train.py \
    --config conf/fleet.yaml
fi

if [[ $wanted == *" backtest "* ]]; then
  spark-submit \
    --master spark://master.example.com:7077 \
    --deploy-mode client \
    --name headroom-backtest \
    --properties-file conf/standalone/processing.properties \
    --archives 'dist/environment.tar.gz#environment' \
    --py-files dist/headroom-0.1.0.zip \
    jobs/backtest.py \
    --config conf/fleet.yaml
fi

if [[ $wanted == *" score "* ]]; then
  spark-submit \
    --master spark://master.example.com:7077 \
    --deploy-mode client \
    --name headroom-score \
    --properties-file conf/standalone/processing.properties \
    --archives 'dist/environment.tar.gz#environment' \
    --py-files dist/headroom-0.1.0.zip \
    jobs/score.py \
    --config conf/fleet.yaml
fi

if [[ $wanted == *" recommend "* ]]; then
  spark-submit \
    --master spark://master.example.com:7077 \
    --deploy-mode client \
    --name headroom-recommend \
    --properties-file conf/standalone/processing.properties \
    --archives 'dist/environment.tar.gz#environment' \
    --py-files dist/headroom-0.1.0.zip \
    jobs/recommend.py \
    --config conf/fleet.yaml
fi

if [[ $wanted == *" monitor "* ]]; then
  spark-submit \
    --master spark://master.example.com:7077 \
    --deploy-mode client \
    --name headroom-monitor \
    --properties-file conf/standalone/processing.properties \
    --archives 'dist/environment.tar.gz#environment' \
    --py-files dist/headroom-0.1.0.zip \
    jobs/monitor.py \
    --config conf/fleet.yaml
fi

if [[ $wanted == *" report "* ]]; then
  spark-submit \
    --master spark://master.example.com:7077 \
    --deploy-mode client \
    --name headroom-report \
    --properties-file conf/standalone/processing.properties \
    --archives 'dist/environment.tar.gz#environment' \
    --py-files dist/headroom-0.1.0.zip \
    jobs/report.py \
    --config conf/fleet.yaml
fi

if [[ $wanted == *" maintain "* ]]; then
  spark-submit \
    --master spark://master.example.com:7077 \
    --deploy-mode client \
    --name headroom-maintain \
    --properties-file conf/standalone/processing.properties \
    --archives 'dist/environment.tar.gz#environment' \
    --py-files dist/headroom-0.1.0.zip \
    jobs/maintain.py \
    --config conf/fleet.yaml
fi
