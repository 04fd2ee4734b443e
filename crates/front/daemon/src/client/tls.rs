//! TLS to a daemon elsewhere, by the variables that the docker command line uses.

use super::ClientError;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, io};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

/// Whether `DOCKER_TLS_VERIFY` asks for TLS.
pub(super) fn is_wanted() -> bool {
    env::var_os("DOCKER_TLS_VERIFY").is_some_and(|value| !value.is_empty())
}

/// Speaks TLS on a connection to `address`, with the files in `DOCKER_CERT_PATH`.
pub(super) async fn connect(
    stream: TcpStream,
    address: &str,
) -> Result<TlsStream<TcpStream>, ClientError> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
        .map_err(|_| ClientError::Address(format!("tcp://{address}")))?;
    let connector = TlsConnector::from(Arc::new(config(&folder())?));
    let refused = |source: io::Error| ClientError::Tls { source };
    connector.connect(name, stream).await.map_err(refused)
}

fn folder() -> PathBuf {
    let named = env::var_os("DOCKER_CERT_PATH").filter(|path| !path.is_empty());
    let home = || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".docker");
    named.map_or_else(home, PathBuf::from)
}

fn config(folder: &Path) -> Result<ClientConfig, ClientError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(folder.join("ca.pem"))?);
    let key = folder.join("key.pem");
    let private = PrivateKeyDer::from_pem_file(&key).map_err(unreadable(key))?;
    let unusable = |error| ClientError::Tls {
        source: io::Error::other(error),
    };
    ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_root_certificates(roots)
        .with_client_auth_cert(certificates(folder.join("cert.pem"))?, private)
        .map_err(unusable)
}

fn certificates(path: PathBuf) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let read = CertificateDer::pem_file_iter(&path).and_then(Iterator::collect);
    read.map_err(unreadable(path))
}

fn unreadable(path: PathBuf) -> impl FnOnce(pem::Error) -> ClientError {
    move |source| ClientError::Certificate { path, source }
}
