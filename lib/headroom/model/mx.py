"""MXNet, importable: the one module through which every other reaches it."""

import warnings

import mxnet as mx

# A network without an LSTM over the past has no use for that input, and is told so at every start.
warnings.filterwarnings("ignore", message="The 0-th input to HybridBlock is not used")
# Constants go by their address in memory, which another network's may have had before.
warnings.filterwarnings("ignore", message=".*New initializer mxnet.gluon.parameter.Init")

__all__ = ["mx"]
