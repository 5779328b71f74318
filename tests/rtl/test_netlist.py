"""The netlist that goes to place and route: it still computes, nothing is left open, its depth is measured right."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pynq
import pytest

import gather_stream
from zeroskip.compiler.conv import compile_conv
from zeroskip.devices import MemoryModel
from zeroskip.devices.bitstreams import read
from zeroskip.errors import ToolError
from zeroskip.hardware import depth, manifest, netlist, open_flow, results, synth, verilog, yosys
from zeroskip.hardware.config import BUILTIN, Config
from zeroskip.models.cycles import simulate
from zeroskip.runtime.conv import run_plan

HERE = Path(__file__).parent
TINY = BUILTIN["tiny"]
DEEP = Config("deep", wgs=1, columns=2048, steps=1024)
"""Memories as deep as the board's: block RAMs in both modes."""

DEEP_GATHER = Config("deep_gather", "gather", lanes=4, wgs=5, columns=1024, steps=512, scan=2)
"""As :data:`DEEP`; four work groups share block RAMs, and the fifth has some alone."""


def run_bench(folder: Path, files: list, parameters: str, words: np.ndarray) -> tuple[list[int], int]:
    """Words of sums and the cycle of the last, from zeroskip_core in ``files``."""
    (folder / "words.hex").write_text("\n".join(f"{word:016x}" for word in words.tolist()))
    defines = [f"-DWORDS={len(words)}", f'-DFILE="{folder / "words.hex"}"', f"-DPARAMETERS={parameters}"]
    program = folder / "bench"
    command = ["iverilog", "-g2012", *defines, f"-I{verilog.include_folder()}", "-s", "netlist_bench", "-o", program]
    subprocess.run([*command, HERE / "netlist_bench.v", *files], check=True)
    said = subprocess.run(["vvp", "-n", program], check=True, capture_output=True, text=True).stdout.splitlines()
    assert said and said[-1].startswith("cycles "), f"the stream did not end: {said[-3:]}"
    return [int(line, 16) for line in said[:-1]], int(said[-1].split()[1])


def as_verilog(made: netlist.Netlist, folder: Path) -> Path:
    """A netlist as Verilog that iverilog reads, registers beginning at zero."""
    source, target = folder / "netlist.json", folder / "netlist.v"
    source.write_text(made.text())
    yosys.run([f'read_json "{source}"', f'write_verilog -noattr "{target}"'], "write Verilog")
    target.write_text(re.sub(r"\.INIT\(1'hx\)", ".INIT(1'h0)", target.read_text()))
    return target


def primitives(folder: Path) -> Path:
    """Yosys' models of the primitives, without its empty block RAMs."""
    text = (Path(find_spec("pyosys").origin).parent / "share/xilinx/cells_sim.v").read_text()
    target = folder / "cells.v"
    target.write_text(re.sub(r"^module RAMB(18|36)E1 .*?^endmodule", "", text, flags=re.MULTILINE | re.DOTALL))
    return target


def short_stream() -> np.ndarray:
    """A small layer with everything in it: pairs, outliers, padding, and activations that are skipped."""
    rng = np.random.default_rng(11)
    w = rng.integers(-127, 128, (2, 12, 3, 3)) // rng.choice([1, 16], (2, 12, 3, 3))
    w[rng.random(w.shape) < 0.5] = 0
    x = rng.integers(-255, 256, (1, 12, 3, 4)).astype(np.int16)
    x[:, :, rng.random((3, 4)) < 0.4] = 0
    sent = []

    class Model:
        config = DEEP

        def execute(self, words, beats):
            sent.append(words)
            return simulate(DEEP, words, MemoryModel())

    run_plan(Model(), compile_conv(DEEP, w.astype(np.int8), padding=(1, 1, 1, 1)), x)
    (words,) = sent
    return words


