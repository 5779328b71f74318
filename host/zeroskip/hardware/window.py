"""The trident window: which activation each multiplexer input of a lane sees.

Kang et al., section III-A and figure 3; the shapes are Bit-Tactical's tridents.  The paper fixes
sizes 4 and 8; 12 and 16 follow the same rule: lookaheads first, then lookasides that step outward
in time and lane together, wrapping to one column ahead when the lookahead is used up.
"""

from __future__ import annotations

_CANDIDATES = {
    4: ((0, 0), (1, 0), (1, -1), (1, 1)),
    8: ((0, 0), (1, 0), (2, 0), (1, -1), (1, 1), (2, -2), (2, 2), (1, 3)),
    12: ((0, 0), (1, 0), (2, 0), (3, 0)) + ((1, -1), (1, 1), (2, -2), (2, 2), (3, -3), (3, 3), (1, -4), (1, 4)),
    16: ((0, 0), (1, 0), (2, 0), (3, 0), (4, 0))
    + ((1, -1), (1, 1), (2, -2), (2, 2), (3, -3), (3, 3), (4, -4), (4, 4), (1, -5), (1, 5), (2, 6)),
}


def candidates(mux: int) -> tuple[tuple[int, int], ...]:
    """Candidates of a selector with ``mux`` inputs: (columns ahead, lane offset), in priority order.

    Input 0 is the lane's own place in the head column.  Lane offsets count modulo the number of
    lanes, so with few lanes two inputs can see the same activation (8 lanes: mux 12 has 11 real
    inputs, mux 16 has 14); a scheduler uses the first of them.
    """
    return _CANDIDATES[mux]
