"""``get_client_access_token`` with each of its options, and which tokens and keys are refused."""

import time

import jwt
import pytest
import websocket
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.messaging.webpubsubservice import WebPubSubServiceClient

from conftest import SECONDARY_KEY, WRONG_KEY, Hub, JsonSocket


def claims_of(token: dict) -> dict:
    return jwt.decode(token["token"], options={"verify_signature": False})


def test_token_without_options_admits_a_client_without_user_and_roles_for_an_hour(any_hub):
    token = any_hub.service.get_client_access_token()
    assert claims_of(token)["exp"] - claims_of(token)["iat"] == 3600
    member = any_hub.close_at_end(JsonSocket(token["url"]))
    assert member.user_id is None
    member.send({"type": "joinGroup", "group": "room", "ackId": 1})
    assert member.next()["error"]["name"] == "Forbidden"


def test_user_groups_roles_lifetime_and_headers_take_effect(any_hub):
    token = any_hub.service.get_client_access_token(
        user_id="ann 你",
        groups=["room", "a/b"],
        roles=["webpubsub.joinLeaveGroup.hall"],
        minutes_to_expire=5,
        jwt_headers={"kid": "any key id"},
    )
    assert claims_of(token)["exp"] - claims_of(token)["iat"] == 300
    member = any_hub.close_at_end(JsonSocket(token["url"]))
    assert member.user_id == "ann 你"
    assert any_hub.service.group_exists("room") and any_hub.service.group_exists("a/b")
    member.send({"type": "joinGroup", "group": "hall", "ackId": 1})
    assert member.next() == {"type": "ack", "ackId": 1, "success": True}


def test_both_keys_are_good_for_calls_and_for_clients(any_hub):
    service = any_hub.service_with(key=SECONDARY_KEY)
    member = any_hub.close_at_end(JsonSocket(service.get_client_access_token(user_id="ann")["url"]))
    assert service.connection_exists(member.id)
    assert any_hub.service.user_exists("ann")


@pytest.mark.parametrize(
    "status, url",
    [
        (401, lambda hub: hub.service.get_client_access_token()["baseUrl"]),
        (401, lambda hub: hub.service.get_client_access_token()["baseUrl"] + "?access_token=a.b.c"),
        (401, lambda hub: hub.service_with(key=WRONG_KEY).get_client_access_token()["url"]),
        (401, lambda hub: hub.client_url(minutes_to_expire=-10)),
        (401, lambda hub: hub.client_url(client_protocol="MQTT").replace("/clients/mqtt/", "/client/")),
        (400, lambda hub: hub.client_url(groups=["room", " "])),
    ],
    ids=["no token", "not a token", "wrong key", "expired", "token of the MQTT endpoint", "blank group"],
)
def test_client_is_refused(hub, status, url):
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        JsonSocket(url(hub))
    assert refused.value.status_code == status


class TestTokenCredential:
    """A credential of an identity provider, whose signature the server was told not to check.

    The package sends such a credential over TLS only.
    """

    @pytest.fixture
    def service(self, https):
        return self._service(https, exp=time.time() + 3600)

    def _service(self, transport, **claims):
        token = jwt.encode({"aud": "https://webpubsub.azure.com", **claims}, "no one knows this key of 32 bytes and more")

        class Credential:
            def get_token(self, *scopes, **options):
                assert scopes == ("https://webpubsub.azure.com/.default",)
                return AccessToken(token, int(time.time()) + 3600)

        return WebPubSubServiceClient(transport.endpoint, Hub(transport).name, Credential(), retry_total=0)

    def test_server_makes_the_token_with_all_options(self, service):
        token = service.get_client_access_token(
            user_id="ann", groups=["room", "a,b"], roles=["webpubsub.joinLeaveGroup.hall"], minutes_to_expire=7
        )
        assert claims_of(token)["exp"] - claims_of(token)["nbf"] == 7 * 60
        member = JsonSocket(token["url"])
        assert member.user_id == "ann"
        assert service.group_exists("a,b")
        member.send({"type": "joinGroup", "group": "hall", "ackId": 1})
        assert member.next()["success"]
        member.close()

    @pytest.mark.parametrize("options", [{"minutes_to_expire": 0}, {"groups": [" "]}, {"client_protocol": "pigeon"}], ids=str)
    def test_invalid_options_are_refused(self, service, options):
        with pytest.raises((HttpResponseError, ValueError)) as refused:
            service.get_client_access_token(**options)
        assert getattr(refused.value, "status_code", 400) == 400

    def test_expired_credential_is_refused(self, https):
        with pytest.raises(ClientAuthenticationError):
            self._service(https, exp=time.time() - 600).get_client_access_token()
