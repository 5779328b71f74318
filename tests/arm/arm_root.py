"""A board's Python without a board: Debian's Python and NumPy for 32-bit ARM, unpacked into the cache, under qemu-user.

Nothing is installed and nothing needs root: apt (in a folder of its own) finds the packages, dpkg-deb unpacks them.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from zeroskip.devices.library_cache import cache_dir, digest

PACKAGES = ("python3", "python3-numpy")

REQUIRED = "ZEROSKIP_REQUIRE_ARM"
"""Set: what is missing fails the tests, instead of skipping them."""

_APT = """
APT::Architecture "armhf";
APT::Architectures {{ "armhf"; }};
APT::Install-Recommends "false";
APT::Sandbox::User "";
Dir::State "{0}/state";
Dir::State::status "{0}/status";
Dir::Cache "{0}/cache";
"""

_SECONDS = 600


def need_qemu() -> str:
    """The emulator; skips the test without it."""
    for name in ("qemu-arm-static", "qemu-arm"):
        if found := shutil.which(name):
            return found
    return _without("qemu-arm is missing: apt-get install qemu-user-static")


def need_root() -> Path:
    """The folder of 32-bit ARM files, built on first use; skips the test where it cannot be built."""
    root = cache_dir() / f"armhf-{digest(PACKAGES)}"
    root.parent.mkdir(parents=True, exist_ok=True)
    with open(root.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.is_dir():
            scratch = root.with_suffix(".new")
            shutil.rmtree(scratch, ignore_errors=True)
            _build(scratch)
            (scratch / "root").rename(root)
            shutil.rmtree(scratch)
    return root


def _build(scratch: Path) -> None:
    """Fetch the packages and all they need, and unpack them into ``scratch/root``."""
    if missing := [tool for tool in ("apt-get", "dpkg-deb") if not shutil.which(tool)]:
        _without(f"{missing[0]} is missing: the ARM packages are Debian's")
    for folder in ("root", "state/lists/partial", "cache/archives/partial"):
        (scratch / folder).mkdir(parents=True)
    (scratch / "status").touch()
    (scratch / "apt.conf").write_text(_APT.format(scratch))
    environment = {**os.environ, "APT_CONFIG": str(scratch / "apt.conf"), "LC_ALL": "C"}
    # The update fails if any of the machine's sources has no armhf; what matters is whether one has.
    for command in (["update", "-q"], ["install", "-q", "-y", "--download-only", *PACKAGES]):
        done = subprocess.run(["apt-get", *command], env=environment, capture_output=True, text=True, timeout=_SECONDS)
    if done.returncode:
        _without(f"apt-get finds no armhf packages: {done.stderr.strip().splitlines()[-1]}")
    for package in (scratch / "cache/archives").glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, scratch / "root"], check=True, timeout=_SECONDS)


def _without(reason: str):
    if os.environ.get(REQUIRED):
        pytest.fail(reason)
    pytest.skip(f"32-bit ARM: {reason}")


def python(qemu: str, root: Path, *arguments, paths: tuple[Path, ...] = (), timeout: float = 300) -> str:
    """Run the ARM Python; what it prints.  It has the root's packages and ``paths``."""
    libraries = root / "usr/lib/arm-linux-gnueabihf"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "LC_ALL": "C.UTF-8",
        "PYTHONHOME": str(root / "usr"),
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "PYTHONPYCACHEPREFIX": str(root.with_suffix(".pycache")),  # compiling takes the emulator longer than running
        # BLAS and LAPACK are chosen by symbolic links that a package's installation would make.
        "LD_LIBRARY_PATH": f"{libraries}/blas:{libraries}/lapack",
    }
    command = [qemu, "-L", root, "-cpu", "cortex-a9", (root / "usr/bin/python3").resolve(), *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
