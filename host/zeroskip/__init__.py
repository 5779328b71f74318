"""zeroskip: run a trained CNN on an FPGA without spending a cycle on a zero.

``import zeroskip`` needs NumPy only; each function imports what it needs when it is called.
"""

from __future__ import annotations

from .hardware.config import Config

__version__ = "0.1.0"
__all__ = ["Config", "__version__", "compile", "conv2d", "load", "open_device"]


def open_device(kind, config="tiny", **options):
    """Open a device: "sim" (Verilated RTL), "model" (fast cycle model), "board" (PYNQ-Z2) or "auto".

    See :func:`zeroskip.devices.open_device`.
    """
    from .devices import open_device

    return open_device(kind, config, **options)


def conv2d(
    dev,
    x,
    w,
    stride=(1, 1),
    padding=(0, 0, 0, 0),
    dilation=(1, 1),
    groups=1,
    mode=None,
    activation_skip=True,
):
    """One convolution on a device: exact sums and the engine's counters.

    Args:
        dev: from :func:`open_device`.
        x: int16 (N, C, H, W), zero point subtracted; magnitudes up to ``dev.config.act_max``.
        w: int8 (K, C/groups, R, S); on zena also int16 or LogQuant, as the configuration's ``weight_w`` says.
        stride, dilation: (rows, columns).
        padding: (top, left, bottom, right), with zeros.
        groups: divides C and K.
        mode: what is skipped: "dense", "zero_skip" or "combined" on trident and gather, "dense", "WZ", "AZ", "WAZ"
            or "WAZ+KA" on zena; default: the last, the fastest.
        activation_skip: trident and gather: drop steps that only meet zero activations.

    Returns:
        int32 sums (N, K, OH, OW), :class:`~zeroskip.runtime.counters.Counters`.

    Raises:
        InputError: wrong types, shapes or ranges.
        ToolError: a package the compiler needs is missing.
        DeviceError: the device reports an error or does not answer.
    """
    from .extras import need

    need("compile", "compiling a convolution")
    from .compiler.conv import compile_conv
    from .runtime.conv import run_plan

    plan = compile_conv(
        dev.config,
        w,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        mode=mode,
        activation_skip=activation_skip,
        input_shape=tuple(x.shape[2:]) if getattr(x, "ndim", 0) == 4 and 0 not in x.shape else None,
    )
    return run_plan(dev, plan, x)


def compile(onnx, config="tiny", calibration=None, **options):
    """Compile an ONNX file into a :class:`~zeroskip.runtime.network.Model`.

    See :func:`zeroskip.compiler.network.compile` for the options and errors.

    Raises:
        ToolError: a package the compiler needs is missing.
    """
    from .extras import need

    need("compile", "compiling a network")
    from .compiler.network import compile

    return compile(onnx, config, calibration, **options)


def load(path, check=False):
    """Load a model from a ``.zsk`` file; see :func:`zeroskip.runtime.zsk.load`.

    Args:
        check: also execute every layer's schedule and compare what it computes with the layer's weights
            (:mod:`zeroskip.models.verify`); for files from others, on a workstation: it takes seconds.

    Raises:
        FileFormatError: with ``check``, a schedule does not compute its weights; the message names the layer.
    """
    from .runtime.zsk import load

    model = load(path)
    if check:
        from .errors import FileFormatError
        from .models.verify import verify

        try:
            verify(model)
        except FileFormatError as error:
            raise FileFormatError(f"{path}: {error}") from error
    return model
