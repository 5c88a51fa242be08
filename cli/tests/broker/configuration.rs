//! What `hubbub broker` says about its configuration before anything runs.

use crate::support::{Scratch, hubbub, output, stderr, stdout};

const KEY: &str = "a-key-of-thirty-two-characters-or-more";

#[test]
fn help_names_what_a_broker_has_and_not_what_is_for_developers() {
    let scratch = Scratch::new();
    let output = output(hubbub(&scratch, &["broker", "--help"]));
    assert_eq!(output.status.code(), Some(0));
    let help = stdout(&output);
    let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "--listen <ADDRESS>",
        "[env: HUBBUB_LISTEN]",
        "--operations-listen <ADDRESS|off>",
        "--access-key-file <FILE>",
        "[env: HUBBUB_SECONDARY_KEY_FILE]",
        "--redis <URL>",
        "[env: HUBBUB_REDIS]",
        "[default: hubbub] [env: HUBBUB_REDIS_PREFIX]",
        "--redis-username <NAME>",
        "--redis-password-file <FILE>",
        "--redis-ca-file <FILE>",
        "[default: a random one at each start] [env: HUBBUB_NODE_ID]",
        "--public-endpoint <URL>",
        "--print-config",
        "Examples:",
    ] {
        assert!(words.contains(part), "{part} is not in\n{help}");
    }
    for part in ["--tls-listen", "--data-dir", "--playground", "development key"] {
        assert!(!words.contains(part), "{part} is in\n{help}");
    }
}

#[test]
fn without_address_and_key_it_says_what_to_give() {
    let scratch = Scratch::new();
    let output = output(hubbub(&scratch, &["broker"]));
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        stderr(&output),
        "error: --listen: say where to listen for clients and REST calls, such as 0.0.0.0:8080\n\
         error: --access-key: give the access key of the installation, 32 bytes or more: in HUBBUB_ACCESS_KEY, or in \
         a file that --access-key-file names. openssl rand -base64 32 makes one\n"
    );
}

#[test]
fn the_printed_configuration_shows_no_key_and_no_password() {
    let scratch = Scratch::new();
    let password = scratch.file("password", "s3cret-of-redis\n");
    let secondary = scratch.file("secondary", "s3cret-key-of-thirty-two-characters-2\n");
    let file = scratch
        .file("hubbub.yaml", &format!("redisPasswordFile: {password}\nsecondaryKeyFile: {secondary}\n"));
    let mut command =
        hubbub(&scratch, &["broker", "--config", &file, "--listen", "127.0.0.1:0", "--print-config"]);
    command
        .env("HUBBUB_ACCESS_KEY", "s3cret-key-of-thirty-two-characters-1")
        .env("HUBBUB_REDIS", "redis://a:6379,redis://ann:s3cret-of-redis@b:6379")
        .env("HUBBUB_REDIS_USERNAME", "ann")
        .env("HUBBUB_REDIS_PREFIX", "blue");
    let output = output(command);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let page = stdout(&output);
    for line in [
        "listen: 127.0.0.1:0  # --listen",
        "# accessKey is set, and not shown  # HUBBUB_ACCESS_KEY",
        &format!("secondaryKeyFile: {secondary}  # {file}:2"),
        "# redis is set, and not shown because a URL may hold a key  # HUBBUB_REDIS",
        "redisPrefix: blue  # HUBBUB_REDIS_PREFIX",
        &format!("redisPasswordFile: {password}  # {file}:1"),
        "# nodeId is made at each start",
    ] {
        assert!(page.lines().any(|shown| shown == line), "{line} is not in\n{page}");
    }
    assert!(!page.contains("s3cret"), "{page}");
}

#[test]
fn a_durable_hub_needs_redis() {
    let scratch = Scratch::new();
    let hubs = scratch.file("hubs.yaml", "hubs: {chat: {durable: true}}\n");
    let flags = ["broker", "--listen", "127.0.0.1:0", "--access-key", KEY, "--hubs", &hubs];
    let alone = output(hubbub(&scratch, &flags));
    assert_eq!(alone.status.code(), Some(2));
    assert_eq!(
        stderr(&alone).lines().last().unwrap(),
        "error: --hubs: hub \"chat\" is durable, which needs Redis to keep what is sent: run hubbub broker with \
         --redis, or remove durable from that hub"
    );
    let linked = [&flags[..], &["--redis", "redis://127.0.0.1:1", "--print-config"]].concat();
    let linked = output(hubbub(&scratch, &linked));
    assert_eq!(linked.status.code(), Some(0), "{}", stderr(&linked));
}

#[test]
fn what_is_for_developers_is_refused() {
    let scratch = Scratch::new();
    for flag in ["--tls-listen=off", "--data-dir=d", "--playground"] {
        let output =
            output(hubbub(&scratch, &["broker", "--listen", "127.0.0.1:0", "--access-key", KEY, flag]));
        assert_eq!(output.status.code(), Some(2), "{flag}");
    }
    let file = scratch.file("hubbub.yaml", "playground: true\n");
    let arguments = ["broker", "--listen", "127.0.0.1:0", "--access-key", KEY, "--config", &file];
    let refused = output(hubbub(&scratch, &arguments));
    assert_eq!(refused.status.code(), Some(2));
    assert_eq!(stderr(&refused), format!("error: {file}:1: playground is not for this program; remove it\n"));
}

#[test]
fn a_redis_that_is_written_wrongly_is_refused_without_showing_its_password() {
    let scratch = Scratch::new();
    let arguments = [
        "broker",
        "--listen",
        "127.0.0.1:0",
        "--access-key",
        KEY,
        "--redis",
        "redis://ann:s3cret@127.0.0.1:x",
    ];
    let output = output(hubbub(&scratch, &arguments));
    assert_eq!(output.status.code(), Some(2));
    let told = stderr(&output);
    assert!(told.starts_with("error: --redis: a port in a Redis URL is no number"), "{told}");
    assert!(!told.contains("s3cret"), "{told}");
}
