"""Existence, closing and permissions of connections through ``azure-messaging-webpubsubservice``."""

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError

from conftest import Closed, closed

CLOSES = {
    "close_connection": lambda hub, member, **options: hub.service.close_connection(member.id, **options),
    "close_user_connections": lambda hub, member, **options: hub.service.close_user_connections("ann", **options),
    "close_group_connections": lambda hub, member, **options: hub.service.close_group_connections("room", **options),
    "close_all_connections": lambda hub, member, **options: hub.service.close_all_connections(**options),
}
WITH_EXCLUDED = [name for name in CLOSES if name != "close_connection"]


def test_connection_user_and_group_exist_while_it_is_open_and_no_longer(any_hub):
    member = any_hub.connect(user_id="ann", groups=["room"])

    def exist():
        service = any_hub.service
        return service.connection_exists(member.id), service.user_exists("ann"), service.group_exists("room")

    assert exist() == (True, True, True)
    any_hub.service.close_connection(member.id)
    member.next()
    assert member.ended() == Closed(1000, "")
    assert exist() == (False, False, False)


@pytest.mark.parametrize("name", CLOSES)
@pytest.mark.parametrize(
    "options, message",
    [
        ({}, "Application server closed the connection."),
        ({"reason": "done & dusted ✓"}, "Application server closed the connection. Reason: done & dusted ✓"),
    ],
)
def test_close_tells_the_reason_and_closes_with_1000(any_hub, name, options, message):
    member = any_hub.connect(user_id="ann", groups=["room"])
    CLOSES[name](any_hub, member, **options)
    assert member.next() == {"type": "system", "event": "disconnected", "message": message}
    assert member.ended() == Closed(1000, "")


def test_client_without_subprotocol_gets_only_the_close_frame(hub):
    member = hub.connect_raw(user_id="ann")
    hub.service.close_user_connections("ann", reason="done")
    assert closed(member) == Closed(1000, "")


@pytest.mark.parametrize("name", WITH_EXCLUDED)
def test_excluded_connections_survive_a_close(hub, name):
    gone, kept = (hub.connect(user_id="ann", groups=["room"]) for _ in range(2))
    CLOSES[name](hub, gone, excluded=[kept.id, "unknown"])
    gone.next()
    assert gone.ended() == Closed(1000, "")
    assert hub.service.connection_exists(kept.id)


@pytest.mark.parametrize(
    "permission, message",
    [
        ("sendToGroup", {"type": "sendToGroup", "group": "room", "dataType": "text", "data": "x", "noEcho": True}),
        ("joinLeaveGroup", {"type": "joinGroup", "group": "room"}),
    ],
)
def test_grant_acts_at_once_for_its_group_alone_until_it_is_revoked(any_hub, permission, message):
    member, service = any_hub.connect(), any_hub.service

    def allowed(ack_id):
        member.send({**message, "ackId": ack_id})
        return member.next()["success"]

    assert not allowed(1)
    service.grant_permission(permission, member.id, target_name="room")
    assert service.has_permission(permission, member.id, target_name="room")
    assert not service.has_permission(permission, member.id, target_name="hall")
    assert allowed(2)
    service.revoke_permission(permission, member.id, target_name="room")
    assert not service.has_permission(permission, member.id, target_name="room")
    assert not allowed(3)


@pytest.mark.parametrize("operation", ["grant_permission", "revoke_permission", "has_permission"])
@pytest.mark.parametrize(
    "permission, target_name", [("sendToGroup", None), ("sendToGroup", " "), ("sendToGroup", "x" * 1025), ("receive", "room")]
)
def test_invalid_permission_or_group_is_refused(hub, operation, permission, target_name):
    member = hub.connect()
    with pytest.raises(HttpResponseError) as refused:
        getattr(hub.service, operation)(permission, member.id, target_name=target_name)
    assert refused.value.status_code == 400


def test_grant_to_a_missing_connection_names_the_fault(hub):
    with pytest.raises(ResourceNotFoundError) as refused:
        hub.service.grant_permission("sendToGroup", "nobody", target_name="room")
    body = refused.value.response.json()
    assert (body["code"], body["target"]) == ("Info.Connection.NotExisted", "Connection")


def test_the_1001st_exception_of_a_connection_is_a_conflict(hub):
    member = hub.connect()
    for number in range(1000):
        hub.service.grant_permission("joinLeaveGroup", member.id, target_name=f"room {number}")
    with pytest.raises(ResourceExistsError) as refused:
        hub.service.grant_permission("joinLeaveGroup", member.id, target_name="one too many")
    assert refused.value.status_code == 409
    assert refused.value.response.json()["code"] == "Error.Connection.Conflict"
