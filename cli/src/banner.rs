//! What `hubbub dev` says when it is up: everything that an application needs, ready to be copied.
//!
//! The lines up to `Ready.` are promised to scripts, labels and order alike. It holds the access key and a token, which
//! is its purpose; they go nowhere else.

use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use broker::auth::audience::Endpoint;
use broker::auth::key::{AccessKey, connection_string};

/// The hub of the example.
const HUB: &str = "chat";

/// A node that is up.
pub(crate) struct Banner {
    /// The primary access key.
    pub(crate) access_key: AccessKey,
    /// Where it listens without TLS.
    pub(crate) http: SocketAddr,
    /// Where it listens with TLS, if anywhere.
    pub(crate) tls: Option<Tls>,
    /// Where its operations listener is, if anywhere.
    pub(crate) operations: Option<SocketAddr>,
    /// URLs by which others know it.
    pub(crate) public_endpoints: Vec<Endpoint>,
    /// A token for [`audience`].
    pub(crate) token: String,
    /// Whether it serves the playground.
    pub(crate) playground: bool,
}

/// A TLS listener.
pub(crate) struct Tls {
    /// Its address.
    pub(crate) address: SocketAddr,
    /// File with the certificate that clients must trust.
    pub(crate) authority: PathBuf,
}

/// What the example's token is for.
pub(crate) fn audience(http: SocketAddr) -> String {
    format!("http://{}/client/hubs/{HUB}", reachable(http))
}

impl Display for Banner {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let http = reachable(self.http);
        line(
            f,
            "Connection string:",
            format_args!("{}", connection_string(&format!("http://{http}"), &self.access_key)),
        )?;
        if let Some(tls) = &self.tls {
            let endpoint = format!("https://{}", by_name(tls.address));
            line(
                f,
                "Connection string (TLS):",
                format_args!("{}", connection_string(&endpoint, &self.access_key)),
            )?;
        }
        for endpoint in &self.public_endpoints {
            line(
                f,
                "Connection string (URL):",
                format_args!("{}", connection_string(&endpoint.to_string(), &self.access_key)),
            )?;
        }
        if let Some(tls) = &self.tls {
            line(f, "Certificate authority:", format_args!("{}", tls.authority.display()))?;
        }
        if let Some(operations) = self.operations {
            let pages = "(/metrics, /health/live, /health/ready, /health/startup)";
            line(f, "Operations:", format_args!("http://{}   {pages}", reachable(operations)))?;
        }
        let url = format!("ws://{http}/client/hubs/{HUB}?access_token={}", self.token);
        line(f, &format!("Client URL (hub \"{HUB}\"):"), format_args!("{url}"))?;
        if self.playground {
            line(f, "Playground:", format_args!("http://{http}/"))?;
        }
        writeln!(f, "Ready.\n\nNext:")?;
        if self.playground {
            writeln!(f, "  Open the playground in a browser:\n    http://{http}/")?;
        }
        writeln!(
            f,
            "  Connect a client, whose token is good for a day:\n    npx wscat -c \"{url}\" -s json.webpubsub.azure.v1"
        )?;
        writeln!(f, "  Then join a group and send to it:")?;
        writeln!(f, "    {{\"type\":\"joinGroup\",\"group\":\"lobby\",\"ackId\":1}}")?;
        writeln!(
            f,
            "    {{\"type\":\"sendToGroup\",\"group\":\"lobby\",\"dataType\":\"text\",\"data\":\"hello\",\"ackId\":2}}"
        )?;
        if let Some(tls) = &self.tls {
            writeln!(
                f,
                "  Let Node trust the certificate authority, in the shell that starts your application:"
            )?;
            writeln!(f, "    export NODE_EXTRA_CA_CERTS={}", quoted(&tls.authority.display().to_string()))?;
        }
        Ok(())
    }
}

fn line(f: &mut Formatter<'_>, label: &str, value: fmt::Arguments<'_>) -> fmt::Result {
    writeln!(f, "{label:<26}{value}")
}

