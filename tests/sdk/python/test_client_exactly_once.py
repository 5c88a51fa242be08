"""``azure-messaging-webpubsubclient`` on the subprotocol of its own choice, reliable JSON, behind a network that kills,
half-closes, stalls and delays its sockets at random: whatever is published, each member of a group sees it once and in
the order of its publisher.

In the end there must have been faults of each kind, and clients that came back from them.

``MESSAGES`` is how many are published in all; ``FAULT_SEED`` replays the faults of an earlier run, as far as the timing
is the same.
"""

import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from azure.messaging.webpubsubclient import WebPubSubClient
from azure.messaging.webpubsubclient.models import CallbackType, SendMessageError, WebPubSubDataType

from faults import ENDS, KINDS, seed_of_run
from test_client_reliable import far, proxy  # noqa: F401 (fixtures)

MESSAGES = int(os.environ.get("MESSAGES", 50_000))
GROUPS = 32
# Each second one is behind the proxy.
CLIENT_PUBLISHERS = 14
# Callers of the service API.
SERVICE_PUBLISHERS = 2
PUBLISHERS = CLIENT_PUBLISHERS + SERVICE_PUBLISHERS
# Each publisher sends to so many groups, in turn. Over a Redis Cluster there is an order for each group alone.
GROUPS_OF_PUBLISHER = 1 if os.environ.get("REDIS") == "cluster" else 4
BATCH = 12

# The server ends a connection that leaves 1,000 messages unacknowledged, which is not what is tested. An acknowledgement
# may be lost with its socket, so that this is less than half of it.
MOST_UNACKNOWLEDGED = 400
# When a client misses that its socket has opened, it acknowledges only after this time.
START_TIMEOUT = 4

# Messages that may overtake another one on their way through the package's threads.
MOST_EARLY = 200
# Seconds without any message after which nothing more is expected.
PATIENCE = 40
LOOK_SECONDS = 0.02
# A run of no more messages than this is too short to judge its faults.
TOO_SHORT = 10_000
# Messages beyond that in whose time at least one link is ended, and another client comes back, until all have.
MESSAGES_PER_END = 600
CLOSED_WITHIN_SECONDS = 2
# Each of the many threads has its turn sooner than it is usual.
SWITCH_SECONDS = 0.0005


@pytest.fixture
def quick_switches():
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    yield
    sys.setswitchinterval(before)


def test_messages_through_a_faulty_network_arrive_once_and_in_order(hub, far, proxy, capsys, quick_switches):  # noqa: F811
    seed = seed_of_run()
    with capsys.disabled():
        print(f"\nFAULT_SEED={seed} MESSAGES={MESSAGES}")
    run = Run()
    receivers = in_threads(lambda index: Receiver(run, far, index), range(GROUPS))
    senders = in_threads(lambda index: sender_at(index, run, hub, far), range(PUBLISHERS))
    try:
        proxy.suffer(seed)
        # Daemons, for the package sometimes locks a sender and its own thread against each other for ever.
        publishing = [
            threading.Thread(target=publish, args=(run, receivers, publisher, send), daemon=True)
            for publisher, send in enumerate(senders)
        ]
        for publisher in publishing:
            publisher.start()
        run.complete(receivers, publishing)
        counts = proxy.calm()

        # What would come once more comes before this.
        hub.service.send_to_all("the end", content_type="text/plain")
        assert all(receiver.ended.wait(PATIENCE) for receiver in receivers)
        assert run.failure is None, run.failure
        recoveries = [client.recoveries for client in run.clients_of(far)]
        with capsys.disabled():
            print(f"faults: {counts}; by each publisher: {run.published}")
            print(f"recoveries of each client behind the proxy: {recoveries}")
        expect_trouble(counts, recoveries)
    finally:
        run.is_over = True
        closing = [threading.Thread(target=client.close, daemon=True) for client, _ in run.clients]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join(CLOSED_WITHIN_SECONDS)


def expect_trouble(counts: dict[str, int], recoveries: list[int]) -> None:
    """There were faults of each kind, many of them ended a link, and each client behind the proxy has come back; or
    some of them have, if fewer messages were published.
    """
    if MESSAGES <= TOO_SHORT:
        return
    assert all(counts[kind] for kind in KINDS)
    least = (MESSAGES - TOO_SHORT) // MESSAGES_PER_END
    assert sum(counts[kind] for kind in ENDS) >= least
    assert sum(count > 0 for count in recoveries) >= min(least, len(recoveries))


