"""What the board's processor has to do for the demo network, on 32-bit ARM under emulation.

    python host/benchmarks/board_host.py

Processor seconds of qemu-arm on this machine, not of the board: they compare one part, or one version, with another.
The network is the digits' VGG-6, default compilation, one image; the device's answers are recorded, so no device is in
them.  Needs what tests/arm needs: qemu-user-static, and Debian's packages for armhf.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
ARM = ROOT / "tests/arm"
sys.path.insert(0, str(ARM))

import arm_root  # noqa: E402  found by the line above
import zeroskip  # noqa: E402
from replay import Recorder  # noqa: E402
from zeroskip.examples.digits import MODEL_PATH, load  # noqa: E402

CASES = (
    ("tiny", False, False),
    ("gather_tiny", False, False),
    ("gather_tiny", True, False),
    ("gather_tiny", True, True),
    ("zena_tiny", False, False),
)


def measure(folder: Path, config: str, glue: bool, compress: bool) -> dict[str, float]:
    """Seconds of loading, of the first and of a later run."""
    digits, name = load(), f"{config}-{glue:d}{compress:d}"
    np.save(folder / "digits.npy", digits.test[:1])
    if not (folder / f"{config}.zsk").exists():
        zeroskip.compile(MODEL_PATH, config, digits.calibration).save(folder / f"{config}.zsk")
    with zeroskip.open_device("model", config, glue=glue) as device:
        device.compress = compress
        recorder = Recorder(device)
        zeroskip.load(folder / f"{config}.zsk").run(recorder, digits.test[:1])
    recorder.save(folder / f"{name}.recorded.npz")
    arguments = (ARM / "timing.py", folder, name, config, f"{glue:d}", f"{compress:d}")
    said = arm_root.python(arm_root.need_qemu(), arm_root.need_root(), *arguments, paths=(ARM, ROOT / "host"))
    return json.loads(said)


if __name__ == "__main__":
    print("processor seconds under qemu-arm, one image of the demo network")
    print(f"{'configuration':34} {'load':>6} {'first run':>10} {'later runs':>11}")
    with tempfile.TemporaryDirectory() as scratch:
        for case in CASES:
            found = measure(Path(scratch), *case)
            label = case[0] + ", glue" * case[1] + ", compressed" * case[2]
            print(f"{label:34} {found['load']:6.2f} {found['first']:10.2f} {found['later']:11.3f}", flush=True)
