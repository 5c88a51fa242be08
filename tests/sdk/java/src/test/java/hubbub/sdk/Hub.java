package hubbub.sdk;

import com.azure.core.credential.AzureKeyCredential;
import com.azure.core.http.policy.FixedDelayOptions;
import com.azure.core.http.policy.RetryOptions;
import com.azure.messaging.webpubsub.WebPubSubServiceClient;
import com.azure.messaging.webpubsub.WebPubSubServiceClientBuilder;
import com.azure.messaging.webpubsub.models.GetClientAccessTokenOptions;
import com.azure.messaging.webpubsub.models.WebPubSubContentType;
import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;

/**
 * A hub with a fresh name, which keeps a test apart from the others on the shared server: its
 * service client and the sockets that belong to it.
 */
final class Hub implements AutoCloseable {
    final Transport transport;
    final String name;
    final WebPubSubServiceClient service;

    private final List<JsonSocket> opened = new ArrayList<>();
    private int markers;

    Hub(Transport transport) {
        this.transport = transport;
        this.name = "hub" + UUID.randomUUID().toString().replace("-", "");
        this.service = builder().connectionString(transport.connectionString()).buildClient();
    }

    /** A builder for this hub without credential, whose clients do not retry. */
    WebPubSubServiceClientBuilder builder() {
        RetryOptions none = new RetryOptions(new FixedDelayOptions(0, Duration.ofMillis(1)));
        return new WebPubSubServiceClientBuilder().hub(name).retryOptions(none);
    }

    /** A builder for this hub with another access key. */
    WebPubSubServiceClientBuilder builderWithKey(String key) {
        return builder().endpoint(transport.endpoint()).credential(new AzureKeyCredential(key));
    }

    static GetClientAccessTokenOptions token() {
        return new GetClientAccessTokenOptions();
    }

    /** A client of the JSON subprotocol, after its {@code connected} message. */
    JsonSocket connect(GetClientAccessTokenOptions token) {
        return open(service.getClientAccessToken(token).getUrl());
    }

    JsonSocket open(String url) {
        JsonSocket socket = new JsonSocket(url);
        opened.add(socket);
        return socket;
    }

    /**
     * The messages that reached the socket so far. A marker, sent last by the same caller, arrives
     * last: what is missing before it will not come.
     */
    List<JsonNode> received(JsonSocket socket) {
        String marker = "marker " + ++markers;
        service.sendToConnection(socket.id, marker, WebPubSubContentType.TEXT_PLAIN);
        List<JsonNode> messages = new ArrayList<>();
        for (JsonNode message = socket.next(); !message.path("data").asText().equals(marker); message = socket.next()) {
            messages.add(message);
        }
        return messages;
    }

    @Override
    public void close() {
        opened.forEach(JsonSocket::close);
    }
}
