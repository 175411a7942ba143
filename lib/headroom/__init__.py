"""headroom: forecasts of a fleet's metrics on Spark, turned into recommendations."""

__version__ = "0.1.0"
