package hubbub.sdk;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.azure.core.exception.ClientAuthenticationException;
import com.azure.core.exception.HttpResponseException;
import com.azure.core.exception.ResourceNotFoundException;
import com.azure.core.http.HttpHeaderName;
import com.azure.core.http.rest.Response;
import com.azure.messaging.webpubsub.WebPubSubServiceClient;
import hubbub.sdk.Operation.Target;
import java.util.List;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What holds for every operation of the package alike. */
@ExtendWith(SharedServer.class)
class OperationsTest {
    @ParameterizedTest
    @EnumSource
    void successHasTheStatusOfTheOperation(Operation operation) {
        for (Transport transport : Transport.values()) {
            try (Hub hub = new Hub(transport)) {
                JsonSocket member = hub.connect(Hub.token().setUserId("ann").addGroup("room")
                    .addRole("webpubsub.sendToGroup.room"));
                Response<?> response = operation.call(hub.service, new Target(member.id, "ann", "room"));
                assertEquals(operation.status, response.getStatusCode());
                String versions = response.getHeaders().getValue(HttpHeaderName.fromString("api-supported-versions"));
                assertTrue(versions.contains("2024-12-01"), versions);
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void targetThatDoesNotExist(Operation operation) {
        try (Hub hub = new Hub(Transport.HTTP)) {
            switch (operation.missing) {
                case SUCCEEDS -> assertEquals(operation.status,
                    operation.call(hub.service, Target.NOBODY).getStatusCode());
                case FALSE -> assertEquals(false, operation.call(hub.service, Target.NOBODY).getValue());
                case NOT_FOUND -> assertThrows(ResourceNotFoundException.class,
                    () -> operation.call(hub.service, Target.NOBODY));
                default -> throw new AssertionError(operation.missing);
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void wrongKeyIsRefusedAndHasNoEffect(Operation operation) {
        for (Transport transport : Transport.values()) {
            try (Hub hub = new Hub(transport)) {
                JsonSocket member = hub.connect(Hub.token().setUserId("ann").addGroup("room"));
                WebPubSubServiceClient intruder = hub.builderWithKey(SharedServer.WRONG_KEY).buildClient();
                var refused = assertThrows(ClientAuthenticationException.class,
                    () -> operation.call(intruder, new Target(member.id, "ann", "room")));
                assertEquals(401, refused.getResponse().getStatusCode());
                assertEquals(List.of(), hub.received(member));
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void invalidHubNameIsRefused(Operation operation) {
        try (Hub hub = new Hub(Transport.HTTP)) {
            WebPubSubServiceClient service = hub.builder().hub("1-is-not-a-letter")
                .connectionString(Transport.HTTP.connectionString()).buildClient();
            var refused = assertThrows(HttpResponseException.class, () -> operation.call(service, Target.NOBODY));
            assertEquals(400, refused.getResponse().getStatusCode());
        }
    }
}
