"""The program behind ``proxy.Proxy``: a TCP proxy that breaks as networks do. It knows nothing of what it carries.

``python relay.py <host> <port>`` carries to there, prints the port on which it listens, and then takes one order a line
and answers each with a line: ``cut`` breaks all connections, ``suffer <seed>`` lets one fault after the other happen,
``calm`` ends that and answers, as JSON, how many of each kind have met something that was on its way: one that nothing
came to meet is not counted. It ends with its input.
"""

import asyncio
import json
import socket
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from faults import KINDS, Fault, faults

RESET = struct.pack("ii", 1, 0)
PIECE = 65536


class Relay:
    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._links: list[_Link] = []
        self._counts = dict.fromkeys(KINDS, 0)
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

    def _met(self, fault: Fault) -> None:
        self._counts[fault.kind] += 1

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far = await asyncio.open_connection(*self._target)
        except OSError:
            writer.close()
            return
        link = _Link((reader, writer), far, self._met)
        self._links.append(link)
        try:
            await link.carry()
        finally:
            self._links.remove(link)


class _Link:
    """A client's socket and the one that was opened for it."""

    def __init__(self, near, far, met: Callable[[Fault], None]) -> None:
        self._writers = (near[1], far[1])
        self._lanes = {"up": _Lane(near[0], far[1], met), "down": _Lane(far[0], near[1], met)}

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
        until = time.monotonic() + fault.lasting
        if fault.kind == "stall":
            lane.stall = _Hindrance(fault, until)
        elif fault.kind == "delay":
            lane.delay = _Hindrance(fault, until)
        else:
            lane.end = fault


@dataclass
class _Hindrance:
    """A stall or a delay that lasts until some time."""

    fault: Fault
    until: float
    has_met: bool = False

    def wait(self) -> float:
        """Seconds for which a piece that has come now is held back."""
        left = self.until - time.monotonic()
        if left <= 0:
            return 0
        return left if self.fault.kind == "stall" else self.fault.latency


class _Lane:
    """One direction of a link. ``met`` is called once for each fault that meets something."""

    def __init__(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, met: Callable[[Fault], None]
    ) -> None:
        self._source, self._sink, self._met = source, sink, met
        self.has_carried = False
        self.stall: _Hindrance | None = None
        self.delay: _Hindrance | None = None
        # A kill or a half-close that happens within the next piece.
        self.end: Fault | None = None

    async def carry(self) -> None:
        while piece := await self._source.read(PIECE):
            await self._until_due()
            if self.end:
                self._sink.write(piece[: int(self.end.part * len(piece))])
                self._met(self.end)
                if self.end.kind == "kill":
                    raise ConnectionResetError
                break
            self._sink.write(piece)
            await self._sink.drain()
            self.has_carried = True
        await self._until_due()
        self._sink.write_eof()

    async def _until_due(self) -> None:
        longest = 0
        for hindrance in filter(None, (self.stall, self.delay)):
            if (wait := hindrance.wait()) > 0:
                longest = max(longest, wait)
                if not hindrance.has_met:
                    hindrance.has_met = True
                    self._met(hindrance.fault)
        if longest > 0:
            await asyncio.sleep(longest)


def answer(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    asyncio.run(Relay(sys.argv[1], int(sys.argv[2])).run())
