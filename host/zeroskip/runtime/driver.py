"""The one driver of the accelerator: pynq's Overlay, allocate, DMA and MMIO, on the board and simulated."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any

import numpy as np

from ..errors import ConfigError, DeviceError, DeviceTimeout, InputError
from ..hardware.config import Config
from ..hardware.packets import KIND_DAMAGED, KIND_NAMES, decode
from ..hardware.registers import BY_NAME, COUNTER_MAX, COUNTER_NAMES, ERROR_CHECKSUM, ERRORS, config_words
from .axi_dma import AxiDma
from .buffers import BEAT_BYTES, Buffers
from .counters import Counters
from .pynq_import import import_pynq, pynq_errors, quiet, reason

_ENGINE_VLNVS = ("zeroskip:zeroskip:zeroskip_core", "xilinx.com:module_ref:zeroskip_bd")
"""As devices/hwh.py names it, and as Vivado does where the engine is a module reference."""
_DMA_VLNVS = ("xilinx.com:ip:axi_dma",)
_GLUE = ("act_expand", "act_finish")

_PROGRESS = ("BEATS_IN", "BEATS_OUT", "BUSY", "DEAD_STEPS")
"""Registers of which at least one changes as long as the engine gets on."""

_STUCK: list[Buffers] = []
"""Buffers of a DMA that could not be stopped."""

_LOOK = 0.005
"""Seconds between two looks at the engine's error while a transfer runs."""

_STILL = 3
"""Looks in a row at which nothing moves, after which an engine that has got its whole stream gets no further."""

_REST = ("error", "loader", "loaded", "active", "s_valid", "m_valid")
"""Fields of STATUS that are 0 when a transfer has come to its end and nothing of it is left."""

_SPINS = 200
"""Polls before the driver starts to give the processor away between them."""


