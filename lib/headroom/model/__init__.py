"""The global network: the only importers of MXNet.

MXNet 1.9.1 reads `numpy.bool` at import, an alias that numpy dropped in 1.24; it is supplied here,
so that it is there before any import of MXNet, Horovod's own ones included.
"""

import numpy as np

if "bool" not in vars(np):  # hasattr would warn
    np.bool = bool  # type: ignore[attr-defined]
