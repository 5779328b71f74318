"""What runs in the 32-bit Python for host/benchmarks/board_host.py: ``timing.py FOLDER NAME CONFIG GLUE COMPRESS``.

Prints a JSON line: processor seconds to load the model, of the first run, and of the fastest of three later ones.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

from replay import Replay
from zeroskip.runtime.zsk import load


def main(folder: Path, name: str, config: str, glue: bool, compress: bool) -> None:
    """Measure one case; the device's answers are read before the clock starts."""
    began = time.process_time()
    model = load(folder / f"{config}.zsk")
    seconds = [time.process_time() - began]
    images = np.load(folder / "digits.npy")
    for _ in range(4):
        device = Replay(folder / f"{name}.recorded.npz", model.config, glue, compress, check=False)
        began = time.process_time()
        model.run(device, images)
        seconds.append(time.process_time() - began)
        device.finish()
    print(json.dumps({"load": seconds[0], "first": seconds[1], "later": min(seconds[2:])}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:4], *(flag == "1" for flag in sys.argv[4:]))
