package hubbub.sdk;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.azure.core.exception.HttpResponseException;
import com.azure.core.exception.ResourceNotFoundException;
import com.azure.core.http.HttpHeaderName;
import com.azure.core.http.rest.RequestOptions;
import com.azure.messaging.webpubsub.models.WebPubSubContentType;
import com.azure.messaging.webpubsub.models.WebPubSubPermission;
import hubbub.sdk.JsonSocket.Closed;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Groups, permissions and the closing of connections. */
@ExtendWith(SharedServer.class)
class MembershipTest {
    /** The ways to close, all of which reach a connection of the user ann in the group room. */
    enum Close {
        CONNECTION, USER, GROUP, HUB;

        void call(Hub hub, JsonSocket member, RequestOptions options) {
            switch (this) {
                case CONNECTION -> hub.service.closeConnectionWithResponse(member.id, options);
                case USER -> hub.service.closeUserConnectionsWithResponse("ann", options);
                case GROUP -> hub.service.closeGroupConnectionsWithResponse("room", options);
                case HUB -> hub.service.closeAllConnectionsWithResponse(options);
                default -> throw new AssertionError(this);
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void closeTellsTheReasonAndClosesWith1000(Close close) {
        for (Transport transport : Transport.values()) {
            try (Hub hub = new Hub(transport)) {
                JsonSocket member = hub.connect(Hub.token().setUserId("ann").addGroup("room"));
                close.call(hub, member, Operation.options().addQueryParam("reason", "done & dusted"));
                assertEquals("Application server closed the connection. Reason: done & dusted",
                    member.next().path("message").asText());
                assertEquals(new Closed(1000, ""), member.ended());
                assertFalse(hub.service.connectionExistsWithResponse(member.id, Operation.options()).getValue());
            }
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"USER", "GROUP", "HUB"})
    void excludedConnectionsSurviveAClose(Close close) {
        try (Hub hub = new Hub(Transport.HTTP)) {
            JsonSocket gone = hub.connect(Hub.token().setUserId("ann").addGroup("room"));
            JsonSocket kept = hub.connect(Hub.token().setUserId("ann").addGroup("room"));
            close.call(hub, gone, Operation.options().addQueryParam("excluded", kept.id));
            assertEquals(1000, gone.ended().code());
            assertTrue(hub.service.connectionExistsWithResponse(kept.id, Operation.options()).getValue());
        }
    }

    @Test
    void connectionIsAddedToAndRemovedFromGroups() {
        try (Hub hub = new Hub(Transport.HTTP)) {
            JsonSocket member = hub.connect(Hub.token());
            hub.service.addConnectionToGroupWithResponse("room", member.id, Operation.options());
            hub.service.addConnectionToGroupWithResponse("hall", member.id, Operation.options());
            assertGroups(hub, Map.of("room", true, "hall", true));
            hub.service.removeConnectionFromGroupWithResponse("room", member.id, Operation.options());
            assertGroups(hub, Map.of("room", false, "hall", true));
            hub.service.removeConnectionFromAllGroupsWithResponse(member.id, Operation.options());
            assertGroups(hub, Map.of("room", false, "hall", false));
        }
    }

    @Test
    void userIsAddedToAndRemovedFromGroups() {
        try (Hub hub = new Hub(Transport.HTTP)) {
            hub.connect(Hub.token().setUserId("ann"));
            hub.connect(Hub.token().setUserId("ann"));
            hub.service.addUserToGroupWithResponse("room", "ann", Operation.options());
            hub.service.addUserToGroupWithResponse("hall", "ann", Operation.options());
            hub.service.removeUserFromGroupWithResponse("room", "ann", Operation.options());
            assertGroups(hub, Map.of("room", false, "hall", true));
            hub.service.removeUserFromAllGroupsWithResponse("ann", Operation.options());
            assertGroups(hub, Map.of("room", false, "hall", false));
        }
    }

    @Test
    void connectionsAreAddedToGroupsByFilter() {
        try (Hub hub = new Hub(Transport.HTTP)) {
            JsonSocket ann = hub.connect(Hub.token().setUserId("ann"));
            JsonSocket bob = hub.connect(Hub.token().setUserId("bob"));
            hub.service.addConnectionsToGroups(List.of("room", "a/b"), "userId eq 'ann'");
            hub.service.sendToGroup("room", "hello", WebPubSubContentType.TEXT_PLAIN);
            hub.service.sendToGroup("a/b", "hello", WebPubSubContentType.TEXT_PLAIN);
            assertEquals(2, hub.received(ann).size());
            assertEquals(0, hub.received(bob).size());
            var refused = assertThrows(HttpResponseException.class,
                () -> hub.service.addConnectionsToGroups(List.of("hall"), "userId"));
            assertEquals(400, refused.getResponse().getStatusCode());
            assertGroups(hub, Map.of("hall", false));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"room name", "room+part", "a/b", "100%", "%2F", "你好", "a?b#c", "quo'te\"", "*"})
    void oddNamesAddressWhatTheyName(String name) {
        try (Hub hub = new Hub(Transport.HTTP)) {
            JsonSocket member = hub.connect(Hub.token().setUserId(name));
            assertEquals(name, member.userId.asText());
            assertTrue(hub.service.userExistsWithResponse(name, Operation.options()).getValue());
            hub.service.addUserToGroupWithResponse(name, name, Operation.options());
            hub.service.sendToGroup(name, "hello", WebPubSubContentType.TEXT_PLAIN);
            assertEquals(name, hub.received(member).get(0).path("group").asText());
        }
    }

    @Test
    void grantActsAtOnceForItsGroupAloneUntilItIsRevoked() {
        Map<WebPubSubPermission, String> messages = Map.of(
            WebPubSubPermission.JOIN_LEAVE_GROUP, "{\"type\":\"joinGroup\",\"group\":\"room\",\"ackId\":%d}",
            WebPubSubPermission.SEND_TO_GROUP,
            "{\"type\":\"sendToGroup\",\"group\":\"room\",\"data\":1,\"noEcho\":true,\"ackId\":%d}");
        messages.forEach((permission, message) -> {
            try (Hub hub = new Hub(Transport.HTTP)) {
                JsonSocket member = hub.connect(Hub.token());
                assertFalse(allowed(member, message, 1));
                hub.service.grantPermissionWithResponse(permission, member.id, target("room"));
                assertTrue(hub.service.checkPermissionWithResponse(permission, member.id, target("room")).getValue());
                assertFalse(hub.service.checkPermissionWithResponse(permission, member.id, target("hall")).getValue());
                assertTrue(allowed(member, message, 2));
                hub.service.revokePermissionWithResponse(permission, member.id, target("room"));
                assertFalse(hub.service.checkPermissionWithResponse(permission, member.id, target("room")).getValue());
                assertFalse(allowed(member, message, 3));
            }
        });
    }

    @Test
    void faultsAreNamedInTheBody() {
        try (Hub hub = new Hub(Transport.HTTP)) {
            var missing = assertThrows(ResourceNotFoundException.class,
                () -> hub.service.addConnectionToGroupWithResponse("room", "nobody", Operation.options()));
            assertFault(missing, "Error.Connection.NotExisted", "Connection");
            var noTarget = assertThrows(HttpResponseException.class, () -> hub.service
                .grantPermissionWithResponse(WebPubSubPermission.SEND_TO_GROUP, "nobody", Operation.options()));
            assertEquals(400, noTarget.getResponse().getStatusCode());
            assertFault(noTarget, "Error.BadRequest", "Request");
            var blank = assertThrows(HttpResponseException.class,
                () -> hub.service.sendToGroup(" ", "hello", WebPubSubContentType.TEXT_PLAIN));
            assertFault(blank, "Error.BadRequest", "Request");
        }
    }

    private static void assertFault(HttpResponseException refused, String code, String target) {
        Map<?, ?> body = (Map<?, ?>) refused.getValue();
        assertEquals(code, body.get("code"));
        assertEquals(target, body.get("target"));
        assertEquals(code,
            refused.getResponse().getHeaders().getValue(HttpHeaderName.fromString("x-ms-error-code")));
    }

    private static void assertGroups(Hub hub, Map<String, Boolean> expected) {
        expected.forEach((group, exists) -> assertEquals(exists,
            hub.service.groupExistsWithResponse(group, Operation.options()).getValue(), group));
    }

    private static boolean allowed(JsonSocket member, String message, int ackId) {
        member.send(message.formatted(ackId));
        return member.next().path("success").asBoolean();
    }

    private static RequestOptions target(String group) {
        return Operation.options().addQueryParam("targetName", group);
    }
}
