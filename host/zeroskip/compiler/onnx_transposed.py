"""ConvTranspose: one ordinary convolution for all its phases, whose outputs are interleaved.

With stride s, output pixel s * m + p sees only the taps p, p + s, p + 2s, ... of the kernel, and sees them as an
ordinary convolution at place m.  So the kernel is cut into s (in 2-D: rows times columns) phases, each a filter of
its own, and their maps are put side by side as depth-to-space does.  The sums are those of a convolution over the map
with zeros in between, without computing one of these zeros.
"""

from __future__ import annotations

import numpy as np

from .graph import Given
from .onnx_constants import MAX_COMPUTED, MAX_ELEMENTS
from .onnx_source import Source, dims, importer


@importer("ConvTranspose")
def conv_transpose(source: Source) -> None:
    shape, weight = source.shape(0), source.constant(1)
    rank = len(shape) - 1
    if rank not in (1, 2) or weight.ndim != 2 + rank or not weight.size:
        raise source.error(
            f"input ({dims(shape)}), weights {weight.shape}; accepted: (N, C, H, W) with (C, K/groups, R, S), "
            f"(N, C, L) with (C, K/groups, S)"
        )
    groups = source.integer("group", 1)
    if groups < 1 or len(weight) != shape[0] or shape[0] % groups:
        raise source.error(f"weights {weight.shape} in {groups} groups do not fit {shape[0]} input channels")
    kernel = source.ints("kernel_shape", weight.shape[2:], least=1)
    if tuple(kernel) != weight.shape[2:]:
        raise source.error(f"kernel_shape {tuple(kernel)}, but the weights are {weight.shape}")
    ones, one = (1,) * (2 - rank), (1,) * rank
    stride = (*ones, *source.ints("strides", one, least=1))
    dilation = (*ones, *source.ints("dilations", one, least=1))
    maps, taps = (shape[0], *ones, *shape[1:]), (*ones, *kernel)
    filters = weight.shape[1] * groups
    bounds = _bounds(source, maps[1:], taps, stride, dilation, rank)
    axes = [_Axis(*a) for a in zip(maps[1:], taps, stride, dilation, *bounds, strict=True)]
    phases = stride[0] * stride[1]
    grown = filters * phases * np.prod([axis.places for axis in axes], dtype=float)
    size = weight.shape[0] * weight.shape[1] * phases * axes[0].taps * axes[1].taps
    if grown > MAX_ELEMENTS or size > MAX_COMPUTED:
        raise source.error(
            f"a map of {grown:.3g} elements and {size:.3g} weights, cut into {phases} phases; accepted: up to "
            f"{MAX_ELEMENTS} and {MAX_COMPUTED}"
        )
    cut = lambda w: _phases(w.reshape(*weight.shape[:2], *taps), axes, groups)  # noqa: E731
    bias = source.vector(2, filters, np.zeros(filters)).repeat(phases)
    given = source.given(1, bias=2 if groups == 1 else None, filters=1)
    if given:
        repeated = [None if a is None else a.repeat(phases) for a in (given.bias, given.bias_scales)]
        given = Given(cut(np.moveaxis(given.weights, 0, 1)), np.tile(given.scales, groups).repeat(phases), *repeated)
    pads = (*(axis.padding[0] for axis in axes), *(axis.padding[1] for axis in axes))
    attrs = {"stride": (1, 1), "dilation": (1, 1), "padding": pads, "groups": groups}
    x = source.reshaped(0, maps)
    fields = {"weight": cut(weight), "bias": bias, "attrs": attrs, "given": given}
    y = source.step("conv", (filters * phases, *(axis.places for axis in axes)), (x,), **fields)
    if phases > 1:
        split = (filters, *stride, *(axis.places for axis in axes))
        y = source.transposed(source.reshaped(y, split), (0, 3, 1, 4, 2))
        y = source.reshaped(y, (filters, *(axis.places * axis.stride for axis in axes)))
    whole = source.importer.shapes[y]
    start, size = (0, *(axis.start for axis in axes)), (filters, *(axis.size for axis in axes))
    if size != whole:
        stop = tuple(a + n for a, n in zip(start, size, strict=True))
        y = source.step("slice", size, (y,), attrs={"start": start, "stop": stop, "step": (1, 1, 1)})
    source.finish(y, (filters, *size[3 - rank :]))


