"""``azure-messaging-webpubsubclient`` (the synchronous client) on the JSON subprotocol."""

import queue
import time

import pytest
from azure.messaging.webpubsubclient import WebPubSubClient, WebPubSubClientCredential
from azure.messaging.webpubsubclient.models import (
    CallbackType,
    OpenClientError,
    SendMessageError,
    WebPubSubDataType,
    WebPubSubProtocolType,
)

from conftest import DEADLINE_SECONDS, WRONG_KEY

MEMBER = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"]

# A serialized `google.protobuf.Any` of the type `t` with the value `v`.
ANY = memoryview(bytes([0x0A, 1, 0x74, 0x12, 1, 0x76]))

CONTENTS = [
    (WebPubSubDataType.TEXT, "héllo"),
    (WebPubSubDataType.TEXT, ""),
    (WebPubSubDataType.JSON, {"a": [1, None, "b"]}),
    (WebPubSubDataType.JSON, "a string"),
    (WebPubSubDataType.JSON, 0),
    (WebPubSubDataType.BINARY, memoryview(b"\x00\xff\x10")),
    (WebPubSubDataType.PROTOBUF, ANY),
]

# The client may miss an answer that arrives before it waits for it, and then notices only at the
# end of these times: short ones keep the suite quick.
OPTIONS = {
    "protocol_type": WebPubSubProtocolType.JSON,
    "ack_timeout": 2,
    "start_timeout": 2,
    "message_retry_total": 0,
    "reconnect_retry_backoff_factor": 0.1,
}


class Recorder:
    """A client with everything it reports kept, one queue for each kind of event."""

    def __init__(self, credential, **options) -> None:
        self.client = WebPubSubClient(credential, **{**OPTIONS, **options})
        self._queues = {kind: queue.Queue() for kind in CallbackType}
        for kind, events in self._queues.items():
            self.client.subscribe(kind, lambda *args, events=events: events.put(args[0] if args else None))

    def open(self) -> "Recorder":
        self.client.open()
        self.id = self.next(CallbackType.CONNECTED).connection_id
        return self

    def next(self, kind: CallbackType):
        """What came with the next event of that kind; fails when none came in time."""
        return self._queues[kind].get(timeout=DEADLINE_SECONDS)

    def close(self) -> None:
        self.client.close()


