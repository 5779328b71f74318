"""Writes the hardware handoff (.hwh) from which pynq learns what is in the programmable logic.

The real one comes out of Vivado beside the bitstream.  This one describes the simulated design: a
Zynq-7000 processing system, the DMA and the engine, with the engine's register map from
``hardware/registers.py``.  The names are those of the Vivado block design.
"""

from __future__ import annotations

from xml.etree import ElementTree as xml

from ..hardware.config import Config
from ..hardware.registers import DMA_BASE, DMA_RANGE, ENGINE_BASE, ENGINE_RANGE, REGISTERS, Register

DMA_NAME = "axi_dma_0"
DMA_VLNV = "xilinx.com:ip:axi_dma:7.1"
ENGINE_NAME = "zeroskip_0"
ENGINE_VLNV = "zeroskip:zeroskip:zeroskip_core:1.0"
GLUE = ("act_expand", "act_finish")
"""HLS kernels between DMA and engine, where a design has them; they have no registers."""

GLUE_VLNV = "zeroskip:hls:{}:1.0"
LENGTH_WIDTH = 26
"""Bits of the DMA's LENGTH register."""

FCLK_DIVISORS = (5, 2)
"""FCLK0 = 1000 MHz / 5 / 2."""

_DMA_PARAMETERS = {
    "c_include_sg": 0,
    "c_sg_length_width": LENGTH_WIDTH,
    "c_include_mm2s": 1,
    "c_include_s2mm": 1,
    "c_include_mm2s_dre": 0,
    "c_include_s2mm_dre": 0,
    "c_m_axi_mm2s_data_width": 64,
    "c_m_axi_s2mm_data_width": 64,
    "c_micro_dma": 0,
}


def _module(parent: xml.Element, name: str, kind: str, vlnv: str, parameters: dict[str, object]) -> xml.Element:
    module = xml.SubElement(parent, "MODULE", INSTANCE=name, FULLNAME=f"/{name}", MODTYPE=kind, VLNV=vlnv)
    listed = xml.SubElement(module, "PARAMETERS")
    for key, value in parameters.items():
        xml.SubElement(listed, "PARAMETER", NAME=key, VALUE=str(value))
    return module


def _interface(module: xml.Element, name: str, kind: str) -> None:
    interfaces = xml.SubElement(module, "BUSINTERFACES")
    xml.SubElement(interfaces, "BUSINTERFACE", NAME=name, TYPE=kind, VLNV="xilinx.com:interface:aximm:1.0")


def _properties(element: xml.Element, **values: object) -> None:
    for key, value in values.items():
        xml.SubElement(element, "PROPERTY", NAME=key, VALUE=str(value))


def _register(parent: xml.Element, register: Register) -> None:
    access = {"ro": "read-only", "wo": "write-only", "rw": "read-write"}[register.access]
    element = xml.SubElement(parent, "REGISTER", NAME=register.name)
    _properties(
        element,
        DESCRIPTION=register.meaning,
        ADDRESS_OFFSET=register.offset,
        SIZE=32,
        ACCESS=access,
        IS_ENABLED="true",
    )
    fields = xml.SubElement(element, "FIELDS")
    for field in register.fields:
        part = xml.SubElement(fields, "FIELD", NAME=field.name)
        _properties(part, DESCRIPTION=field.meaning, BIT_OFFSET=field.low, BIT_WIDTH=field.width, ACCESS=access)


def handoff(config: Config, glue: bool = False) -> str:
    """The .hwh of the simulated design for ``config``, with or without the glue, as XML text."""
    root = xml.Element("EDKSYSTEM", EDWVERSION="1.2")
    xml.SubElement(root, "SYSTEMINFO", ARCH="zynq", DEVICE="7z020", NAME="zeroskip", PACKAGE="clg400", SPEEDGRADE="-1")
    xml.SubElement(root, "EXTERNALPORTS")
    modules = xml.SubElement(root, "MODULES")

    clocks = {f"PCW_FPGA_FCLK{i}_ENABLE": int(i == 0) for i in range(4)}
    clocks |= {f"PCW_FCLK{i}_PERIPHERAL_DIVISOR{j}": FCLK_DIVISORS[j] for i in range(4) for j in range(2)}
    clocks |= {f"PCW_FCLK{i}_PERIPHERAL_CLKSRC": "IO PLL" for i in range(4)}
    ps = _module(modules, "processing_system7_0", "processing_system7", "xilinx.com:ip:processing_system7:5.5", clocks)
    _interface(ps, "M_AXI_GP0", "MASTER")
    ranges = xml.SubElement(ps, "MEMORYMAP")
    for name, interface, base, size in (
        (DMA_NAME, "S_AXI_LITE", DMA_BASE, DMA_RANGE),
        (ENGINE_NAME, "S_AXI", ENGINE_BASE, ENGINE_RANGE),
    ):
        xml.SubElement(
            ranges,
            "MEMRANGE",
            ADDRESSBLOCK="Reg",
            BASEVALUE=f"0x{base:08X}",
            HIGHVALUE=f"0x{base + size - 1:08X}",
            INSTANCE=name,
            IS_DATA="TRUE",
            MASTERBUSINTERFACE="M_AXI_GP0",
            MEMTYPE="REGISTER",
            SLAVEBUSINTERFACE=interface,
        )

    dma = _module(modules, DMA_NAME, "axi_dma", DMA_VLNV, _DMA_PARAMETERS)
    _interface(dma, "S_AXI_LITE", "SLAVE")
    parameters = {**config.rtl_parameters(), "CONFIG_HASH": f"0x{config.hash:08X}"}
    engine = _module(modules, ENGINE_NAME, "zeroskip_core", ENGINE_VLNV, parameters)
    _interface(engine, "S_AXI", "SLAVE")
    blocks = xml.SubElement(engine, "ADDRESSBLOCKS")
    block = xml.SubElement(
        blocks, "ADDRESSBLOCK", ACCESS="", INTERFACE="S_AXI", NAME="Reg", RANGE="65536", USAGE="register"
    )
    registers = xml.SubElement(block, "REGISTERS")
    for register in REGISTERS:
        _register(registers, register)

    for name in GLUE if glue else ():
        _module(modules, f"{name}_0", name, GLUE_VLNV.format(name), {})

    xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + xml.tostring(root, encoding="unicode") + "\n"
