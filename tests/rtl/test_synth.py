"""Synthesis for the XC7Z020 with Yosys: one DSP48E1 per MAC, no latches, and a netlist that still computes."""

from __future__ import annotations

import dataclasses
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from zeroskip.errors import ToolError
from zeroskip.hardware import depth, netlist, synth, verilog
from zeroskip.hardware.config import BUILTIN

TINY = BUILTIN["tiny"]
WIDE = dataclasses.replace(TINY, name="wide", wgs=1, act_w=16)

SEED = 20260101

BENCH = """
module bench;
    reg clk = 0, pair = 0;
    reg [`ACT_W-1:0] x0 = 0, x1 = 0;
    reg [17:0] factor = 0;
    wire signed [(`ACT_W == 9 ? 16 : 24)-1:0] y;
    integer seed = `SEED, cycle;

    reconf_mac `PARAMETERS mac (.clk(clk), .x0(x0), .x1(x1), .factor(factor), .pair(pair), .y(y));

    initial begin
        for (cycle = 0; cycle < 5000; cycle = cycle + 1) begin
            #5 clk = 1;
            #5 clk = 0;
            if (cycle >= 200)  // the primitive's model holds still for the first 100 ns
                $display("%0d", y);
            x0 = $random(seed);
            x1 = $random(seed);
            factor = $random(seed);
            pair = $random(seed);
        end
        $finish;
    end
endmodule
"""


def simulate(folder: Path, files: list[Path], act_w: int, parameters: str) -> list[str]:
    """What a reconf_mac from ``files`` answers to the bench's random inputs."""
    bench, program = folder / "bench.v", folder / "bench"
    bench.write_text(BENCH)
    defines = [f"-DACT_W={act_w}", f"-DSEED={SEED}", f"-DPARAMETERS={parameters}"]
    subprocess.run(["iverilog", "-g2012", *defines, "-s", "bench", "-o", program, bench, *files], check=True)
    return subprocess.run(["vvp", "-n", program], check=True, capture_output=True, text=True).stdout.splitlines()


@pytest.fixture(scope="module")
def tiny():
    return synth.synthesize(TINY)["zeroskip_core"]


def test_tiny_has_one_dsp_per_mac(tiny):
    assert tiny.dsp == TINY.macs


def test_sixteen_bit_activations_have_two_dsps_per_mac():
    wide = synth.synthesize(WIDE)["zeroskip_core"]
    assert (wide.dsp, wide.latch) == (2 * WIDE.macs, 0)


def test_no_latches(tiny):
    assert tiny.latch == 0


def test_tiny_fits_and_its_memories_are_block_ram(tiny):
    # Every work group has a RAMB36 per bank pair at least, and nothing may fall into thousands of flip-flops.
    assert tiny.ramb36 + tiny.ramb18 / 2 >= TINY.wgs * TINY.banks
    assert all(share < 0.15 for share in tiny.share().values())


@pytest.mark.parametrize("config", [TINY, WIDE], ids=["9 bits", "16 bits"])
def test_netlist_of_the_mac_computes_what_the_verilog_does(config, tmp_path):
    """Against Yosys' model of the DSP48E1: a reset or register folded wrongly into the DSP shows here."""
    netlist = tmp_path / "netlist.v"
    resources = synth.synthesize(config, "reconf_mac", netlist=netlist)["reconf_mac"]
    assert resources.dsp == (1 if config.act_w == 9 else 2)
    primitives = Path(find_spec("pyosys").origin).parent / "share/xilinx/cells_sim.v"
    rtl = [source for source in verilog.sources() if source.stem in ("reconf_mac", "dsp_mac")]
    expected = simulate(tmp_path, rtl, config.act_w, f"#(.ACT_W({config.act_w}))")
    assert len(set(expected)) > 1000
    assert simulate(tmp_path, [netlist, primitives], config.act_w, "") == expected


def test_modules_are_counted_with_all_their_instances():
    dma = synth.synthesize(TINY, "zs_dma", flatten=False)
    assert next(iter(dma)) == "zs_dma" and {"zs_dma_channel x2", "axis_fifo x2", "axil_slave"} <= set(dma)
    # The mover's own FIFO and registers are in it, and everything is in the DMA.
    for inner, outer in (("zs_dma_mm2s", "zs_dma"), ("zs_dma_s2mm", "zs_dma"), ("axis_fifo x2", "zs_dma")):
        assert 0 < dma[inner].lut < dma[outer].lut and 0 < dma[inner].ff < dma[outer].ff
    assert dma["axis_fifo x2"].lut < dma["zs_dma_mm2s"].lut + dma["zs_dma_s2mm"].lut


@pytest.mark.parametrize("module", ["zs_dma", "core_counters", "core_registers", "axi3_axil_bridge", "program_fetch"])
def test_the_logic_around_the_engines_is_shallow(module):
    """Six LUT levels are what 125 MHz leaves room for on this part."""
    assert depth.analyse(netlist.implement(TINY, module)).worst <= 6


def test_map_load_is_shallow_and_adds_only():
    """No multiplier, and one block RAM, for the zero flags; the rows of pooling windows are in LUT RAM."""
    module = netlist.implement(TINY, "map_load")
    resources = synth.Resources.count(module.cells())
    assert (resources.dsp, resources.ramb36, resources.ramb18, resources.latch) == (0, 0, 1, 0)
    assert resources.lut < 2500
    assert depth.analyse(module).worst <= 6


def test_latches_are_counted():
    assert synth.Resources.count({"LDCE": 2, "LDPE": 1, "FDRE": 5, "RAM32M": 1, "LUT6": 2}) == synth.Resources(
        lut=6, ff=5, dsp=0, ramb36=0, ramb18=0, latch=3
    )


def test_unknown_module_is_refused():
    with pytest.raises(ToolError, match="Module `nonesuch' not found"):
        synth.synthesize(TINY, "nonesuch")
