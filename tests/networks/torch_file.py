"""Tensors out of PyTorch's .pth files, without PyTorch and without running what a pickle may contain.

Both containers are read: the legacy one (three pickles, the state dict, a list of storage names, raw
storages) and the zip archive (``data.pkl`` and one file per storage).
"""

from __future__ import annotations

import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np

_MAGIC = 0x1950A86A20F9469CFC6C
_STORAGES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8"), "HalfStorage": np.dtype("<f2")}


class _View:
    """A tensor whose storage is not read yet: ``torch._utils._rebuild_tensor_v2``'s first arguments."""

    def __init__(self, storage, offset, shape, strides, *_unused) -> None:
        self.dtype, self.key = _STORAGES[storage[1]], storage[2]
        self.offset, self.shape, self.strides = offset, shape, strides


class _Unpickler(pickle.Unpickler):
    """Knows the classes of a state dict of tensors and refuses every other."""

    def find_class(self, module: str, name: str):
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _View
        if module == "torch" and name in _STORAGES:
            return name
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a state dict of tensors")

    def persistent_load(self, reference):
        return reference


def load(path: str | Path) -> dict[str, np.ndarray]:
    """The tensors of a state dict, by name.

    Raises:
        pickle.UnpicklingError: the file holds anything but tensors.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            root = next(name for name in archive.namelist() if name.endswith("/data.pkl")).removesuffix("data.pkl")
            with archive.open(f"{root}data.pkl") as file:
                views = _Unpickler(file).load()
            storages = {view.key: archive.read(f"{root}data/{view.key}") for view in views.values()}
    else:
        with Path(path).open("rb") as file:
            magic, *_ = (_Unpickler(file).load() for _ in range(3))
            if magic != _MAGIC:
                raise pickle.UnpicklingError(f"{path} is not a PyTorch file")
            views = _Unpickler(file).load()
            sizes = {view.key: view.dtype.itemsize for view in views.values()}
            storages = {}
            for key in _Unpickler(file).load():
                (count,) = struct.unpack("<q", file.read(8))
                storages[key] = file.read(count * sizes[key])
    return {name: _tensor(view, storages[view.key]) for name, view in views.items()}


def _tensor(view: _View, storage: bytes) -> np.ndarray:
    flat = np.frombuffer(storage, view.dtype)[view.offset :]
    strides = [step * view.dtype.itemsize for step in view.strides]
    return np.ascontiguousarray(np.lib.stride_tricks.as_strided(flat, view.shape, strides, writeable=False))
