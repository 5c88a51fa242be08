//! What the program says about its configuration before anything runs.

use crate::support::{self, Scratch, hubbub, output, stderr, stdout};

#[test]
fn help_names_every_option_its_variable_and_its_default() {
    let scratch = Scratch::new();
    let output = output(hubbub(&scratch, &["dev", "--help"]));
    assert_eq!(output.status.code(), Some(0));
    let help = stdout(&output);
    let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "--listen <ADDRESS>",
        "[default: 127.0.0.1:8080] [env: HUBBUB_LISTEN]",
        "--tls-listen <ADDRESS|off>",
        "--access-key <KEY>",
        "[default: the public development key] [env: HUBBUB_ACCESS_KEY]",
        "--hubs <FILE>",
        "--event-handler <WORDS>",
        "--data-dir <DIR>",
        "[default: one for each processor] [env: HUBBUB_WORKERS]",
        "--public-endpoint <URL>",
        "--legacy-slash-escape[=<true|false>]",
        "--config <FILE>",
        "[env: HUBBUB_CONFIG]",
        "--print-config",
        "Examples:",
    ] {
        assert!(words.contains(part), "{part} is not in\n{help}");
    }
    assert!(!help.contains("ABCDEFGHIJKLMNOPQRSTUVWXYZ"));
}

#[test]
fn help_does_not_show_what_is_in_the_environment() {
    let scratch = Scratch::new();
    let mut command = hubbub(&scratch, &["dev", "--help"]);
    command.env("HUBBUB_ACCESS_KEY", "a-secret-of-the-environment-not-to-be-shown");
    assert!(!stdout(&output(command)).contains("a-secret"));
}

#[test]
fn without_a_subcommand_it_explains_itself() {
    let scratch = Scratch::new();
    let output = output(hubbub(&scratch, &[]));
    assert_eq!(output.status.code(), Some(2));
    let words = stderr(&output).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("dev Run a complete node for development and tests"), "{output:?}");
    let version = support::output(hubbub(&scratch, &["--version"]));
    assert_eq!(stdout(&version), concat!("hubbub ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn the_printed_configuration_says_where_values_come_from_and_can_be_given_back() {
    let scratch = Scratch::new();
    let hubs = scratch.file("hubs.yaml", "hubs:\n  chat:\n    anonymousConnectPolicy: allow\n");
    let file = scratch.file("hubbub.yaml", "nodeId: filed\nworkers: 9\nhandshakeTimeout: 3s\n");
    let mut command = hubbub(
        &scratch,
        &["dev", "--config", &file, "--hubs", &hubs, "--legacy-slash-escape", "--print-config"],
    );
    command
        .env("HUBBUB_WORKERS", "2")
        .env("HUBBUB_NODE_ID", "")
        .env("HUBBUB_CORS_ORIGIN", "http://a,http://b:81");
    command.env("HUBBUB_SECONDARY_KEY", "a-secret-of-the-environment-not-to-be-shown");
    let output = output(command);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let page = stdout(&output);
    for line in [
        "listen: 127.0.0.1:8080  # default",
        "workers: 2  # HUBBUB_WORKERS",
        &format!("nodeId: filed  # {file}:1"),
        &format!("handshakeTimeout: 3s  # {file}:3"),
        "legacySlashEscape: true  # --legacy-slash-escape",
        "corsOrigins:  # HUBBUB_CORS_ORIGIN",
        "  - http://b:81",
        "# accessKey is the public development key  # default",
        "# secondaryKey is set, and not shown  # HUBBUB_SECONDARY_KEY",
        &format!("dataDir: {}/.local/share/hubbub  # default", scratch.path().display()),
    ] {
        assert!(page.lines().any(|shown| shown == line), "{line} is not in\n{page}");
    }
    assert!(!page.contains("a-secret"));

    let printed = scratch.file("printed.yaml", &page);
    let again = support::output(hubbub(&scratch, &["dev", "--config", &printed, "--print-config"]));
    assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
    let bare = |page: &str| {
        let values = page.lines().filter(|line| !line.starts_with('#'));
        values.map(|line| line.split("  # ").next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(bare(&stdout(&again)), bare(&page));
}

#[test]
fn unknown_keys_are_refused_with_file_and_line_and_all_faults_at_once() {
    let scratch = Scratch::new();
    let hubs = scratch.file("hubs.yaml", "hubs:\n  chat:\n    eventListeners: []\n");
    let file = scratch.file("hubbub.yaml", "listen: 127.0.0.1:0\nlisten-on: x\ntls_listen: off\n");
    let command = hubbub(&scratch, &["dev", "--config", &file, "--hubs", &hubs, "--workers", "0"]);
    let output = output(command);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stdout(&output), "");
    let told = stderr(&output);
    for part in [
        format!("error: {file}:2: unknown key \"listen-on\""),
        format!("error: {file}:3: unknown key \"tls_listen\"; write tlsListen"),
        format!("error: {hubs}:3: this version does not have eventListeners (hub \"chat\")"),
        "error: --workers: \"0\" does not fit; write a whole number from 1 to 64".to_owned(),
    ] {
        assert!(told.contains(&part), "{part} is not in\n{told}");
    }
}

#[test]
fn event_handlers_stand_on_lines_of_their_variable() {
    let scratch = Scratch::new();
    let mut command = hubbub(&scratch, &["dev", "--print-config"]);
    let lines = "hub=a url-template=http://a.test/{event} user-event-pattern=x,y\n\nhub=b url-template=http://b.test\n";
    command.env("HUBBUB_EVENT_HANDLER", lines);
    let output = output(command);
    let page = stdout(&output);
    let expected = "eventHandlers:  # HUBBUB_EVENT_HANDLER\n  - \"hub=a url-template=http://a.test/{event} \
                    user-event-pattern=x,y\"\n  - \"hub=b url-template=http://b.test\"\n";
    assert!(page.contains(expected), "{page}{}", stderr(&output));
}

#[test]
fn unknown_flags_are_refused() {
    let scratch = Scratch::new();
    let output = output(hubbub(&scratch, &["dev", "--lisen", "127.0.0.1:0"]));
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--listen"), "{}", stderr(&output));
}
