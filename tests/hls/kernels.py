"""The kernels' C simulation, compiled, and what they must do: plain Python and the golden model's operators."""

from __future__ import annotations

import ctypes
import functools
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from zeroskip.devices.sim_tools import find_compiler, glue_includes
from zeroskip.hardware import crc, generate
from zeroskip.hardware.config import Config
from zeroskip.hardware.packets import (
    ACT_HEADER,
    FINISH_FILTER_0,
    FINISH_FILTER_1,
    FINISH_HEADER,
    GROUP,
    KIND_ACT,
    KIND_ACTZ,
    KIND_FINISH,
    KIND_RUN,
    RUN_HEADER_0,
    RUN_HEADER_1,
    decode,
    encode,
)
from zeroskip.runtime import hostops

HLS = generate.ROOT / "hls"
_FOLDER = tempfile.TemporaryDirectory(prefix="zeroskip-csim-")
_U64 = ctypes.POINTER(ctypes.c_uint64)


def compile_kernels(config: Config, *options: str) -> subprocess.CompletedProcess:
    """g++ on both kernels and the test's own C++, with every warning, for one configuration."""
    build = Path(_FOLDER.name) / f"{config.name}.h"
    build.write_text(f"namespace zs {{\n{generate.hls_build(config, 'csim_build')}\n}}\n")
    sources = [HLS / "act_expand.cpp", HLS / "act_finish.cpp", Path(__file__).with_name("csim.cpp")]
    command = [find_compiler()[0], "-std=c++17", "-O0", "-fPIC", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas"]
    # ap_int's own constructors read what they have not written.
    command += ["-Wno-uninitialized", "-Wno-maybe-uninitialized", "-DZS_BUILD=csim_build", "-include", build]
    command += [f"-I{HLS}", *(word for folder in glue_includes() for word in ("-isystem", folder))]
    return subprocess.run([*command, *options, *sources], capture_output=True, text=True, check=False)


@functools.cache
def library(config: Config) -> ctypes.CDLL:
    output = Path(_FOLDER.name) / f"{config.name}.so"
    done = compile_kernels(config, "-shared", "-o", str(output))
    assert done.returncode == 0, done.stderr[:4000]
    loaded = ctypes.CDLL(str(output))
    loaded.csim_expand.restype = loaded.csim_finish.restype = ctypes.c_uint64
    return loaded


def _pointer(array: np.ndarray):
    return array.ctypes.data_as(_U64)


def expand(config: Config, words, stall: int = 0, seed: int = 1) -> tuple[np.ndarray, np.ndarray, int]:
    """Beats to the engine, beats to act_finish, and turns of the kernel's loop (some 200 of them idle)."""
    words = np.array(words, np.uint64)
    engine, runs = np.zeros(len(words) * 64 + 64, np.uint64), np.zeros(len(words) + 1, np.uint64)
    count, turns = ctypes.c_uint64(), ctypes.c_uint64()
    sent = library(config).csim_expand(
        _pointer(words), ctypes.c_uint64(len(words)), stall, seed, _pointer(engine), _pointer(runs),
        ctypes.byref(count), ctypes.byref(turns),
    )  # fmt: skip
    return engine[:sent], runs[: count.value], turns.value


def finish(config: Config, runs, sums, stall: int = 0, seed: int = 1) -> tuple[np.ndarray, list[int], int]:
    """Words of results, where TLAST was, and turns of the kernel's loop until the last word."""
    runs, sums = np.array(runs, np.uint64), np.array(sums, np.uint64)
    out, last = np.zeros(len(sums) * 2 + 64, np.uint64), np.zeros(len(sums) * 2 + 64, np.uint8)
    turns = ctypes.c_uint64()
    sent = library(config).csim_finish(
        _pointer(runs), ctypes.c_uint64(len(runs)), _pointer(sums), ctypes.c_uint64(len(sums)), stall, seed,
        _pointer(out), last.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8)), ctypes.byref(turns),
    )  # fmt: skip
    return out[:sent], np.flatnonzero(last[:sent]).tolist(), turns.value


# -- packets -----------------------------------------------------------------------------------------
def act(config: Config, values: np.ndarray, zero_point: int, wgs: int) -> list[int]:
    """An ACT packet of columns that are given as their beats' values: uint8 or int16 (count * wgs * values)."""
    wide = int(values.dtype == np.int16)
    count = values.view(np.uint64).size // wgs // config.column_beats(wide)
    fields = {"format": wide, "wgs": wgs, "address": 7, "count": count, "zero_point": zero_point}
    header = encode(ACT_HEADER, kind=KIND_ACT, page=0, **fields)
    return crc.sealed([header, *values.view(np.uint64).tolist()])


