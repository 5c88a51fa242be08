"""A TCP proxy in front of the server that can be cut, and that breaks at random, as networks do.

It is a process of its own, ``relay.py``: beside the many threads of the package's clients it would not have its turn.
"""

import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

STOPPED_WITHIN_SECONDS = 10


class Proxy:
    """A running proxy before the server at ``endpoint``, as a context manager."""

    def __init__(self, endpoint: str) -> None:
        target = urlsplit(endpoint)
        command = [sys.executable, Path(__file__).with_name("relay.py"), target.hostname, str(target.port)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.endpoint = f"http://127.0.0.1:{self._process.stdout.readline().strip()}"

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(self, *_) -> None:
        self._process.stdin.close()
        self._process.wait(STOPPED_WITHIN_SECONDS)
        self._process.stdout.close()

    def cut(self) -> None:
        """Breaks all connections at once."""
        self._order("cut")

    def suffer(self, seed: str) -> None:
        """Lets one fault after the other happen, until ``calm``."""
        self._order(f"suffer {seed}")

    def calm(self) -> dict[str, int]:
        """Gives how many faults of each kind have met something that was on its way."""
        return self._order("calm")

    def _order(self, line: str) -> dict[str, int]:
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())
