"""The program behind ``proxy.Proxy``: a TCP proxy that breaks as networks do. It knows nothing of what it carries.

``python relay.py <host> <port>`` carries to there, prints the port on which it listens, and then takes one order a line
and answers each with a line: ``cut`` breaks all connections, ``suffer <seed>`` lets one fault after the other happen,
``calm`` ends that and answers how many of each there were, as JSON. It ends with its input.
"""

import asyncio
import json
import socket
import struct
import sys
import time
from collections import Counter

from faults import Fault, faults

RESET = struct.pack("ii", 1, 0)
PIECE = 65536


class Relay:
    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._links: list[_Link] = []
        self._counts = Counter()
        self._suffering: asyncio.Task | None = None

    async def run(self) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        answer(str(server.sockets[0].getsockname()[1]))
        orders = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
        while line := await orders.readline():
            answer(self._obey(*line.decode().split()))

    def _obey(self, order: str, *arguments: str) -> str:
        if order == "cut":
            for link in self._links:
                link.reset()
        elif order == "suffer":
            self._suffering = asyncio.create_task(self._suffer(*arguments))
        elif order == "calm":
            self._suffering.cancel()
        return json.dumps(self._counts)

    async def _suffer(self, seed: str) -> None:
        for fault in faults(seed):
            await asyncio.sleep(fault.after)
            links = [link for link in self._links if link.is_answered]
            if links:
                links[int(fault.victim * len(links))].suffer(fault)
                self._counts[fault.kind] += 1

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


class _Link:
    """A client's socket and the one that was opened for it."""

    def __init__(self, near, far) -> None:
        self._writers = (near[1], far[1])
        self._lanes = {"up": _Lane(near[0], far[1]), "down": _Lane(far[0], near[1])}

    @property
    def is_answered(self) -> bool:
        """Whether something has come from the server. Until then it is left alone: when an attempt to come back fails,
        the package sometimes believes that another of its threads will try again, and none does.
        """
        return self._lanes["down"].has_carried

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
        self.has_carried = False
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
            self.has_carried = True
        await self._until_due()
        self._sink.write_eof()

    async def _until_due(self) -> None:
        now = time.monotonic()
        wait = max(self.held_until - now, self.latency if now < self.late_until else 0)
        if wait > 0:
            await asyncio.sleep(wait)


def answer(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    asyncio.run(Relay(sys.argv[1], int(sys.argv[2])).run())
