"""numba's ``njit`` and ``prange``; where numba is not installed, the same functions in plain Python.

That is some hundred times slower: enough for the small layers with which a board tests itself.
"""

from __future__ import annotations

try:
    from numba import njit, prange
except ImportError:
    prange = range

    def njit(**options):
        """Leave the function as it is."""
        return lambda function: function


__all__ = ["njit", "prange"]
