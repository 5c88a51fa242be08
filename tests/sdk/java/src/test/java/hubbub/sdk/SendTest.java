package hubbub.sdk;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.azure.core.exception.HttpResponseException;
import com.azure.core.http.rest.RequestOptions;
import com.azure.core.util.BinaryData;
import com.azure.messaging.webpubsub.models.WebPubSubContentType;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The four ways to send, their content and their options. */
@ExtendWith(SharedServer.class)
class SendTest {
    private static final String FROM_SERVER = "\"from\":\"server\"";
    private static final String FROM_GROUP = "\"from\":\"group\",\"group\":\"room\",\"fromUserId\":null";

    /** The targets of a send, each through the two forms that the package has for it. */
    enum To {
        HUB(FROM_SERVER), USER(FROM_SERVER), CONNECTION(FROM_SERVER), GROUP(FROM_GROUP);

        final String seenAs;

        To(String seenAs) {
            this.seenAs = seenAs;
        }

        void send(Hub hub, JsonSocket member, BinaryData content, WebPubSubContentType type, RequestOptions options) {
            long length = content.getLength();
            switch (this) {
                case HUB -> hub.service.sendToAllWithResponse(content, type, length, options);
                case USER -> hub.service.sendToUserWithResponse("ann", content, type, length, options);
                case CONNECTION -> hub.service.sendToConnectionWithResponse(member.id, content, type, length, options);
                case GROUP -> hub.service.sendToGroupWithResponse("room", content, type, length, options);
                default -> throw new AssertionError(this);
            }
        }

        void send(Hub hub, JsonSocket member, String content, WebPubSubContentType type) {
            switch (this) {
                case HUB -> hub.service.sendToAll(content, type);
                case USER -> hub.service.sendToUser("ann", content, type);
                case CONNECTION -> hub.service.sendToConnection(member.id, content, type);
                case GROUP -> hub.service.sendToGroup("room", content, type);
                default -> throw new AssertionError(this);
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void eachKindOfContentReachesAJsonClient(To to) {
        for (Transport transport : Transport.values()) {
            try (Hub hub = new Hub(transport)) {
                JsonSocket member = member(hub);
                to.send(hub, member, "héllo", WebPubSubContentType.TEXT_PLAIN);
                to.send(hub, member, "{\"a\":[1,null]}", WebPubSubContentType.APPLICATION_JSON);
                to.send(hub, member, BinaryData.fromBytes(new byte[] {0, -1, 16}),
                    WebPubSubContentType.APPLICATION_OCTET_STREAM, Operation.options());
                assertEquals(List.of(
                    json("{\"type\":\"message\"," + to.seenAs + ",\"dataType\":\"text\",\"data\":\"héllo\"}"),
                    json("{\"type\":\"message\"," + to.seenAs + ",\"dataType\":\"json\",\"data\":{\"a\":[1,null]}}"),
                    json("{\"type\":\"message\"," + to.seenAs + ",\"dataType\":\"binary\",\"data\":\"AP8Q\"}")),
                    hub.received(member));
            }
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"HUB", "GROUP"})
    void excludedConnectionsReceiveNothing(To to) {
        try (Hub hub = new Hub(Transport.HTTP)) {
            JsonSocket out = member(hub);
            JsonSocket alsoOut = member(hub);
            JsonSocket kept = member(hub);
            RequestOptions options = Operation.options().addQueryParam("excluded", out.id)
                .addQueryParam("excluded", alsoOut.id).addQueryParam("excluded", "unknown");
            to.send(hub, kept, hello(), WebPubSubContentType.TEXT_PLAIN, options);
            assertEquals(0, hub.received(out).size());
            assertEquals(0, hub.received(alsoOut).size());
            assertEquals(1, hub.received(kept).size());
        }
    }

    @ParameterizedTest
    @CsvSource(quoteCharacter = '"', delimiter = ';', value = {
        "userId eq 'ann'; 1", "userId ne 'ann'; 0", "'room' in groups and length(groups) eq 1; 1",
        "startswith(userId, 'O''B'); 0", "protocol eq 'json.webpubsub.azure.v1'; 1"})
    void filterChoosesTheReceivers(String filter, int received) {
        for (To to : List.of(To.HUB, To.USER, To.GROUP)) {
            try (Hub hub = new Hub(Transport.HTTP)) {
                JsonSocket member = member(hub);
                to.send(hub, member, hello(), WebPubSubContentType.TEXT_PLAIN,
                    Operation.options().addQueryParam("filter", filter));
                assertEquals(received, hub.received(member).size(), to.name());
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"filter=userId", "filter=userId eq 'a", "filter=age gt 1", "messageTtlSeconds=301",
        "messageTtlSeconds=-1", "messageTtlSeconds=1.5", "api-version=2020-01-01"})
    void invalidOptionIsRefusedAndNothingIsSent(String option) {
        String[] pair = option.split("=", 2);
        try (Hub hub = new Hub(Transport.HTTP)) {
            JsonSocket member = member(hub);
            RequestOptions options = Operation.options().addQueryParam(pair[0], pair[1]);
            var refused = assertThrows(HttpResponseException.class,
                () -> To.HUB.send(hub, member, hello(), WebPubSubContentType.TEXT_PLAIN, options));
            assertEquals(400, refused.getResponse().getStatusCode());
            assertEquals("Error.BadRequest", ((Map<?, ?>) refused.getValue()).get("code"));
            assertEquals(List.of(), hub.received(member));
        }
    }

    @ParameterizedTest
    @EnumSource
    void messageTtlSecondsInItsRangeIsAccepted(To to) {
        try (Hub hub = new Hub(Transport.HTTP)) {
            JsonSocket member = member(hub);
            for (String seconds : List.of("0", "1", "300")) {
                to.send(hub, member, hello(), WebPubSubContentType.TEXT_PLAIN,
                    Operation.options().addQueryParam("messageTtlSeconds", seconds));
            }
            assertEquals(3, hub.received(member).size());
        }
    }

    @Test
    void contentThatIsNotJsonIsRefusedAsJson() {
        try (Hub hub = new Hub(Transport.HTTP)) {
            JsonSocket member = member(hub);
            var refused = assertThrows(HttpResponseException.class,
                () -> hub.service.sendToAll("{not json", WebPubSubContentType.APPLICATION_JSON));
            assertEquals(400, refused.getResponse().getStatusCode());
            assertEquals(List.of(), hub.received(member));
        }
    }

    @Test
    void sendsOfOneCallerArriveInOrderWhateverTheirTargets() {
        try (Hub hub = new Hub(Transport.HTTP)) {
            JsonSocket member = member(hub);
            StringBuilder expected = new StringBuilder();
            for (int round = 0; round < 10; round++) {
                for (To to : To.values()) {
                    to.send(hub, member, round + to.name(), WebPubSubContentType.TEXT_PLAIN);
                    expected.append(round).append(to.name());
                }
            }
            StringBuilder arrived = new StringBuilder();
            hub.received(member).forEach(message -> arrived.append(message.path("data").asText()));
            assertEquals(expected.toString(), arrived.toString());
        }
    }

    private static JsonSocket member(Hub hub) {
        return hub.connect(Hub.token().setUserId("ann").addGroup("room"));
    }

    private static BinaryData hello() {
        return BinaryData.fromString("hello");
    }

    private static JsonNode json(String text) {
        try {
            return JsonSocket.JSON.readTree(text);
        } catch (JsonProcessingException invalid) {
            throw new AssertionError(invalid);
        }
    }
}
