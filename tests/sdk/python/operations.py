"""Every operation of ``azure-messaging-webpubsubservice`` as one table, for what holds for all alike."""

from dataclasses import dataclass
from typing import Any, Callable

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError


@dataclass(frozen=True)
class Target:
    connection: str
    user: str
    group: str


NOBODY = Target("no-such-connection", "no-such-user", "no-such-group")


@dataclass(frozen=True)
class Operation:
    """How to call it, the status of its success, and its answer to a target that does not exist."""

    name: str
    call: Callable[..., Any]
    status: int
    missing: Any = None


def _list(service, target, **options):
    return [member.connection_id for member in service.list_connections(group=target.group, **options)]


TEXT = {"content_type": "text/plain"}

OPERATIONS = [
    Operation("send_to_all", lambda s, t, **o: s.send_to_all("hello", **TEXT, **o), 202),
    Operation("send_to_user", lambda s, t, **o: s.send_to_user(t.user, "hello", **TEXT, **o), 202),
    Operation("send_to_connection", lambda s, t, **o: s.send_to_connection(t.connection, "hello", **TEXT, **o), 202),
    Operation("send_to_group", lambda s, t, **o: s.send_to_group(t.group, "hello", **TEXT, **o), 202),
    Operation("connection_exists", lambda s, t, **o: s.connection_exists(t.connection, **o), 200, False),
    Operation("group_exists", lambda s, t, **o: s.group_exists(t.group, **o), 200, False),
    Operation("user_exists", lambda s, t, **o: s.user_exists(t.user, **o), 200, False),
    Operation("list_connections", _list, 200, []),
    Operation(
        "add_connection_to_group",
        lambda s, t, **o: s.add_connection_to_group(t.group, t.connection, **o),
        200,
        ResourceNotFoundError,
    ),
    Operation(
        "remove_connection_from_group", lambda s, t, **o: s.remove_connection_from_group(t.group, t.connection, **o), 204
    ),
    Operation(
        "remove_connection_from_all_groups", lambda s, t, **o: s.remove_connection_from_all_groups(t.connection, **o), 204
    ),
    Operation(
        "add_user_to_group", lambda s, t, **o: s.add_user_to_group(t.group, t.user, **o), 200, ResourceNotFoundError
    ),
    Operation("remove_user_from_group", lambda s, t, **o: s.remove_user_from_group(t.group, t.user, **o), 204),
    Operation("remove_user_from_all_groups", lambda s, t, **o: s.remove_user_from_all_groups(t.user, **o), 204),
    Operation(
        "grant_permission",
        lambda s, t, **o: s.grant_permission("sendToGroup", t.connection, target_name="room", **o),
        200,
        ResourceNotFoundError,
    ),
    Operation(
        "has_permission",
        lambda s, t, **o: s.has_permission("sendToGroup", t.connection, target_name="room", **o),
        200,
        False,
    ),
    Operation(
        "revoke_permission",
        lambda s, t, **o: s.revoke_permission("sendToGroup", t.connection, target_name="room", **o),
        204,
    ),
    Operation("close_connection", lambda s, t, **o: s.close_connection(t.connection, **o), 204),
    Operation("close_user_connections", lambda s, t, **o: s.close_user_connections(t.user, **o), 204),
    Operation("close_group_connections", lambda s, t, **o: s.close_group_connections(t.group, **o), 204),
    Operation("close_all_connections", lambda s, t, **o: s.close_all_connections(**o), 204),
]


def error_body(error: HttpResponseError) -> dict:
    return error.response.json()
