//! Certificates of an authority that only the tests trust.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long anything may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// An authority of its own, with its files in a folder that goes with it.
pub struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
    issued: AtomicUsize,
}

/// A certificate with its key.
pub struct Identity {
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
}

impl Authority {
    pub fn new() -> Authority {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).expect("a file");
        Authority { folder, issuer: Issuer::new(params, key), issued: AtomicUsize::new(0) }
    }

    /// The file to trust.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate for these names or addresses.
    pub fn issue(&self, names: &[&str]) -> Identity {
        self.issue_until(names, 2100)
    }

    /// One that was good years ago.
    pub fn issue_expired(&self, names: &[&str]) -> Identity {
        self.issue_until(names, 2001)
    }

    fn issue_until(&self, names: &[&str], year: i32) -> Identity {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("good names");
        (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(year, 1, 1));
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let number = self.issued.fetch_add(1, Ordering::Relaxed);
        let file = |kind: &str| self.folder.path().join(format!("{number}-{kind}.pem"));
        let identity = Identity { cert_file: file("cert"), key_file: file("key") };
        std::fs::write(&identity.cert_file, certificate.pem()).expect("a file");
        std::fs::write(&identity.key_file, key.serialize_pem()).expect("a file");
        identity
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_file(self.ca_file()).expect("our own file");
        roots.add(certificate).expect("our own certificate");
        Arc::new(roots)
    }

    /// What a server speaks TLS with, as `identity`, offering these protocols.
    pub fn server(&self, identity: &Identity, alpn: &[&str]) -> ServerConfig {
        self.serving(identity, alpn, false)
    }

    /// The same of one that wants certificates of this authority from its clients.
    pub fn server_for_known_clients(&self, identity: &Identity, alpn: &[&str]) -> ServerConfig {
        self.serving(identity, alpn, true)
    }

    fn serving(&self, identity: &Identity, alpn: &[&str], knows_clients: bool) -> ServerConfig {
        let chain = vec![CertificateDer::from_pem_file(&identity.cert_file).expect("our own file")];
        let key = PrivateKeyDer::from_pem_file(&identity.key_file).expect("our own file");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().expect("versions");
        let builder = if knows_clients {
            let verifier = WebPkiClientVerifier::builder_with_provider(self.roots(), provider);
            builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
        } else {
            builder.with_no_client_auth()
        };
        let mut config = builder.with_single_cert(chain, key).expect("a good pair");
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }

    /// What a client speaks TLS with that trusts this authority, offering these protocols.
    pub fn client(&self, alpn: &[&str]) -> ClientConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().expect("versions");
        let mut config = builder.with_root_certificates(self.roots()).with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }
}

/// Says `request` over TLS to a port of this machine, offering these protocols, and reads until the end.
pub async fn tls_exchange(port: u16, authority: &Authority, alpn: &[&str], request: &str) -> String {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    let connector = TlsConnector::from(Arc::new(authority.client(alpn)));
    let mut stream = connector.connect(name, stream).await.expect("TLS");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the end in time");
    // A close without a word of TLS is what many servers do.
    let _ = read;
    String::from_utf8_lossy(&answer).into_owned()
}
