"""Numerics on plain arrays: no Spark, no MXNet."""
