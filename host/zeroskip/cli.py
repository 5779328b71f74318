"""The ``zeroskip`` command: compile, run, info, report, demo, serve, bitstreams, selftest.

Exit status: 0 done, 1 results disagree, 2 bad input or a missing tool (one message on stderr), 130
interrupted.  Anything else is a bug of zeroskip and shows its traceback.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import warnings

from . import __version__
from .errors import ZeroskipError
from .hardware.config import BOARD, BUILTIN

KINDS = ("sim", "model", "board", "auto")
EXIT_DISAGREE, EXIT_ERROR, EXIT_INTERRUPTED = 1, 2, 130

TOP_EXAMPLES = """\
examples:
  zeroskip demo                                             real digits through the Verilog, everything checked
  zeroskip compile net.onnx -o net.zsk --calibration x.npy  quantise and schedule a trained network
  zeroskip run net.zsk --device sim --input x.npy --output y.npy --report report.html
  zeroskip COMMAND --help                                   more about one command
"""

COMPILE_EXAMPLES = """\
The default keeps the network: plain 8-bit weights, one scale per filter, rounded with care.  Speed that costs accuracy
is asked for: an outlier (a weight outside -8 to 7) takes a multiplier for a whole cycle, two others share one.
--budget makes weights small where the outputs hardly notice; --scale-rule and --per are for experiments that fix one
rule for all.  A warning says when the outputs on the calibration images lost more than 6 dB.  See docs/numerics.md.

examples:
  zeroskip compile net.onnx -o net.zsk --calibration x.npy
      for the smallest build, as accurate as 8 bits can be
  zeroskip compile net.onnx -o net.zsk --calibration x.npy --config gather --budget 3dB
      for the PYNQ-Z2, as fast as 3 dB of output error allow; zeroskip info net.zsk shows what every layer got
  zeroskip compile net.onnx -o net.zsk --calibration x.npy --config gather --budget 1% --labels y.npy
      as fast as one more wrong answer in a hundred allows; y.npy has the class of each image in x.npy, integers (N,)
  zeroskip compile yolo.onnx -o yolo.zsk --calibration x.npy --outputs head_8 head_16
      without the decoder behind these two tensors; zeroskip run then writes both to one y.npz
  zeroskip compile net.onnx -o fast.zsk --calibration x.npy --scale-rule percentile --percentile 97 --per tensor
      an experiment: 97 of 100 weights are small, whatever that does to the outputs
  zeroskip compile net.onnx -o dense.zsk --calibration x.npy --mode dense
      the baseline: every weight takes its cycle

x.npy holds images as the network expects them, float32 (N, C, H, W), such as numpy.save("x.npy", images / 255).
A budget holds on these images; others may lose more, the fewer and the more alike these are.
"""

RUN_EXAMPLES = """\
An ONNX file is compiled first, with the compile options; a .zsk file is run as it is.

examples:
  zeroskip run net.zsk --input x.npy --output y.npy
      on the Verilated RTL; prints what every layer cost
  zeroskip run net.onnx --device model --config gather --input x.npy --calibration some.npy --check
      in seconds on the exact cycle model, compared with the integer reference
  zeroskip run net.onnx --input x.npy --expected y.npy --compare --json report.json --report report.html
      also the engine's other schedules, and the accuracy, for a page that compares them
"""

SELFTEST_EXAMPLES = """\
Opening the device compares ID, version and configuration hash; then data goes through the DMA and must come back, and
the sums of random layers in every mode of the engine must be exact.

examples:
  zeroskip selftest                                     the Verilated RTL
  sudo -i zeroskip selftest --device board --model net.zsk   on the PYNQ-Z2
