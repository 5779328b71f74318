"""vivado/build.tcl, run under plain tclsh: every name in it exists and agrees with RTL, HLS sources and register map.

That Vivado itself accepts it, and meets timing, is not shown here.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from zeroskip.devices.bitstreams import read
from zeroskip.devices.hwh import DMA_NAME, ENGINE_NAME, GLUE, GLUE_VLNV, LENGTH_WIDTH
from zeroskip.errors import ConfigError, FileFormatError, InputError, ToolError
from zeroskip.hardware import manifest, registers, results, vivado
from zeroskip.hardware.config import BUILTIN, STREAM_BITS, Config
from zeroskip.hardware.verilog import rtl_folder

CONFIG = BUILTIN["z2"]
SCRIPT = results.ROOT / "vivado/build.tcl"
STUBS = Path(__file__).with_name("stubs.tcl")
HLS_STUBS = results.ROOT / "tests/hls/stubs.tcl"
MODULE = "zeroskip_bd"

pytestmark = pytest.mark.skipif(shutil.which("tclsh") is None, reason="needs tclsh (package tcl)")


def rtl_of(module: str) -> str:
    """What Vivado would find out about a module: its pins, the interfaces in their names, its parameters."""
    text = (rtl_folder() / "board" / f"{module}.v").read_text()
    ports = re.findall(r"^ +(input|output) +wire +(?:\[(.+?)(?:-1)?:0\] +)?(\w+)", text, re.MULTILINE)
    # Widths are what stands before -1 in the range, or one more than a number.
    widths = {name: str(int(high) + 1) if high.isdecimal() else high or "1" for _, high, name in ports}
    interfaces: dict[str, str] = {}
    pins = {}
    for direction, _, name in ports:
        prefix, _, signal = name.rpartition("_")
        if not prefix:
            pins[name] = direction.removesuffix("put")
        elif signal == "awvalid":
            interfaces[prefix] = f"{{{'slave' if direction == 'input' else 'master'} axi}}"
        elif signal == "tvalid":
            width = widths[f"{prefix}_tdata"]
            interfaces[prefix] = f"{{{'slave' if direction == 'input' else 'master'} axis {width}}}"
    parameters = re.findall(r"^ +parameter .*?(\w+) *= *(?:32'd)?(\d+)", text, re.MULTILINE)
    lists = {
        "rtl_module": module,
        "rtl_pins": " ".join(f"{name} {direction}" for name, direction in pins.items()),
        "rtl_interfaces": " ".join(f"{name} {shape}" for name, shape in interfaces.items()),
        "rtl_parameters": " ".join(f"{name} {value}" for name, value in parameters),
    }
    return "".join(f"set {name} {{{value}}}\n" for name, value in lists.items())


def streams_of(kernel: str, config: Config) -> dict[str, str]:
    """What Vitis HLS makes of a kernel's arguments: the name of each stream, who drives it, and its bits."""
    text = (results.ROOT / f"hls/{kernel}.cpp").read_text()
    processes = (results.ROOT / f"hls/{kernel}.h").read_text()
    if "requantise.h" in processes:
        processes += (results.ROOT / "hls/requantise.h").read_text()
    arguments = re.search(rf"^void {kernel}\((.*?)\) {{", text, re.MULTILINE)[1].split(", ")
    bits = {"Stream": STREAM_BITS, "Results": STREAM_BITS, "Sums<Build::sums>": 32 * config.glue_sums}
    found = {}
    for argument in arguments:
        kind, name = re.fullmatch(r"zs::([\w<>:]+)& (\w+)", argument).groups()
        assert f"#pragma HLS INTERFACE axis register port = {name}\n" in text
        used = set(re.findall(rf"\b{name}\.(read_nb|write)\(", processes))
        assert len(used) == 1, f"{kernel} both reads and writes {name}"
        found[name] = f"{'slave' if used == {'read_nb'} else 'master'} axis {bits[kind]}"
    assert "#pragma HLS INTERFACE ap_ctrl_none port = return\n" in text, "else there are control ports"
    return found


def kernels(config: Config = CONFIG) -> str:
    """The streams of both kernels, for the stubs."""
    lists = " ".join(
        f"{kernel} {{{' '.join(f'{name} {{{shape}}}' for name, shape in streams_of(kernel, config).items())}}}"
        for kernel in GLUE
    )
    return f"set hls_interfaces {{{lists}}}\n"


def make_kernels(root: Path, config: Config) -> None:
    """What hls/run_hls.tcl leaves below ``root``, as far as Vivado's catalogue looks at it."""
    if not (root / "hls").exists():
        shutil.copytree(results.ROOT / "hls", root / "hls")
    subprocess.run(["tclsh", HLS_STUBS, root / "hls/run_hls.tcl", config.name], check=True, capture_output=True)


