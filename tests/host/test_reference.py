"""The golden model and the host operators against the plainest possible code: loops over Python integers."""

from fractions import Fraction

import numpy as np
import pytest

from zeroskip.errors import InputError
from zeroskip.models.reference import conv2d
from zeroskip.runtime import hostops
from zeroskip.runtime.hostops import Quant, fixed_point, requantise


def naive_conv2d(x, w, stride, padding, dilation, groups):
    """Sums of products of Python integers, straight from the definition."""
    n, _, height, width = x.shape
    k, per_group, rows, columns = w.shape
    oh = (height + padding[0] + padding[2] - (rows - 1) * dilation[0] - 1) // stride[0] + 1
    ow = (width + padding[1] + padding[3] - (columns - 1) * dilation[1] - 1) // stride[1] + 1
    out = np.zeros((n, k, oh, ow), object)
    for i, f, y, v in np.ndindex(out.shape):
        for ch, r, s in np.ndindex(w.shape[1:]):
            row = y * stride[0] + r * dilation[0] - padding[0]
            column = v * stride[1] + s * dilation[1] - padding[1]
            if 0 <= row < height and 0 <= column < width:
                channel = f // (k // groups) * per_group + ch
                out[i, f, y, v] += int(x[i, channel, row, column]) * int(w[f, ch, r, s])
    return out


