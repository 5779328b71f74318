"""Choosing a bitstream by its manifest, and what is refused on the way to a board."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import pynq
import pytest

from zeroskip import cli
from zeroskip.devices import MemoryModel, bitstreams, board, board_lock
from zeroskip.devices.hwh import handoff
from zeroskip.devices.model import ModelDevice
from zeroskip.errors import ConfigError, DeviceError, FileFormatError
from zeroskip.hardware import manifest, results
from zeroskip.hardware.config import BUILTIN, Config

TINY = BUILTIN["tiny"]
OTHER = Config("other", wgs=3)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder ``bitstreams`` that is the only one."""
    monkeypatch.delenv("ZEROSKIP_BITSTREAM", raising=False)
    monkeypatch.setattr(bitstreams, "folders", lambda: [tmp_path / "bitstreams"])
    return tmp_path / "bitstreams"


def put(place, config=TINY, content: bytes | None = b"bits", hardware: Config | None = None, **changes):
    """A manifest, and with ``content`` a bitstream and its .hwh."""
    folder = place / config.name
    folder.mkdir(parents=True, exist_ok=True)
    entry = manifest.placeholder(config)
    if content is not None:
        name = f"zeroskip_{config.name}.bit"
        (folder / name).write_bytes(content)
        (folder / name).with_suffix(".hwh").write_text(handoff(hardware or config))
        digest = hashlib.sha256(content).hexdigest()
        entry |= {"bit": name, "sha256": digest, "toolchain": "a tool", "commit": "0" * 40}
    (folder / bitstreams.MANIFEST).write_text(json.dumps(entry | changes))
    return folder


def test_manifests_of_the_repository_are_current():
    """Every built-in configuration has one; one without a bitstream is as generated, no field by hand."""
    for file, text in manifest.targets().items():
        assert file.is_file() and file.read_text() == text, f"{file}: python -m zeroskip.hardware.manifest"
    entries = [bitstreams.read(file.parent) for file in sorted((results.ROOT / "bitstreams").glob("*/manifest.json"))]
    assert {entry.name for entry in entries} == set(BUILTIN)
    for entry in entries:
        assert entry.hash == BUILTIN[entry.name].hash
        if entry.file is not None:
            entry.check()
        else:
            assert not entry.manifest["tried_on_board"]


def test_found_by_hash_not_by_name(place):
    put(place, OTHER)
    folder = put(place, dataclasses.replace(TINY, name="under-another-name"))
    assert bitstreams.find(TINY).folder == folder
    assert board.find_bitstream(TINY) == folder / "zeroskip_under-another-name.bit"


def test_a_built_one_is_preferred(place):
    put(place, TINY, content=None)
    folder = put(place, dataclasses.replace(TINY, name="built"))
    assert bitstreams.find(TINY).folder == folder


def test_glue_is_chosen_where_it_is_asked_for(place):
    folder = put(place, TINY)
    with pytest.raises(DeviceError, match=r"'tiny' with glue; build it: make bit CONFIG=tiny GLUE=1; or .*glue=False"):
        board.find_bitstream(TINY, True)
    with_glue = put(place, dataclasses.replace(TINY, name="tiny_glue"), configuration="tiny", glue=True)
    assert {(entry.name, entry.glue) for entry in bitstreams.available()} == {("tiny", False), ("tiny", True)}
    assert bitstreams.find(TINY, True).folder == with_glue
    assert board.find_bitstream(TINY).parent == folder
    (folder / bitstreams.MANIFEST).unlink()
    assert board.find_bitstream(TINY).parent == with_glue


def test_not_built_yet_says_how(place):
    put(place, TINY, content=None)
    with pytest.raises(DeviceError, match="has been built yet; build it: make bit CONFIG=tiny"):
        board.find_bitstream(TINY)


def test_none_at_all(place):
    put(place, OTHER)
    with pytest.raises(DeviceError, match="no bitstream for configuration 'tiny'; there are manifests for: other"):
        board.find_bitstream(TINY)


def test_same_name_for_other_hardware_names_the_field(place):
    put(place, dataclasses.replace(TINY, wgs=7))
    with pytest.raises(DeviceError, match="is for another 'tiny': wgs = 7 there and 2 here"):
        board.find_bitstream(TINY)


def test_changed_file_is_refused(place):
    folder = put(place)
    (folder / "zeroskip_tiny.bit").write_bytes(b"other bits")
    with pytest.raises(DeviceError, match="is not the bitstream of its manifest"):
        board.find_bitstream(TINY)
    (folder / "zeroskip_tiny.hwh").unlink()
    with pytest.raises(DeviceError, match=r"\.hwh is missing"):
        board.find_bitstream(TINY)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"schema": 9}', json.dumps(manifest.placeholder(TINY) | {"tried_on_board": 1})]
)
def test_damaged_manifest(place, text):
    folder = put(place)
    (folder / bitstreams.MANIFEST).write_text(text)
    with pytest.raises(FileFormatError, match=r"manifest\.json"):
        board.find_bitstream(TINY)


def test_named_bitstream_needs_its_handoff(place, tmp_path, monkeypatch):
    monkeypatch.setenv("ZEROSKIP_BITSTREAM", str(tmp_path / "a.bit"))
    with pytest.raises(DeviceError, match="not a file"):
        board.find_bitstream(TINY)
    (tmp_path / "a.bit").touch()
    with pytest.raises(DeviceError, match=r"a\.hwh is missing"):
        board.find_bitstream(TINY)
    (tmp_path / "a.hwh").touch()
    assert board.find_bitstream(TINY) == tmp_path / "a.bit"


# -- opening a board: pynq's active device is a simulated one ------------------------------------------
@pytest.fixture
def active(monkeypatch, tmp_path):
    """A device that pynq takes for the board it runs on, with a lock of its own."""
    monkeypatch.setattr(board_lock, "lock_path", lambda: tmp_path / "board.lock")
    device = ModelDevice(TINY, MemoryModel())
    monkeypatch.setattr(board, "pynq_device", lambda: device)
    monkeypatch.setattr(pynq.Device, "_active_device", device, raising=False)
    yield device
    device.close()


def test_board_is_opened_with_the_bitstream_of_its_manifest(place, active):
    folder = put(place)
    with board.open_board(TINY, 5.0) as device:
        assert device.kind == "board"
        assert device.overlay.bitfile_name == str(folder / "zeroskip_tiny.bit")
        with pytest.raises(DeviceError, match="open already"):
            board.open_board(TINY, 5.0)
    board_lock.BoardLock().release()  # closed: free again


def test_wrong_hardware_behind_the_right_manifest(place, active):
    put(place, OTHER)
    with pytest.raises(ConfigError, match="wgs = 2 in hardware, 3 expected"):
        board.open_board(OTHER, 5.0)
    board_lock.BoardLock().release()  # what could not be opened is not kept


def test_another_clock_than_the_manifests(place, active):
    put(place, clock_mhz=125.0)
    with pytest.raises(DeviceError, match=r"runs at 100\.0 MHz, but zeroskip_tiny\.bit was built for 125 MHz"):
        board.open_board(TINY, 5.0)


def test_command_lists_what_there_is(place, capsys):
    put(place, TINY, content=None)
    put(place, OTHER, tried_on_board=True)
    assert cli.main(["bitstreams"]) == 0
    said = capsys.readouterr().out
    assert "not built yet" in said and "make bit CONFIG=tiny" in said
    assert "built with a tool, tried on a board" in said
