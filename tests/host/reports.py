"""A report as JSON, for the tests: two layers under four schedules, with round numbers."""

from zeroskip.hardware.registers import COUNTER_NAMES

CYCLES = {("dense", False): (800, 400), ("zero_skip", False): (400, 250), ("combined", False): (200, 200)}
CYCLES[("combined", True)] = (100, 150)


def layer(name, cycles, **fields):
    counters = dict.fromkeys(COUNTER_NAMES, 0) | {"cycles": cycles, "busy": cycles - 30}
    counters |= {"stall_input": 20, "stall_output": 10, "beats_in": 1500, "beats_out": 25}
    base = {"name": name, "op": "Conv", "shape": "8x4x4 -> 8x4x4, 3x3", "macs": 1000, "zero": 0.5, "non_outlier": 0.4}
    base |= {"outlier": 0.1, "act_zeros": 0.25, "ideal_cycles": 90.0, "dense_cycles": 700.0, "counters": counters}
    base |= {"useful_cycles": 0.5 * (cycles - 30), "predicted_cycles": 333.0, "rule": "max_abs per channel"}
    base |= {"sqnr_db": 31.25, "histogram": [0, 0, 0, 1, 2, 3, 4, 5, 50, 5, 4, 3, 2, 1, 0, 0]}
    return base | fields


def report_data():
    runs = [
        {
            "mode": mode,
            "activation_skip": skip,
            "device": "cycle model",
            "layers": [layer("conv1", first), layer("conv2", second, macs=3000, zero=0.7, non_outlier=0.2)],
        }
        for (mode, skip), (first, second) in CYCLES.items()
    ]
    return {
        "format": "zeroskip-report",
        "version": 2,
        "title": "a network",
        "images": 2,
        "config": {"name": "tiny", "hash": "00000000", "macs": 16, "lanes": 8, "filters": 1, "wgs": 2, "mux": 8},
        "conditions": {"weights": "scale rule percentile"},
        "accuracy": {"accuracy": "99.0 % (of 100 images)"},
        "checks": [{"check": "outputs equal", "ok": True}],
        "graph": [
            {"name": "conv1", "op": "Conv", "where": "engine", "reads": [-1], "output": "8x4x4 uint8"},
            {"name": "pool", "op": "MaxPool", "where": "host", "reads": [0], "output": "8x4x4 uint8"},
            {"name": "conv2", "op": "Conv", "where": "engine", "reads": [1, 0], "output": "8x4x4 int16"},
        ],
        "runs": runs,
    }
