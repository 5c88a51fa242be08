//! The local certificate authority of `hubbub dev`: made at the first start and kept, so that it needs to be trusted
//! once, and the certificate that it issues for this node.
//!
//! It is for development: nobody but this machine's user has its key, and nobody else should trust it. What is done
//! with the certificate is `broker`'s business.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use broker::edge::tls::{Identity, InvalidIdentity};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;

use crate::data_dir::{DataDir, DataDirError, Readers};

const AUTHORITY: Files = Files { certificate: "ca.pem", key: "ca.key" };
const SERVER: Files = Files { certificate: "server.pem", key: "server.key" };

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const AUTHORITY_LIFE: Duration = DAY.saturating_mul(3650);
/// Clients refuse server certificates that live longer than 398 days.
const SERVER_LIFE: Duration = DAY.saturating_mul(397);
/// What ends sooner is made anew.
const NEAR: Duration = DAY.saturating_mul(30);
/// Certificates begin in the past, for clients whose clock is behind.
const HEAD_START: Duration = DAY;

/// What the node shows, and what its clients need in order to believe it.
#[derive(Debug)]
pub(crate) struct Issued {
    /// Certificate and key for the TLS listener.
    pub(crate) identity: Identity,
    /// File with the authority's certificate, to be trusted by clients.
    pub(crate) authority: PathBuf,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LocalCaError {
    /// Nothing can be kept.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// A certificate cannot be made; most often a public endpoint has a host that is no name.
    #[error("cannot make a certificate for {names}: {reason}")]
    Issue {
        /// The wanted names.
        names: String,
        /// Why not.
        reason: rcgen::Error,
    },
    /// What was just made does not work.
    #[error(transparent)]
    Identity(#[from] InvalidIdentity),
}

struct Files {
    certificate: &'static str,
    key: &'static str,
}

/// A certificate (or chain) and its key, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pair {
    certificate: String,
    key: String,
}

/// Gives the certificate for this machine and for `hosts`: the one that is kept, or a new one when that ends within
/// 30 days or is for other names. The authority is made anew only when it ends, or is damaged.
///
/// # Errors
/// [`LocalCaError`]
pub(crate) fn issue(dir: &DataDir, hosts: &[String], now: SystemTime) -> Result<Issued, LocalCaError> {
    let authority = authority(dir, now)?;
    let names = names(hosts);
    let kept = read(dir, &SERVER)?.filter(|pair| still_serves(pair, &authority, &names, now));
    let identity = kept.and_then(|pair| pair.identity().ok());
    let identity = match identity {
        Some(identity) => identity,
        None => {
            let pair = leaf(&authority, &names, now).map_err(|reason| LocalCaError::Issue {
                names: names.iter().cloned().collect::<Vec<_>>().join(", "),
                reason,
            })?;
            write(dir, &SERVER, &pair)?;
            pair.identity()?
        }
    };
    Ok(Issued { identity, authority: dir.file(AUTHORITY.certificate) })
}

impl Pair {
    fn identity(&self) -> Result<Identity, InvalidIdentity> {
        Identity::from_pem(self.certificate.as_bytes(), self.key.as_bytes())
    }
}

fn authority(dir: &DataDir, now: SystemTime) -> Result<Pair, LocalCaError> {
    if let Some(pair) = read(dir, &AUTHORITY)? {
        // An identity is made to see whether the two files belong together.
        if pair.identity().is_ok() && lives_on(&pair.certificate, now) {
            return Ok(pair);
        }
        tracing::warn!(file = %dir.file(AUTHORITY.certificate).display(), "the local certificate authority has ended or is damaged; clients must trust the new one");
    }
    let pair = new_authority(now)
        .map_err(|reason| LocalCaError::Issue { names: "the local authority".to_owned(), reason })?;
    write(dir, &AUTHORITY, &pair)?;
    Ok(pair)
}

fn new_authority(now: SystemTime) -> Result<Pair, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "Hubbub local development authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = (now - HEAD_START).into();
    params.not_after = (now + AUTHORITY_LIFE).into();
    let key = KeyPair::generate()?;
    Ok(Pair { certificate: params.self_signed(&key)?.pem(), key: key.serialize_pem() })
}