def short_gather_stream() -> np.ndarray:
    """Random steps in both formats, with all routes, lanes together and apart; many activations are zero."""
    config, rng = DEEP_GATHER, np.random.default_rng(12)
    stream = gather_stream.Stream(config)
    for wgs in (config.wgs, 2):  # the second leaves some bytes of the words as they are
        # All columns that any offset reaches: what was never written has no value in a simulation of the Verilog.
        values = rng.integers(-255, 256, (48, wgs, config.acts))
        stream.activations(values * (rng.random(values.shape) < 0.3), address=1000)
        for index in range(4):
            steps = [gather_stream.random_step(config, rng, index % 2, 12, rng.random()) for _ in range(13)]
            steps = [{name: at % 16 if name[:4] in ("offs", "near") else at for name, at in s.items()} for s in steps]
            kind = {"near": index % 2, "skip": index // 2, "apart": index % 3 == 0}
            stream.run(steps, (2, 3), (12, 4), base=1000, **kind, last=index == 3 and wgs == 2)
    return stream.stream()


@pytest.fixture(
    scope="module", params=[(DEEP, short_stream), (DEEP_GATHER, short_gather_stream)], ids=["trident", "gather"]
)
def deep(request):
    config, stream = request.param
    return config, stream, netlist.implement(config, "zeroskip_core")


def test_netlist_of_the_engine_computes_what_the_verilog_does(deep, tmp_path):
    """Cycle for cycle, block RAM output registers and all, and both as the cycle model says."""
    config, stream, made = deep
    words = stream()
    rtl = [s for s in verilog.sources() if s.parent.name not in ("board", "dma")]
    parameters = ", ".join(f".{name}({value})" for name, value in config.rtl_parameters().items())
    expected = run_bench(tmp_path, rtl, f"#({parameters})", words)
    assert expected[0] == simulate(config, words, MemoryModel())[0].tolist()
    assert made.absorbed > 200
    files = [as_verilog(made, tmp_path), primitives(tmp_path), HERE / "ramb.v"]
    assert run_bench(tmp_path, files, "", words) == expected


def test_every_block_ram_uses_its_output_register(deep):
    rams = [cell for cell in deep[2].module["cells"].values() if cell["type"].startswith("RAMB")]
    assert {ram["parameters"]["RAM_MODE"] for ram in rams} == {"SDP", "TDP"}
    assert all(int(ram["parameters"]["DOA_REG"], 2) or int(ram["parameters"]["DOB_REG"], 2) for ram in rams)


def test_one_dsp_per_mac_and_no_latches(deep):
    config, _, made = deep
    resources = synth.Resources.count(made.cells())
    assert (resources.dsp, resources.latch) == (config.macs, 0)


def test_work_groups_share_block_rams(deep):
    """Gather: a bank takes one block RAM for four work groups, by its byte enables, not one for each."""
    config, _, made = deep
    rams = [cell["connections"] for cell in made.module["cells"].values() if cell["type"].startswith("RAMB")]
    enables = [{net for net in ram["WEA"] + ram["WEBWE"] if isinstance(net, int)} for ram in rams]
    several = Counter(len(nets) for nets in enables if len(nets) > 1)
    assert several == ({4: config.acts} if config.engine == "gather" else {})


def ram_with(flip_flop: dict, **more) -> dict:
    """A RAM whose first output bit, net 10, goes to a flip-flop; ``more`` changes its connections."""
    q = {"type": "FDRE", "parameters": {"INIT": "x"}, "port_directions": dict.fromkeys(("C", "CE", "D", "R"), "input")}
    q["port_directions"]["Q"] = "output"
    q["connections"] = {"C": [1], "CE": ["1"], "D": [10], "R": ["0"], "Q": [20], **flip_flop}
    ram = {
        "type": "RAMB18E1",
        "parameters": {"RAM_MODE": "TDP", "DOA_REG": f"{0:032b}", "DOB_REG": f"{0:032b}"},
        "port_directions": {"DOADO": "output", "CLKARDCLK": "input", "CLKBWRCLK": "input", "REGCEAREGCE": "input"},
        "connections": {"DOADO": [10, 11], "CLKARDCLK": [1], "CLKBWRCLK": [1], "REGCEAREGCE": ["0"]},
    }
    return {
        "cells": {"ram": ram, "q": q, **more},
        "netnames": {"latch": {"bits": [10]}, "q": {"bits": [20]}},
        "ports": {},
    }


def test_a_plain_register_is_absorbed():
    module = ram_with({})
    assert netlist.absorb_output_registers(module) == 1
    assert list(module["cells"]) == ["ram"] and list(module["netnames"]) == ["q"]
    ram = module["cells"]["ram"]
    assert ram["connections"]["DOADO"] == [20, 11] and ram["connections"]["REGCEAREGCE"] == ["1"]
    assert (int(ram["parameters"]["DOA_REG"], 2), int(ram["parameters"]["DOB_REG"], 2)) == (1, 0)


@pytest.mark.parametrize("flip_flop", [{"R": [5]}, {"CE": [5]}, {"C": [2]}], ids=["reset", "enable", "clock"])
def test_other_registers_are_not_absorbed(flip_flop):
    assert netlist.absorb_output_registers(ram_with(flip_flop)) == 0


def test_a_second_reader_forbids_absorption():
    reader = {"type": "LUT1", "port_directions": {"I0": "input"}, "connections": {"I0": [10]}}
    assert netlist.absorb_output_registers(ram_with({}, reader=reader)) == 0


def test_depth_of_a_known_circuit():
    """Register, LUT RAM read, three LUTs in a row, register; and a net with 600 loads."""

    def cell(kind: str, inputs: dict, outputs: dict) -> dict:
        directions = {**dict.fromkeys(inputs, "input"), **dict.fromkeys(outputs, "output")}
        return {"type": kind, "port_directions": directions, "connections": {**inputs, **outputs}, "parameters": {}}

    cells = {
        "a": cell("FDRE", {"C": [1], "D": ["0"]}, {"Q": [2]}),
        "ram": cell("RAM64M", {"WCLK": [1], "ADDRA": [2]}, {"DOA": [3]}),
        **{f"lut{n}": cell("LUT2", {"I0": [3 + n], "I1": [2]}, {"O": [4 + n]}) for n in range(3)},
        "z": cell("FDRE", {"C": [1], "D": [6]}, {"Q": [7]}),
        **{f"load{n}": cell("FDRE", {"C": [1], "D": [7]}, {"Q": [100 + n]}) for n in range(600)},
    }
    names = {"clk": {"bits": [1]}, "g_wg[3].first": {"bits": [2]}, "last": {"bits": [7]}}
    found = depth.analyse(netlist.Netlist("top", {"cells": cells, "netnames": names, "ports": {}}))
    assert found.paths[0] == depth.Path(4.0, "g_wg[*].first", "last")
    assert found.wide_nets == {"last": 600}


# -- the files for place and route ---------------------------------------------------------------------
@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("open")
    return folder, open_flow.make_netlist(TINY, folder)


def test_netlist_is_ready_for_place_and_route(made):
    folder, used = made
    file = json.loads((folder / "top.json").read_text())
    assert list(file["modules"]) == ["zeroskip_board"]
    top = file["modules"]["zeroskip_board"]
    types = {cell["type"] for cell in top["cells"].values()}
    assert not types & {"dsp_mac", "broadcast_reg", "$scopeinfo"} and not any(kind.startswith("$") for kind in types)
    assert top["ports"] == {} and int(top["attributes"]["top"], 2) == 1
    assert used.dsp == TINY.macs and used.latch == 0
    text = (folder / "top.json").read_text()
    assert str(verilog.rtl_folder()) not in text and "/pyosys/" not in text and '"src"' not in text, "paths are left in"
    clock = re.search(r"-period (\S+) \[get_nets (\w+)\]", (folder / "top.xdc").read_text())
    assert float(clock[1]) == 1000 / manifest.CLOCK_MHZ and clock[2] in top["netnames"]
    # One buffered clock for all.
    nets = {tuple(c["connections"]["C"]) for c in top["cells"].values() if c["type"] == "FDRE"}
    buffers = [c["connections"]["O"] for c in top["cells"].values() if c["type"] == "BUFG"]
    assert [list(net) for net in nets] == buffers == [top["netnames"]["clk"]["bits"]]


def test_no_input_of_the_processing_system_is_left_open(made):
    top = json.loads((made[0] / "top.json").read_text())["modules"]["zeroskip_board"]
    ps7 = next(cell for cell in top["cells"].values() if cell["type"] == "PS7")
    for port, (direction, width) in netlist.primitive_ports("PS7").items():
        if direction == "input":
            bits = ps7["connections"][port]
            assert len(bits) == width and "x" not in bits and "z" not in bits, port
    assert ps7["connections"]["EMIOUSB0VBUSPWRFAULT"] == ["0"]


def test_handoff_is_accepted_by_pynq(made, tmp_path):
    from zeroskip.devices.sim import VerilatedDevice

    for file in made[0].glob("*.hwh"):
        shutil.copy(file, tmp_path)
    bit = tmp_path / "zeroskip_tiny.bit"
    bit.touch()
    device = VerilatedDevice(TINY, MemoryModel(), top="board")
    try:
        overlay = pynq.Overlay(str(bit), device=device)
        assert {"axi_dma_0", "zeroskip_0"} <= set(overlay.ip_dict)
        assert overlay.zeroskip_0.mmio.read(0x08) == TINY.hash
    finally:
        device.close()


def test_missing_tools_are_all_named(made):
    with pytest.raises(ToolError) as error:
        open_flow.make_bit(TINY, made[0], "no-nextpnr", "no.chipdb", "no-database")
    for name in ("NEXTPNR", "CHIPDB", "PRJXRAY_DB", "fasm2frames", "xc7frames2bit", "docs/board.md"):
        assert name in str(error.value)


def test_the_other_tools_are_called_as_they_want(made, tmp_path, monkeypatch):
    """Stand-ins that check what they are given and make the files the next one needs: the real ones are not here."""
    tools = {
        "nextpnr-xilinx": 'test -f top.json && test -f top.xdc && test -f "$2" && echo fasm > top.fasm\n'
        "echo \"Info: Max frequency for clock 'clk': $FMAX MHz (PASS at 100.00 MHz)\"",
        "fasm2frames": 'test -d "$2" && test "$4" = xc7z020clg400-1 && cp "$5" "$6"',
        "xc7frames2bit": 'test -f "$4" && cp "$6" "$8"',
    }
    for name, body in tools.items():
        (tmp_path / name).write_text(f"#!/bin/sh\nset -e\n{body}\n")
        (tmp_path / name).chmod(0o755)
    part = tmp_path / "db/zynq7/xc7z020clg400-1/part.yaml"
    part.parent.mkdir(parents=True)
    part.touch()
    (tmp_path / "chip.bin").touch()
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    arguments = (TINY, made[0], "nextpnr-xilinx", str(tmp_path / "chip.bin"), str(tmp_path / "db"), tmp_path / "root")
    (tmp_path / "root").mkdir()
    monkeypatch.setenv("FMAX", "99.2")
    with pytest.raises(ToolError, match=r"timing is not met: 99\.2 MHz, needed: 100 MHz"):
        open_flow.make_bit(*arguments)
    monkeypatch.setenv("FMAX", "117.31")
    entry = read(open_flow.make_bit(*arguments))
    assert entry.check().read_text() == "fasm\n" and entry.hash == TINY.hash
    assert entry.manifest["timing"] == {"fmax_mhz": 117.31} and not entry.manifest["tried_on_board"]
    assert entry.manifest["resources"]["dsp"] == TINY.macs


# -- the committed figures -----------------------------------------------------------------------------
def test_growth_is_noticed():
    figures = results.committed()
    record = figures["tiny"]
    assert results.complaints(TINY, record) == []
    more = {**record, "resources": {**record["resources"], "lut": int(record["resources"]["lut"] * 1.1)}}
    assert "LUT" in results.complaints(TINY, more)[0]
    deeper = {**record, "levels": record["levels"] + 2}
    assert "logic levels" in results.complaints(TINY, deeper)[0]


def test_tiny_has_not_grown(made):
    folder, used = made
    module = json.loads((folder / "top.json").read_text())["modules"]["zeroskip_board"]
    deepest = depth.analyse(netlist.Netlist("zeroskip_board", module))
    record = synth.Measured(TINY, used, deepest, 0).record()
    assert results.complaints(TINY, record) == [], "if that is meant: make synth-update CONFIG=tiny"


BEFORE_CHECKSUMS = {"z2", "z2max", "kang", "gather_tiny", "gather", "gather_max", "zena", "zena8"}
"""Builds whose figures are older than packet format 3, as the page says; whoever synthesises one takes it out."""


@pytest.mark.parametrize("name", results.committed())
def test_committed_figures_are_of_the_present_hardware_and_fit(name):
    record = results.committed()[name]
    old = record["hash"] != f"0x{BUILTIN[name].hash:08X}"
    assert old == (name in BEFORE_CHECKSUMS), f"make synth-update CONFIG={name}"
    assert old == (f"`{name}` (old)" in (results.ROOT / results.TABLE).read_text())
    assert results.complaints(BUILTIN[name], record) == []
    assert (results.ROOT / results.TABLE).read_text() == results.markdown(results.committed())


def test_the_board_builds_have_figures():
    assert {"tiny", "z2", "z2max", "gather", "gather_max"} <= set(results.committed())


def test_too_big_is_noticed():
    record = results.committed()["z2"]
    big = {**record, "resources": {**record["resources"], "lut": 40_000}}
    assert "of the LUTs; at most 70%" in results.complaints(BUILTIN["z2"], big)[0]