def wait_until(condition) -> None:
    """Returns once ``condition()`` is true; fails when it is not within ten seconds."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def start(hub, options=None, **token) -> Recorder:
    return hub.close_at_end(Recorder(hub.client_url(**token), **(options or {})).open())


def test_open_connects_close_disconnects_and_the_client_may_open_again(any_hub):
    recorder = any_hub.close_at_end(Recorder(any_hub.client_url(user_id="ann")))
    for _ in range(2):
        recorder.client.open()
        connected = recorder.next(CallbackType.CONNECTED)
        assert connected.user_id == "ann"
        assert recorder.client.is_connected()
        assert any_hub.service.connection_exists(connected.connection_id)
        recorder.client.close()
        assert recorder.next(CallbackType.DISCONNECTED).connection_id == connected.connection_id
        recorder.next(CallbackType.STOPPED)
        assert not recorder.client.is_connected()


@pytest.mark.parametrize("data_type, data", CONTENTS, ids=str)
def test_send_to_group_reaches_every_member_the_sender_included(any_hub, data_type, data):
    sender = start(any_hub, user_id="ann", roles=MEMBER)
    receiver = start(any_hub, roles=MEMBER)
    sender.client.join_group("room")
    receiver.client.join_group("room")
    sender.client.send_to_group("room", data, data_type)
    for member in (sender, receiver):
        message = member.next(CallbackType.GROUP_MESSAGE)
        assert (message.group, message.from_user_id) == ("room", "ann")
        assert (message.data_type, message.data) == (data_type, data)


def test_no_echo_leaves_out_the_sending_connection(hub):
    sender = start(hub, user_id="ann", groups=["room"], roles=MEMBER)
    second = start(hub, user_id="ann", groups=["room"], roles=MEMBER)
    sender.client.send_to_group("room", "first", WebPubSubDataType.TEXT, no_echo=True)
    assert second.next(CallbackType.GROUP_MESSAGE).data == "first"
    sender.client.send_to_group("room", "second", WebPubSubDataType.TEXT)
    assert sender.next(CallbackType.GROUP_MESSAGE).data == "second"


def test_send_without_ack_is_delivered(hub):
    sender = start(hub, groups=["room"], roles=MEMBER)
    sender.client.send_to_group("room", "hello", WebPubSubDataType.TEXT, ack=False)
    assert sender.next(CallbackType.GROUP_MESSAGE).data == "hello"


def test_second_message_with_the_same_ack_id_succeeds_and_is_not_delivered(hub):
    sender = start(hub, groups=["room"], roles=MEMBER)
    for data, ack_id in [("once", 77), ("again", 77)]:
        sender.client.send_to_group("room", data, WebPubSubDataType.TEXT, ack_id=ack_id)
    assert sender.next(CallbackType.GROUP_MESSAGE).data == "once"
    sender.client.send_to_group("room", "after", WebPubSubDataType.TEXT, ack_id=78)
    assert sender.next(CallbackType.GROUP_MESSAGE).data == "after"


def test_leave_group_ends_membership_and_leaving_again_succeeds(hub):
    member = start(hub, roles=MEMBER)
    member.client.join_group("room")
    assert hub.service.group_exists("room")
    member.client.leave_group("room")
    member.client.leave_group("room")
    assert not hub.service.group_exists("room")


@pytest.mark.parametrize(
    "permission, call",
    [
        ("joinLeaveGroup", lambda client: client.join_group("room", ack_id=9)),
        ("joinLeaveGroup", lambda client: client.leave_group("room", ack_id=9)),
        ("sendToGroup", lambda client: client.send_to_group("room", "x", WebPubSubDataType.TEXT, ack_id=9)),
    ],
    ids=["join_group", "leave_group", "send_to_group"],
)
def test_without_the_role_an_operation_is_forbidden_until_it_is_granted(hub, permission, call):
    member = start(hub, groups=["room"])
    with pytest.raises(SendMessageError) as refused:
        call(member.client)
    assert (refused.value.ack_id, refused.value.error_detail.name) == (9, "Forbidden")
    assert "'room'" in refused.value.error_detail.message
    hub.service.grant_permission(permission, member.id, target_name="room")
    call(member.client)


@pytest.mark.parametrize("data_type, data", CONTENTS[:-1], ids=str)
def test_event_without_handler_fails_and_the_connection_stays(hub, data_type, data):
    member = start(hub)
    with pytest.raises(SendMessageError) as refused:
        member.client.send_event("order.created", data, data_type)
    detail = refused.value.error_detail
    assert (detail.name, detail.message) == ("InternalServerError", "Internal server error")
    assert hub.service.connection_exists(member.id)


def test_event_without_ack_fails_silently(hub):
    member = start(hub)
    member.client.send_event("created", "x", WebPubSubDataType.TEXT, ack=False)
    with pytest.raises(SendMessageError):
        member.client.send_event("created", "x", WebPubSubDataType.TEXT)
    assert member.client.is_connected()


@pytest.mark.parametrize("data_type, data", CONTENTS[:1] + CONTENTS[2:3] + CONTENTS[5:6], ids=str)
def test_server_message_arrives_with_its_data_type(hub, data_type, data):
    content_types = {"text": "text/plain", "json": "application/json", "binary": "application/octet-stream"}
    member = start(hub, user_id="ann")
    content = bytes(data) if data_type == WebPubSubDataType.BINARY else data
    hub.service.send_to_user("ann", content, content_type=content_types[data_type])
    message = member.next(CallbackType.SERVER_MESSAGE)
    assert (message.data_type, message.data) == (data_type, data)


def test_client_that_the_server_closed_reconnects_and_rejoins(any_hub):
    credential = WebPubSubClientCredential(lambda: any_hub.client_url(roles=MEMBER))
    recorder = any_hub.close_at_end(Recorder(credential).open())
    recorder.client.join_group("room")

    any_hub.service.close_connection(recorder.id, reason="moving house")
    disconnected = recorder.next(CallbackType.DISCONNECTED)
    assert disconnected.connection_id == recorder.id
    assert disconnected.message == "Application server closed the connection. Reason: moving house"

    assert recorder.next(CallbackType.CONNECTED).connection_id != recorder.id
    # The package rejoins in a thread of its own, at about the time of that event.
    wait_until(lambda: any_hub.service.group_exists("room"))
    any_hub.service.send_to_group("room", "welcome back")
    assert recorder.next(CallbackType.GROUP_MESSAGE).data == "welcome back"


def test_reconnection_without_the_role_reports_the_group(hub):
    roles = [MEMBER, []]
    credential = WebPubSubClientCredential(lambda: hub.client_url(roles=roles.pop(0)))
    recorder = hub.close_at_end(Recorder(credential).open())
    recorder.client.join_group("room")
    hub.service.close_connection(recorder.id)
    failed = recorder.next(CallbackType.REJOIN_GROUP_FAILED)
    assert failed.group == "room"
    assert failed.error.error_detail.name == "Forbidden"


def test_without_reconnection_a_closed_client_is_stopped(hub):
    recorder = start(hub, {"reconnect_retry_total": 0})
    hub.service.close_connection(recorder.id)
    recorder.next(CallbackType.DISCONNECTED)
    recorder.next(CallbackType.STOPPED)
    assert not recorder.client.is_connected()


@pytest.mark.parametrize(
    "url",
    [
        lambda hub: hub.service.get_client_access_token()["baseUrl"],
        lambda hub: hub.service_with(key=WRONG_KEY).get_client_access_token()["url"],
        lambda hub: hub.client_url(minutes_to_expire=-10),
    ],
    ids=["no token", "wrong key", "expired token"],
)
def test_open_is_refused(hub, url):
    with pytest.raises(OpenClientError, match="401"):
        Recorder(url(hub)).client.open()


def test_invalid_group_name_ends_the_connection(hub):
    member = start(hub, {"reconnect_retry_total": 0}, roles=MEMBER)
    with pytest.raises(SendMessageError):
        member.client.join_group(" ")
    member.next(CallbackType.STOPPED)
    assert not hub.service.connection_exists(member.id)
