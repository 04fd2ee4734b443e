//! TLS for TCP sockets: only clients with a certificate of the given authority come in.

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;
use tokio_rustls::TlsAcceptor;

/// The files of a TLS socket, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The authority that clients' certificates are signed by.
    pub ca: PathBuf,
    /// The daemon's certificate and its chain.
    pub certificate: PathBuf,
    /// The key of the certificate.
    pub key: PathBuf,
}

/// Why a TLS socket cannot be served.
#[derive(Debug, Error)]
pub enum TlsFault {
    /// A file cannot be read or is not PEM of its kind.
    #[error("cannot read {what} from {}; it must be a PEM file", path.display())]
    Unreadable {
        /// What the file should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: pem::Error,
    },
    /// The authority is not usable.
    #[error("{} holds no certificate that can sign clients", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: VerifierBuilderError,
    },
    /// Certificate and key do not go together.
    #[error("certificate and key are not usable together")]
    Pair(#[source] rustls::Error),
}

/// Reads the files and returns what accepts connections with them.
pub fn load_tls(files: &TlsFiles) -> Result<TlsAcceptor, TlsFault> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    // What is no certificate is left out; without any the verifier refuses below.
    roots.add_parsable_certificates(certificates(&files.ca, "the certificate authority")?);
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|source| TlsFault::Authority {
                path: files.ca.clone(),
                source,
            })?;

    let chain = certificates(&files.certificate, "the certificate")?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|source| TlsFault::Unreadable {
        what: "the key",
        path: files.key.clone(),
        source,
    })?;
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsFault::Pair)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(TlsFault::Pair)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(path: &Path, what: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|source| TlsFault::Unreadable {
            what,
            path: path.into(),
            source,
        })
}