/// The chain has the authority in second place, which also tells later who issued it.
fn leaf(authority: &Pair, names: &BTreeSet<String>, now: SystemTime) -> Result<Pair, rcgen::Error> {
    let issuer = Issuer::from_ca_cert_pem(&authority.certificate, KeyPair::from_pem(&authority.key)?)?;
    let mut params = CertificateParams::new(names.iter().cloned().collect::<Vec<_>>())?;
    params.distinguished_name.push(DnType::CommonName, "Hubbub local development node");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.not_before = (now - HEAD_START).into();
    params.not_after = (now + SERVER_LIFE - HEAD_START).into();
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?.pem() + &authority.certificate;
    Ok(Pair { certificate, key: key.serialize_pem() })
}

fn names(hosts: &[String]) -> BTreeSet<String> {
    let local =
        [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)].map(|ip| ip.to_string());
    let names = local.into_iter().chain(["localhost".to_owned()]);
    names.chain(hosts.iter().map(|host| host.to_ascii_lowercase())).collect()
}

fn still_serves(pair: &Pair, authority: &Pair, names: &BTreeSet<String>, now: SystemTime) -> bool {
    pair.certificate.ends_with(&authority.certificate)
        && lives_on(&pair.certificate, now)
        && of_first(&pair.certificate, names_in).as_ref() == Some(names)
}

fn lives_on(certificate: &str, now: SystemTime) -> bool {
    let Ok(soon) = (now + NEAR).duration_since(UNIX_EPOCH) else {
        return false;
    };
    let end = of_first(certificate, |certificate| certificate.validity().not_after.timestamp());
    end.is_some_and(|end| u64::try_from(end).is_ok_and(|end| end > soon.as_secs()))
}

fn names_in(certificate: &X509Certificate<'_>) -> BTreeSet<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return BTreeSet::new();
    };
    extension.value.general_names.iter().filter_map(name_text).collect()
}

fn name_text(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let ip = v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from)).ok()?;
            Some(ip.to_string())
        }
        _ => None,
    }
}

