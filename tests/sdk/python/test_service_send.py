"""The four ways to send of ``azure-messaging-webpubsubservice``, their content and their options."""

import io

import pytest
import websocket
from azure.core.exceptions import HttpResponseError

TARGETS = {
    "hub": (lambda hub, member, *args, **options: hub.service.send_to_all(*args, **options), {"from": "server"}),
    "user": (lambda hub, member, *args, **options: hub.service.send_to_user("ann", *args, **options), {"from": "server"}),
    "connection": (
        lambda hub, member, *args, **options: hub.service.send_to_connection(member.id, *args, **options),
        {"from": "server"},
    ),
    "group": (
        lambda hub, member, *args, **options: hub.service.send_to_group("room", *args, **options),
        {"from": "group", "group": "room", "fromUserId": None},
    ),
}

# name, message, options, and the data type and data that a JSON client sees
CONTENTS = [
    ("string without content type", "hello", {}, "json", "hello"),
    ("object", {"a": [1, None, "é"]}, {}, "json", {"a": [1, None, "é"]}),
    ("number as JSON", 1.5, {"content_type": "application/json"}, "json", 1.5),
    ("text", "héllo", {"content_type": "text/plain"}, "text", "héllo"),
    ("bytes", b"\x00\xff\x10", {"content_type": "application/octet-stream"}, "binary", "AP8Q"),
    ("stream", io.BytesIO, {"content_type": "application/octet-stream"}, "binary", "AP8Q"),
]

TEXT = {"content_type": "text/plain"}

each_target = pytest.mark.parametrize("target", TARGETS)


@each_target
@pytest.mark.parametrize("name, message, options, data_type, data", CONTENTS, ids=[row[0] for row in CONTENTS])
def test_content_reaches_a_json_client(any_hub, target, name, message, options, data_type, data):
    send, seen_as = TARGETS[target]
    member = any_hub.connect(user_id="ann", groups=["room"])
    message = io.BytesIO(b"\x00\xff\x10") if message is io.BytesIO else message
    send(any_hub, member, message, **options)
    assert any_hub.received(member) == [{"type": "message", **seen_as, "dataType": data_type, "data": data}]


@pytest.mark.parametrize(
    "message, content_type, frame",
    [
        ("hello", "text/plain", (websocket.ABNF.OPCODE_TEXT, b"hello")),
        ("hello", "application/json", (websocket.ABNF.OPCODE_TEXT, b'"hello"')),
        (b"\x00\xff", "application/octet-stream", (websocket.ABNF.OPCODE_BINARY, b"\x00\xff")),
    ],
)
def test_client_without_subprotocol_gets_the_bare_content(hub, message, content_type, frame):
    member = hub.connect_raw(user_id="ann")
    hub.service.send_to_user("ann", message, content_type=content_type)
    assert member.recv_data() == frame


@pytest.mark.parametrize("target", ["hub", "group"])
def test_excluded_connections_receive_nothing(hub, target):
    send, _ = TARGETS[target]
    out, kept = hub.connect(groups=["room"]), hub.connect(groups=["room"])
    send(hub, kept, "hello", **TEXT, excluded=[out.id, "unknown", f"{kept.id},{out.id}"])
    assert [len(hub.received(member)) for member in (out, kept)] == [0, 1]


@pytest.mark.parametrize("target", ["hub", "group", "user"])
@pytest.mark.parametrize(
    "filter, receives",
    [
        ("userId eq 'ann'", True),
        ("userId ne 'ann'", False),
        ("'room' in groups and length(groups) eq 1", True),
        ("startswith(userId, 'O''B')", False),
        ("", True),
    ],
)
def test_filter_chooses_the_receivers(hub, target, filter, receives):
    send, _ = TARGETS[target]
    member = hub.connect(user_id="ann", groups=["room"])
    send(hub, member, "hello", **TEXT, filter=filter)
    assert len(hub.received(member)) == int(receives)


@pytest.mark.parametrize("target", ["hub", "group", "user"])
@pytest.mark.parametrize("filter", [" ", "userId", "userId eq 'a", "age gt 1", "Length(userId) gt 1"])
def test_invalid_filter_is_refused_and_nothing_is_sent(hub, target, filter):
    send, _ = TARGETS[target]
    member = hub.connect(user_id="ann", groups=["room"])
    with pytest.raises(HttpResponseError) as refused:
        send(hub, member, "hello", **TEXT, filter=filter)
    assert refused.value.status_code == 400
    assert refused.value.response.json()["code"] == "Error.BadRequest"
    assert refused.value.response.headers["x-ms-error-code"] == "Error.BadRequest"
    assert hub.received(member) == []


def test_text_that_is_not_utf8_is_refused(hub):
    member = hub.connect()
    with pytest.raises(HttpResponseError) as refused:
        hub.service.send_to_all(b"\xff\xfe\xfd", **TEXT)
    assert refused.value.status_code == 400
    assert hub.received(member) == []


def test_content_type_that_is_not_allowed_is_refused_by_the_package(hub):
    with pytest.raises(ValueError):
        hub.service.send_to_all("<hello/>", content_type="application/xml")


@each_target
def test_metadata_headers_travel_with_the_message(hub, target):
    send, seen_as = TARGETS[target]
    member = hub.connect(user_id="ann", groups=["room"])
    send(hub, member, "hello", headers={"Content-Type": "text/plain", "X-WebPubSub-Metadata-Trace": "a1"}, **TEXT)
    expected = {"type": "message", **seen_as, "dataType": "text", "data": "hello", "metadata": {"trace": "a1"}}
    assert hub.received(member) == [expected]


def test_body_of_one_mebibyte_is_delivered_and_one_byte_more_is_refused(hub):
    member = hub.connect()
    largest = "x" * 1024 * 1024
    hub.service.send_to_all(largest, **TEXT)
    with pytest.raises(HttpResponseError) as refused:
        hub.service.send_to_all(largest + "x", **TEXT)
    assert refused.value.status_code == 400
    assert [len(message["data"]) for message in hub.received(member)] == [len(largest)]


def test_sends_of_one_caller_arrive_in_order_whatever_their_targets(hub):
    member = hub.connect(user_id="ann", groups=["room"])
    expected = []
    for number in range(10):
        for target, (send, _) in TARGETS.items():
            send(hub, member, f"{number} {target}", **TEXT)
            expected.append(f"{number} {target}")
    assert [message["data"] for message in hub.received(member)] == expected
