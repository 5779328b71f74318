"""The lint that `make lint` runs can fail, and slang, an independent reader, accepts the Verilog as well."""

from __future__ import annotations

import shutil

import pyslang
import pytest

from zeroskip.hardware import lint, verilog
from zeroskip.hardware.config import BUILTIN


def test_lint_objects(tmp_path, monkeypatch):
    folder = tmp_path / "rtl"
    shutil.copytree(verilog.rtl_folder(), folder)
    monkeypatch.setattr(lint, "rtl_folder", lambda: folder)
    assert lint.lint("zeroskip_core", BUILTIN["tiny"]) == ""
    popcount = folder / "common/popcount.v"
    popcount.write_text(popcount.read_text().replace("endmodule", "wire [3:0] narrow = 8'hFF;\nendmodule"))
    assert "WIDTHTRUNC" in lint.lint("zeroskip_core", BUILTIN["tiny"])


@pytest.mark.parametrize("top", ["zeroskip_sim", "zeroskip_board_sim", "zeroskip_bd"])
@pytest.mark.parametrize("name", BUILTIN)
def test_slang_elaborates(name, top):
    config = BUILTIN[name]
    parameters = {**config.rtl_parameters(), "CONFIG_HASH": f"32'd{config.hash}"}
    words = ["slang", "--top", top, f"-I{verilog.include_folder()}", "-Wnone"]
    words += [f"-G{key}={value}" for key, value in parameters.items()]
    words += [str(file) for file in verilog.sources(simulation=True)]
    driver = pyslang.driver.Driver() if hasattr(pyslang, "driver") else pyslang.Driver()
    driver.addStandardArgs()
    assert driver.parseCommandLine(" ".join(f'"{word}"' for word in words))
    assert driver.processOptions() and driver.parseAllSources()
    compilation = driver.createCompilation()
    errors = [str(item.code) for item in compilation.getAllDiagnostics() if item.isError()]
    assert errors == []
    assert [top.name for top in compilation.getRoot().topInstances] == [top]
