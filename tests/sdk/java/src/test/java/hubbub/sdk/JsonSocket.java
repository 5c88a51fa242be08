package hubbub.sdk;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.net.http.WebSocketHandshakeException;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** A bare WebSocket on the JSON subprotocol, from the JDK: it knows no SDK. */
final class JsonSocket implements WebSocket.Listener, AutoCloseable {
    static final ObjectMapper JSON = new ObjectMapper();
    private static final long DEADLINE_SECONDS = 10;

    /** What a close frame said. */
    record Closed(int code, String reason) {
    }

    /** The server refused the handshake with that HTTP status. */
    static final class Refused extends RuntimeException {
        private static final long serialVersionUID = 1L;
        final int status;

        Refused(WebSocketHandshakeException cause) {
            super(cause);
            status = cause.getResponse().statusCode();
        }
    }

    private final BlockingQueue<JsonNode> inbox = new LinkedBlockingQueue<>();
    private final CompletableFuture<Closed> closed = new CompletableFuture<>();
    private final StringBuilder partial = new StringBuilder();
    private final WebSocket socket;

    final String id;
    final JsonNode userId;

    JsonSocket(String url) {
        try {
            socket = HttpClient.newHttpClient().newWebSocketBuilder()
                .subprotocols("json.webpubsub.azure.v1").buildAsync(URI.create(url), this).join();
        } catch (CompletionException failed) {
            if (failed.getCause() instanceof WebSocketHandshakeException refused) {
                throw new Refused(refused);
            }
            throw failed;
        }
        JsonNode connected = next();
        id = connected.path("connectionId").asText();
        userId = connected.path("userId");
    }

    /** The next message; fails when none comes in time. */
    JsonNode next() {
        try {
            JsonNode message = inbox.poll(DEADLINE_SECONDS, TimeUnit.SECONDS);
            if (message == null) {
                throw new AssertionError("waited in vain for a message");
            }
            return message;
        } catch (InterruptedException interrupted) {
            throw new AssertionError(interrupted);
        }
    }

    void send(String message) {
        socket.sendText(message, true).join();
    }

    /** What the close frame said; fails when the socket stays open. */
    Closed ended() {
        try {
            return closed.get(DEADLINE_SECONDS, TimeUnit.SECONDS);
        } catch (InterruptedException | ExecutionException | TimeoutException failed) {
            throw new AssertionError("waited in vain for the end of the connection", failed);
        }
    }

    @Override
    public CompletionStage<?> onText(WebSocket from, CharSequence text, boolean last) {
        partial.append(text);
        if (last) {
            try {
                inbox.add(JSON.readTree(partial.toString()));
            } catch (JsonProcessingException invalid) {
                closed.completeExceptionally(invalid);
            }
            partial.setLength(0);
        }
        from.request(1);
        return null;
    }

    @Override
    public CompletionStage<?> onClose(WebSocket from, int code, String reason) {
        closed.complete(new Closed(code, reason));
        return null;
    }

    @Override
    public void onError(WebSocket from, Throwable error) {
        closed.completeExceptionally(error);
    }

    @Override
    public void close() {
        socket.abort();
    }
}
