package hubbub.sdk;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.azure.core.exception.ClientAuthenticationException;
import com.azure.core.exception.ResourceNotFoundException;
import com.azure.messaging.webpubsub.WebPubSubServiceAsyncClient;
import com.azure.messaging.webpubsub.models.WebPubSubContentType;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A few operations through the asynchronous client, which shares its pipeline with the other. */
@ExtendWith(SharedServer.class)
class AsyncClientTest {
    @ParameterizedTest
    @EnumSource
    void chainOfOperationsActsInItsOrder(Transport transport) {
        try (Hub hub = new Hub(transport)) {
            WebPubSubServiceAsyncClient service =
                hub.builder().connectionString(transport.connectionString()).buildAsyncClient();
            JsonSocket member = hub.open(service.getClientAccessToken(Hub.token().setUserId("ann")).block().getUrl());
            boolean exists = service.sendToUser("ann", "one", WebPubSubContentType.TEXT_PLAIN)
                .then(service.addUserToGroupWithResponse("room", "ann", Operation.options()))
                .then(service.sendToGroup("room", "two", WebPubSubContentType.TEXT_PLAIN))
                .then(service.sendToConnection(member.id, "three", WebPubSubContentType.TEXT_PLAIN))
                .then(service.sendToAll("four", WebPubSubContentType.TEXT_PLAIN))
                .then(service.addConnectionsToGroups(List.of("hall"), "userId eq 'ann'"))
                .then(service.groupExistsWithResponse("hall", Operation.options()))
                .block().getValue();
            assertEquals(true, exists);
            assertEquals(List.of("one", "two", "three", "four"),
                hub.received(member).stream().map(message -> message.path("data").asText()).toList());
            service.closeConnectionWithResponse(member.id, Operation.options()).block();
            assertEquals(1000, member.ended().code());
        }
    }

    @Test
    void failuresArriveAsErrors() {
        try (Hub hub = new Hub(Transport.HTTP)) {
            WebPubSubServiceAsyncClient intruder = hub.builderWithKey(SharedServer.WRONG_KEY).buildAsyncClient();
            assertThrows(ClientAuthenticationException.class,
                () -> intruder.sendToAll("x", WebPubSubContentType.TEXT_PLAIN).block());
            WebPubSubServiceAsyncClient service =
                hub.builder().connectionString(Transport.HTTP.connectionString()).buildAsyncClient();
            assertThrows(ResourceNotFoundException.class,
                () -> service.addUserToGroupWithResponse("room", "nobody", Operation.options()).block());
        }
    }
}