/// Looks at the first certificate of a PEM file; nothing is seen in a damaged one.
fn of_first<T>(pem: &str, look: impl Fn(&X509Certificate<'_>) -> T) -> Option<T> {
    let first = Pem::iter_from_buffer(pem.as_bytes()).next()?.ok()?;
    first.parse_x509().ok().map(|certificate| look(&certificate))
}

fn read(dir: &DataDir, files: &Files) -> Result<Option<Pair>, DataDirError> {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap_or_default();
    let (certificate, key) = (dir.read(files.certificate)?, dir.read(files.key)?);
    Ok(certificate.zip(key).map(|(certificate, key)| Pair { certificate: text(certificate), key: text(key) }))
}

fn write(dir: &DataDir, files: &Files, pair: &Pair) -> Result<(), DataDirError> {
    dir.write(files.key, pair.key.as_bytes(), Readers::Owner)?;
    dir.write(files.certificate, pair.certificate.as_bytes(), Readers::Everybody)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use tokio_rustls::rustls;
    use tokio_rustls::rustls::pki_types::CertificateDer;
    use tokio_rustls::rustls::pki_types::pem::PemObject;

    use super::*;
    use crate::test_support::Scratch;

    struct Case {
        _scratch: Scratch,
        dir: DataDir,
        now: SystemTime,
    }

    impl Case {
        fn new() -> Self {
            let scratch = Scratch::new();
            let dir = DataDir::open(scratch.path()).unwrap();
            Self { _scratch: scratch, dir, now: SystemTime::now() }
        }

        /// Issues after `days`, and says what is on disk then.
        fn issue(&self, hosts: &[&str], days: u32) -> (Pair, Pair) {
            let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
            issue(&self.dir, &hosts, self.now + DAY * days).unwrap();
            (read(&self.dir, &AUTHORITY).unwrap().unwrap(), read(&self.dir, &SERVER).unwrap().unwrap())
        }
    }

    #[test]
    fn what_is_kept_is_used_until_it_is_near_its_end() {
        let case = Case::new();
        let first = case.issue(&[], 0);
        assert_eq!(case.issue(&[], 360), first);
        let later = case.issue(&[], 367);
        assert_eq!(later.0, first.0);
        assert_ne!(later.1, first.1);
        assert_eq!(case.issue(&[], 367), later);
        let much_later = case.issue(&[], 3625);
        assert_ne!(much_later.0, first.0);
        assert!(much_later.1.certificate.ends_with(&much_later.0.certificate));
    }

    #[test]
    fn the_certificate_is_for_this_machine_and_the_public_hosts() {
        let case = Case::new();
        let check = |hosts: &[&str], expected: &[&str]| {
            let (_, server) = case.issue(hosts, 0);
            let names = of_first(&server.certificate, names_in).unwrap();
            assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>(), expected);
        };
        check(&[], &["127.0.0.1", "::1", "localhost"]);
        check(
            &["RT.example.com", "192.0.2.7"],
            &["127.0.0.1", "192.0.2.7", "::1", "localhost", "rt.example.com"],
        );
        check(&["localhost"], &["127.0.0.1", "::1", "localhost"]);
    }

    #[test]
    fn a_server_certificate_lives_at_most_397_days() {
        let (authority, server) = Case::new().issue(&[], 0);
        let days = |pem: &str| {
            of_first(pem, |certificate| {
                let validity = certificate.validity();
                (validity.not_after.timestamp() - validity.not_before.timestamp()) / 86_400
            })
        };
        assert_eq!((days(&authority.certificate), days(&server.certificate)), (Some(3651), Some(397)));
        let is_ca = |pem: &str| of_first(pem, |certificate| certificate.is_ca());
        assert_eq!((is_ca(&authority.certificate), is_ca(&server.certificate)), (Some(true), Some(false)));
    }

    #[test]
    fn damaged_files_are_replaced() {
        let case = Case::new();
        for file in [AUTHORITY.certificate, AUTHORITY.key, SERVER.certificate, SERVER.key] {
            let before = case.issue(&[], 0);
            fs::write(case.dir.file(file), "damaged").unwrap();
            let after = case.issue(&[], 0);
            assert_eq!(before.0 == after.0, file.starts_with("server"), "{file}");
            assert_ne!(before.1, after.1, "{file}");
            assert_eq!(case.issue(&[], 0), after, "{file}");
        }
    }

    #[test]
    fn keys_are_private() {
        let case = Case::new();
        case.issue(&[], 0);
        #[cfg(unix)]
        for (file, expected) in
            [("ca.key", 0o600), ("server.key", 0o600), ("ca.pem", 0o644), ("server.pem", 0o644)]
        {
            let mode = std::os::unix::fs::PermissionsExt::mode(
                &fs::metadata(case.dir.file(file)).unwrap().permissions(),
            );
            assert_eq!(mode & 0o777, expected, "{file}");
        }
    }

    /// Lets a client that trusts only `authority` greet a server, without a network between.
    fn greet(identity: &Identity, authority: &str, name: &str) -> Result<(), rustls::Error> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = name.to_owned().try_into().unwrap();
        let mut client = rustls::ClientConnection::new(Arc::new(client), name)?;
        let mut server = rustls::ServerConnection::new(identity.server_config())?;
        while client.is_handshaking() || server.is_handshaking() {
            let mut wire = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut wire).unwrap();
            }
            server.read_tls(&mut wire.as_slice()).unwrap();
            server.process_new_packets()?;
            let mut wire = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut wire).unwrap();
            }
            client.read_tls(&mut wire.as_slice()).unwrap();
            client.process_new_packets()?;
        }
        Ok(())
    }

    #[test]
    fn who_trusts_the_authority_believes_the_node_under_each_of_its_names() {
        let case = Case::new();
        let issued = issue(&case.dir, &["rt.example.com".to_owned()], case.now).unwrap();
        let authority = fs::read_to_string(&issued.authority).unwrap();
        for name in ["localhost", "127.0.0.1", "::1", "rt.example.com"] {
            assert_eq!(greet(&issued.identity, &authority, name), Ok(()), "{name}");
        }
        assert!(greet(&issued.identity, &authority, "other.example.com").is_err());
        let stranger = new_authority(case.now).unwrap().certificate;
        assert!(greet(&issued.identity, &stranger, "localhost").is_err());
    }

    #[test]
    fn a_host_that_is_no_name_is_said_so() {
        let case = Case::new();
        let error = issue(&case.dir, &["ex ämple".to_owned()], case.now).unwrap_err().to_string();
        assert!(
            error.starts_with("cannot make a certificate for 127.0.0.1, ::1, ex ämple, localhost: "),
            "{error}"
        );
    }
}
