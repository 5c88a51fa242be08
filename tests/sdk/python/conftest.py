"""What the tests share: one server for the session, and a hub of its own for each test."""

import json
import os
import uuid
from collections import namedtuple

import pytest
import websocket
from azure.core.credentials import AzureKeyCredential
from azure.messaging.webpubsubservice import WebPubSubServiceClient

from hubbub_server import Server, ServerError

# Keys for tests only: they are public.
PRIMARY_KEY = "primary-key-of-the-python-suite-00000001"
SECONDARY_KEY = "secondary-key-of-the-python-suite-000002"
WRONG_KEY = "a-key-that-this-server-has-never-seen-99"

DEADLINE_SECONDS = 10
JSON_SUBPROTOCOL = "json.webpubsub.azure.v1"

Transport = namedtuple("Transport", "name connection_string endpoint")
Closed = namedtuple("Closed", "code reason")


@pytest.fixture(scope="session")
def server():
    """The server under test; the session ends when it cannot be started."""
    flags = ["--access-key", PRIMARY_KEY, "--secondary-key", SECONDARY_KEY, "--allow-unvalidated-entra-tokens"]
    try:
        with Server(*flags) as started:
            # Both are read by the packages' own HTTP and WebSocket libraries.
            os.environ["REQUESTS_CA_BUNDLE"] = started.certificate_authority
            os.environ["WEBSOCKET_CLIENT_CA_BUNDLE"] = started.certificate_authority
            yield started
    except ServerError as error:
        pytest.exit(str(error), returncode=1)


@pytest.fixture
def http(server) -> Transport:
    return _transport("http", server.connection_string)


@pytest.fixture
def https(server) -> Transport:
    return _transport("https", server.tls_connection_string)


@pytest.fixture(params=["http", "https"])
def transport(request, server) -> Transport:
    """Each of the two ways to the server: a test that asks for it runs twice."""
    strings = {"http": server.connection_string, "https": server.tls_connection_string}
    return _transport(request.param, strings[request.param])


@pytest.fixture
def hub(http):
    with Hub(http) as opened:
        yield opened


@pytest.fixture
def any_hub(transport):
    """A hub reached over HTTP, and again over HTTPS."""
    with Hub(transport) as opened:
        yield opened


def _transport(name: str, connection_string: str) -> Transport:
    endpoint = dict(pair.split("=", 1) for pair in connection_string.split(";") if pair)["Endpoint"]
    return Transport(name, connection_string, endpoint)


class Hub:
    """A hub, with a fresh name unless one is given: its service client and the sockets that belong to it."""

    def __init__(self, transport: Transport, name: str | None = None) -> None:
        self.transport = transport
        self.name = name or f"hub{uuid.uuid4().hex}"
        self.service = WebPubSubServiceClient.from_connection_string(
            transport.connection_string, hub=self.name, retry_total=0
        )
        self._markers = 0
        self._opened = []

    def __enter__(self) -> "Hub":
        return self

    def __exit__(self, *_) -> None:
        for opened in self._opened:
            opened.close()

    def service_with(self, key: str = PRIMARY_KEY, name: str | None = None) -> WebPubSubServiceClient:
        """A service client with another access key or hub name."""
        credential = AzureKeyCredential(key)
        return WebPubSubServiceClient(self.transport.endpoint, name or self.name, credential, retry_total=0)

    def client_url(self, **token) -> str:
        return self.service.get_client_access_token(**token)["url"]

    def connect(self, **token) -> "JsonSocket":
        """A client of the JSON subprotocol, after its ``connected`` message."""
        return self.close_at_end(JsonSocket(self.client_url(**token)))

    def connect_raw(self, **token) -> websocket.WebSocket:
        """A client without a subprotocol."""
        return self.close_at_end(websocket.create_connection(self.client_url(**token), timeout=DEADLINE_SECONDS))

    def close_at_end(self, opened):
        self._opened.append(opened)
        return opened

    def received(self, socket: "JsonSocket") -> list[dict]:
        """The messages that reached ``socket`` so far.

        A marker, sent last by the same caller, arrives last: what is missing before it will not come.
        """
        self._markers += 1
        marker = f"marker {self._markers}"
        self.service.send_to_connection(socket.id, marker, content_type="text/plain")
        messages = []
        while (message := socket.next()).get("data") != marker:
            messages.append(message)
        return messages


class JsonSocket:
    """A bare WebSocket on the JSON subprotocol; it knows no SDK."""

    def __init__(self, url: str) -> None:
        self._socket = websocket.create_connection(url, subprotocols=[JSON_SUBPROTOCOL], timeout=DEADLINE_SECONDS)
        connected = self.next()
        self.id = connected["connectionId"]
        self.user_id = connected["userId"]

    def next(self) -> dict:
        """The next message; fails when none comes in time."""
        return json.loads(self._socket.recv())

    def send(self, message: dict) -> None:
        self._socket.send(json.dumps(message))

    def ended(self) -> Closed:
        """The close frame, which must be the next frame but for pings."""
        return closed(self._socket)

    def close(self) -> None:
        self._socket.close(timeout=1)


def closed(socket: websocket.WebSocket) -> Closed:
    """What the close frame says; fails when another frame or none comes."""
    opcode, body = socket.recv_data()
    assert opcode == websocket.ABNF.OPCODE_CLOSE, body
    return Closed(int.from_bytes(body[:2], "big"), body[2:].decode())
