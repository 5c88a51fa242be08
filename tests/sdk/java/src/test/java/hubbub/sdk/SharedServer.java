package hubbub.sdk;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.List;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * Starts one server for all test classes and stops it after the last. Makes the JVM trust the
 * server's certificate authority, as a trust store made with {@code keytool} would.
 */
public final class SharedServer implements BeforeAllCallback {
    // Keys for tests only: they are public.
    static final String PRIMARY_KEY = "primary-key-of-the-java-suite-0000000001";
    static final String SECONDARY_KEY = "secondary-key-of-the-java-suite-00000002";
    static final String WRONG_KEY = "a-key-that-this-server-has-never-seen-99";

    private static final char[] PASSWORD = "changeit".toCharArray();

    private static HubbubServer server;

    static HubbubServer get() {
        return server;
    }

    @Override
    public void beforeAll(ExtensionContext context) {
        ExtensionContext.Store store = context.getRoot().getStore(ExtensionContext.Namespace.GLOBAL);
        server = store.computeIfAbsent(SharedServer.class, key -> start(), HubbubServer.class);
    }

    private static HubbubServer start() {
        try {
            HubbubServer started = new HubbubServer(List.of("--access-key", PRIMARY_KEY, "--secondary-key",
                SECONDARY_KEY, "--allow-unvalidated-entra-tokens"));
            trust(started.certificateAuthority);
            return started;
        } catch (IOException failure) {
            throw new UncheckedIOException(failure);
        } catch (GeneralSecurityException | InterruptedException failure) {
            throw new IllegalStateException(failure);
        }
    }

    private static void trust(Path certificateAuthority) throws IOException, GeneralSecurityException {
        KeyStore trusted = KeyStore.getInstance("PKCS12");
        trusted.load(null, PASSWORD);
        try (InputStream pem = Files.newInputStream(certificateAuthority)) {
            trusted.setCertificateEntry("hubbub", CertificateFactory.getInstance("X.509").generateCertificate(pem));
        }
        Path file = Files.createTempFile("hubbub-trust-", ".p12");
        file.toFile().deleteOnExit();
        try (OutputStream out = Files.newOutputStream(file)) {
            trusted.store(out, PASSWORD);
        }
        System.setProperty("javax.net.ssl.trustStore", file.toString());
        System.setProperty("javax.net.ssl.trustStorePassword", new String(PASSWORD));
    }
}
