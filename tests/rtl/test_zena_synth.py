"""The zena PE in Yosys: one DSP48E1 (LogQuant: none), two block RAMs, and a netlist that still computes."""

from __future__ import annotations

import dataclasses
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from variants import ZENA_VARIANTS
from zeroskip.hardware import synth, verilog

SEED = 20260102

BENCH = """
module bench;
    reg clk = 0, restart = 1;
    reg [`ACT_W-1:0] act = 0;
    reg [`WEIGHT_W-1:0] weight = 0;
    wire [31:0] total;
    integer seed = `SEED, cycle;

    zena_product `PARAMETERS dut (.clk(clk), .act(act), .weight(weight), .restart(restart), .total(total));

    initial begin
        for (cycle = 0; cycle < 5000; cycle = cycle + 1) begin
            #5 clk = 1;
            #5 clk = 0;
            if (cycle >= 200)
                $display("%0d", total);
            act = $random(seed);
            weight = $random(seed);
            restart = cycle < 100 || ($random(seed) & 7) == 0;
        end
        $finish;
    end
endmodule
"""


def simulate(folder: Path, files: list[Path], config, parameters: str) -> list[str]:
    """What a zena_product from ``files`` answers to the bench's random inputs."""
    bench, program = folder / "bench.v", folder / "bench"
    bench.write_text(BENCH)
    defines = [f"-DACT_W={config.act_w}", f"-DWEIGHT_W={config.weight_w}", f"-DSEED={SEED}"]
    defines.append(f"-DPARAMETERS={parameters}")
    subprocess.run(["iverilog", "-g2012", *defines, "-s", "bench", "-o", program, bench, *files], check=True)
    return subprocess.run(["vvp", "-n", program], check=True, capture_output=True, text=True).stdout.splitlines()


@pytest.mark.parametrize("name", ["zena_tiny", "wide", "log"])
def test_netlist_of_the_product_computes_what_the_verilog_does(name, tmp_path):
    """Against Yosys' model of the DSP48E1; accumulating and starting anew are the DSP's own."""
    config = ZENA_VARIANTS[name]
    netlist = tmp_path / "netlist.v"
    resources = synth.synthesize(config, "zena_product", netlist=netlist)["zena_product"]
    assert resources.dsp == (0 if config.weight_w == 5 else 1)
    if resources.dsp:
        assert resources.lut < 5 and resources.ff == 0
    primitives = Path(find_spec("pyosys").origin).parent / "share/xilinx/cells_sim.v"
    rtl = [source for source in verilog.sources() if source.stem == "zena_product"]
    expected = simulate(tmp_path, rtl, config, f"#(.ACT_W({config.act_w}), .WEIGHT_W({config.weight_w}))")
    assert len(set(expected)) > 1000
    assert simulate(tmp_path, [netlist, primitives], config, "") == expected


def test_a_pe_of_the_board_build():
    """What the built-in number of PEs rests on: 112 of them in 80 % of the LUTs and 90 % of the block RAM."""
    config = dataclasses.replace(ZENA_VARIANTS["zena_tiny"], psums=128)
    pe = synth.synthesize(config, "zena_pe")["zena_pe"]
    assert (pe.dsp, pe.ramb36, pe.ramb18, pe.latch) == (1, 0, 2, 0)
    assert pe.lut < 345
    psums = synth.synthesize(config, "zena_psums")["zena_psums"]
    assert (psums.ramb36, psums.ramb18) == (0, 1)
    assert psums.lut < 180
