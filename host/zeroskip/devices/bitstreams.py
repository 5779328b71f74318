"""The folder ``bitstreams/``: one folder per configuration, each with a manifest that says what is there.

A design with the HLS glue around the engine has a folder of its own, ``<configuration>_glue``.

A manifest without a ``.bit`` is an honest one: that hardware has not been built yet, and the manifest says how.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DeviceError, FileFormatError
from ..hardware.config import Config

MANIFEST = "manifest.json"
SCHEMA = 1

_FIELDS = {
    "configuration": str,
    "configuration_hash": str,
    "hardware": dict,
    "glue": bool,
    "clock_mhz": (int, float),
    "bit": (str, type(None)),
    "sha256": (str, type(None)),
    "toolchain": (str, type(None)),
    "commit": (str, type(None)),
    "timing": dict,
    "resources": dict,
    "tried_on_board": bool,
    "build": str,
}


@dataclass(frozen=True)
class Bitstream:
    """One configuration's entry.

    Args:
        folder: where its files are.
        manifest: the manifest, checked.
    """

    folder: Path
    manifest: dict[str, Any]

    @property
    def name(self) -> str:
        return self.manifest["configuration"]

    @property
    def glue(self) -> bool:
        """Whether the HLS kernels are around the engine."""
        return self.manifest["glue"]

    @property
    def hash(self) -> int:
        return int(self.manifest["configuration_hash"], 16)

    @property
    def file(self) -> Path | None:
        """The .bit, or None if it has not been built."""
        return self.folder / self.manifest["bit"] if self.manifest["bit"] else None

    @property
    def clock_mhz(self) -> float:
        """Clock for which timing was met."""
        return float(self.manifest["clock_mhz"])

    def state(self) -> str:
        """One phrase for people: what is there, by what it was built, whether a board has run it."""
        if not self.manifest["bit"]:
            return "not built yet"
        tried = "tried on a board" if self.manifest["tried_on_board"] else "never tried on a board"
        glue = ", with glue" if self.glue else ""
        return f"built with {self.manifest['toolchain']}{glue}, {tried}"

    def check(self) -> Path:
        """The .bit, if it and its .hwh are there and are what the manifest says.

        Raises:
            DeviceError: not built, missing, or another file than the manifest's.
        """
        file = self.file
        if file is None:
            raise DeviceError(
                f"no bitstream for configuration {self.name!r} has been built yet; build it: {self.manifest['build']}"
            )
        for needed in (file, file.with_suffix(".hwh")):
            if not needed.is_file():
                raise DeviceError(f"{needed} is missing, though {self.folder / MANIFEST} names it")
        found = hashlib.sha256(file.read_bytes()).hexdigest()
        if found != self.manifest["sha256"]:
            raise DeviceError(
                f"{file} is not the bitstream of its manifest: SHA-256 {found[:16]}..., "
                f"expected {str(self.manifest['sha256'])[:16]}...; build it again: {self.manifest['build']}"
            )
        return file


def read(folder: Path) -> Bitstream:
    """The entry in a folder.

    Raises:
        FileFormatError: its manifest is damaged or of another version.
    """
    file = folder / MANIFEST
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
        if manifest["schema"] != SCHEMA:
            raise FileFormatError(f"{file} has schema {manifest['schema']!r}; this release reads {SCHEMA}")
        for field, kind in _FIELDS.items():
            if not isinstance(manifest[field], kind):
                raise FileFormatError(f"{file}: {field} = {manifest[field]!r} is of the wrong type")
        int(manifest["configuration_hash"], 16)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileFormatError(f"{file} is damaged: {type(error).__name__} {error}") from error
    return Bitstream(folder, manifest)


def folders() -> list[Path]:
    """Folders called ``bitstreams``: in the working folder, in the installed package, and above it; nearest first."""
    package = Path(__file__).resolve().parents[1]
    places = [Path.cwd() / "bitstreams", package / "_bitstreams", *(p / "bitstreams" for p in package.parents)]
    return [place for place in dict.fromkeys(places) if place.is_dir()]


def available() -> list[Bitstream]:
    """Every entry, each configuration once with glue and once without; the nearest folder wins.

    Raises:
        FileFormatError: a manifest is damaged.
    """
    found: dict[tuple[str, bool], Bitstream] = {}
    for place in folders():
        for file in sorted(place.glob(f"*/{MANIFEST}")):
            entry = read(file.parent)
            found.setdefault((entry.name, entry.glue), entry)
    return list(found.values())


def find(config: Config, glue: bool = False) -> Bitstream:
    """The entry for a configuration, by its hash; the name decides only between equals.

    Args:
        config: the hardware.
        glue: only one with the HLS glue; else any, one without glue first.

    Raises:
        DeviceError: there is none; if one of the same name is for other hardware, the message says what differs.
        FileFormatError: a manifest is damaged.
    """
    entries = available()
    fitting = [entry for entry in entries if entry.hash == config.hash]
    fitting.sort(key=lambda entry: (entry.file is None, entry.glue, entry.name != config.name))
    if wanted := [entry for entry in fitting if entry.glue or not glue]:
        return wanted[0]
    if fitting:
        raise DeviceError(
            f"no bitstream for configuration {config.name!r} with glue; build it: "
            f"make bit CONFIG={config.name} GLUE=1; or open the device with glue=False"
        )
    for entry in entries:
        if entry.name == config.name:
            there, here = entry.manifest["hardware"], config.hardware_fields()
            differing = ", ".join(
                f"{field} = {there.get(field)!r} there and {here.get(field)!r} here"
                for field in sorted({*there, *here})
                if there.get(field) != here.get(field)
            )
            raise DeviceError(
                f"{entry.folder} is for another {config.name!r}: {differing or 'packet formats of another version'}; "
                "build its bitstream again (docs/board.md)"
            )
    known = ", ".join(entry.name for entry in entries) or "none"
    raise DeviceError(
        f"no bitstream for configuration {config.name!r}; there are manifests for: {known}. "
        "Build one as docs/board.md describes, or name a .bit in ZEROSKIP_BITSTREAM"
    )
