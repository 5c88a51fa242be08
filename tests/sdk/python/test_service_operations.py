"""What holds for every operation of ``azure-messaging-webpubsubservice`` alike."""

import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError

from conftest import WRONG_KEY
from operations import NOBODY, OPERATIONS, Target

each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)


@each_operation
def test_success_has_the_status_of_the_operation(any_hub, operation):
    member = any_hub.connect(user_id="ann", groups=["room"], roles=["webpubsub.sendToGroup.room"])
    responses = []
    operation.call(
        any_hub.service, Target(member.id, "ann", "room"), raw_response_hook=lambda r: responses.append(r.http_response)
    )
    assert [response.status_code for response in responses] == [operation.status]
    assert "2024-12-01" in responses[0].headers["api-supported-versions"].split(", ")


@each_operation
def test_target_that_does_not_exist(hub, operation):
    if isinstance(operation.missing, type):
        with pytest.raises(operation.missing):
            operation.call(hub.service, NOBODY)
    else:
        assert operation.call(hub.service, NOBODY) == operation.missing


@each_operation
def test_wrong_key_is_refused_and_has_no_effect(any_hub, operation):
    member = any_hub.connect(user_id="ann", groups=["room"])
    with pytest.raises(ClientAuthenticationError) as refused:
        operation.call(any_hub.service_with(key=WRONG_KEY), Target(member.id, "ann", "room"))
    assert refused.value.status_code == 401
    assert any_hub.received(member) == []
    assert any_hub.service.group_exists("room")


@each_operation
def test_invalid_hub_name_is_refused(hub, operation):
    with pytest.raises(HttpResponseError) as refused:
        operation.call(hub.service_with(name="1-is-not-a-letter"), NOBODY)
    assert refused.value.status_code == 400