def in_threads(start, indexes) -> list:
    """What ``start`` gives for each index; one after the other would take long."""
    with ThreadPoolExecutor(len(indexes)) as pool:
        return list(pool.map(start, indexes))


class Run:
    """How it goes: the first failure ends it."""

    def __init__(self) -> None:
        self.is_over = False
        self.failure = None
        # Those that were started, each with its hub.
        self.clients = []
        # How many numbers each publisher has taken, from 0 on.
        self.published = [0] * PUBLISHERS
        self._lock = threading.Lock()
        self._last_message = time.monotonic()

    def fail(self, why: str) -> None:
        self.failure = self.failure or why
        self.is_over = True

    def clients_of(self, hub) -> "list[CountingClient]":
        return [client for client, its_hub in self.clients if its_hub is hub]

    def heard(self) -> None:
        self._last_message = time.monotonic()

    def take_numbers(self, publisher: int) -> range:
        """What a publisher sends next: the faster ones send more. Nothing when all is sent."""
        with self._lock:
            count = min(BATCH, MESSAGES - sum(self.published))
            first = self.published[publisher]
            self.published[publisher] += count
            return range(first, first + count)

    def complete(self, receivers: "list[Receiver]", publishing: list[threading.Thread]) -> None:
        """Waits until all receivers have all messages, or something has failed."""
        while True:
            assert self.failure is None, self.failure
            missing = [receiver.missing() for receiver in receivers if not receiver.has_all()]
            if not missing and not any(publisher.is_alive() for publisher in publishing):
                assert sum(self.published) == MESSAGES
                return
            if time.monotonic() - self._last_message > PATIENCE:
                self.fail(f"nothing came for {PATIENCE} s: {'; '.join(missing)}")
            time.sleep(LOOK_SECONDS)


class Receiver:
    """A client behind the proxy that is in two groups and checks what comes."""

    def __init__(self, run: Run, hub, index: int) -> None:
        self._run = run
        self._name = f"receiver {index}"
        self.groups = {index, (index + 1) % GROUPS}
        publishers = [publisher for publisher in range(PUBLISHERS) if self.groups & groups_of(publisher)]
        self._due = {publisher: self._following(publisher, -1) for publisher in publishers}
        self.ended = threading.Event()
        self._lock = threading.Lock()
        # The package calls back in a thread for each message, so they may come here in another order than it took
        # them in, which is that of the sequence ids. Those that others have overtaken wait here.
        self._early = {}
        self._next_id = 1
        self._published = 0
        self._client = start_client(run, hub, self._name, groups=[name_of(group) for group in self.groups])
        self._client.subscribe(CallbackType.GROUP_MESSAGE, self._on_message)
        self._client.subscribe(CallbackType.SERVER_MESSAGE, self._on_message)

    def published(self, count: int) -> None:
        with self._lock:
            self._published += count

    def unacknowledged(self) -> int:
        """Messages that are on their way or that the client has not acknowledged."""
        return self._published - self._client.acknowledged

    def has_all(self) -> bool:
        return all(due >= self._run.published[publisher] for publisher, due in self._due.items())

    def missing(self) -> str:
        return f"{self._name} waits for sequence id {self._next_id}, and of each publisher for {self._due}"

    def _on_message(self, message) -> None:
        self._run.heard()
        with self._lock:
            if message.sequence_id < self._next_id or message.sequence_id in self._early:
                self._run.fail(f"{self._name} received sequence id {message.sequence_id} twice")
            self._early[message.sequence_id] = message.data
            if len(self._early) > MOST_EARLY:
                self._run.fail(f"{self._name} never received sequence id {self._next_id}, but {MOST_EARLY} later ones")
            while (data := self._early.pop(self._next_id, None)) is not None:
                self._next_id += 1
                self._take(data)

    def _take(self, data) -> None:
        if data == "the end":
            self.ended.set()
            return
        publisher, number = data["publisher"], data["number"]
        due = self._due[publisher]
        if number != due:
            self._run.fail(f"{self._name} received number {number} of publisher {publisher} where {due} was due")
            return
        self._due[publisher] = self._following(publisher, number)

    def _following(self, publisher: int, number: int) -> int:
        """The number that comes after ``number`` from this publisher."""
        number += 1
        while group_of(publisher, number) not in self.groups:
            number += 1
        return number


