package hubbub.sdk;

/** The two ways to the server. */
enum Transport {
    HTTP, HTTPS;

    String connectionString() {
        return this == HTTP ? SharedServer.get().connectionString : SharedServer.get().tlsConnectionString;
    }

    String endpoint() {
        return connectionString().replaceAll("^Endpoint=([^;]+);.*$", "$1");
    }
}
