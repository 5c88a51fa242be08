"""What goes wrong on a network and when, as a sequence that a seed determines. Acted out by ``proxy.py``."""

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass

KINDS = ("kill", "half-close", "stall", "delay")
# Of which these end a link.
ENDS = ("kill", "half-close")

PAUSE_SECONDS = (0.01, 0.09)
# The package gives up an attempt to come back that takes longer than its `start_timeout`, and acknowledges nothing from
# then on: together with the latency this must stay far below it.
STALL_SECONDS = (0.1, 0.6)
LATENCY_SECONDS = (0.005, 0.08)
LATE_FOR_SECONDS = (0.2, 1.5)


@dataclass(frozen=True)
class Fault:
    """What happens to one link of a proxy.

    ``after``: seconds since the fault before. ``victim``: which of the links, as a part of all, 0 to 1. ``direction``:
    ``up`` to the server or ``down`` from it; a kill ends both, after something passed in this one. ``part``: how much
    of the next piece still passes a kill or a half-close. ``lasting``: seconds of a stall or a delay. ``latency``:
    seconds of a delay for each piece.
    """

    after: float
    victim: float
    kind: str
    direction: str
    part: float
    lasting: float
    latency: float


def seed_of_run() -> str:
    """That of ``FAULT_SEED``, by which a failure is replayed, or a new one."""
    return os.environ.get("FAULT_SEED") or str(random.randrange(10**9))


def faults(seed: str) -> Iterator[Fault]:
    """An endless sequence."""
    source = random.Random(seed)
    while True:
        kind = source.choice(KINDS)
        yield Fault(
            after=source.uniform(*PAUSE_SECONDS),
            victim=source.random(),
            kind=kind,
            direction=source.choice(("up", "down")),
            part=source.random(),
            lasting=source.uniform(*(STALL_SECONDS if kind == "stall" else LATE_FOR_SECONDS)),
            latency=source.uniform(*LATENCY_SECONDS),
        )
