"""Rolling-origin backtest, the choice of method per series, and the gate to champion."""