def actz(config: Config, values: np.ndarray, zero_point: int, wgs: int) -> list[int]:
    """The same without its zeros, value by value as docs/streams.md says."""
    words = [act(config, values, zero_point, wgs)[0] - KIND_ACT + KIND_ACTZ]
    zero = 0 if values.dtype == np.int16 else zero_point
    for start in range(0, len(values), GROUP):
        words += group(values[start : start + GROUP], zero)
    return words


def group(values: np.ndarray, zero: int) -> list[int]:
    bits, sent = 0, bytearray()
    for index, value in enumerate(values):
        if value != zero:
            bits |= 1 << index
            sent += value.tobytes()
    sent += bytes(-len(sent) % 8)
    return [bits, *np.frombuffer(bytes(sent), np.uint64).tolist()]


def run(
    config: Config, rng, steps: int, wgs: int, ny: int, nx: int, last: bool = True, near: bool = False, apart=False
) -> list[int]:
    """A RUN packet whose steps are random bits: the glue does not look at them."""
    head = [
        encode(
            RUN_HEADER_0, kind=KIND_RUN, page=0, skip=1, last=int(last), near=int(near), wgs=wgs, steps=steps, base=3,
            apart=int(apart),
        ),
        encode(RUN_HEADER_1, nx=nx, ny=ny, dx=1, dy=5),
    ]  # fmt: skip
    beats = config.near_beats if near and config.engine == "gather" else config.step_beats
    return crc.sealed(head + rng.integers(0, 2**64, steps * beats, np.uint64).tolist())


class Finish:
    """Parameters of a run's filters; ``apply`` is the golden model of act_finish for one run."""

    def __init__(self, rng, config: Config, quant: hostops.Quant, compress: bool, apart: bool = False, **given):
        m = config.lanes if apart else config.filters
        self.quant, self.compress, self.apart = quant, compress, apart
        self.bias = given.get("bias", rng.integers(-(2**29), 2**29, m))
        self.multiplier = given.get("multiplier", rng.integers(2**30, 2**31, m))
        self.shift = given.get("shift", rng.integers(32, 60, m))
        self.low, self.high = given.get("low", quant.low), given.get("high", quant.high)

    def packet(self) -> list[int]:
        wide = int(self.quant.dtype == "int16")
        words = [
            encode(
                FINISH_HEADER, kind=KIND_FINISH, wide=wide, compress=int(self.compress),
                filters=len(self.bias), zero_point=self.quant.zero_point & 0xFFFF, low=self.low & 0xFFFF,
            )
        ]  # fmt: skip
        for bias, multiplier, shift in zip(self.bias, self.multiplier, self.shift, strict=True):
            words.append(encode(FINISH_FILTER_0, bias=int(bias) & 0xFFFF_FFFF, multiplier=multiplier))
            words.append(encode(FINISH_FILTER_1, shift=shift, high=self.high & 0xFFFF))
        return crc.sealed(words)

    def results(self, sums: np.ndarray) -> np.ndarray:
        """int32 (pixels, wgs, M), apart (pixels, LANES, wgs), to q of that shape, by the golden model's operator."""
        filters = [
            np.asarray(values)[:, None] if self.apart else np.asarray(values)
            for values in (self.bias, self.multiplier, self.shift)
        ]
        return hostops.requantise(sums.astype(np.int64) + filters[0], *filters[1:], self.quant, self.low, self.high)

    def apply(self, sums: np.ndarray) -> list[int]:
        """The words that leave."""
        values = self.results(sums).ravel()
        if self.compress:
            pieces = [group(values[at : at + GROUP], self.quant.zero_point) for at in range(0, len(values), GROUP)]
            return [word for piece in pieces for word in piece]
        data = values.tobytes()
        return np.frombuffer(data + bytes(-len(data) % 8), np.uint64).tolist()


def beats_of(sums: np.ndarray, width: int, apart: bool = False) -> list[int]:
    """Sums as :meth:`Finish.results` takes them, as the engine sends them: ``width`` to a beat.

    What fills up a beat is zero where two sums make one, and any bits else.
    """
    rows = sums.reshape(-1, sums.shape[2]) if apart else sums.reshape(len(sums), -1)
    padding = -rows.shape[1] % width
    filled = np.pad(rows, ((0, 0), (0, padding)), constant_values=0 if width == 2 else -0x0123_4567)
    return np.ascontiguousarray(filled).view(np.uint64).ravel().tolist()


def headers_of(packet: list[int]) -> list[int]:
    """What act_expand tells act_finish about a RUN."""
    assert decode(RUN_HEADER_0, packet[0])["kind"] == KIND_RUN
    return packet[:2]
