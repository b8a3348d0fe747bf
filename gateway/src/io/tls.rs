//! TLS settings from PEM files, for the MQTT listener and for clients of outside brokers.
//!
//! The crypto provider is named here (ring) and never taken from the process, so no order of start-up can change it. Errors say which file and
//! what is wrong with it. Files are read once; a renewed certificate needs a restart.

mod common_name;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

pub use common_name::common_name;

use crate::config;

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read `{path}`")]
    Open { path: PathBuf, source: std::io::Error },
    #[error("`{path}` is not PEM with {wanted}")]
    Pem { path: PathBuf, wanted: &'static str, source: pem::Error },
    #[error(
        "`{path}` holds no {wanted}; it must have a line `-----BEGIN {wanted}-----` (PEM, not DER or PKCS#12)"
    )]
    Nothing { path: PathBuf, wanted: &'static str },
    #[error("a CA certificate in `{path}` cannot be used")]
    Ca { path: PathBuf, source: rustls::Error },
    #[error("the certificate in `{certificate}` and the key in `{key}` cannot be used together")]
    Pair { certificate: PathBuf, key: PathBuf, source: rustls::Error },
    #[error("the CA in `{path}` cannot check client certificates")]
    Verifier { path: PathBuf, source: rustls::server::VerifierBuilderError },
    #[error("give `certificate` and `key` both or neither")]
    HalfAPair,
    #[error("the TLS versions cannot be set up")]
    Versions(#[source] rustls::Error),
}

/// For our listener. With a `client_ca`, client certificates are asked for and must then be of that CA; a client may still come without one.
pub fn server_config(files: &config::ServerTls, folder: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let (certificate, key) = (folder.join(&files.certificate), folder.join(&files.key));
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Versions)?;
    let builder = match &files.client_ca {
        Some(path) => {
            let path = folder.join(path);
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(&path)?), provider())
                .allow_unauthenticated()
                .build()
                .map_err(|source| TlsError::Verifier { path, source })?;
            builder.with_client_cert_verifier(verifier)
        }
        None => builder.with_no_client_auth(),
    };
    let (chain, private) = (certificates(&certificate)?, private_key(&key)?);
    let mut config = builder.with_single_cert(chain, private).map_err(|source| TlsError::Pair {
        certificate,
        key,
        source,
    })?;
    // Devices on a thin line come back often; a ticket spares them the whole handshake.
    config.ticketer = rustls::crypto::ring::Ticketer::new().map_err(TlsError::Versions)?;
    Ok(Arc::new(config))
}

/// For a client of an outside broker.
pub fn client_config(files: &config::ClientTls, folder: &Path) -> Result<Arc<ClientConfig>, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Versions)?
        .with_root_certificates(roots(&folder.join(&files.ca))?);
    let config = match (&files.certificate, &files.key) {
        (Some(certificate), Some(key)) => {
            let (certificate, key) = (folder.join(certificate), folder.join(key));
            let (chain, private) = (certificates(&certificate)?, private_key(&key)?);
            builder.with_client_auth_cert(chain, private).map_err(|source| TlsError::Pair {
                certificate,
                key,
                source,
            })?
        }
        (None, None) => builder.with_no_client_auth(),
        (Some(_), None) | (None, Some(_)) => return Err(TlsError::HalfAPair),
    };
    Ok(Arc::new(config))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|source| TlsError::Ca { path: path.to_owned(), source })?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    const WANTED: &str = "CERTIFICATE";
    let text = read(path)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|source| TlsError::Pem { path: path.to_owned(), wanted: WANTED, source })?;
    match certificates.is_empty() {
        true => Err(TlsError::Nothing { path: path.to_owned(), wanted: WANTED }),
        false => Ok(certificates),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    const WANTED: &str = "PRIVATE KEY";
    let text = read(path)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|source| {
        let path = path.to_owned();
        if matches!(source, pem::Error::NoItemsFound) {
            return TlsError::Nothing { path, wanted: WANTED };
        }
        TlsError::Pem { path, wanted: WANTED, source }
    })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Open { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(certificate: &str, key: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("empty.pem"), "just words").unwrap();
        std::fs::write(
            folder.path().join("broken.pem"),
            "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
        )
        .unwrap();
        let files = config::ServerTls { certificate: certificate.into(), key: key.into(), client_ca: None };
        server_config(&files, folder.path()).unwrap_err().to_string()
    }

    #[test]
    fn complaints_name_the_file_and_what_is_wrong() {
        assert!(complaint("missing.pem", "k.pem").contains("missing.pem`"));
        assert!(complaint("empty.pem", "k.pem").contains("empty.pem` holds no CERTIFICATE"));
        assert!(complaint("broken.pem", "k.pem").contains("broken.pem` is not PEM with CERTIFICATE"));
    }

    #[test]
    fn a_certificate_needs_its_key() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), "").unwrap();
        let files = config::ClientTls { ca: "ca.pem".into(), certificate: Some("c.pem".into()), key: None };
        assert!(matches!(client_config(&files, folder.path()), Err(TlsError::Nothing { .. })));
    }
}
