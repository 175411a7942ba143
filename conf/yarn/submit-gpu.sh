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
    --master yarn \
    --deploy-mode cluster \
    --name headroom-ingest \
    --properties-file conf/yarn/processing.properties \
    --archives 's3://example-headroom/code/environment.tar.gz#environment' \
    --py-files s3://example-headroom/code/headroom-0.1.0.zip \
    --files s3://example-headroom/code/fleet.yaml \
    s3://example-headroom/code/jobs/ingest.py \
    --config fleet.yaml
fi

if [[ $wanted == *" features "* ]]; then
  spark-submit \
    --master yarn \
    --deploy-mode cluster \
    --name headroom-features \
    --properties-file conf/yarn/processing.properties \
    --archives 's3://example-headroom/code/environment.tar.gz#environment' \
    --py-files s3://example-headroom/code/headroom-0.1.0.zip \
    --files s3://example-headroom/code/fleet.yaml \
    s3://example-headroom/code/jobs/features.py \
    --config fleet.yaml
fi

if [[ $wanted == *" train "* ]]; then
  spark-submit \
    --master yarn \
    --deploy-mode cluster \
    --name headroom-train \
    --properties-file conf/yarn/training-gpu.properties \
    --archives 's3://example-headroom/code/environment-gpu.tar.gz#environment' \
    --py-files s3://example-headroom/code/headroom-0.1.0.zip \
    --files s3://example-headroom/code/fleet.yaml \
    s3://example-headroom/code/jobs/train.py \
    --config fleet.yaml \
    --set training.device=gpu
fi

if [[ $wanted == *" backtest "* ]]; then
  spark-submit \
    --master yarn \
    --deploy-mode cluster \
    --name headroom-backtest \
    --properties-file conf/yarn/processing.properties \
    --archives 's3://example-headroom/code/environment.tar.gz#environment' \
    --py-files s3://example-headroom/code/headroom-0.1.0.zip \
    --files s3://example-headroom/code/fleet.yaml \
    s3://example-headroom/code/jobs/backtest.py \
    --config fleet.yaml
fi

if [[ $wanted == *" score "* ]]; then
  spark-submit \
    --master yarn \
    --deploy-mode cluster \
    --name headroom-score \
    --properties-file conf/yarn/processing.properties \
    --archives 's3://example-headroom/code/environment.tar.gz#environment' \
    --py-files s3://example-headroom/code/headroom-0.1.0.zip \
    --files s3://example-headroom/code/fleet.yaml \
    s3://example-headroom/code/jobs/score.py \
    --config fleet.yaml
fi

if [[ $wanted == *" recommend "* ]]; then
  spark-submit \
    --master yarn \
    --deploy-mode cluster \
    --name headroom-recommend \
    --properties-file conf/yarn/processing.properties \
    --archives 's3://example-headroom/code/environment.tar.gz#environment' \
    --py-files s3://example-headroom/code/headroom-0.1.0.zip \
    --files s3://example-headroom/code/fleet.yaml \
    s3://example-headroom/code/jobs/recommend.py \
    --config fleet.yaml
fi

if [[ $wanted == *" monitor "* ]]; then
  spark-submit \
    --master yarn \
    --deploy-mode cluster \
    --name headroom-monitor \
    --properties-file conf/yarn/processing.properties \
    --archives 's3://example-headroom/code/environment.tar.gz#environment' \
    --py-files s3://example-headroom/code/headroom-0.1.0.zip \
    --files s3://example-headroom/code/fleet.yaml \
    s3://example-headroom/code/jobs/monitor.py \
    --config fleet.yaml
fi

if [[ $wanted == *" report "* ]]; then
  spark-submit \
    --master yarn \
    --deploy-mode cluster \
    --name headroom-report \
    --properties-file conf/yarn/processing.properties \
    --archives 's3://example-headroom/code/environment.tar.gz#environment' \
    --py-files s3://example-headroom/code/headroom-0.1.0.zip \
    --files s3://example-headroom/code/fleet.yaml \
    s3://example-headroom/code/jobs/report.py \
    --config fleet.yaml
fi

if [[ $wanted == *" maintain "* ]]; then
  spark-submit \
    --master yarn \
    --deploy-mode cluster \
    --name headroom-maintain \
    --properties-file conf/yarn/processing.properties \
    --archives 's3://example-headroom/code/environment.tar.gz#environment' \
    --py-files s3://example-headroom/code/headroom-0.1.0.zip \
    --files s3://example-headroom/code/fleet.yaml \
    s3://example-headroom/code/jobs/maintain.py \
    --config fleet.yaml
fi
