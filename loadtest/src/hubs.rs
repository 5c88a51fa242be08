//! The hubs file that tells a server of our event handler or that a hub is durable, and the words that make a server read it.
//!
//! It lies in the folder for temporary files while a server runs. `scenario` makes it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::arguments::HttpVersion;
use crate::server::Handler;

/// A file that is gone when this is dropped.
pub(crate) struct HubsFile {
    path: PathBuf,
    /// Said to the server when the handler speaks HTTP/2, which a server must know ahead.
    http2: Option<String>,
}

impl HubsFile {
    /// Names `handler` for all user events of `hub`. Other hubs have no settings.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn new(hub: &str, handler: &Handler) -> std::io::Result<Self> {
        let http2 = (handler.version == HttpVersion::Http2).then(|| handler.url.clone());
        Ok(Self { path: write(&text(hub, &handler.url))?, http2 })
    }

    /// Makes `hub` durable.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn durable(hub: &str) -> std::io::Result<Self> {
        Ok(Self { path: write(&format!("hubs:\n  {hub}:\n    durable: true\n"))?, http2: None })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The command of a server that reads the file.
    pub(crate) fn command(&self, server: &str) -> String {
        let quoted = self.path.to_string_lossy().replace('\'', r"'\''");
        let http2 = self.http2.as_ref().map_or_else(String::new, |url| format!(" --handler-h2c {url}"));
        format!("{server} --hubs '{quoted}'{http2}")
    }
}

impl Drop for HubsFile {
    fn drop(&mut self) {
        // Somebody may have tidied up.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn write(text: &str) -> std::io::Result<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("loadtest-{}-{number}.yaml", std::process::id()));
    std::fs::write(&path, text)?;
    Ok(path)
}

fn text(hub: &str, url: &str) -> String {
    format!(
        "hubs:\n  {hub}:\n    eventHandlers:\n      - urlTemplate: {url}/{{hub}}/{{event}}\n        \
         userEventPattern: \"*\"\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_names_the_handler_of_one_hub() {
        let expected = "hubs:\n  echo:\n    eventHandlers:\n      - urlTemplate: http://127.0.0.1:7/{hub}/{event}\n        \
                        userEventPattern: \"*\"\n";
        assert_eq!(text("echo", "http://127.0.0.1:7"), expected);
    }

    #[test]
    fn the_server_is_told_of_the_file_and_of_http2() {
        let check = |http2: Option<&str>, expected: &str| {
            let file = HubsFile { path: "/t/it's.yaml".into(), http2: http2.map(str::to_owned) };
            assert_eq!(file.command("hubbub dev"), expected);
        };
        check(None, r"hubbub dev --hubs '/t/it'\''s.yaml'");
        check(Some("http://a:1"), r"hubbub dev --hubs '/t/it'\''s.yaml' --handler-h2c http://a:1");
    }
}
