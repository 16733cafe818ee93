//! The files of certificates and keys, read before Pingora does: it panics on one that it can't use.

use super::StartError;
use crate::config::Config;
use crate::providers::service_account::ServiceAccount;
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::fmt::Display;
use std::path::Path;

/// Whether all files that the configuration names can be used.
///
/// # Errors
/// With the first that can't.
pub fn check(config: &Config) -> Result<(), StartError> {
    if let Some(tls) = &config.server.tls {
        identity("server.tls.cert_file", &tls.cert_file, "server.tls.key_file", &tls.key_file)?;
    }
    for (name, provider) in config.providers.iter().filter(|(_, provider)| provider.enabled) {
        let key = |field: &str| format!("providers.{name}.{field}");
        if let Some(file) = &provider.ca_file {
            authorities(&key("ca_file"), file)?;
        }
        if let Some(file) = &provider.service_account_file {
            let read = ServiceAccount::read(file);
            read.map_err(|why| bad(&key("service_account_file"), file, &why))?;
        }
        if let (Some(certificate), Some(its_key)) = (&provider.client_cert_file, &provider.client_key_file) {
            identity(&key("client_cert_file"), certificate, &key("client_key_file"), its_key)?;
        }
    }
    Ok(())
}

fn bad(key: &str, file: &Path, why: &dyn Display) -> StartError {
    StartError::File { key: key.to_owned(), path: file.display().to_string(), why: why.to_string() }
}

fn certificates(key: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, StartError> {
    let read: Vec<_> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|cause| bad(key, file, &format_args!("can't be read: {cause}")))?;
    if read.is_empty() { Err(bad(key, file, &"holds no certificate in PEM form")) } else { Ok(read) }
}

/// Certificates to trust.
fn authorities(key: &str, file: &Path) -> Result<(), StartError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(key, file)? {
        store.add(certificate).map_err(|cause| bad(key, file, &format_args!("can't be trusted: {cause}")))?;
    }
    Ok(())
}

/// A certificate chain and the key that belongs to it.
fn identity(
    certificate_key: &str,
    certificate: &Path,
    key_key: &str,
    private_key: &Path,
) -> Result<(), StartError> {
    let chain = certificates(certificate_key, certificate)?;
    // The parser's own words could repeat the file's.
    let secret = PrivateKeyDer::from_pem_file(private_key)
        .map_err(|_| bad(key_key, private_key, &"holds no private key in PEM form"))?;
    match CertifiedKey::from_der(chain, secret, &ring::default_provider()) {
        Ok(_) => Ok(()),
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(bad(key_key, private_key, &format_args!("is not the key of {}", certificate.display())))
        }
        Err(cause) => Err(bad(certificate_key, certificate, &cause)),
    }
}
