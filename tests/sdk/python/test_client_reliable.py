"""``azure-messaging-webpubsubclient`` on the subprotocol of its own choice, reliable JSON, over a network that breaks."""

import pytest
from azure.messaging.webpubsubclient.models import CallbackType, WebPubSubDataType, WebPubSubProtocolType

from conftest import Hub, Transport
from proxy import Proxy
from test_client import MEMBER, start

DEFAULT = {"protocol_type": WebPubSubProtocolType.JSON_RELIABLE}
MESSAGES = 120
CUT_EVERY = 30


@pytest.fixture
def proxy(http):
    with Proxy(http.endpoint) as started:
        yield started


@pytest.fixture
def far(http, hub, proxy):
    """The hub, reached through the proxy."""
    connection_string = http.connection_string.replace(http.endpoint, proxy.endpoint)
    with Hub(Transport("proxy", connection_string, proxy.endpoint), hub.name) as opened:
        yield opened


def test_client_joins_sends_and_receives(any_hub):
    member = start(any_hub, DEFAULT, user_id="ann", roles=MEMBER)
    member.client.join_group("room")
    member.client.send_to_group("room", "one", WebPubSubDataType.TEXT)
    assert member.next(CallbackType.GROUP_MESSAGE).sequence_id == 1
    any_hub.service.send_to_all("two", content_type="text/plain")
    assert member.next(CallbackType.SERVER_MESSAGE).sequence_id == 2


def test_messages_that_flow_while_the_network_breaks_arrive_once_and_in_order(hub, far, proxy):
    member = start(far, DEFAULT, groups=["room"], roles=MEMBER)
    for number in range(MESSAGES):
        hub.service.send_to_group("room", number)
        if number % CUT_EVERY == CUT_EVERY - 1:
            proxy.cut()
    received = [member.next(CallbackType.GROUP_MESSAGE).data for _ in range(MESSAGES)]
    assert received == list(range(MESSAGES))
    assert hub.service.connection_exists(member.id)