"""


def _sizes(text: str) -> tuple[int, ...]:
    """ "3,224,224" as integers."""
    return tuple(int(size) for size in text.split(","))


def _compile_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("compile options")
    group.add_argument("--calibration", metavar="X.npy", help="images, as --input, that set the activation scales")
    group.add_argument(
        "--outputs",
        nargs="+",
        metavar="NAME",
        help="tensors to compute instead of the file's outputs; cuts off a tail that zeroskip does not take, such as a "
        "decoder or non-maximum suppression",
    )
    group.add_argument(
        "--input-shape",
        type=_sizes,
        metavar="C,H,W",
        help="where the file leaves sizes open; default: as the calibration images",
    )
    group.add_argument("--labels", metavar="Y.npy", help="class of each calibration image, for a --budget in %%")
    group.add_argument(
        "--budget",
        metavar="LOSS",
        help="choose every filter's scale for the fewest cycles, losing at most this against plain 8-bit weights: "
        "3dB of output SQNR, or 1%% of accuracy (without --labels: of agreement with the float network)",
    )
    group.add_argument(
        "--scale-rule",
        choices=("mse", "max_abs", "power_of_two", "percentile"),
        help="one rule for all weights: mse, the least error; max_abs, nothing saturates; power_of_two, fixed point; "
        "percentile, most weights small, fast and inaccurate; default: mse",
    )
    group.add_argument(
        "--per",
        choices=("tensor", "channel"),
        help="weight scales per layer, which costs accuracy, or filter; default: channel",
    )
    group.add_argument("--percentile", type=float, metavar="P", help="of the rule of that name; default: 97")
    group.add_argument("--clip", type=int, metavar="N", help="threshold of equation 1 of Kang et al.; default: 0, none")
    group.add_argument("--prune", type=float, metavar="SHARE", help="share of each layer's weights to zero; default: 0")
    group.add_argument(
        "--mode",
        help="what is skipped: dense, zero_skip or combined (zena: dense, WZ, AZ, WAZ or WAZ+KA); default: the last",
    )
    group.add_argument(
        "--no-activation-skip",
        dest="activation_skip",
        action="store_false",
        default=None,
        help="also run the steps whose activations are all zero",
    )


def _glue_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--glue",
        action=argparse.BooleanOptionalAction,
        help="with the HLS kernels between DMA and engine: layers end in activations, not in sums (hls/README.md); "
        "default: as the board's bitstream, else without",
    )


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    shape = {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}
    top = argparse.ArgumentParser(
        prog="zeroskip",
        description="Run a trained CNN on a PYNQ-Z2, or on its bit- and cycle-exact simulation.",
        epilog=TOP_EXAMPLES,
        **shape,
    )
    top.add_argument("--version", action="version", version=f"zeroskip {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, text: str, epilog: str = "") -> argparse.ArgumentParser:
        description = text[0].upper() + text[1:] + "."
        return commands.add_parser(name, help=text, description=description, epilog=epilog, **shape)

    config_help = f"build: {', '.join(BUILTIN)}, or a JSON file"

    one = add("compile", "quantise and schedule an ONNX network into a .zsk file", COMPILE_EXAMPLES)
    one.add_argument("model", metavar="MODEL.onnx")
    one.add_argument("-o", "--output", required=True, metavar="MODEL.zsk")
    one.add_argument("--config", default="tiny", help=f"{config_help}; default: tiny")
    _compile_options(one)

    one = add("run", "run a network on a device and report what every layer cost", RUN_EXAMPLES)
    one.add_argument("model", metavar="MODEL", help="a .zsk or an .onnx file")
    one.add_argument(
        "--input",
        required=True,
        metavar="X.npy",
        help="images, float (N, C, H, W), or bytes if the network takes those",
    )
    one.add_argument(
        "--output", metavar="Y.npy", help="where the network's outputs go, float32 (N, ...); Y.npz for several"
    )
    one.add_argument(
        "--device", choices=KINDS, default="sim", help="RTL, cycle model, PYNQ-Z2, or what is there; default: sim"
    )
    one.add_argument("--config", help=f"{config_help}; default: the .zsk file's, or tiny")
    _glue_option(one)
    one.add_argument("--expected", metavar="Y.npy", help="class of each input image: the report then has the accuracy")
    one.add_argument("--json", metavar="FILE", help="write the report's data (docs/report.md)")
    one.add_argument("--report", metavar="FILE.html", help="write the report as one HTML page")
    one.add_argument("--trace", metavar="FILE.fst", help="write all signals for a wave viewer (only sim; slow)")
    one.add_argument("--check", action="store_true", help="compare the outputs with the integer reference")
    one.add_argument("--compare", action="store_true", help="also run the other schedules, for the report")
    _compile_options(one)

    one = add("info", "show what is in a .zsk file or what a build configuration means")
    one.add_argument("what", metavar="MODEL.zsk|CONFIG")
    one.add_argument(
        "--verify", action="store_true", help="of a model: also check that every schedule computes its layer's weights"
    )

    one = add("report", "show a report's data as a table, turn it into an HTML page, or compare builds and engines")
    one.add_argument(
        "data", metavar="REPORT.json", nargs="+", help="from `zeroskip run --json`; several are set side by side"
    )
    one.add_argument("-o", "--output", metavar="FILE.html", help="write a page instead of printing a table (of one)")

    one = add("demo", "run real handwritten digits through the Verilog and check every result")
    one.add_argument("--config", default="tiny", help=f"{config_help}; default: tiny")
    _glue_option(one)
    one.add_argument("--images", type=int, default=16, metavar="N", help="images through the RTL; default: 16")
    one.add_argument("--output", default="out", metavar="DIR", help="folder for demo.html and demo.json; default: out")

    add("bitstreams", "list the bitstreams for the PYNQ-Z2: which are built, and whether a board has run them")

    one = add("selftest", "test a device: identity, DMA, random layers, counters", SELFTEST_EXAMPLES)
    one.add_argument("--device", choices=KINDS, default="sim", help="RTL, cycle model or PYNQ-Z2; default: sim")
    one.add_argument("--config", help=f"{config_help}; default: the model's, {BOARD} on a board, else tiny")
    _glue_option(one)
    one.add_argument("--rounds", type=int, default=4, metavar="N", help="random layers in each mode; default: 4")
    one.add_argument("--seed", type=int, metavar="N", help="of everything random; the default is always the same")
    one.add_argument("--model", metavar="MODEL.zsk", help="also run this network on random images")

    one = add("serve", "serve a simulated PYNQ-Z2 to unmodified pynq clients on the network")
    one.add_argument("--device", choices=KINDS[:2], default="sim", help="what simulates it; default: sim")
    one.add_argument("--config", default="tiny", help=f"{config_help}; default: tiny")
    one.add_argument("--host", default="127.0.0.1", help="address to listen on; default: 127.0.0.1")
    one.add_argument("--port", type=int, default=7967, help="default: 7967, where pynq clients look")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # a terminal that cannot show × still gets the numbers
    options = parser().parse_args(arguments)

    def show_warning(message, *_args, **_keywords) -> None:
        print(f"zeroskip: warning: {message}", file=sys.stderr)

    try:
        from . import commands

        with warnings.catch_warnings():
            warnings.showwarning = show_warning
            status = getattr(commands, options.command)(options) or 0
        sys.stdout.flush()  # here, where a full disk or a closed pipe can still be told
        return status
    except ZeroskipError as error:
        message = str(error)
    except KeyboardInterrupt:
        print("zeroskip: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        _forget_output()
        return 0
    except MemoryError as error:
        message = f"out of memory ({error or 'no size given'}); give fewer or smaller images, or a smaller network"
    except OSError as error:  # a disk that is full, a file that went away
        _forget_output()
        message = f"{error.filename or 'a file'}: {error.strerror or error}; make room, or give another path"
    print(f"zeroskip: error: {message}", file=sys.stderr)
    return EXIT_ERROR


def _forget_output() -> None:
    """What could not be printed is not tried again when the interpreter ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
