"""Activations without their zeros, as the glue takes and gives them: docs/streams.md, "Zero groups".

A group is 64 activations: one beat of zero bits (bit i: activation i is not zero), then the others,
packed into as few beats as hold them.  NumPy only, no loop over packets or groups.
"""

from __future__ import annotations

import numpy as np

from ..errors import DeviceError
from ..hardware.config import Config
from ..hardware.packets import ACT_HEADER, FORMAT_S16, GROUP, KIND_GLUE
from .indices import bincount, repeat

_FIELD = {field.name: field for field in ACT_HEADER}


def groups_of(values: np.ndarray, zero: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Zero bits and packed values of groups.

    Args:
        values: uint8, int8 or int16 (G, 64).
        zero: the value that is not sent.

    Returns:
        zero bits uint64 (G,), packed values uint64 (G, beats of 64 values), and how many of these beats are
        sent, int64 (G,).
    """
    sent = values != zero
    bits = np.packbits(sent, axis=1, bitorder="little").view("<u8")[:, 0]
    counts = sent.sum(axis=1)
    packed = np.zeros(values.shape, values.dtype)
    packed[np.arange(GROUP) < counts[:, None]] = values[sent]
    return bits, packed.view("<u8"), -(-counts * values.itemsize // 8)


def compress(config: Config, words: np.ndarray, headers: np.ndarray) -> np.ndarray:
    """A packet stream with its ACT packets zero-compressed; their checksums stay.

    Args:
        config: the build.
        words: uint64 (n,), a stream whose ACT packets all have the same format and zero point.
        headers: integers (a,), where the ACT headers stand, ascending, at least one.

    Returns:
        uint64 (m,), a stream that act_expand turns back into ``words``.
    """
    head = words[headers]
    act_format, zero = int(_get(head[0], "format")), int(_get(head[0], "zero_point"))
    wide = act_format == FORMAT_S16
    body = (_get(head, "count") * _get(head, "wgs")).astype(np.int64) * config.column_beats(act_format)
    beats = 16 if wide else 8  # of a group
    groups = -(-body // beats)

    # Every beat of every packet to its place in its group; what a packet's last group lacks counts as zero.
    packet = repeat(np.arange(len(body)), body)
    within = np.arange(body.sum()) - (np.cumsum(body) - body)[packet]
    source = headers[packet] + 1 + within
    group = (np.cumsum(groups) - groups)[packet] + within // beats
    dense = np.full((int(groups.sum()), GROUP), 0 if wide else zero, np.int16 if wide else np.uint8)
    dense.view("<u8")[group, within % beats] = words[source]
    bits, packed, sent = groups_of(dense, 0 if wide else zero)

    # Where everything goes.
    packet = repeat(np.arange(len(body)), groups)
    length = np.ones(len(words), np.int64)
    length[source] = 0
    length[headers] += bincount(packet, 1 + sent, len(body)).astype(np.int64)
    start = np.cumsum(length) - length
    before = np.cumsum(1 + sent) - (1 + sent)
    first = np.searchsorted(packet, np.arange(len(body)))  # group of each packet
    at = start[headers][packet] + 1 + before - before[first][packet]
    out = np.zeros(int(length.sum()), np.uint64)
    kept = length > 0
    out[start[kept]] = words[kept]
    out[start[headers]] |= np.uint64(KIND_GLUE << _FIELD["kind"].low)
    out[at] = bits
    column = np.arange(packed.shape[1])
    present = column < sent[:, None]
    out[(at[:, None] + 1 + column)[present]] = packed[present]
    return out


def most_beats(values: int, itemsize: int) -> int:
    """Beats of so many compressed values when none is zero."""
    return -(-values // GROUP) + -(-values * itemsize // 8)


def decompress(words: np.ndarray, groups: int, dtype: np.dtype, zero: int) -> np.ndarray:
    """Undo the compression of results.

    Args:
        words: uint64 (n,), exactly ``groups`` groups.
        dtype: uint8, int8 or int16.
        zero: the value that was not sent.

    Returns:
        ``dtype`` (groups, 64).

    Raises:
        DeviceError: the words are not that many groups.
    """
    dtype = np.dtype(dtype)
    counts = np.unpackbits(words.view(np.uint8)).reshape(-1, GROUP).sum(axis=1, dtype=np.int64)
    # If a beat is zero bits, the next group begins at `after`.  Which beats are: those reached from the first,
    # found by doubling the distance looked ahead.
    end = len(words)
    after = np.minimum(np.arange(end) + 1 + -(-counts * dtype.itemsize // 8), end)
    after = np.append(after, end)
    starts = np.zeros(1, np.int64)
    while len(starts) <= groups:
        starts = np.concatenate([starts, after[starts]])
        after = after[after]
    if starts[groups] != end or (groups and starts[groups - 1] == end):
        raise DeviceError(f"compressed results of {end} beats are not {groups} groups of {GROUP} values")
    starts = starts[:groups]
    sent = np.unpackbits(words[starts].view(np.uint8), bitorder="little").reshape(-1, GROUP).astype(bool)
    values = np.full((groups, GROUP), zero, dtype)
    of_beat = 8 // dtype.itemsize
    within = np.cumsum(sent, axis=1) - 1
    index = (starts[:, None] + 1) * of_beat + within
    values[sent] = words.view(dtype)[index[sent]]
    return values


def _get(words, name: str):
    field = _FIELD[name]
    return words >> np.uint64(field.low) & np.uint64((1 << field.width) - 1)
