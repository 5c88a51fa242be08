package hubbub.sdk;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * One {@code hubbub dev} on free ports, started from the binary that the environment variable HUBBUB
 * names. Knows its start-up lines and nothing of the tests. Made by {@link SharedServer}.
 */
final class HubbubServer implements AutoCloseable {
    private static final long READY_WITHIN_SECONDS = 30;
    private static final long STOPPED_WITHIN_SECONDS = 15;

    private final Path directory;
    private final Process process;
    private final Output stdout;
    private final Output stderr;

    final String connectionString;
    final String tlsConnectionString;
    final Path certificateAuthority;

    /**
     * Starts the server and waits until it is ready.
     *
     * @throws IllegalStateException with what the server printed, when it does not start
     */
    HubbubServer(List<String> flags) throws IOException, InterruptedException {
        String binary = System.getenv("HUBBUB");
        if (binary == null || binary.isEmpty()) {
            throw new IllegalStateException("HUBBUB is not set: name the server's binary,"
                + " for example HUBBUB=$PWD/target/release/hubbub");
        }
        directory = Files.createTempDirectory("hubbub-test-");
        ProcessBuilder command = new ProcessBuilder(binary, "dev", "--listen", "127.0.0.1:0",
            "--tls-listen", "127.0.0.1:0", "--operations-listen", "127.0.0.1:0", "--data-dir", directory.toString());
        command.command().addAll(flags);
        process = command.start();
        stdout = new Output(process.getInputStream());
        stderr = new Output(process.getErrorStream());
        if (!stdout.ready.await(READY_WITHIN_SECONDS, TimeUnit.SECONDS) || !stdout.text().contains("Ready.")) {
            throw failure("did not become ready");
        }
        connectionString = line("^Connection string:\\s+(\\S+)$");
        tlsConnectionString = line("^Connection string \\(TLS\\):\\s+(\\S+)$");
        certificateAuthority = Path.of(line("^Certificate authority:\\s+(.+)$"));
    }

    /** Ends the server; fails when it had ended by itself, panicked, or does not end in time. */
    @Override
    public void close() throws IOException, InterruptedException {
        boolean endedByItself = !process.isAlive();
        process.destroy();
        if (!process.waitFor(STOPPED_WITHIN_SECONDS, TimeUnit.SECONDS)) {
            throw failure("did not stop in time");
        }
        try (var files = Files.walk(directory)) {
            files.sorted(Comparator.reverseOrder()).forEach(file -> file.toFile().delete());
        }
        if (endedByItself || process.exitValue() != 0 || stderr.text().contains("panicked at")) {
            throw failure("ended with status " + process.exitValue());
        }
    }

    private String line(String pattern) {
        Matcher found = Pattern.compile(pattern, Pattern.MULTILINE).matcher(stdout.text());
        if (!found.find()) {
            throw failure("printed no line that matches " + pattern);
        }
        return found.group(1);
    }

    private IllegalStateException failure(String what) {
        process.destroyForcibly();
        return new IllegalStateException("hubbub dev " + what + "\n--- its output ---\n" + stdout.text()
            + "\n--- its errors ---\n" + stderr.text());
    }

    /** Collects a stream as it comes; {@code ready} opens at the line that says so, or at the end. */
    private static final class Output {
        private final StringBuffer collected = new StringBuffer();
        final CountDownLatch ready = new CountDownLatch(1);

        Output(InputStream stream) {
            Thread reader = new Thread(() -> read(stream), "hubbub output");
            reader.setDaemon(true);
            reader.start();
        }

        private void read(InputStream stream) {
            try (var reader = new BufferedReader(new InputStreamReader(stream, StandardCharsets.UTF_8))) {
                for (String line = reader.readLine(); line != null; line = reader.readLine()) {
                    collected.append(line).append('\n');
                    if (line.strip().equals("Ready.")) {
                        ready.countDown();
                    }
                }
            } catch (IOException ended) {
                collected.append(ended);
            } finally {
                ready.countDown();
            }
        }

        String text() {
            return collected.toString();
        }
    }
}
