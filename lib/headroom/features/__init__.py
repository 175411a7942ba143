"""From observations to one row per series: a regular grid, what was found on it, codes, events."""
