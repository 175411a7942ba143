"""Job definitions for clusters, made from one configuration: text in, text out, nothing is called.

`python -m headroom.deployment --config conf/fleet.yaml --out conf` writes them all.
"""