/// An address that can be connected to from this machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// The same by name, where `localhost` leads there.
fn by_name(address: SocketAddr) -> String {
    let reachable = reachable(address);
    if reachable.ip() == Ipv4Addr::LOCALHOST {
        return format!("localhost:{}", reachable.port());
    }
    reachable.to_string()
}

/// One word of a shell.
fn quoted(text: &str) -> String {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte));
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn banner() -> Banner {
        Banner {
            access_key: AccessKey::new(&"KEY".repeat(11)).unwrap(),
            http: "127.0.0.1:8080".parse().unwrap(),
            tls: Some(Tls {
                address: "127.0.0.1:8443".parse().unwrap(),
                authority: "/home/ann/.local/share/hubbub/ca.pem".into(),
            }),
            operations: Some("127.0.0.1:8090".parse().unwrap()),
            public_endpoints: Vec::new(),
            token: "TOKEN".to_owned(),
            playground: true,
        }
    }

    fn stable(banner: &Banner) -> String {
        banner.to_string().split("\n\n").next().unwrap_or_default().to_owned()
    }

    #[test]
    fn the_promised_lines_stand_as_promised() {
        let expected = "\
Connection string:        Endpoint=http://127.0.0.1:8080;AccessKey=KEYKEYKEYKEYKEYKEYKEYKEYKEYKEYKEY;Version=1.0;
Connection string (TLS):  Endpoint=https://localhost:8443;AccessKey=KEYKEYKEYKEYKEYKEYKEYKEYKEYKEYKEY;Version=1.0;
Certificate authority:    /home/ann/.local/share/hubbub/ca.pem
Operations:               http://127.0.0.1:8090   (/metrics, /health/live, /health/ready, /health/startup)
Client URL (hub \"chat\"):  ws://127.0.0.1:8080/client/hubs/chat?access_token=TOKEN
Playground:               http://127.0.0.1:8080/
Ready.";
        assert_eq!(stable(&banner()), expected);
        let page = banner().to_string();
        assert!(page.contains("export NODE_EXTRA_CA_CERTS=/home/ann/.local/share/hubbub/ca.pem\n"), "{page}");
    }

    #[test]
    fn what_is_off_is_not_shown() {
        let banner = Banner { tls: None, operations: None, playground: false, ..banner() };
        assert_eq!(stable(&banner).lines().count(), 3);
        assert!(!banner.to_string().contains("NODE_EXTRA_CA_CERTS"));
        assert!(!banner.to_string().to_lowercase().contains("playground"));
    }

    #[test]
    fn addresses_are_shown_as_they_can_be_reached() {
        let check = |address: &str, plain: &str, named: &str| {
            let address = address.parse().unwrap();
            assert_eq!((reachable(address).to_string().as_str(), by_name(address).as_str()), (plain, named));
        };
        check("0.0.0.0:1", "127.0.0.1:1", "localhost:1");
        check("[::]:1", "[::1]:1", "[::1]:1");
        check("[::1]:1", "[::1]:1", "[::1]:1");
        check("192.0.2.7:1", "192.0.2.7:1", "192.0.2.7:1");
        assert_eq!(audience("0.0.0.0:1".parse().unwrap()), "http://127.0.0.1:1/client/hubs/chat");
    }

    #[test]
    fn public_endpoints_have_a_connection_string_each() {
        let endpoint = "https://rt.example.com/p".parse().unwrap();
        let banner = Banner { public_endpoints: vec![endpoint], ..banner() };
        let line = "Connection string (URL):  Endpoint=https://rt.example.com/p;AccessKey=KEYKEYKEYKEYKEYKEYKEYKEYKEYKEYKEY;Version=1.0;";
        assert!(stable(&banner).lines().any(|shown| shown == line), "{banner}");
    }

    #[test]
    fn a_path_is_one_word_of_a_shell() {
        assert_eq!(quoted("/a/b.pem"), "/a/b.pem");
        assert_eq!(quoted("/it's here"), "'/it'\\''s here'");
    }
}