def name_of(group: int) -> str:
    return f"group-{group}"


def group_of(publisher: int, number: int) -> int:
    return (publisher * (GROUPS // PUBLISHERS) + number % GROUPS_OF_PUBLISHER) % GROUPS


def groups_of(publisher: int) -> set[int]:
    return {group_of(publisher, number) for number in range(GROUPS_OF_PUBLISHER)}


class CountingClient(WebPubSubClient):
    """The package's client, which counts here how often it has come back and what it has acknowledged."""

    recoveries = 0
    acknowledged = 0

    def _connect(self, url: str, *args, **options) -> None:
        super()._connect(url, *args, **options)
        if "awps_connection_id" in url:
            self.recoveries += 1

    def _send_message(self, message, **options) -> None:
        super()._send_message(message, **options)
        if message.kind == "sequenceAck":
            self.acknowledged = message.sequence_id


def start_client(run: Run, hub, name: str, **options) -> CountingClient:
    """A started client. If it ever has to begin anew under another id, the run has failed."""
    token = {key: options.pop(key) for key in ("groups", "roles") if key in options}
    client = CountingClient(
        hub.client_url(**token), start_timeout=START_TIMEOUT, message_retry_total=0, **options
    )

    def on_disconnected(event) -> None:
        run.fail(
            f"{name} lost its connection {event.connection_id} for good: its socket was closed last with "
            f"{client._last_close_event and vars(client._last_close_event)}, the server said {event.message!r}, "
            f"the client has acknowledged {client.acknowledged} of {client._sequence_id.sequence_id} messages"
        )

    connected = threading.Event()
    client.subscribe(CallbackType.CONNECTED, lambda _: connected.set())
    client.open()
    assert connected.wait(PATIENCE)
    client.subscribe(CallbackType.DISCONNECTED, lambda event: run.is_over or on_disconnected(event))
    run.clients.append((client, hub))
    return client


def sender_at(index: int, run: Run, near, far):
    """What sends one message of this publisher."""
    if index >= CLIENT_PUBLISHERS:
        return lambda group, data: near.service.send_to_group(group, data)
    return faulty_sender(run, far, index) if index % 2 == 0 else calm_sender(run, near, index)


def calm_sender(run: Run, hub, index: int):
    """A client on a socket that nobody touches, so nothing that it sends is lost."""
    client = start_client(run, hub, f"publisher {index}", roles=["webpubsub.sendToGroup"])
    return lambda group, data: client.send_to_group(group, data, WebPubSubDataType.JSON, ack=False)


def faulty_sender(run: Run, hub, index: int):
    """A client behind the proxy."""
    # It may miss the answer to what it has sent, and goes on or asks again after this time.
    client = start_client(run, hub, f"publisher {index}", roles=["webpubsub.sendToGroup"], ack_timeout=0.5)

    def send(group: str, data: dict) -> None:
        """Repeats the message under the same ack id, by which the server knows a repetition, until it has answered."""
        while not run.is_over:
            if not client.is_connected():
                # The package would send it into the middle of the handshake by which it comes back.
                time.sleep(LOOK_SECONDS)
                continue
            try:
                return client.send_to_group(
                    group, data, WebPubSubDataType.JSON, ack_id=data["number"] + 1, no_echo=True
                )
            except SendMessageError as error:
                assert error.error_detail is None or error.error_detail.name in ("", "NoAckMessageReceivedFromServer")
            except Exception:
                pass  # The socket is lost; the libraries below the package have many ways to say so.
            time.sleep(LOOK_SECONDS)

    return send


def publish(run: Run, receivers: list[Receiver], publisher: int, send) -> None:
    """Publishes as fast as the receivers allow."""
    concerned = [receiver for receiver in receivers if receiver.groups & groups_of(publisher)]
    while not run.is_over:
        if any(receiver.unacknowledged() > MOST_UNACKNOWLEDGED for receiver in concerned):
            time.sleep(LOOK_SECONDS)
            continue
        numbers = run.take_numbers(publisher)
        if not numbers:
            return
        groups = [group_of(publisher, number) for number in numbers]
        for receiver in concerned:
            receiver.published(sum(group in receiver.groups for group in groups))
        for number, group in zip(numbers, groups):
            try:
                send(name_of(group), {"publisher": publisher, "number": number})
            except Exception as error:
                return run.fail(f"publisher {publisher} could not send number {number}: {error!r}")