def dry_run(
    folder: Path, script: Path = SCRIPT, slack: float = 0.25, glue: bool = False, config: Config = CONFIG
) -> subprocess.CompletedProcess:
    if glue:
        make_kernels(folder, config)
    vivado.prepare(config, folder, folder, glue)
    (folder / "module.tcl").write_text(rtl_of(MODULE) + kernels(config))
    (folder / "slack.tcl").write_text(f"set slack {slack}\n")
    command = ["tclsh", STUBS, script, folder]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def traced(folder: Path, glue: bool) -> list[list[str]]:
    done = dry_run(folder, glue=glue)
    assert done.returncode == 0, done.stdout + done.stderr
    return [line.split() for line in (folder / "trace.txt").read_text().splitlines()]


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "glue"])
def run(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("vivado")
    return folder, traced(folder, request.param)


@pytest.fixture(scope="module")
def glued(tmp_path_factory):
    return traced(tmp_path_factory.mktemp("glued"), True)


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


def parameters_in(trace: list[list[str]]) -> dict[str, str]:
    return {line[2]: line[3] for line in trace if line[:2] == ["property", ENGINE_NAME]}


def parameters_of(config: Config, glue: bool = False) -> dict[str, str]:
    expected = {name: str(value) for name, value in config.rtl_parameters().items()}
    sums = {"SUMS": str(config.glue_sums)} if glue else {}
    return {**expected, **sums, "CONFIG_HASH": f"0x{config.hash:08X}"}


DESIGNS = [
    (name, glue) for name, config in BUILTIN.items() for glue in ((False, True) if config.glue_sums else (False,))
]


@pytest.mark.parametrize(("name", "glue"), DESIGNS)
def test_every_configuration_is_a_design(tmp_path, name, glue):
    """... and the engine's sums are as many bits as act_finish reads."""
    done = dry_run(tmp_path, config=BUILTIN[name], glue=glue)
    assert done.returncode == 0, done.stdout + done.stderr
    trace = [line.split() for line in (tmp_path / "trace.txt").read_text().splitlines()]
    assert parameters_in(trace) == parameters_of(BUILTIN[name], glue)
    assert (tmp_path / f"zeroskip_{name}{'_glue' * glue}.hwh").is_file()


def test_kept_bytes_are_those_of_the_data():
    text = (rtl_folder() / "board" / f"{MODULE}.v").read_text()
    data, keep = (re.search(rf"\[SUMS\*(\d+)-1:0\] +m_axis_{name},", text)[1] for name in ("tdata", "tkeep"))
    assert int(data) == 32 and int(keep) == 32 // 8


def test_sums_of_another_width_are_found(tmp_path):
    (tmp_path / "z2").mkdir()
    assert dry_run(tmp_path / "z2", glue=True).returncode == 0
    parameters = tmp_path / "z2/parameters.tcl"
    parameters.write_text(parameters.read_text().replace("SUMS 8", "SUMS 4"))
    done = subprocess.run(["tclsh", STUBS, SCRIPT, tmp_path / "z2"], capture_output=True, text=True, timeout=60)
    assert done.returncode and "m_axis (128 bits) does not fit act_finish_0/sums (256 bits)" in done.stderr


def test_parameters_are_those_of_the_configuration(run):
    assert parameters_in(run[1]) == parameters_of(CONFIG, ["cell", "act_finish_0"] in run[1])
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


def test_streams_go_through_the_kernels(glued):
    """DMA -> act_expand -> engine -> act_finish -> DMA, and the parameters from one kernel to the other."""
    assert {(line[1], line[2]) for line in glued if line[0] == "interface" and line[3] == "axis"} == {
        (f"{DMA_NAME}/M_AXIS_MM2S", "act_expand_0/packets"),
        ("act_expand_0/engine", f"{ENGINE_NAME}/s_axis"),
        ("act_expand_0/runs", "act_finish_0/runs"),
        (f"{ENGINE_NAME}/m_axis", "act_finish_0/sums"),
        ("act_finish_0/results", f"{DMA_NAME}/S_AXIS_S2MM"),
    }


def test_the_kernels_are_reset_with_the_dma(glued):
    """The driver resets the DMA when a stream breaks; what is left in the kernels must go, too."""
    nets = {line[2]: line[1] for line in glued if line[0] == "net"}
    assert nets["act_expand_0/ap_rst_n"] == f"{DMA_NAME}/mm2s_prmry_reset_out_n"
    assert nets["act_finish_0/ap_rst_n"] == f"{DMA_NAME}/s2mm_prmry_reset_out_n"
    clocks = {nets[f"{kernel}_0/ap_clk"] for kernel in GLUE} | {nets[f"{ENGINE_NAME}/aclk"]}
    assert clocks == {f"{vivado.PS_NAME}/FCLK_CLK0"}


def test_the_driver_knows_the_kernels_by_the_name_in_the_catalogue(glued):
    assert [GLUE_VLNV.format(kernel) for kernel in GLUE] == [f"zeroskip:hls:{kernel}:1.0" for kernel in GLUE]
    assert {f"{kernel}_0" for kernel in GLUE} <= {line[1] for line in glued if line[0] == "cell"}


def test_scripts_keep_to_the_tcl_of_older_vivados():
    """Vivado 2020 has Tcl 8.5, tclsh here may have a later one."""
    for script in (SCRIPT, SCRIPT.with_name("pynq_z2.tcl"), results.ROOT / "hls/run_hls.tcl"):
        assert not re.search(r"\b(lmap|try|string cat|dict map|zlib)\b", script.read_text()), script


def test_what_it_makes_is_installed(run, tmp_path):
    folder, trace = run
    record = json.loads((folder / "record.json").read_text())
    assert record["configuration_hash"] == f"0x{CONFIG.hash:08X}" and record["timing"]["wns_ns"] == 0.25
    assert record["glue"] is (["cell", "act_expand_0"] in trace)
    name = f"zeroskip_{CONFIG.name}{'_glue' if record['glue'] else ''}"
    (folder / f"{name}.bit").write_bytes(b"bits")
    placed = manifest.install(CONFIG, record, folder / f"{name}.bit", folder / f"{name}.hwh", tmp_path)
    entry = read(placed)
    assert entry.check().read_bytes() == b"bits" and entry.glue is record["glue"]
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
        ("$zs_engine_name/m_axis    act_finish_0/sums", "$zs_engine_name/s_axis act_finish_0/sums", "does not fit"),
        ("act_finish_0/runs", "act_finish_0/jobs", "act_finish_0 has no interface jobs"),
        ("act_expand_0/engine       $zs", "act_expand_0/packets $zs", "does not fit"),
        ("[get_bd_pins act_finish_0/ap_rst_n]", "[get_bd_pins act_expand_0/ap_rst_n]", "driven twice"),
        ("$zs_dma_name/s2mm_prmry_reset_out_n", "$zs_dma_name/s2mm_reset_out_n", "no pin s2mm_reset_out_n"),
        ("lappend kernel_clocks ${kernel}_0/ap_clk", "", "pin act_expand_0/ap_clk is not connected"),
        ("    update_ip_catalog\n", "", "no IP zeroskip:hls:act_expand:1.0"),
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
    done = dry_run(tmp_path, script, glue=True)
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


def test_missing_tools_are_said(tmp_path):
    with pytest.raises(ToolError, match="Vivado not found"):
        vivado.build(CONFIG, tmp_path, "no-such-vivado")
    with pytest.raises(ToolError, match="Vitis HLS not found"):
        vivado.make_glue(CONFIG, "no-such-hls", tmp_path)
    with pytest.raises(ToolError, match=r"no IP act_expand and no IP act_finish in .*; make them with Vitis HLS"):
        vivado.make_glue(CONFIG, "", tmp_path)
    for name in ("zena", "gather_max"):
        with pytest.raises(ConfigError, match=f"configuration '{name}' has no glue: "):
            vivado.prepare(BUILTIN[name], tmp_path, glue=True)
    with pytest.raises(InputError, match=r"zeroskip_defs\.h has no configuration 'mine'; it has tiny, z2, .*, twin$"):
        vivado.prepare(dataclasses.replace(CONFIG, name="mine"), tmp_path, glue=True)


@pytest.mark.parametrize("glue", [False, True], ids=["plain", "glue"])
def test_one_command_from_sources_to_bitstreams(tmp_path, glue):
    """`make bit`, with programs vivado and vitis_hls that run the scripts under tclsh."""
    for folder in ("hls", "vivado"):
        shutil.copytree(results.ROOT / folder, tmp_path / folder)
    tools, work = tmp_path / "tools", tmp_path / "work"
    for made in (tools, work):
        made.mkdir()
    for name, command in (("vivado", f"{STUBS} $7 ."), ("vitis_hls", f"{HLS_STUBS} $2 $4")):
        program = tools / name
        program.write_text(f"#!/bin/sh\nexec tclsh {command}\n")
        program.chmod(0o755)
    (work / "module.tcl").write_text(rtl_of(MODULE) + kernels())
    placed = vivado.build(CONFIG, work, str(tools / "vivado"), tmp_path, glue, str(tools / "vitis_hls"))
    assert placed == tmp_path / "bitstreams" / ("z2_glue" if glue else "z2")
    entry = read(placed)
    assert entry.glue is glue and entry.check().name == f"zeroskip_{placed.name}.bit"
    assert ("GLUE=1" in entry.manifest["build"]) is glue
    (work / "record.json").write_text("{")
    with pytest.raises(FileFormatError, match="damaged"):
        vivado.build(CONFIG, work, "true", tmp_path)
