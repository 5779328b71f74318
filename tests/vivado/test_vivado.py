"""vivado/build.tcl, run under plain tclsh: every name in it exists and agrees with the RTL and the register map.

That Vivado itself accepts it, and meets timing, is not shown here.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from zeroskip.devices.bitstreams import read
from zeroskip.devices.hwh import DMA_NAME, ENGINE_NAME, LENGTH_WIDTH
from zeroskip.errors import FileFormatError, ToolError
from zeroskip.hardware import manifest, registers, results, vivado
from zeroskip.hardware.config import BUILTIN
from zeroskip.hardware.verilog import rtl_folder

CONFIG = BUILTIN["z2"]
SCRIPT = results.ROOT / "vivado/build.tcl"
STUBS = Path(__file__).with_name("stubs.tcl")
MODULE = "zeroskip_bd"

pytestmark = pytest.mark.skipif(shutil.which("tclsh") is None, reason="needs tclsh (package tcl)")


def rtl_of(module: str) -> str:
    """What Vivado would find out about a module: its pins, the interfaces in their names, its parameters."""
    text = (rtl_folder() / "board" / f"{module}.v").read_text()
    ports = re.findall(r"^ +(input|output) +wire +(?:\[\d+:\d+\] +)?(\w+)", text, re.MULTILINE)
    interfaces: dict[str, str] = {}
    pins = {}
    for direction, name in ports:
        prefix, _, signal = name.rpartition("_")
        if not prefix:
            pins[name] = direction.removesuffix("put")
        elif signal in ("awvalid", "tvalid"):
            kind = "axi" if signal == "awvalid" else "axis"
            interfaces[prefix] = f"{{{'slave' if direction == 'input' else 'master'} {kind}}}"
    parameters = re.findall(r"^ +parameter .*?(\w+) *=", text, re.MULTILINE)
    lists = {
        "rtl_module": module,
        "rtl_pins": " ".join(f"{name} {direction}" for name, direction in pins.items()),
        "rtl_interfaces": " ".join(f"{name} {shape}" for name, shape in interfaces.items()),
        "rtl_parameters": " ".join(parameters),
    }
    return "".join(f"set {name} {{{value}}}\n" for name, value in lists.items())


def dry_run(folder: Path, script: Path = SCRIPT, slack: float = 0.25) -> subprocess.CompletedProcess:
    vivado.prepare(CONFIG, folder)
    (folder / "module.tcl").write_text(rtl_of(MODULE))
    (folder / "slack.tcl").write_text(f"set slack {slack}\n")
    command = ["tclsh", STUBS, script, folder]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vivado")
    done = dry_run(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, [line.split() for line in (folder / "trace.txt").read_text().splitlines()]


def test_addresses_are_those_of_the_register_map(run):
    found = {
        line[2]: (int(line[3], 16), int(line[4], 16))
        for line in run[1]
        if line[0] == "address" and line[1].endswith("/Data")
    }
    assert found == {
        f"{DMA_NAME}/S_AXI_LITE/Reg": (registers.DMA_BASE, registers.DMA_RANGE),
        f"{ENGINE_NAME}/s_axi/reg0": (registers.ENGINE_BASE, registers.ENGINE_RANGE),
    }


def test_parameters_are_those_of_the_configuration(run):
    found = {line[2]: line[3] for line in run[1] if line[:2] == ["property", ENGINE_NAME]}
    expected = {name: str(value) for name, value in CONFIG.rtl_parameters().items()}
    assert found == {**expected, "CONFIG_HASH": f"0x{CONFIG.hash:08X}"}
    dma = {line[2]: line[3] for line in run[1] if line[:2] == ["property", DMA_NAME]}
    assert dma["c_sg_length_width"] == str(LENGTH_WIDTH) and dma["c_include_sg"] == "0"
    ps = {line[2]: line[3] for line in run[1] if line[:2] == ["property", vivado.PS_NAME]}
    assert float(ps["PCW_FPGA0_PERIPHERAL_FREQMHZ"]) == manifest.CLOCK_MHZ
    assert ["part", "xc7z020clg400-1"] in run[1]


def test_every_module_the_engine_needs_is_added(run):
    added = {Path(line[1]).stem for line in run[1] if line[0] == "file"}
    instances = set()
    for file in {Path(line[1]) for line in run[1] if line[0] == "file" and line[1].endswith(".v")}:
        if file.is_relative_to(rtl_folder()):
            instances |= set(re.findall(r"^\s+(\w+) (?:#\([^;]*?\) )?\w+ \(\s*\.", file.read_text(), re.MULTILINE))
    modules = {path.stem for path in rtl_folder().glob("*/*.v")}
    assert instances & modules <= added and {MODULE, "zeroskip_core"} <= added
    assert not added & {"zs_dma", "zeroskip_board", "PS7"}


def test_what_it_makes_is_installed(run, tmp_path):
    folder, _ = run
    record = json.loads((folder / "record.json").read_text())
    assert record["configuration_hash"] == f"0x{CONFIG.hash:08X}" and record["timing"]["wns_ns"] == 0.25
    name = f"zeroskip_{CONFIG.name}"
    (folder / f"{name}.bit").write_bytes(b"bits")
    placed = manifest.install(CONFIG, record, folder / f"{name}.bit", folder / f"{name}.hwh", tmp_path)
    entry = read(placed)
    assert entry.check().read_bytes() == b"bits"
    assert entry.manifest["toolchain"] == "Vivado 2024.1" and not entry.manifest["tried_on_board"]
    with pytest.raises(FileFormatError, match="is of configuration hash"):
        manifest.install(BUILTIN["tiny"], record, folder / f"{name}.bit", folder / f"{name}.hwh", tmp_path)


def test_missed_timing_fails(tmp_path):
    done = dry_run(tmp_path, slack=-0.031)
    assert done.returncode == 1 and "timing is not met at 100 MHz" in done.stdout
    assert not (tmp_path / "record.json").exists()


@pytest.mark.parametrize(
    ("good", "bad", "complaint"),
    [
        (
            "registers/M01_AXI            $zs_engine_name/s_axi ",
            "registers/M02_AXI $zs_engine_name/s_axi ",
            "no interface M02",
        ),
        ("$zs_engine_name/m_axis       $zs_dma_name", "$zs_engine_name/s_axis $zs_dma_name", "does not fit"),
        ("$zs_engine_name/aclk] {", "] {", "pin zeroskip_0/aclk is not connected"),
        ("S_AXI_LITE/Reg", "S_AXI_LITE/reg0", "no address segment"),
        ("CONFIG.c_include_sg", "CONFIG.c_include_sq", "has no property"),
        ("-reference zeroskip_bd", "-reference zeroskip_top", "no module"),
        ("registers/ACLK registers/S00_ACLK", "registers/ACLK registers/ACLK registers/S00_ACLK", "driven twice"),
        ("pynq_z2.tcl", "pynq_z3.tcl", "no such file"),
    ],
)
def test_the_dry_run_finds_mistakes(tmp_path, good, bad, complaint):
    folder = tmp_path / "vivado"
    shutil.copytree(SCRIPT.parent, folder)
    script = folder / SCRIPT.name
    assert good in script.read_text()
    script.write_text(script.read_text().replace(good, bad, 1))
    done = dry_run(tmp_path, script)
    assert done.returncode and complaint in done.stderr, done.stderr


def test_driver_finds_the_engine_under_the_name_vivado_gives_it(tmp_path):
    from zeroskip.devices import MemoryModel
    from zeroskip.devices.model import ModelDevice
    from zeroskip.runtime.driver import Accelerator

    device = ModelDevice(BUILTIN["tiny"], MemoryModel())
    handoff = device.bitstream.with_suffix(".hwh")
    text = handoff.read_text()
    assert "zeroskip:zeroskip:zeroskip_core:1.0" in text
    handoff.write_text(text.replace("zeroskip:zeroskip:zeroskip_core", f"xilinx.com:module_ref:{MODULE}"))
    with Accelerator("sim", BUILTIN["tiny"], str(device.bitstream), device) as accelerator:
        assert "zeroskip_0" in accelerator.overlay.ip_dict


def test_missing_vivado_is_said(tmp_path):
    with pytest.raises(ToolError, match="Vivado not found"):
        vivado.build(CONFIG, tmp_path, "no-such-vivado")
