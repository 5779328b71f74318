"""The zena engine read literally from its packet format, packet by packet: what the compiler's streams must mean.

Slow and simple; checks the rules a stream has to keep.  Independent of ``models/zena.py``.
"""

from __future__ import annotations

import numpy as np

from layers import Tally
from zeroskip.hardware.packets import (
    JOB_HEADER_0,
    JOB_HEADER_1,
    KIND_JOB,
    KIND_ZACT,
    MIN_CHUNKS,
    ZACT_HEADER,
    decode,
    log_weight,
)


class LiteralZena:
    """The driver's two names; keeps the streams it was given."""

    def __init__(self, config):
        self.config = config
        self.streams = []

    def execute(self, words, out_beats):
        self.streams.append(words)
        out, counters = interpret(self.config, words)
        assert len(out) == out_beats
        return out, Tally(counters)


def interpret(config, words):
    """Output beats and counters of one transfer."""
    acts = np.zeros((config.wgs, config.columns, 16), np.int64)
    masks = np.zeros((config.wgs, config.columns, 16), bool)
    page_of = np.full(config.columns, -1)
    # Partial sums belong to a sub-WG's PEs; with stealing, to the PEs of all sub-WGs that may do a job.
    owners = 1 if config.stealing else config.sub_wgs
    psums = np.zeros((owners, config.wgs, config.sub_filters, config.job_psums), np.int64)
    live = np.zeros((owners, config.job_psums), bool)  # partial sums between a first and a final job
    begins = np.full(config.job_psums, -1)
    finals = [[] for _ in range(owners)]  # psum ranges of each owner's final jobs, in order
    out, counts = [], {"multiplies": 0, "empty_chunks": 0, "pe_cycles": 0, "jobs": 0}
    at = last = 0
    while at < len(words):
        assert not last, "a packet after the last job"
        kind = int(words[at]) & 15
        if kind == KIND_ZACT:
            head = decode(ZACT_HEADER, words[at])
            assert 1 <= head["wgs"] <= config.wgs and 1 <= head["count"] <= config.columns
            address = (head["address"] + np.arange(head["count"])) % config.columns
            page_of[address] = head["page"]
            at += 1
            for group in range(-(-head["wgs"] // 4)):
                lanes = min(4, head["wgs"] - 4 * group)
                found, at = _lane_group(words, at, lanes, head["count"])
                for lane, (mask, values) in enumerate(found):
                    assert np.abs(values).max(initial=0) <= config.act_max
                    masks[4 * group + lane, address], acts[4 * group + lane, address] = mask, values
            continue
        assert kind == KIND_JOB, kind
        head, loop = decode(JOB_HEADER_0, words[at]), decode(JOB_HEADER_1, words[at + 1])
        chunks, pixels, sub = head["chunks"], loop["nx"] * loop["ny"], head["sub_wg"]
        assert MIN_CHUNKS <= chunks <= config.steps and 1 <= head["wgs"] <= config.wgs and sub < config.sub_wgs
        assert pixels >= 1 and head["psum"] + pixels <= config.job_psums
        owner = 0 if config.stealing else sub
        beats = -(-chunks // 4)
        offsets = words[at + 2 : at + 2 + beats].view(np.uint16)[:chunks].astype(int)
        at += 2 + beats
        w, m = [], []
        for _ in range(config.sub_filters // 4):
            found, at = _lane_group(words, at, 4, chunks)
            m += [mask for mask, _ in found]
            w += [values for _, values in found]
        w, m = np.array(w), np.array(m)
        if config.weight_w == 5:
            w = np.vectorize(log_weight)(w & 31) * m
        assert np.abs(w).max() <= 1 << max(config.weight_w - 1, 14)
        y, x = np.ogrid[: loop["ny"], : loop["nx"]]
        column = (loop["base"] + y * loop["dy"] + x * loop["dx"]).reshape(-1, 1) + offsets
        column %= config.columns
        used = m.any((0, 2))
        assert (page_of[column[:, used]] == head["page"]).all(), "a column of another page"
        places = slice(head["psum"], head["psum"] + pixels)
        if config.stealing:
            assert np.isin(begins[places], (-1, head["psum"])).all(), "jobs share some of their partial sums"
            begins[places] = head["psum"]
        if head["first"]:
            assert not live[owner, places].any(), "partial sums that are still needed"
            late = finals[owner][max(len(finals[owner]) - head["undrained"], 0) :]
            assert not any(a < places.stop and places.start < b for a, b in late), "partial sums not yet sent"
        else:
            assert live[owner, places].all(), "partial sums that never began"
        live[owner, places] = not head["final"]
        for wg in range(head["wgs"]):
            both = masks[wg, column][None] & m[:, None]  # (PEs, pixels, chunks, 16)
            found = (np.where(both, acts[wg, column][None] * w[:, None], 0)).sum((2, 3))
            psums[owner, wg, :, places] = found + (0 if head["first"] else psums[owner, wg, :, places])
            products = np.count_nonzero(both, axis=3)
            counts["multiplies"] += int(products.sum())
            counts["empty_chunks"] += int((products == 0).sum())
        counts["jobs"] += 1
        if head["final"]:
            finals[owner].append((places.start, places.stop))
            sums = psums[owner, : head["wgs"], :, places].transpose(2, 1, 0).astype(np.int32)  # (pixels, PEs, wgs)
            out.append(np.pad(sums, ((0, 0), (0, 0), (0, head["wgs"] % 2))).ravel())
        last = head["last"]
        assert not last or head["final"]
    assert last and at == len(words)
    counts["beats_in"] = len(words)
    return np.concatenate(out).view(np.uint64), counts


def _lane_group(words, at, lanes, rows):
    """Per lane (mask bool (rows, 16), values int (rows, 16)), and the index of the first beat behind the group."""
    entries, found, end = words[at:].view(np.int16).reshape(-1, 4), [], at
    for lane in range(lanes):
        place, mask, values = 0, np.zeros((rows, 16), bool), np.zeros((rows, 16), np.int64)
        for row in range(rows):
            mask[row] = int(entries[place, lane]) >> np.arange(16) & 1
            count = int(mask[row].sum())
            values[row, mask[row]] = entries[place + 1 : place + 1 + count, lane]
            place += 1 + count
        found.append((mask, values))
        end = max(end, at + place)
    return found, end
