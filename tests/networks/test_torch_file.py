"""The reader of PyTorch's files: tensors yes, anything else no."""

import io
import pickle
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

import torch_file


class _Storage:
    """Pickles as torch's storages do: by reference."""

    def __init__(self, key, count):
        self.reference = ("storage", _Global("torch", "FloatStorage"), key, "cpu", count)


class _Global:
    """Pickles as a name of a module that need not exist."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class _Call:
    def __init__(self, function, arguments):
        self.function, self.arguments = function, arguments


class _Pickler(pickle._Pickler):
    """Writes what torch.save writes, without torch."""

    def persistent_id(self, item):
        return item.reference if isinstance(item, _Storage) else None

    def save(self, item, save_persistent_id=True):
        if isinstance(item, _Global):
            self.write(b"c" + f"{item.module}\n{item.name}\n".encode())
        elif isinstance(item, _Call):
            self.save(item.function)
            self.save(item.arguments)
            self.write(pickle.REDUCE)
        else:
            super().save(item, save_persistent_id)


def dumped(item) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer, protocol=2).dump(item)
    return buffer.getvalue()


def state(offset=0, strides=(3, 1)):
    rebuild = _Global("torch._utils", "_rebuild_tensor_v2")
    return OrderedDict(w=_Call(rebuild, (_Storage("7", 8), offset, (2, 3), strides, False, OrderedDict())))


VALUES = np.arange(8, dtype="<f4")


def legacy(item) -> bytes:
    head = b"".join(dumped(part) for part in (torch_file._MAGIC, 1001, {"little_endian": True}))
    return head + dumped(item) + dumped(["7"]) + struct.pack("<q", 8) + VALUES.tobytes()


def archive(item) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("net/data.pkl", dumped(item))
        file.writestr("net/data/7", VALUES.tobytes())
    return buffer.getvalue()


@pytest.mark.parametrize("container", [legacy, archive])
def test_tensors_are_read(tmp_path, container):
    path = tmp_path / "net.pth"
    path.write_bytes(container(state()))
    np.testing.assert_array_equal(torch_file.load(path)["w"], [[0, 1, 2], [3, 4, 5]])
    path.write_bytes(container(state(offset=2, strides=(1, 2))))
    np.testing.assert_array_equal(torch_file.load(path)["w"], [[2, 4, 6], [3, 5, 7]])


@pytest.mark.parametrize("container", [legacy, archive])
@pytest.mark.parametrize("name", [("os", "system"), ("builtins", "eval"), ("torch", "load"), ("numpy", "load")])
def test_anything_else_is_refused(tmp_path, container, name):
    path = tmp_path / "net.pth"
    path.write_bytes(container(OrderedDict(w=_Call(_Global(*name), ("1",)))))
    with pytest.raises(pickle.UnpicklingError, match="no part of a state dict"):
        torch_file.load(path)
