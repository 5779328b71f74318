"""The fields of a ``.zsk`` file's manifest: every name, type and range.

What fits together only with its neighbours (shapes, arrays, sums within 32 bits) is checked by what it becomes:
``ConvPlan``, ``node_check.py``, ``Model.check``.
"""

from __future__ import annotations

import dataclasses

from ..hardware.config import Config
from .fields import Anything, Flag, Listed, Nothing, OneOf, Real, Record, Row, Table, Text, Whole
from .hostops import RANGE
from .node_check import MAX_ELEMENTS
from .nodes import OUTPUT_TYPES

MAX_ARRAYS = 2**24
TYPES = ("int8", "uint8", "int16", "int32", "int64", "uint64", "float64")

_size = Whole(1, MAX_ELEMENTS)
_count = Whole(0, 2**53)
_number = Real(-1e300, 1e300)
_scale = Real(2.0**-100, 2.0**100)
"""Within it, no product with a scale leaves a float32."""

CONFIG = Record({f.name: Text() if f.type == "str" else Whole(0, 1 << 16) for f in dataclasses.fields(Config)})

PLAN = Record(
    {
        "name": Text(),
        "config": CONFIG,
        "stride": Listed(_size, 2, 2),
        "padding": Listed(Whole(0, MAX_ELEMENTS), 4, 4),
        "dilation": Listed(_size, 2, 2),
        "groups": _size,
        "mode": Text(),
        "activation_skip": Flag(),
        "blocking": Text(),
        "phases": Whole(1, 64),
        "parts": Listed(
            Record(
                {"block0": Whole(0, MAX_ELEMENTS), "layout": Listed(Whole(0, 1 << 16), 4, 4)},
                {"slices": Listed(_size, 1)},
            ),
            1,
        ),
    }
)

_attribute = Whole(-MAX_ELEMENTS, MAX_ELEMENTS)
_places = Table(Whole(0, MAX_ARRAYS))

NODE = Record(
    {
        "op": Text(),
        "name": Text(),
        "label": Text(),
        "inputs": Listed(Text(), 1),
        "output": Text(),
        "attrs": Table(OneOf((_attribute, Listed(_attribute, 0, 64)))),
        "arrays": _places,
    },
    {"plan": PLAN, "plan_arrays": _places},
)

_LAYER = Record(
    {},
    {
        "rules": Table(_count),
        "sqnr_db": OneOf((Nothing(), _number)),
        "plain_cycles": _number,
        "predicted_cycles": _number,
    },
    Anything(),
)

INFO = Record(
    {"mode": Text(), "activation_skip": Flag()},
    {
        "source": Text(),
        "scale_rule": OneOf((Text(), Table(Text()))),
        "per": Text(),
        "percentile": _number,
        "clip": _number,
        "prune": _number,
        "activations": Text(),
        "calibration": _count,
        "equalised": OneOf((Flag(), _count)),
        "adaptive_rounding": Flag(),
        "budget": Text(),
        "budget_used": _number,
        "sqnr_db": _number,
        "plain_sqnr_db": _number,
        "layers": Table(_LAYER),
    },
    Anything(),
)
"""What reports and ``zeroskip info`` say of how the model was made."""

MANIFEST = Record(
    {
        "config": CONFIG,
        "input": Text(),
        "input_type": Text(),
        "output": Listed(Record({"name": Text(), "tensor": Text(), "dtype": Text(OUTPUT_TYPES)}), 1),
        "tensors": Table(
            Record(
                {
                    "shape": Listed(_size, 1, 16),
                    "scale": _scale,
                    "zero_point": Whole(-(2**15), 2**15),
                    "dtype": Text(tuple(RANGE)),
                }
            )
        ),
        "nodes": Listed(NODE),
        "info": INFO,
        "arrays": Listed(Row((Text(TYPES), Listed(Whole(0, 2**40), 0, 8))), 0, MAX_ARRAYS),
    }
)
