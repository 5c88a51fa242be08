//! The client's side of TLS: whom the links trust. Certificates are always verified.

use std::sync::Arc;

use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{self, RootCertStore};

use super::LinkError;

/// What connections are secured with.
pub(super) type ClientTls = Arc<rustls::ClientConfig>;

/// Trusts the issuers in `ca`, PEM, or those of the system when it is absent.
pub(super) fn trust(ca: Option<&[u8]>) -> Result<ClientTls, LinkError> {
    let roots = match ca {
        Some(pem) => given(pem)?,
        None => native()?,
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| LinkError::Config(format!("TLS cannot be used: {error}")))?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

fn given(pem: &[u8]) -> Result<RootCertStore, LinkError> {
    let fault = || {
        let text =
            "the CA file for Redis holds no certificate that can be used; give one or more in PEM form";
        LinkError::Config(text.to_owned())
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate.map_err(|_| fault())?).map_err(|_| fault())?;
    }
    if roots.is_empty() { Err(fault()) } else { Ok(roots) }
}

/// Whatever of the system's store can be read: one odd certificate in it must not take the rest away.
fn native() -> Result<RootCertStore, LinkError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        let text = "the system trusts no issuer of certificates; give a CA file for Redis";
        return Err(LinkError::Config(text.to_owned()));
    }
    Ok(roots)
}
