"""A TCP proxy in front of the server that can be cut, as networks are. It knows nothing of what it carries."""

import socket
import struct
import threading
from urllib.parse import urlsplit

RESET = struct.pack("ii", 1, 0)


class Proxy:
    def __init__(self, endpoint: str) -> None:
        parts = urlsplit(endpoint)
        self._target = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open = set()
        self._lock = threading.Lock()
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(self, *_) -> None:
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Breaks all connections at once."""
        with self._lock:
            broken, self._open = self._open, set()
        for end in broken:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            try:
                # Closing alone would not wake the thread that reads.
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
            except OSError:
                return
            with self._lock:
                self._open |= {near, far}
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while chunk := source.recv(65536):
                sink.sendall(chunk)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass
