"""The functional engine behind the glue's packets: what act_finish makes of a transfer, by the integer reference."""

from __future__ import annotations

import numpy as np

from layers import Tally
from zeroskip.engines import engine_of
from zeroskip.hardware.packets import (
    ACT_HEADER,
    FINISH_FILTER_0,
    FINISH_FILTER_1,
    FINISH_HEADER,
    KIND_ACT,
    KIND_FINISH,
    RUN_HEADER_0,
    RUN_HEADER_1,
    decode,
)
from zeroskip.runtime.hostops import Quant, requantise


class FinishingEngine:
    """A device with glue, without compression, for uint8 and int16 results: FINISH packets go no further."""

    glue = True

    def __init__(self, config):
        self.config = config

    def execute(self, words, out_beats):
        config, plain, runs, at = self.config, [], [], 0
        while at < len(words):
            kind, size = int(words[at]) & 15, 1
            if kind == KIND_FINISH:
                finish = decode(FINISH_HEADER, int(words[at]))
                size += 2 * finish["filters"]
                runs.append((finish, words[at + 1 : at + size]))
            elif kind == KIND_ACT:
                head = decode(ACT_HEADER, int(words[at]))
                size += head["count"] * head["wgs"] * config.column_beats(head["format"])
            else:
                head, loop = decode(RUN_HEADER_0, int(words[at])), decode(RUN_HEADER_1, int(words[at + 1]))
                size += 1 + head["steps"] * (config.near_beats if head["near"] else config.step_beats)
                runs[-1] += (head, loop["nx"] * loop["ny"])  # a FINISH came before it
            if kind != KIND_FINISH:
                plain.append(words[at : at + size])
            at += size
        done = engine_of(config).execute(config, np.concatenate(plain))
        sums, data = done.out, b""
        for run in runs:
            results, sums = finished(sums, *run)
            data += results + bytes(-len(results) % 8)
        assert len(data) == 8 * out_beats and not len(sums)
        return np.frombuffer(data, np.uint64), Tally(done.counters)


def signed(value: int, width: int) -> int:
    return value - (1 << width) if value >> (width - 1) else value


def finished(sums, finish, words, head, pixels) -> tuple[bytes, np.ndarray]:
    """The results of a run, and the sums of those behind it."""
    lanes = finish["filters"] if head["apart"] else 1  # that begin on a beat of their own
    each = head["wgs"] * finish["filters"] // lanes
    mine, behind = np.split(sums, [pixels * lanes * -(-each // 2)])
    mine = mine.view(np.int32).reshape(pixels * lanes, -1)[:, :each].astype(np.int64)
    parameters = [(decode(FINISH_FILTER_0, a), decode(FINISH_FILTER_1, b)) for a, b in words.reshape(-1, 2).tolist()]
    filters = np.array([(signed(a["bias"], 32), a["multiplier"], b["shift"]) for a, b in parameters]).T
    if head["apart"]:  # lane by lane, in a plain run work group by work group
        mine, filters = mine.reshape(pixels, lanes, each), filters[:, :, None]
    else:
        mine = mine.reshape(pixels, head["wgs"], -1)
    quant = Quant(1.0, signed(finish["zero_point"], 16), "int16" if finish["wide"] else "uint8")
    bounds = signed(finish["low"], 16), signed(parameters[-1][1]["high"], 16)
    return requantise(mine + filters[0], filters[1], filters[2], quant, *bounds).tobytes(), behind
