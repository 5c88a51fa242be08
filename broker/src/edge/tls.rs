//! TLS for a listener: a certificate chain with its key, and what is agreed with whoever connects.
//!
//! Where certificates come from is not known here; the program reads or makes them. `edge::listener` asks for the
//! server side.

use std::fmt;
use std::sync::Arc;

use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What a server shows to prove who it is: a certificate chain and the private key of its first certificate, ready to
/// serve TLS 1.2 and 1.3 with HTTP/2 and HTTP/1.1. Cheap to clone, and never shown in `Debug`.
#[derive(Clone)]
pub struct Identity {
    server: Arc<rustls::ServerConfig>,
}

/// Why a chain and a key do not make an identity. Never holds any of their bytes.
#[derive(Debug, thiserror::Error)]
pub enum InvalidIdentity {
    /// Not PEM, or PEM of something else.
    #[error("the certificate chain is not in PEM form; it must hold one or more CERTIFICATE blocks")]
    Chain,
    /// Not PEM, or PEM of something else.
    #[error("the private key is not in PEM form; it must hold one PRIVATE KEY block without a passphrase")]
    Key,
    /// The chain and the key do not belong together, or use an algorithm that TLS does not know.
    #[error("the certificate and its key cannot be used: {0}")]
    Unusable(#[source] rustls::Error),
}

impl Identity {
    /// Reads a chain, the server's own certificate first, and its key in PKCS#8, PKCS#1 or SEC1 form, both in PEM.
    ///
    /// # Errors
    /// [`InvalidIdentity`] says which of them is at fault. Dates and names are not looked at: that is for clients.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, InvalidIdentity> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|_| InvalidIdentity::Chain)?;
        if chain.is_empty() {
            return Err(InvalidIdentity::Chain);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| InvalidIdentity::Key)?;
        let server = server(chain, key).map_err(InvalidIdentity::Unusable)?;
        Ok(Self { server: Arc::new(server) })
    }

    /// The server side of a handshake.
    pub fn server_config(&self) -> Arc<rustls::ServerConfig> {
        Arc::clone(&self.server)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(..)")
    }
}

fn server(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<rustls::ServerConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(server)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pem {
        chain: String,
        key: String,
    }

    fn made() -> Pem {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        Pem { chain: made.cert.pem(), key: made.signing_key.serialize_pem() }
    }

    #[test]
    fn a_chain_and_its_key_serve_both_versions_of_http() {
        let Pem { chain, key } = made();
        let identity = Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        assert_eq!(identity.server_config().alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
        assert_eq!(format!("{identity:?}"), "Identity(..)");
    }

    #[test]
    fn what_does_not_belong_together_is_refused() {
        let (one, two) = (made(), made());
        let check = |chain: &str, key: &str, expected: &str| {
            let error = Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        };
        check("", &one.key, "the certificate chain is not in PEM form");
        check(
            "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
            &one.key,
            "the certificate chain",
        );
        check(&one.key, &one.key, "the certificate chain is not in PEM form");
        check(&one.chain, "", "the private key is not in PEM form");
        check(&one.chain, &one.chain, "the private key is not in PEM form");
        check(&one.chain, &two.key, "the certificate and its key cannot be used");
    }
}
