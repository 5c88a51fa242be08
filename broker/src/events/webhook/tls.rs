//! Whose certificates are believed when a handler is called over TLS.
//!
//! The roots are those of the machine, not a list built into the program: operators who run their own authority have
//! put it there already, one that is withdrawn goes with the next update of the system, and `SSL_CERT_FILE` works.
//! A machine without roots, such as an empty container, needs `--handler-ca-file`.

use std::fmt;
use std::sync::Arc;

use tokio_rustls::rustls;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

/// Certificate authorities that are believed beside those of the machine.
#[derive(Clone, Default)]
pub struct Authorities {
    certificates: Vec<CertificateDer<'static>>,
}

/// A text that holds no certificate authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it must hold one or more certificates of authorities in PEM form, as CERTIFICATE blocks")]
pub struct InvalidAuthorities;

impl Authorities {
    /// Reads certificates in PEM form.
    ///
    /// # Errors
    /// [`InvalidAuthorities`] when there is none, or one that cannot be used.
    pub fn from_pem(pem: &[u8]) -> Result<Self, InvalidAuthorities> {
        let certificates: Vec<_> =
            CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| InvalidAuthorities)?;
        let (used, unusable) = RootCertStore::empty().add_parsable_certificates(certificates.iter().cloned());
        if used == 0 || unusable > 0 {
            return Err(InvalidAuthorities);
        }
        Ok(Self { certificates })
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorities({})", self.certificates.len())
    }
}

/// The client's side of TLS: HTTP/2 where the handler speaks it, else HTTP/1.1. Reads the machine's roots.
///
/// # Errors
/// A fault of the library, for which no authority gives cause.
pub fn client(authorities: &Authorities) -> Result<rustls::ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    let machine = rustls_native_certs::load_native_certs();
    for error in &machine.errors {
        tracing::debug!(%error, "some of the machine's certificate authorities cannot be read");
    }
    roots.add_parsable_certificates(machine.certs);
    roots.add_parsable_certificates(authorities.certificates.iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(client)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_certificates_in_pem_form() {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let pem = made.cert.pem();
        assert_eq!(
            format!("{:?}", Authorities::from_pem((pem.clone() + &pem).as_bytes()).unwrap()),
            "Authorities(2)"
        );
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned();
        for wrong in [String::new(), made.signing_key.serialize_pem(), broken.clone(), pem + &broken] {
            assert_eq!(Authorities::from_pem(wrong.as_bytes()).unwrap_err(), InvalidAuthorities);
        }
    }
}
