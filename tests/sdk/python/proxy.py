"""A TCP proxy in front of the server that breaks as networks do. It knows nothing of what it carries."""

import asyncio
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from faults import Fault

RESET = struct.pack("ii", 1, 0)
PIECE = 65536


class Proxy:
    """Carries in a thread of its own, as a context manager."""

    def __init__(self, endpoint: str) -> None:
        parts = urlsplit(endpoint)
        self._target = (parts.hostname, parts.port)
        self._links: list[_Link] = []
        self.counts = Counter()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._listener = self._do(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(self, *_) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Breaks all connections at once."""
        self._do(self._cut())

    @contextmanager
    def suffering(self, faults: Iterator[Fault]):
        """Lets one fault after the other happen."""
        running = asyncio.run_coroutine_threadsafe(self._suffer(faults), self._loop)
        try:
            yield
        finally:
            running.cancel()

    def _do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far = await asyncio.open_connection(*self._target)
        except OSError:
            writer.close()
            return
        link = _Link((reader, writer), far)
        self._links.append(link)
        try:
            await link.carry()
        finally:
            self._links.remove(link)

    async def _close(self) -> None:
        self._listener.close()
        await self._cut()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    async def _cut(self) -> None:
        for link in self._links:
            link.reset()

    async def _suffer(self, faults: Iterator[Fault]) -> None:
        for fault in faults:
            await asyncio.sleep(fault.after)
            if self._links:
                self._links[int(fault.victim * len(self._links))].suffer(fault)
                self.counts[fault.kind] += 1


class _Link:
    """A client's socket and the one that was opened for it."""

    def __init__(self, near, far) -> None:
        self._writers = (near[1], far[1])
        self._lanes = {"up": _Lane(near[0], far[1]), "down": _Lane(far[0], near[1])}

    async def carry(self) -> None:
        try:
            await asyncio.gather(*(lane.carry() for lane in self._lanes.values()))
        except OSError:
            self.reset()
        finally:
            for writer in self._writers:
                writer.close()

    def reset(self) -> None:
        for writer in self._writers:
            try:
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            except OSError:
                pass
            writer.transport.abort()

    def suffer(self, fault: Fault) -> None:
        lane = self._lanes[fault.direction]
        now = time.monotonic()
        if fault.kind == "stall":
            lane.held_until = now + fault.lasting
        elif fault.kind == "delay":
            lane.latency, lane.late_until = fault.latency, now + fault.lasting
        else:
            lane.end = fault


class _Lane:
    """One direction of a link."""

    def __init__(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        self._source, self._sink = source, sink
        self.held_until = self.late_until = self.latency = 0.0
        # A kill or a half-close that happens within the next piece.
        self.end: Fault | None = None

    async def carry(self) -> None:
        while piece := await self._source.read(PIECE):
            await self._until_due()
            if self.end:
                self._sink.write(piece[: int(self.end.part * len(piece))])
                if self.end.kind == "kill":
                    raise ConnectionResetError
                break
            self._sink.write(piece)
            await self._sink.drain()
        await self._until_due()
        self._sink.write_eof()

    async def _until_due(self) -> None:
        now = time.monotonic()
        wait = max(self.held_until - now, self.latency if now < self.late_until else 0)
        if wait > 0:
            await asyncio.sleep(wait)
