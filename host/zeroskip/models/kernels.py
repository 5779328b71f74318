"""The HLS kernels in the cycle model: no second description, but their C++ (``hls/``), called once per clock cycle."""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from ..devices.glue_build import build_kernels
from ..errors import ToolError
from ..hardware.config import Config
from ..hardware.packets import KIND_RUN
from .packet_table import KIND, NX, NY, PARTS, WGS
from .scheduled import Executed

PACKETS_VALID, EXPANDED_READY, SUMS_VALID, RESULTS_READY = range(4)
PACKETS_READY, EXPANDED_VALID, SUMS_READY, RESULTS_VALID, RESULTS_LAST = range(4, 9)
"""``Handshakes`` of hls/native/model.cpp: what the model drives in a cycle, and what the kernels do; as in
rtl/sim/zeroskip_sim.v, packets come from the DMA and go to the engine expanded, sums come back and leave as results."""

_u64, _model, _words = ctypes.c_uint64, ctypes.c_void_p, ctypes.c_void_p
_PROTOTYPES = {
    "zs_open": (_model, [_words, _u64]),
    "zs_close": (None, [_model]),
    "zs_handshakes": (ctypes.POINTER(ctypes.c_int64), [_model]),
    "zs_expanded": (ctypes.POINTER(_u64), [_model, ctypes.POINTER(_u64)]),
    "zs_results": (ctypes.POINTER(_u64), [_model, ctypes.POINTER(_u64)]),
    "zs_sums": (None, [_model, _words]),
    "zs_clock": (None, [_model]),
}


class Ports(NamedTuple):
    """What the loop of the cycle model needs: int64 (9,) handshakes, the C function of a clock edge, its argument."""

    handshakes: np.ndarray
    clock: Any
    model: int


@functools.cache
def _load(path: Path) -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise ToolError(f"the kernels {path} do not load: {error}; remove the file and try again") from error
    for name, (result, arguments) in _PROTOTYPES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class Kernels:
    """The kernels of a build during one transfer; a context manager.

    Args:
        config: the build.
        words: uint64 (n,), the packets that the DMA sends.

    Raises:
        ToolError: a C++ compiler or hls4ml is missing, or the compiler fails.
    """

    def __init__(self, config: Config, words: np.ndarray) -> None:
        self._library = _load(build_kernels(config))
        self._config = config
        self._packets = np.ascontiguousarray(words)  # kept: the library reads it
        self._model = self._library.zs_open(self._packets.ctypes.data, len(words))

    def __enter__(self) -> Kernels:
        return self

    def __exit__(self, *_: object) -> None:
        self._library.zs_close(self._model)

    def _read(self, function) -> np.ndarray:
        count = _u64()
        words = function(self._model, ctypes.byref(count))
        return np.ctypeslib.as_array(words, (count.value,)).copy() if count.value else np.zeros(0, np.uint64)

    def expanded(self) -> np.ndarray:
        """uint64 (m,), all that act_expand makes of the packets: the engine's input stream."""
        return self._read(self._library.zs_expanded)

    def connect(self, beats: np.ndarray) -> Ports:
        """The ports, in the cycle before the first; ``beats``: what the engine will send, as of :func:`sum_beats`."""
        self._sums = beats  # kept: the library reads it
        self._library.zs_sums(self._model, beats.ctypes.data)
        handshakes = np.ctypeslib.as_array(self._library.zs_handshakes(self._model), (RESULTS_LAST + 1,))
        return Ports(handshakes, self._library.zs_clock, self._model)

    def results(self) -> np.ndarray:
        """uint64 (k,), what act_finish has sent so far."""
        return self._read(self._library.zs_results)


def sum_beats(config: Config, executed: Executed) -> np.ndarray:
    """uint64 (beats, glue_sums / 2), the engine's sums as it sends them with glue.

    A pixel, or a lane of one whose lanes are apart, begins on a beat of its own.  What fills a beat is zero here.
    """
    runs = executed.packets[executed.packets[:, KIND] == KIND_RUN]
    rows, sums = runs[:, NX] * runs[:, NY] * runs[:, PARTS], runs[:, WGS] * config.filters
    beats = np.zeros((int(rows @ -(-sums // config.glue_sums)), config.glue_sums // 2), np.uint64)
    _regroup(rows, (sums + 1) // 2, executed.out, beats)
    return beats


@njit(cache=True)
def _regroup(rows, words, out, beats):
    at, beat = 0, 0
    for run in range(len(rows)):
        for _ in range(rows[run]):
            for word in range(words[run]):
                beats[beat + word // beats.shape[1], word % beats.shape[1]] = out[at + word]
            at += words[run]
            beat += (words[run] + beats.shape[1] - 1) // beats.shape[1]