class Accelerator:
    """An open accelerator; get one from :func:`zeroskip.open_device`.

    Args:
        kind: "sim", "model" or "board", for messages.
        config: the hardware this program was compiled for.
        bitstream: path given to ``pynq.Overlay``.
        device: pynq device to load it on; None for pynq's own.
        timeout: seconds without progress after which a run is given up.
        glue: True: the hardware must have the HLS kernels around the engine; False: they are not used;
            None: they are used where the hardware has them.

    Attributes:
        glue: the engine's results may be requantised, and activations compressed, by hardware.
        compress: send and receive activations zero-compressed; set it where the memory is the bottleneck.

    Raises:
        ConfigError: the hardware is another one; the message names what differs.
        DeviceError: the hardware is not a zeroskip accelerator or does not answer.
    """

    def __init__(
        self,
        kind: str,
        config: Config,
        bitstream: str,
        device: Any = None,
        timeout: float = 10.0,
        glue: bool | None = None,
    ) -> None:
        if not timeout > 0:
            raise InputError(f"timeout = {timeout!r}; accepted: a number of seconds above 0")
        self.kind = kind
        self.config = config
        self.timeout = timeout
        self._device = device
        pynq = import_pynq()
        with quiet():
            self.overlay = pynq.Overlay(bitstream, device=device)
            self._engine = self._ip(_ENGINE_VLNVS)
            self._dma = AxiDma(self._ip(_DMA_VLNVS))
        self._target = self.overlay.device
        self._remote = self._target.has_capability("REMOTE")
        self.closing = contextlib.ExitStack()
        if device is not None:
            self.closing.callback(device.close)
        self._buffers = Buffers(self._target)
        self._lock = threading.RLock()
        self._closed = False
        self._unclean = False  # a transfer was broken off, and no reset has succeeded since
        self._identify()
        self.glue = self._find_glue(glue)
        self.compress = False
        self.reset()

    def _ip(self, vlnvs: tuple[str, ...]) -> Any:
        kinds = {name: str(ip.get("type", "")).rpartition(":")[0] for name, ip in self.overlay.ip_dict.items()}
        names = [name for name, kind in kinds.items() if kind in vlnvs]
        if len(names) != 1:
            raise DeviceError(f"the overlay has {len(names)} IPs of type {' or '.join(vlnvs)}; needed: exactly one")
        return getattr(self.overlay, names[0])

    def _find_glue(self, wanted: bool | None) -> bool:
        """Whether the hardware has the glue and it may be used; it has no registers, only a place in the design."""
        graph = getattr(self.overlay, "systemgraph", None)
        found = [getattr(block, "vlnv", None) for block in (graph.blocks.values() if graph is not None else ())]
        found = [vlnv.name for vlnv in found if vlnv is not None and vlnv.vendor == "zeroskip"]
        missing = [name for name in _GLUE if name not in found]
        if wanted and missing:
            raise ConfigError(
                f"the hardware has no {' and no '.join(missing)}, which glue=True asks for. "
                "Load a bitstream that was built with the glue, or open the device with glue=False"
            )
        return wanted is not False and not missing

    # -- registers -------------------------------------------------------------------------------
    def _read(self, name: str) -> int:
        # pynq.remote carries registers as signed numbers.
        return self._engine.mmio.read(BY_NAME[name].offset) & 0xFFFF_FFFF

    def _control(self, field: str) -> None:
        fields = BY_NAME["CONTROL"].fields
        self._engine.mmio.write(BY_NAME["CONTROL"].offset, sum(1 << f.low for f in fields if f.name == field))

    def _identify(self) -> None:
        """Refuse hardware that is not what the program was compiled for."""
        expected = config_words(self.config)
        found = {name: self._read(name) for name in expected}
        if found["ID"] != expected["ID"]:
            raise DeviceError(
                f"no zeroskip engine: its ID register reads 0x{found['ID']:08X}, expected 0x{expected['ID']:08X}; "
                "load the bitstream that belongs to this release"
            )
        differing = []
        if found["VERSION"] != expected["VERSION"]:
            differing.append(f"version = {found['VERSION']} in hardware, {expected['VERSION']} expected")
        for name in ("CONFIG0", "CONFIG1", "CONFIG2"):
            here, wanted = (decode(BY_NAME[name].fields, words[name]) for words in (found, expected))
            for field, value in wanted.items():
                if here[field] != value:
                    label, show = field, int
                    if field.startswith("log2_"):
                        label, show = field.removeprefix("log2_"), lambda exponent: 1 << exponent
                    differing.append(f"{label} = {show(here[field])} in hardware, {show(value)} expected")
        if not differing and found["CONFIG_HASH"] != expected["CONFIG_HASH"]:
            differing.append(
                f"configuration hash = 0x{found['CONFIG_HASH']:08X} in hardware, "
                f"0x{expected['CONFIG_HASH']:08X} expected"
            )
        if differing:
            raise ConfigError(
                f"the hardware is not configuration {self.config.name!r}: {'; '.join(differing)}. "
                "Compile for the hardware's configuration, or load the bitstream of this one"
            )

    # -- runs ------------------------------------------------------------------------------------
    @property
    def max_beats(self) -> int:
        """Largest number of 64-bit words one transfer can move in either direction."""
        return self._dma.max_bytes // BEAT_BYTES

    def execute(self, words: np.ndarray, out_beats: int, *, most: bool = False) -> tuple[np.ndarray, Counters]:
        """Send a packet stream and receive its sums; calls of several threads queue.

        Args:
            words: uint64 (n,), whole packets; the last RUN carries ``last``.
            out_beats: 64-bit words of sums that the stream makes.
            most: it may also make fewer: compressed results.

        Returns:
            uint64 (out_beats,) or, with ``most``, as many as came, and the counters of this run.

        Raises:
            InputError: not such an array, or more than one transfer can move.
            DeviceTimeout: no progress for ``timeout`` seconds; the message shows DMA and engine.
            DeviceError: DMA or engine report an error, such as a packet with a wrong checksum, the stream ends within
                a packet, the result is short, words are left over, a counter overflowed, or an earlier run broke off
                and the reset after it did not succeed.
        """
        words = np.asarray(words)
        if words.dtype != np.uint64 or words.ndim != 1 or not words.size:
            raise InputError(
                f"packet stream: {words.dtype} of shape {words.shape}; accepted: uint64 (n,), n at least 1"
            )
        out_beats = int(out_beats)
        for name, beats in (("packet stream", words.size), ("result", out_beats)):
            if not 1 <= beats <= self.max_beats:
                raise InputError(
                    f"{name} of {beats} 64-bit words; one DMA transfer moves 1 to {self.max_beats}; "
                    "split it into several"
                )
        with self._lock:
            return self._execute(words, out_beats, most)

    def _execute(self, words: np.ndarray, out_beats: int, most: bool) -> tuple[np.ndarray, Counters]:
        if self._closed:
            raise DeviceError(f"the {self.kind} device is closed")
        if self._unclean:
            raise DeviceError(
                f"the {self.kind} device was not reset since its last transfer broke off. Call its reset(), or close "
                "and open it again; if that fails, load the bitstream anew"
            )
        source, target = self._buffers.stream(words.size), self._buffers.result(out_beats)
        source[:] = words
        self._unclean = True
        try:
            self._control("clear")
            self._dma.transfer(source, target)
            self._wait()
            moved = self._dma.received
            if moved != target.nbytes and not (most and 0 < moved < target.nbytes):
                raise DeviceError(f"{moved} bytes of sums came, {target.nbytes} were expected; {self._state()}")
            self._check_rest()
            counters = self._counters()
            target.invalidate()
            self._unclean = False
        except BaseException as error:
            failure = error
            if self._remote and isinstance(error, pynq_errors()):
                failure = DeviceError(f"the {self.kind} stopped answering during a run: {reason(error)}")
            self._recover(failure)
            if failure is not error:
                raise failure from error
            raise
        return np.array(target[: moved // BEAT_BYTES]), counters

    def _wait(self) -> None:
        """Wait until both channels are idle, as long as there is progress and the engine has no error."""
        started = time.monotonic()
        progress, deadline, look, polls = None, started + self.timeout, started + _LOOK, 0
        still, seen = 0, None  # looks at which the engine waits for words that do not come; its counters then
        while True:
            dma = self._dma.poll()
            if dma == "failed":
                raise DeviceError(f"DMA error; {self._state()}")
            if dma == "idle":
                return
            polls += 1
            if polls > _SPINS:
                time.sleep(0.0001)
            now = time.monotonic()
            if now > look:
                status = self._status()
                self._check_error(status)
                look = now + _LOOK
                if dma == "sent" and not (status["s_valid"] or status["m_valid"]):
                    counts = [self._read(name) for name in _PROGRESS]
                    still, seen = (still + 1 if counts == seen else 0), counts
                    if still == _STILL:
                        raise DeviceError(f"{self._ended(status)}; {self._state()}")
                else:
                    still, seen = 0, None
            if now > deadline:
                counts = [self._read(name) for name in _PROGRESS]
                if counts == progress:
                    raise DeviceTimeout(f"no progress for {self.timeout:g} s; {self._state()}")
                progress, deadline = counts, now + self.timeout

    def _status(self) -> dict[str, int]:
        return decode(BY_NAME["STATUS"].fields, self._read("STATUS"))

    def _check_error(self, status: dict[str, int]) -> None:
        if error := status["error"]:
            raise DeviceError(f"{self._refused(error, status['kind'])}; {self._state()}")

    def _refused(self, error: int, kind: int) -> str:
        """Which packet the engine stopped at, and why; packets count from 1, without FINISH."""
        number, why = self._read("PACKETS") + 1, ERRORS.get(error, "unknown error")
        if self.glue and kind == KIND_DAMAGED:
            why, error = ERRORS[ERROR_CHECKSUM], ERROR_CHECKSUM
            found = f"the FINISH before packet {number}"
        else:
            found = f"packet {number}, {KIND_NAMES.get(kind, f'kind {kind}')}"
        if error == ERROR_CHECKSUM:
            why += ". The stream is not what the program sent: run it again; docs/board.md says what to do if it stays"
        return f"the engine refused {found}: {why}"

    def _ended(self, status: dict[str, int]) -> str:
        """What an engine lacks that waits for words after the whole stream has been sent."""
        number = self._read("PACKETS") + 1
        if status["loader"]:
            name = KIND_NAMES.get(status["kind"], f"kind {status['kind']}")
            return f"the stream ended within packet {number}, {name}: it is damaged, or its last words were not sent"
        return f"the stream ended after packet {number - 1}, and not all of its sums came: it is damaged, or incomplete"

    def _check_rest(self) -> None:
        """Both channels are done: nothing of the stream may be left, which the next transfer would meet."""
        status = self._status()
        self._check_error(status)
        if any(status[field] for field in _REST):
            raise DeviceError(f"words were left over after the last sum; {self._state()}")

    def _counters(self) -> Counters:
        values = {name: self._read(name.upper()) for name in COUNTER_NAMES}
        if full := [name for name, value in values.items() if value == COUNTER_MAX]:
            raise DeviceError(f"counter {full[0]} overflowed its 32 bits; split the run into several")
        if not values["cycles"]:
            raise DeviceError(f"the engine counted no cycles for this run; {self._state()}")
        return Counters(**values)

    # -- when something went wrong ---------------------------------------------------------------
    def _state(self) -> str:
        """DMA and engine as one line for an error message."""
        return f"{self._dma.state()}; {self._engine_state()}"

    def _engine_state(self) -> str:
        status = self._read("STATUS")
        fields = decode(BY_NAME["STATUS"].fields, status)
        error = fields.pop("error")
        shown = ", ".join(f"{name} {value}" for name, value in fields.items())
        return (
            f"engine error {error} ({ERRORS.get(error, 'unknown')}), {shown} (STATUS 0x{status:08X}), "
            f"beats in {self._read('BEATS_IN')}, out {self._read('BEATS_OUT')}"
        )

    def _recover(self, failure: BaseException) -> None:
        """Reset after a failure.  Until a reset succeeds, the device takes no work.

        Raises:
            DeviceError: the reset failed, too; of the failure's own class where that is one of ours.
        """
        try:
            self.reset()
        except Exception as error:
            if isinstance(failure, Exception):
                kind = type(failure) if isinstance(failure, DeviceError) else DeviceError
                raise kind(f"{failure}. The reset after that failed, too: {reason(error)}") from failure
            # Ctrl-C stays Ctrl-C; the next run says that there was no reset.

    def reset(self) -> None:
        """Abort whatever runs and bring DMA and engine to their idle state.

        Raises:
            DeviceTimeout: the DMA does not come out of its reset; the device then takes no work.
        """
        with self._lock:
            self._unclean = True
            try:
                self._stop()
                self._dma.start(self.timeout)
                self._unclean = False
            except DeviceTimeout as error:
                raise DeviceTimeout(f"{error}; {self._engine_state()}") from None

    def _stop(self) -> None:
        """Leave the DMA halted and the engine idle."""
        # The DMA first, so that no word of the old stream follows the engine's reset.  Its reset is also the glue's,
        # into which words may come until the DMA has stopped, and sums until the engine is reset.
        for _ in range(2 if self.glue else 1):
            self._dma.reset(self.timeout)
        self._control("reset")
        if self.glue:
            self._dma.reset(self.timeout)

    # -- end -------------------------------------------------------------------------------------
    def close(self) -> None:
        """Stop the DMA, then release buffers, the board and, when simulated, the simulator.

        It waits for a run of another thread.  Closing twice is harmless.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            try:
                self._stop()
            except Exception:
                # What does not stop may still write: its memory is kept until the process ends.
                _STUCK.append(self._buffers)
            else:
                self._buffers.clear()
            self.closing.close()

    def __enter__(self) -> Accelerator:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<zeroskip accelerator: {self.kind}, configuration {self.config.name!r}>"
