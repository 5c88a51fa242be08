//! TLS towards an event handler, and what is wrong with its certificate in plain words.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{CertificateError, ClientConfig, ProtocolVersion};
use url::Url;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::report::{Done, Failure};

const DAY: u64 = 24 * 60 * 60;

/// Whether HTTP/2 was agreed on.
pub(super) fn is_http2(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(b"h2")
}

/// Agrees on TLS over an open socket.
pub(super) async fn handshake(
    client: &Arc<ClientConfig>,
    url: &Url,
    socket: TcpStream,
    limit: Duration,
) -> Result<Done<TlsStream<TcpStream>>, Failure> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let Ok(name) = ServerName::try_from(host.to_owned()) else {
        return Err(Failure::new(
            format!("no certificate can be for {host}"),
            "Use a DNS name or an address.",
        ));
    };
    match timeout(limit, TlsConnector::from(Arc::clone(client)).connect(name, socket)).await {
        Ok(Ok(stream)) => {
            let detail = describe(&stream);
            Ok(Done { value: stream, detail })
        }
        Ok(Err(error)) => Err(failure(host, &error)),
        Err(_) => Err(Failure::new(
            format!("no answer to the TLS handshake in {limit:?}"),
            "Does the port speak TLS? If it speaks plain HTTP, the URL must begin with http://.",
        )),
    }
}

fn describe(stream: &TlsStream<TcpStream>) -> String {
    let (_, connection) = stream.get_ref();
    let version = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
        Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
        _ => "TLS",
    };
    let version = if is_http2(stream) { format!("{version} and HTTP/2") } else { version.to_owned() };
    let certificate = connection.peer_certificates().and_then(|chain| chain.first());
    match certificate.and_then(|certificate| days_left(certificate)) {
        Some(days) => format!("{version}, the certificate is good for {days} more day(s)"),
        None => version,
    }
}

fn days_left(certificate: &CertificateDer<'_>) -> Option<u64> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let end = u64::try_from(certificate.validity().not_after.timestamp()).ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(end.checked_sub(now)? / DAY)
}

/// Names of a certificate, which rustls writes as `DnsName("localhost")`.
fn names(presented: &[String]) -> String {
    let bare = |name: &String| name.split('"').nth(1).unwrap_or(name).to_owned();
    match presented {
        [] => "nobody".to_owned(),
        names => names.iter().map(bare).collect::<Vec<_>>().join(", "),
    }
}

fn failure(host: &str, error: &io::Error) -> Failure {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    let Some(cause) = cause else {
        return Failure::new(
            format!("the connection ended during the TLS handshake: {error}"),
            "Does the port speak TLS? If it speaks plain HTTP, the URL must begin with http://.",
        );
    };
    use CertificateError as Certificate;
    let (detail, advice) = match cause {
        rustls::Error::InvalidCertificate(Certificate::UnknownIssuer) => (
            "the certificate is of an authority that this machine does not know".to_owned(),
            "Give the authority's certificate with --handler-ca-file, or add it to those of the machine. If the \
             authority is a public one, the application may be leaving out an intermediate certificate.",
        ),
        rustls::Error::InvalidCertificate(Certificate::Expired | Certificate::ExpiredContext { .. }) => (
            "the certificate has expired".to_owned(),
            "Renew it. If it looks valid, compare the clock of this machine.",
        ),
        rustls::Error::InvalidCertificate(
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. },
        ) => (
            "the certificate is not valid yet".to_owned(),
            "Compare the clocks of this machine and of whoever made the certificate.",
        ),
        rustls::Error::InvalidCertificate(Certificate::NotValidForNameContext { presented, .. }) => (
            format!("the certificate is not for {host} but for {}", names(presented)),
            "Use one of the certificate's names in the URL, or have a certificate made for this one.",
        ),
        rustls::Error::InvalidCertificate(Certificate::NotValidForName) => (
            format!("the certificate is not for {host}"),
            "Use one of the certificate's names in the URL, or have a certificate made for this one.",
        ),
        rustls::Error::InvalidCertificate(other) => (
            format!("the certificate cannot be believed: {other}"),
            "Have a new one made for the application.",
        ),
        rustls::Error::InvalidMessage(_) => (
            "what answers there does not speak TLS".to_owned(),
            "If it speaks plain HTTP, the URL must begin with http://; otherwise check the port.",
        ),
        rustls::Error::AlertReceived(alert) => (
            format!("the application ended the TLS handshake: {alert:?}"),
            "Its own log may say why. Certificates of clients are not sent, and TLS before 1.2 is not spoken.",
        ),
        other => (
            format!("no agreement on TLS: {other}"),
            "The application must speak TLS 1.2 or 1.3 with a common cipher suite.",
        ),
    };
    Failure::new(detail, advice)
}
