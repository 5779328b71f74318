"""stream_crc against binascii's CRC: packets of any length, with and without gaps, right, and with a bit turned."""

from __future__ import annotations

from binascii import crc_hqx

import numpy as np
import pytest

from benches import run_bench
from zeroskip.hardware import crc
from zeroskip.hardware.packets import CHECKSUM
from zeroskip.models.packet_table import intact


def sealed(rng, beats: int) -> list[int]:
    """A random packet with its checksum, by the format's definition."""
    words = [int(word) for word in rng.integers(0, 2**64, beats, np.uint64)]
    words[0] &= (1 << CHECKSUM.low) - 1
    data = b"".join(word.to_bytes(8, "little") for word in words)
    words[0] |= crc_hqx(data, 0) << CHECKSUM.low
    return words


def answers(tmp_path, packets: list[list[int]], gaps: list[list[int]]) -> list[tuple[int, int]]:
    """Of packets whose beats are ``gaps`` cycles apart: the cycle in which each one's last beat came, its answer.

    The module may say nothing else, and must say it one cycle after that.
    """
    lines, ends = [], []
    for packet, gap in zip(packets, gaps, strict=True):
        for index, (word, idle) in enumerate(zip(packet, gap, strict=True)):
            lines += [0xFFFF << 48] * idle  # what is not valid does not matter
            lines.append(1 << 66 | (index == 0) << 65 | (index == len(packet) - 1) << 64 | word)
        ends.append(len(lines) - 1)
    lines += [0, 0, 0]
    beats = tmp_path / "beats"
    beats.write_text("".join(f"{line:x}\n" for line in lines))
    said = run_bench(tmp_path, "stream_crc_tb", "common/stream_crc.v", BEATS=f'"{beats}"', COUNT=len(lines))
    found = [tuple(map(int, line.split())) for line in said.split("\n") if line[:1].isdigit()]
    assert [cycle for cycle, _ in found] == [end + 1 for end in ends]
    return [good for _, good in found]


def test_right_packets(tmp_path):
    rng = np.random.default_rng(1)
    packets = [sealed(rng, int(beats)) for beats in [1, 1, 2, 3, 1, *rng.integers(1, 40, 60)]]
    gaps = [(rng.integers(0, 3, len(packet)) * int(rng.integers(2))).tolist() for packet in packets]
    assert answers(tmp_path, packets, gaps) == [1] * len(packets)


def test_every_bit_counts(tmp_path):
    """Of packets of one, two and three beats; between them right ones, which must not notice."""
    rng = np.random.default_rng(2)
    packets, expected = [], []
    for beats in (1, 2, 3):
        for bit in range(64 * beats):
            packet = sealed(rng, beats)
            packet[bit // 64] ^= 1 << bit % 64
            packets += [packet, sealed(rng, int(rng.integers(1, 4)))]
            expected += [0, 1]
    gaps = [[0] * len(packet) for packet in packets]
    assert answers(tmp_path, packets, gaps) == expected


def test_a_stream_of_zeros_is_no_packet_of_any_kind(tmp_path):
    """Zeros have the checksum zero; that no kind is 0 is what refuses them."""
    assert answers(tmp_path, [[0] * 5], [[0] * 5]) == [1]


@pytest.mark.parametrize("beats", [1, 2, 3, 7, 64, 5000])
def test_the_programs_ways_to_the_same_checksum(beats):
    """Written into a stream, put together from header and rest, and checked by the models."""
    rng = np.random.default_rng(beats)
    words = np.array(sealed(rng, beats + 2), np.uint64)
    bare = words.copy()
    bare[0] &= np.uint64((1 << CHECKSUM.low) - 1)
    stream = np.concatenate([bare, bare])
    stream[0] |= np.uint64(0xABCD << CHECKSUM.low)  # an old one
    crc.seal(stream, np.array([0, beats + 2]), np.array([beats + 2] * 2))
    np.testing.assert_array_equal(stream, np.concatenate([words, words]))
    rest = crc.of_beats(bare[2:])
    found = crc.of_packets(bare[:2], np.array(rest), np.array(beats))
    assert bare[0] | found == words[0]
    assert crc.sealed(bare.tolist()) == words.tolist()
    assert intact(stream, beats + 2, 2 * beats + 4)
    for bit in (0, 15, 63, 64, 64 * beats + 127):
        stream[beats + 2 + bit // 64] ^= np.uint64(1 << bit % 64)
        assert not intact(stream, beats + 2, 2 * beats + 4)
        stream[beats + 2 + bit // 64] ^= np.uint64(1 << bit % 64)


def test_many_headers_at_once():
    """Every header with every rest, of lengths that share no power of two."""
    rng = np.random.default_rng(5)
    lengths = np.array([1, 6, 11, 1000, 4095])
    rests = [rng.integers(0, 2**64, length, np.uint64) for length in lengths]
    headers = rng.integers(0, 2**48, (4, 5, 2), np.uint64)
    found = crc.of_packets(headers, np.array([crc.of_beats(rest) for rest in rests]), lengths)
    for group, run in np.ndindex(found.shape):
        packet = np.concatenate([headers[group, run], rests[run]])
        assert found[group, run] == np.uint64(crc.of_beats(packet) << CHECKSUM.low)
