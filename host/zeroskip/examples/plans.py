"""Compiled layers kept in files, for a notebook that also runs where no compiler is: on the board."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import numpy as np

from ..extras import need
from ..files import write_atomic
from ..hardware.config import Config
from ..runtime.plan_arrays import from_arrays, to_arrays
from ..runtime.program import ConvPlan


def compiled(folder: str | Path, config: Config, w: np.ndarray, **options) -> ConvPlan:
    """A compiled convolution from ``folder``; compiled and put there the first time.

    Run a notebook on a workstation, copy the folder to the board, and the notebook runs there.

    Args:
        folder: is made if it is missing.
        config: of the device it will run on.
        w: int8 (K, C/groups, R, S).
        options: of ``compile_conv``: padding, stride, mode, activation_skip, ...

    Raises:
        InputError: weights or options the hardware cannot do, or the folder cannot be written.
        ToolError: it is not in the folder and the compiler is not installed.
    """
    w = np.ascontiguousarray(w)
    key = f"{config.hash:08x} {w.dtype} {w.shape} {sorted(options.items())}".encode() + w.tobytes()
    path = Path(folder) / f"{hashlib.sha256(key).hexdigest()[:16]}.npz"
    if path.is_file():
        with np.load(path, allow_pickle=False) as stored:
            arrays = dict(stored)
        return from_arrays(json.loads(str(arrays.pop("meta"))), arrays)
    need("compile", f"compiling a layer that is not in {folder} (run this once on a workstation, copy the folder)")
    from ..compiler.conv import compile_conv

    plan = compile_conv(config, w, **options)
    meta, arrays = to_arrays(plan)
    file = io.BytesIO()
    np.savez_compressed(file, meta=np.array(json.dumps(meta)), **arrays)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, file.getvalue())
    return plan
