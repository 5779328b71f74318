"""Addresses for servers: each listens on one of its own in 127/8, as pynq's client always uses port 7967."""

import os
import random

_pick = random.Random(os.getpid())


def fresh_address() -> str:
    """A loopback address that no other test, or run of the tests, uses."""
    return f"127.{_pick.randrange(1, 255)}.{_pick.randrange(256)}.{_pick.randrange(1, 255)}"
