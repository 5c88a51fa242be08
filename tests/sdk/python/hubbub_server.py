"""Starts one Hubbub server for the Python suite and stops it again.

Knows the start-up lines of ``hubbub dev`` and nothing of the tests. Called by ``conftest.py``.
"""

import os
import re
import subprocess
import tempfile
import threading
from dataclasses import dataclass

READY_WITHIN_SECONDS = 30
STOPPED_WITHIN_SECONDS = 15

STARTUP_LINES = {
    "connection_string": re.compile(r"^Connection string:\s+(\S+)$", re.M),
    "tls_connection_string": re.compile(r"^Connection string \(TLS\):\s+(\S+)$", re.M),
    "certificate_authority": re.compile(r"^Certificate authority:\s+(.+)$", re.M),
}


class ServerError(Exception):
    """The server did not start, did not stop, or panicked; the text carries what it printed."""


@dataclass(frozen=True)
class StartedServer:
    """The values of the start-up lines."""

    connection_string: str
    tls_connection_string: str
    certificate_authority: str


class Server:
    """One ``hubbub dev`` on free ports, as a context manager."""

    def __init__(self, *flags: str) -> None:
        self._flags = flags
        self._stdout: list[str] = []
        self._stderr: list[str] = []
        self._ready = threading.Event()

    def __enter__(self) -> StartedServer:
        binary = os.environ.get("HUBBUB")
        if not binary:
            raise ServerError(
                "HUBBUB is not set: name the server's binary, for example HUBBUB=$PWD/target/release/hubbub"
            )
        self._directory = tempfile.TemporaryDirectory(prefix="hubbub-test-")
        ports = ["--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0", "--operations-listen", "127.0.0.1:0"]
        command = [binary, "dev", *ports, "--data-dir", self._directory.name, *self._flags]
        try:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        except OSError as error:
            raise ServerError(f"hubbub dev could not be started: {error}") from error
        self._readers = [self._read(self._process.stdout, self._stdout), self._read(self._process.stderr, self._stderr)]
        if not self._ready.wait(READY_WITHIN_SECONDS) or self._process.poll() is not None:
            raise self._failure("was not ready in time" if self._process.poll() is None else "ended before it was ready")
        return StartedServer(**{name: self._line(pattern) for name, pattern in STARTUP_LINES.items()})

    def __exit__(self, *_) -> None:
        ended_by_itself = self._process.poll() is not None
        self._process.terminate()
        try:
            self._process.wait(STOPPED_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            raise self._failure("did not stop in time") from None
        for reader in self._readers:
            reader.join()
        self._directory.cleanup()
        panicked = any("panicked at" in line for line in self._stderr)
        if ended_by_itself or panicked or self._process.returncode != 0:
            raise self._failure(f"ended with status {self._process.returncode}")

    def _read(self, stream, lines: list[str]) -> threading.Thread:
        def read() -> None:
            for line in stream:
                lines.append(line)
                if line.strip() == "Ready.":
                    self._ready.set()
            self._ready.set()

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        return thread

    def _line(self, pattern: re.Pattern) -> str:
        found = pattern.search("".join(self._stdout))
        if not found:
            raise self._failure(f"printed no line that matches {pattern.pattern}")
        return found.group(1)

    def _failure(self, what: str) -> ServerError:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        printed = "".join(self._stdout)[-4000:] + "".join(self._stderr)[-4000:]
        return ServerError(f"hubbub dev {what}\n--- what it printed ---\n{printed}")
