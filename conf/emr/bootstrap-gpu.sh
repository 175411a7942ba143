#!/usr/bin/env bash
# Written by `make conf`: change fleet.yaml or deployment.yaml instead.
# The devices group of cgroups v1, through which YARN isolates GPUs.
set -euo pipefail
sudo mkdir -p /headroom-cgroup/devices
sudo mount -t cgroup -o devices cgroupv1-devices /headroom-cgroup/devices
sudo chmod a+rwx -R /headroom-cgroup