def _bounds(source: Source, maps, taps, stride, dilation, rank: int):
    """For each axis, where the output starts in the whole result, and its size."""
    ones = (0,) * (2 - rank)
    extra = (*ones, *source.ints("output_padding", (0,) * rank, least=0))
    whole = [(n - 1) * s + (k - 1) * d + 1 for n, k, s, d in zip(maps, taps, stride, dilation, strict=True)]
    auto = source.text("auto_pad", "NOTSET")
    pads = source.ints("pads", (0,) * 2 * rank, least=0)
    before, after = (*ones, *pads[:rank]), (*ones, *pads[rank:])
    sizes = None
    if source.has("output_shape"):
        sizes = source.ints("output_shape", None, least=1)
        if len(sizes) not in (rank, rank + 2):
            raise source.error(f"output_shape {list(sizes)}; accepted: {rank} sizes")
        sizes = (*(1 for _ in ones), *sizes[-rank:])
    elif auto in ("SAME_UPPER", "SAME_LOWER"):
        sizes = tuple(n * s for n, s in zip(maps, stride, strict=True))
    elif auto == "VALID":
        before = after = (0, 0)
    elif auto != "NOTSET":
        raise source.error(f"auto_pad = {auto!r}; accepted: NOTSET, VALID, SAME_UPPER, SAME_LOWER")
    if sizes is not None:
        total = [max(0, w + e - size) for w, e, size in zip(whole, extra, sizes, strict=True)]
        small, large = [t // 2 for t in total], [t - t // 2 for t in total]
        before, after = (small, large) if auto == "SAME_UPPER" else (large, small)
        extra = [size - w + t for size, w, t in zip(sizes, whole, total, strict=True)]
    size = [w + e - b - a for w, e, b, a in zip(whole, extra, before, after, strict=True)]
    limit = [max(s, d) for s, d in zip(stride, dilation, strict=True)]
    if min(size) < 1 or any(not 0 <= e < n for e, n in zip(extra, limit, strict=True)):
        raise source.error(
            f"a result of {whole[0]}x{whole[1]} with padding {[*before, *after]} taken off and {list(extra)} added; "
            f"accepted: at least one pixel, and less added than the stride or the dilation"
        )
    return before, size


class _Axis:
    """One axis of a transposed convolution, as a convolution of its phases.

    Args:
        length, taps, stride, dilation: of the input and the kernel.
        first, size: the part of the whole result that is the output.

    Attributes:
        taps: of each phase.
        padding: of the convolution.
        places: its outputs, for each phase.
        start: the output's first pixel among those of all phases.
        kernel: for each phase, int (taps,): the tap of the kernel that each of its taps is, -1 for none.
    """

    def __init__(self, length: int, taps: int, stride: int, dilation: int, first: int, size: int) -> None:
        reach = (taps - 1) * dilation + 1
        self.stride, self.size, self.taps = stride, size, -(-reach // stride)
        last = (first + size - 1) // stride  # the places of all phases that the output needs: first // stride to last
        before = max(self.taps - 1 - first // stride, 0)
        after = max(last - (length - 1), 0)
        self.padding = before, after
        self.places = length + before + after - self.taps + 1
        self.start = first - stride * (self.taps - 1 - before)
        tap = np.arange(stride)[:, None] + stride * np.arange(self.taps)[::-1]
        self.kernel = np.where((tap % dilation == 0) & (tap < reach), tap // dilation, -1)


def _phases(weight: np.ndarray, axes: list[_Axis], groups: int) -> np.ndarray:
    """Weights (C, K/groups, R, S) as those of the phases: (K * rows * columns, C/groups, taps, taps)."""
    c, k = weight.shape[:2]
    weight = np.pad(weight, [(0, 0), (0, 0), (0, 1), (0, 1)])  # tap -1 is none: 0
    rows, columns = (axis.kernel for axis in axes)
    cut = weight[:, :, rows[:, None, :, None], columns[None, :, None, :]]  # (C, K/groups, rows, columns, taps, taps)
    cut = cut.reshape(groups, c // groups, *cut.shape[1:]).transpose(0, 2, 3, 4, 1, 5, 6)
    return cut.reshape(groups * k * len(rows) * len(columns), c // groups, *cut.shape[-2:])