CASES = [
    # channels, filters, groups, kernel, stride, padding, dilation, map
    (3, 4, 1, (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), (6, 7)),
    (4, 6, 2, (3, 2), (2, 1), (0, 1, 2, 0), (1, 2), (7, 5)),
    (5, 5, 5, (3, 3), (2, 2), (1, 1, 1, 1), (1, 1), (9, 8)),
    (8, 3, 1, (1, 1), (3, 2), (0, 0, 0, 0), (1, 1), (5, 5)),
    (1, 1, 1, (1, 1), (1, 1), (0, 0, 0, 0), (1, 1), (1, 1)),
    (2, 2, 1, (2, 5), (1, 3), (3, 0, 0, 4), (2, 1), (3, 4)),
]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("reach", [255, 32767])
def test_conv2d_equals_loops(case, reach):
    c, k, groups, kernel, stride, padding, dilation, size = case
    rng = np.random.default_rng(len(str(case)) + reach)
    x = rng.integers(-reach, reach + 1, (2, c, *size)).astype(np.int16)
    w = rng.integers(-128, 128, (k, c // groups, *kernel)).astype(np.int8)
    sums = conv2d(x, w, stride, padding, dilation, groups)
    assert sums.dtype == np.int32
    assert (sums == naive_conv2d(x, w, stride, padding, dilation, groups)).all()


@pytest.mark.parametrize("extreme", [(2**15 - 1, 127), (255, 127), (-(2**15), -128)])
def test_conv2d_is_exact_at_its_largest_sums(extreme):
    """Every sum at the bound, in chunks: float32 or float64 must not round."""
    value, weight = extreme
    channels = min(2**31 // (abs(value) * abs(weight)) - 1, 2048)
    x = np.full((1, channels, 1, 3), value, np.int16)
    x[0, 0, 0, 1] -= np.sign(value)
    sums = conv2d(x, np.full((1, channels, 1, 1), weight, np.int8))
    whole = channels * value * weight
    assert sums.ravel().tolist() == [whole, whole - np.sign(value) * weight, whole]


def test_conv2d_in_chunks_equals_one_image_at_a_time(monkeypatch):
    rng = np.random.default_rng(3)
    x = rng.integers(-255, 256, (5, 6, 11, 9)).astype(np.int16)
    w = rng.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8)
    whole = conv2d(x, w, (2, 1), (1, 0, 2, 1), (1, 2), 2)
    for buffer in (1, 2000, 6 * 9 * 7 * 2):
        monkeypatch.setattr("zeroskip.models.reference.BUFFER", buffer)
        assert (conv2d(x, w, (2, 1), (1, 0, 2, 1), (1, 2), 2) == whole).all()


@pytest.mark.parametrize(
    ("x", "w", "options", "message"),
    [
        (np.zeros((1, 1, 3, 3)), np.zeros((1, 1, 1, 1), np.int8), {}, "float64"),
        (np.zeros((1, 1, 3, 3), np.int16), np.zeros((1, 1, 1, 1), np.int32), {}, "int32 weights"),
        (np.zeros((1, 3, 3), np.int16), np.zeros((1, 1, 1, 1), np.int8), {}, r"\(1, 3, 3\)"),
        (np.zeros((1, 4, 3, 3), np.int16), np.zeros((3, 2, 1, 1), np.int8), {"groups": 2}, "2 groups"),
        (np.zeros((1, 1, 3, 3), np.int16), np.zeros((1, 1, 4, 1), np.int8), {}, "4x1 window"),
        (np.full((1, 600, 1, 1), 32767, np.int16), np.full((1, 600, 1, 1), 127, np.int8), {}, "32 bits"),
    ],
)
def test_conv2d_refuses(x, w, options, message):
    with pytest.raises(InputError, match=message):
        conv2d(x, w, **options)


# -- numbers -----------------------------------------------------------------------------------------
def literal_requantise(total, multiplier, shift, quant, low, high):
    """docs/numerics.md word for word, in exact fractions; Python rounds half to even."""
    return min(max(round(Fraction(total * multiplier, 2**shift)) + quant.zero_point, low), high)


def test_requantise_equals_exact_fractions():
    rng = np.random.default_rng(4)
    quant = Quant(1.0, 10, "uint8")
    sums = np.concatenate([rng.integers(-(2**31) + 1, 2**31, 300), rng.integers(-2000, 2000, 700), [2**31 - 1, 0]])
    multiplier = rng.integers(0, 2**31, len(sums))
    shift = rng.integers(1, 63, len(sums))
    multiplier[-2], shift[-2] = 2**31 - 1, 62
    got = requantise(sums, multiplier, shift, quant, 3, 250)
    want = [literal_requantise(*map(int, row), quant, 3, 250) for row in zip(sums, multiplier, shift, strict=True)]
    assert got.dtype == np.uint8
    assert got.tolist() == want


def test_requantise_rounds_ties_to_even():
    quant = Quant(1.0, 0, "int16")
    sums = np.arange(-9, 10)
    assert requantise(sums, 1, 1, quant).tolist() == [-4, -4, -4, -3, -2, -2, -2, -1, 0, 0, 0, 1, 2, 2, 2, 3, 4, 4, 4]
    assert requantise(sums, 2**30, 31, quant).tolist() == requantise(sums, 1, 1, quant).tolist()


def test_fixed_point_is_within_half_a_unit():
    rng = np.random.default_rng(5)
    for factor in [*np.exp(rng.uniform(-60, 20, 500)), 1.0, 0.5, 2.0**-62, 2.0**29, 1 - 2.0**-40, 1e-300]:
        multiplier, shift = fixed_point(float(factor))
        assert 0 <= multiplier < 2**31 and 1 <= shift <= 62
        assert abs(Fraction(multiplier, 2**shift) - Fraction(float(factor))) <= Fraction(1, 2 ** (shift + 1))
        if factor >= 2.0**-32:
            assert multiplier >= 2**30


@pytest.mark.parametrize("factor", [0.0, -1.0, 2.0**30, float("inf"), float("nan")])
def test_fixed_point_refuses(factor):
    with pytest.raises(ValueError, match="accepted"):
        fixed_point(factor)


def test_the_worked_example_of_numerics_md():
    """docs/numerics.md, 'Worked example'."""
    x, y = Quant(0.02, 128, "uint8"), Quant(0.05, 3, "uint8")
    q = x.quantise(np.array([0.5, -0.25, 1.31, 0.0]))
    assert q.tolist() == [153, 116, 194, 128]  # 25, -12.5 to even, 65.5 to even
    signed = (q.astype(np.int16) - x.zero_point).reshape(1, 4, 1, 1)
    w = np.array([7, -3, 90, 1], np.int8).reshape(1, 4, 1, 1)
    sums = conv2d(signed, w)
    assert sums.item() == 25 * 7 + 12 * 3 + 66 * 90 == 6151
    multiplier, shift = fixed_point(0.02 * 0.001 / 0.05)
    assert (multiplier, shift) == (1759218604, 42)
    total = sums.item() + 100
    assert total * multiplier / 2**shift == pytest.approx(2.5004)
    out = requantise(np.array([total]), multiplier, shift, y)
    assert out.tolist() == [6]
    assert y.dequantise(out).tolist() == [pytest.approx(0.15)]


def test_quantise_keeps_zero_and_saturates():
    for quant in (Quant(0.1, 7, "uint8"), Quant(0.3, -5, "int8"), Quant(1e-4, 0, "int16")):
        q = quant.quantise(np.array([0.0, 1e9, -1e9, quant.scale * 2.5, quant.scale * 3.5]))
        assert q.dtype == quant.dtype
        assert (q - np.int64(quant.zero_point)).tolist()[::3] == [0, 2]
        assert q[1:3].tolist() == [quant.high, quant.low]
        assert q[4] - np.int64(quant.zero_point) == 4
        assert (quant.quantise(quant.dequantise(q).astype(np.float64)) == q).all()


@pytest.mark.parametrize(
    "fields", [(0.0,), (-1.0,), (float("nan"),), (1.0, 256), (1.0, 0, "int32"), (1.0, -129, "int8")]
)
def test_quant_refuses(fields):
    with pytest.raises(InputError, match="accepted"):
        Quant(*fields)


def test_add_rounds_once():
    a_quant, b_quant, quant = Quant(0.5, 2), Quant(0.125, 9), Quant(0.25, 100)
    a, b = np.array([2, 3, 250, 0], np.uint8), np.array([9, 10, 0, 8], np.uint8)
    multipliers, shift = (2**30, 2**28), 29  # 2 and 1/2
    want = [round(Fraction(2 * (int(p) - 2)) + Fraction(int(q) - 9, 2)) + 100 for p, q in zip(a, b, strict=True)]
    got = hostops.add(a, b, a_quant, b_quant, multipliers, shift, quant)
    assert got.tolist() == [min(v, 255) for v in want]
    assert hostops.add(a, b, a_quant, b_quant, multipliers, shift, quant, 99, 101).tolist() == [100, 101, 101, 99]


POOLS = [
    ((2, 2), (2, 2), (0, 0, 0, 0), (1, 1)),
    ((3, 2), (1, 3), (1, 0, 2, 1), (1, 1)),
    ((2, 3), (2, 1), (0, 1, 0, 1), (3, 2)),
]


@pytest.mark.parametrize("window", POOLS)
@pytest.mark.parametrize("dtype", ["uint8", "int16"])
def test_pools_equal_loops(window, dtype):
    kernel, stride, padding, dilation = window
    rng = np.random.default_rng(6)
    quant = Quant(0.5, 20 if dtype == "uint8" else 0, dtype)
    x = rng.integers(quant.low, quant.high + 1, (2, 3, 9, 8)).astype(dtype)
    largest = hostops.max_pool(x, *window)
    multiplier, shift = fixed_point(1 / 6)
    mean = hostops.average_pool(x, quant, *window, multiplier, shift, quant)
    assert largest.dtype == mean.dtype == dtype
    for n, c, i, j in np.ndindex(largest.shape):
        taps = [
            int(x[n, c, row, column])
            for r, s in np.ndindex(kernel)
            if 0 <= (row := i * stride[0] + r * dilation[0] - padding[0]) < 9
            and 0 <= (column := j * stride[1] + s * dilation[1] - padding[1]) < 8
        ]
        assert largest[n, c, i, j] == max(taps)
        total = sum(tap - quant.zero_point for tap in taps)
        assert mean[n, c, i, j] == literal_requantise(total, multiplier, shift, quant, quant.low, quant.high)


def test_fixed_points_are_fixed_point_of_each():
    factors = np.exp(np.random.default_rng(7).uniform(-60, 20, (3, 5)))
    multiplier, shift = hostops.fixed_points(factors)
    assert multiplier.shape == shift.shape == (3, 5)
    assert [*zip(multiplier.ravel(), shift.ravel(), strict=True)] == [fixed_point(f) for f in factors.ravel()]


def test_subtract_with_a_negative_multiplier():
    quant = Quant(1.0, 50)
    got = hostops.add(np.array([10, 3], np.uint8), np.array([4, 9], np.uint8), quant, quant, (2, -1), 1, quant)
    assert got.tolist() == [round(Fraction(2 * (10 - 50) - (4 - 50), 2)) + 50, round(Fraction(2 * -47 + 41, 2)) + 50]


@pytest.mark.parametrize("dtype", ["uint8", "int16"])
def test_mul_equals_loops(dtype):
    rng = np.random.default_rng(8)
    a_quant, b_quant, quant = (Quant(0.1, z if dtype == "uint8" else 0, dtype) for z in (7, 200, 99))
    a = rng.integers(quant.low, quant.high + 1, (2, 3, 4, 5)).astype(dtype)
    b = rng.integers(quant.low, quant.high + 1, (2, 3, 1, 1)).astype(dtype)
    multiplier, shift = fixed_point(0.1 * 0.1 / 0.1 / (10 if dtype == "uint8" else 10000))
    got = hostops.mul(a, b, a_quant, b_quant, multiplier, shift, quant, quant.low + 1, quant.high - 1)
    for place in np.ndindex(got.shape):
        product = (int(a[place]) - a_quant.zero_point) * (int(b[(*place[:2], 0, 0)]) - b_quant.zero_point)
        want = literal_requantise(product, multiplier, shift, quant, quant.low + 1, quant.high - 1)
        assert got[place] == want
    assert len(np.unique(got)) > 20


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16"])
@pytest.mark.parametrize("rows", [1, 3])
def test_lookup_equals_loops(dtype, rows):
    rng = np.random.default_rng(9)
    quant = Quant(1.0, 0, dtype)
    x = rng.integers(quant.low, quant.high + 1, (2, 3, 4)).astype(dtype)
    x.flat[:2] = quant.low, quant.high
    table = rng.integers(-99, 99, (rows, quant.high - quant.low + 1)).astype(np.int8)
    got = hostops.lookup(x, table, quant)
    assert got.dtype == np.int8
    for n, c, i in np.ndindex(x.shape):
        assert got[n, c, i] == table[c % rows, int(x[n, c, i]) - quant.low]


def test_concat_requantises_what_differs():
    quants, quant = [Quant(0.5, 3), Quant(0.25, 128), Quant(0.5, 3)], Quant(0.5, 3)
    parts = [np.arange(6, dtype=np.uint8).reshape(1, 2, 3) + 60 * i for i in (0, 1, 2)]
    got = hostops.concat(parts, quants, [2**30] * 3, [30, 31, 30], quant, 1)
    middle = [[min(max(round(Fraction(int(q) - 128, 2)) + 3, 0), 255) for q in row] for row in parts[1][0]]
    assert got.tolist() == [[*parts[0][0].tolist(), *middle, *parts[2][0].tolist()]]


def test_pad_is_real_zero():
    got = hostops.pad(np.full((1, 1, 2), 9, np.uint8), (1, 0, 0, 2), Quant(1.0, 77))
    assert got.tolist() == [[[77] * 4, [9, 9, 77, 77]]]


@pytest.mark.parametrize("dtype", ["uint8", "int16"])
def test_resize_equals_loops(dtype):
    rng = np.random.default_rng(10)
    quant = Quant(1.0, 31 if dtype == "uint8" else 0, dtype)
    x = rng.integers(quant.low, quant.high + 1, (2, 2, 3, 4)).astype(dtype)
    rows, columns = (
        np.stack([rng.integers(0, n, m), rng.integers(0, n, m), rng.integers(0, 2049, m)]).astype(np.int32)
        for n, m in ((3, 5), (4, 7))
    )
    columns[2, 0] = rows[2, 0] = 1024  # halves: ties
    got = hostops.resize(x, rows, columns, quant)
    for n, c, i, j in np.ndindex(got.shape):
        total = 0
        for row, row_weight in ((rows[0, i], 2048 - rows[2, i]), (rows[1, i], rows[2, i])):
            for column, weight in ((columns[0, j], 2048 - columns[2, j]), (columns[1, j], columns[2, j])):
                total += (int(x[n, c, row, column]) - quant.zero_point) * int(row_weight) * int(weight)
        assert got[n, c, i, j] == literal_requantise(total, 1, 22, quant, quant.low, quant.high)
    rows[2], columns[2] = 0, 0
    assert (hostops.resize(x, rows, columns, quant) == x[:, :, rows[0]][..., columns[0]]).all()


def test_integer_softmax_equals_fractions():
    rng = np.random.default_rng(11)
    quant = Quant(1 / 255)
    table = np.rint(hostops.SOFTMAX_ONE * np.exp(-0.05 * np.arange(256))).astype(np.int32)
    x = rng.integers(0, 256, (3, 2, 9)).astype(np.uint8)
    x[0, 0] = 200, 200, *[0] * 7  # two halves: a tie between 127 and 128
    levels = round(hostops.SOFTMAX_LEVELS / quant.scale)
    got = hostops.integer_softmax(x, table, levels, quant, 2)
    for n, c in np.ndindex(3, 2):
        e = [int(table[int(x[n, c].max()) - int(q)]) for q in x[n, c]]
        want = [min(round(Fraction(v * levels, hostops.SOFTMAX_LEVELS * sum(e))), 255) for v in e]
        assert got[n, c].tolist() == want
    real = np.exp(0.05 * x.astype(float))
    assert np.abs(got / 255 - real / real.sum(axis=2, keepdims=True)).max() <= 0.5 / 255 + 1e-5
