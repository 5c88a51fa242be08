package hubbub.sdk;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.azure.core.credential.AccessToken;
import com.azure.core.credential.TokenCredential;
import com.azure.core.exception.ClientAuthenticationException;
import com.azure.core.exception.HttpResponseException;
import com.azure.messaging.webpubsub.WebPubSubServiceClient;
import com.azure.messaging.webpubsub.models.WebPubSubClientProtocol;
import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.Base64;
import java.util.Map;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import reactor.core.publisher.Mono;

/** {@code getClientAccessToken} with each of its options, and which tokens and keys are refused. */
@ExtendWith(SharedServer.class)
class TokenTest {
    @ParameterizedTest
    @EnumSource
    void userGroupsRolesAndLifetimeTakeEffect(Transport transport) throws IOException {
        try (Hub hub = new Hub(transport)) {
            var token = hub.service.getClientAccessToken(Hub.token().setUserId("ann 你").addGroup("room")
                .addGroup("a/b").addRole("webpubsub.joinLeaveGroup.hall").setExpiresAfter(Duration.ofMinutes(5)));
            assertLifetime(Duration.ofMinutes(5), claims(token.getToken()));
            JsonSocket member = hub.open(token.getUrl());
            assertEquals("ann 你", member.userId.asText());
            assertTrue(hub.service.groupExistsWithResponse("room", Operation.options()).getValue());
            assertTrue(hub.service.groupExistsWithResponse("a/b", Operation.options()).getValue());
            member.send("{\"type\":\"joinGroup\",\"group\":\"hall\",\"ackId\":1}");
            assertTrue(member.next().path("success").asBoolean());
        }
    }

    @ParameterizedTest
    @EnumSource
    void tokenWithoutOptionsAdmitsAClientWithoutUserAndRoles(Transport transport) {
        try (Hub hub = new Hub(transport)) {
            JsonSocket member = hub.connect(Hub.token());
            assertTrue(member.userId.isNull());
            member.send("{\"type\":\"joinGroup\",\"group\":\"hall\",\"ackId\":1}");
            assertEquals("Forbidden", member.next().path("error").path("name").asText());
        }
    }

    @ParameterizedTest
    @EnumSource
    void bothKeysAreGoodForCallsAndForClients(Transport transport) {
        try (Hub hub = new Hub(transport)) {
            WebPubSubServiceClient service = hub.builderWithKey(SharedServer.SECONDARY_KEY).buildClient();
            JsonSocket member = hub.open(service.getClientAccessToken(Hub.token()).getUrl());
            assertTrue(service.connectionExistsWithResponse(member.id, Operation.options()).getValue());
        }
    }

    /** Client URLs that the server refuses, each with its status. */
    enum RefusedUrl {
        NO_TOKEN(401, hub -> url(hub).replaceAll("\\?.*", "")),
        NOT_A_TOKEN(401, hub -> url(hub).replaceAll("=.*", "=a.b.c")),
        WRONG_KEY(401, hub -> hub.builderWithKey(SharedServer.WRONG_KEY).buildClient()
            .getClientAccessToken(Hub.token()).getUrl()),
        EXPIRED(401, hub -> hub.service.getClientAccessToken(
            Hub.token().setExpiresAfter(Duration.ofMinutes(-10))).getUrl()),
        OTHER_ENDPOINT(401, hub -> hub.service.getClientAccessToken(
            Hub.token().setWebPubSubClientProtocol(WebPubSubClientProtocol.MQTT)).getUrl()
            .replace("/clients/mqtt/", "/client/")),
        BLANK_GROUP(400, hub -> hub.service.getClientAccessToken(Hub.token().addGroup(" ")).getUrl());

        final int status;
        final Function<Hub, String> url;

        RefusedUrl(int status, Function<Hub, String> url) {
            this.status = status;
            this.url = url;
        }

        private static String url(Hub hub) {
            return hub.service.getClientAccessToken(Hub.token()).getUrl();
        }
    }

    @ParameterizedTest
    @EnumSource
    void clientIsRefused(RefusedUrl refused) {
        try (Hub hub = new Hub(Transport.HTTP)) {
            var refusal = assertThrows(JsonSocket.Refused.class, () -> hub.open(refused.url.apply(hub)));
            assertEquals(refused.status, refusal.status);
        }
    }

    @Test
    void tokenCredentialHasTheServerMakeTheToken() throws IOException {
        try (Hub hub = new Hub(Transport.HTTPS)) {
            WebPubSubServiceClient service = withCredential(hub, 3600);
            var token = service.getClientAccessToken(Hub.token().setUserId("ann").addGroup("a,b")
                .addRole("webpubsub.joinLeaveGroup.hall").setExpiresAfter(Duration.ofMinutes(7)));
            assertLifetime(Duration.ofMinutes(7), claims(token.getToken()));
            JsonSocket member = hub.open(token.getUrl());
            assertEquals("ann", member.userId.asText());
            assertTrue(service.groupExistsWithResponse("a,b", Operation.options()).getValue());
            member.send("{\"type\":\"joinGroup\",\"group\":\"hall\",\"ackId\":1}");
            assertTrue(member.next().path("success").asBoolean());
            var refused = assertThrows(HttpResponseException.class,
                () -> service.getClientAccessToken(Hub.token().addGroup(" ")));
            assertEquals(400, refused.getResponse().getStatusCode());
        }
    }

    @Test
    void expiredTokenCredentialIsRefused() {
        try (Hub hub = new Hub(Transport.HTTPS)) {
            WebPubSubServiceClient service = withCredential(hub, -600);
            assertThrows(ClientAuthenticationException.class, () -> service.getClientAccessToken(Hub.token()));
        }
    }

    private static WebPubSubServiceClient withCredential(Hub hub, long secondsToLive) {
        long expires = Instant.now().getEpochSecond() + secondsToLive;
        Base64.Encoder encoder = Base64.getUrlEncoder().withoutPadding();
        String token = encoder.encodeToString("{\"alg\":\"HS256\"}".getBytes(StandardCharsets.UTF_8)) + "."
            + encoder.encodeToString(("{\"aud\":\"https://webpubsub.azure.com\",\"exp\":" + expires + "}")
                .getBytes(StandardCharsets.UTF_8)) + ".c2lnbmVkIGJ5IG5vYm9keQ";
        TokenCredential credential = context -> Mono.just(new AccessToken(token, OffsetDateTime.now().plusHours(1)));
        return hub.builder().endpoint(hub.transport.endpoint()).credential(credential).buildClient();
    }

    private static JsonNode claims(String token) throws IOException {
        return JsonSocket.JSON.readTree(Base64.getUrlDecoder().decode(token.split("\\.")[1]));
    }

    private static void assertLifetime(Duration expected, JsonNode claims) {
        long left = claims.path("exp").asLong() - Instant.now().getEpochSecond();
        assertTrue(Math.abs(left - expected.toSeconds()) <= 5, Map.of("seconds left", left).toString());
    }
}
