"""MXNet, importable: the one module through which every other reaches it."""

import mxnet as mx

__all__ = ["mx"]
