"""The pinball loss."""

from typing import Any

import numpy as np

from headroom.model.mx import mx
from headroom.model.network import LEVELS


def pinball_loss(quantiles: Any, target: Any, mask: Any) -> Any:
    """Twice the pinball loss, mean over levels, per window and step (B, H); 0 where masked."""
    level = mx.nd.array(np.asarray(LEVELS, dtype=np.float32), ctx=target.context)
    error = target.expand_dims(2) - quantiles  # (B, H, L)
    level = level.reshape((1, 1, -1))
    loss = mx.nd.maximum(mx.nd.broadcast_mul(error, level), mx.nd.broadcast_mul(error, level - 1))
    return 2 * loss.mean(axis=2) * mask
