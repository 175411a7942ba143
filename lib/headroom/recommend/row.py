"""A decision as a row of `recommendations`."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from headroom import columns as c
from headroom.recommend.decision import Decision
from headroom.recommend.sentence import action, place_name, summary


def to_row(
    decision: Decision, group_id: str, dimensions: Mapping[str, str], as_of: np.datetime64
) -> dict[str, Any]:
    """The values of a decision by column of RECOMMENDATIONS."""
    place = place_name(dimensions, group_id)
    low, middle, high = decision.savings or (None, None, None)
    early, likely, late = decision.event_dates
    return {
        c.RECOMMENDATION_ID: recommendation_id(decision.rec_type, group_id, as_of),
        c.AS_OF: pd.Timestamp(as_of),
        c.REC_TYPE: decision.rec_type,
        c.OUTCOME: decision.outcome,
        c.GROUP_ID: group_id,
        c.DIMENSIONS: dict(dimensions),
        c.SUMMARY: summary(decision, place, as_of),
        c.ACTION_TEXT: action(decision, as_of),
        c.UNIT: decision.unit or None,
        c.CURRENT: decision.current,
        c.PROPOSED: decision.proposed,
        c.SAVINGS_P10: low,
        c.SAVINGS_P50: middle,
        c.SAVINGS_P90: high,
        c.VALUE: decision.value,
        c.RISK_NOW: decision.risk_now,
        c.RISK_AFTER: decision.risk_after,
        c.EVENT_P10: _stamp(early),
        c.EVENT_P50: _stamp(likely),
        c.EVENT_P90: _stamp(late),
        c.ACT_BY: _stamp(decision.act_by),
        c.CONFIDENCE: decision.confidence,
        c.EVIDENCE: json.dumps(_plain(decision.evidence), sort_keys=True, allow_nan=False),
    }


def recommendation_id(rec_type: str, group_id: str, as_of: np.datetime64) -> str:
    """32 hex digits of (type, group, as_of)."""
    text = json.dumps([rec_type, group_id, str(as_of)])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _plain(value: Any) -> Any:
    """What JSON can hold; a number that is not finite becomes null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value


def _stamp(at: np.datetime64 | None) -> pd.Timestamp | None:
    return None if at is None else pd.Timestamp(at)
