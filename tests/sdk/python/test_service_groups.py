"""Groups, their members and unusual names through ``azure-messaging-webpubsubservice``."""

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

ODD_NAMES = ["room name", "room+part", "a/b", "%2F", "100%", "你好", "a?b#c", "quo'te\"", "Room", "*", "a\\b"]


def members(hub, group="room", **options):
    return [member.connection_id for member in hub.service.list_connections(group=group, **options)]


@pytest.fixture
def five(any_hub):
    """The sorted ids of five members of ``room``."""
    return sorted(any_hub.connect(groups=["room"]).id for _ in range(5))


def test_connection_is_added_and_removed_any_number_of_times(any_hub):
    member, service = any_hub.connect(), any_hub.service
    for _ in range(2):
        service.add_connection_to_group("room", member.id)
    assert members(any_hub) == [member.id]
    for _ in range(2):
        service.remove_connection_from_group("room", member.id)
    assert members(any_hub) == []


def test_user_is_added_and_removed_with_every_connection_open_at_that_time(any_hub):
    first, second = any_hub.connect(user_id="ann"), any_hub.connect(user_id="ann")
    any_hub.service.add_user_to_group("room", "ann")
    late = any_hub.connect(user_id="ann")
    assert members(any_hub) == sorted([first.id, second.id])
    any_hub.service.add_connection_to_group("room", late.id)
    any_hub.service.remove_user_from_group("room", "ann")
    assert members(any_hub) == []


def test_leaving_all_groups(hub):
    ann, bob = hub.connect(user_id="ann", groups=["room", "hall"]), hub.connect(user_id="bob", groups=["room", "hall"])
    hub.service.remove_user_from_all_groups("ann")
    assert members(hub) == members(hub, "hall") == [bob.id]
    hub.service.remove_connection_from_all_groups(bob.id)
    assert not hub.service.group_exists("room") and not hub.service.group_exists("hall")
    assert hub.service.connection_exists(ann.id) and hub.service.connection_exists(bob.id)


@pytest.mark.parametrize(
    "options, sizes",
    [({}, [5]), ({"maxpagesize": 2}, [2, 2, 1]), ({"maxpagesize": 2, "top": 3}, [2, 1]), ({"top": 1}, [1])],
    ids=str,
)
def test_members_are_listed_in_order_and_in_pages(any_hub, five, options, sizes):
    pages = [
        [member.connection_id for member in page]
        for page in any_hub.service.list_connections(group="room", **options).by_page()
    ]
    assert [len(page) for page in pages] == sizes
    assert [member for page in pages for member in page] == five[: sum(sizes)]


def test_members_carry_their_user(hub):
    hub.connect(user_id="ann", groups=["room"])
    hub.connect(groups=["room"])
    users = {member.user_id for member in hub.service.list_connections(group="room")}
    assert users == {"ann", None}


@pytest.mark.parametrize(
    "options, target",
    [
        ({"maxpagesize": 0}, "maxpagesize"),
        ({"maxpagesize": 201}, "maxpagesize"),
        ({"top": 0}, "top"),
        ({"continuation_token_parameter": "not-ours"}, "continuationToken"),
    ],
    ids=str,
)
def test_invalid_paging_is_refused_and_named(hub, options, target):
    with pytest.raises((HttpResponseError, ValueError)) as refused:
        members(hub, **options)
    if isinstance(refused.value, HttpResponseError):
        assert refused.value.status_code == 400
        assert refused.value.response.json()["target"] == target


def test_adding_a_missing_connection_names_the_fault(hub):
    with pytest.raises(ResourceNotFoundError) as refused:
        hub.service.add_connection_to_group("room", "nobody")
    body = refused.value.response.json()
    assert (body["code"], body["target"]) == ("Error.Connection.NotExisted", "Connection")
    assert "nobody" in body["message"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_group_name_addresses_that_group(hub, name):
    member = hub.connect()
    hub.service.add_connection_to_group(name, member.id)
    hub.service.send_to_group(name, "hello")
    assert [message["group"] for message in hub.received(member)] == [name]
    assert members(hub, name) == [member.id]
    hub.service.remove_connection_from_group(name, member.id)
    assert not hub.service.group_exists(name)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_user_id_addresses_that_user(hub, name):
    member = hub.connect(user_id=name)
    assert member.user_id == name
    assert hub.service.user_exists(name)
    hub.service.add_user_to_group("room", name)
    hub.service.send_to_user(name, "hello")
    assert len(hub.received(member)) == 1
    assert members(hub) == [member.id]


@pytest.mark.parametrize("name", [" ", "x" * 1025], ids=["blank", "too long"])
def test_invalid_group_name_is_refused(hub, name):
    for call in [
        lambda: hub.service.send_to_group(name, "hello"),
        lambda: hub.service.add_user_to_group(name, "ann"),
        lambda: hub.service.group_exists(name),
    ]:
        with pytest.raises((HttpResponseError, ValueError)) as refused:
            call()
        assert getattr(refused.value, "status_code", 400) == 400
