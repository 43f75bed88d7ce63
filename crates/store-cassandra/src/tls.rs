//! Encryption to the cluster: rustls on aws-lc-rs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

/// How to encrypt, and whom to believe.
#[derive(Clone, Debug)]
pub struct Tls {
    /// PEM file of the authorities that sign the nodes' certificates; no other is believed.
    pub ca_file: PathBuf,
    /// Our own certificate chain and key, PEM files, when the cluster asks for them.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The name every node's certificate must bear. `None`: the IP address that the driver connects to, since the
    /// driver learns of most nodes by address and knows no names for them.
    pub server_name: Option<String>,
}

/// The TLS settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file that cannot be read, or is no PEM.
    #[error("cannot read {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls_pki_types::pem::Error,
    },
    /// A PEM file without the thing it should hold.
    #[error("{} holds no certificate", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// An authority that cannot be one.
    #[error("{} cannot be trusted: {reason}", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// What rustls says of it.
        reason: String,
    },
    /// A certificate and a key that do not go together, or of a kind that is not taken.
    #[error("{} is no key for {}: {reason}", key.display(), certificate.display())]
    Identity {
        /// The file with the certificate.
        certificate: PathBuf,
        /// The file with the key.
        key: PathBuf,
        /// What rustls says of them.
        reason: String,
    },
    /// The name is no host name.
    #[error("`{0}` is no server name: give a host name or an IP address")]
    ServerName(String),
    /// rustls does not take it.
    #[error("the certificates cannot be used: {0}")]
    Rustls(String),
}

impl Tls {
    /// Reads the files and finds what is wrong with them, and with the name.
    ///
    /// # Errors
    /// [`TlsError`] names the file.
    pub fn check(&self) -> Result<(), TlsError> {
        self.client_config().map(drop)
    }

    /// What the driver needs.
    pub(crate) fn client_config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let refused = |error: &dyn std::fmt::Display| TlsError::Rustls(error.to_string());
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.ca_file)? {
            roots
                .add(certificate)
                .map_err(|error| TlsError::Authority { path: self.ca_file.clone(), reason: error.to_string() })?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|error| refused(&error))?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| refused(&error))?;
        let builder = match &self.server_name {
            None => builder.with_webpki_verifier(verifier),
            Some(name) => {
                let name = ServerName::try_from(name.clone()).map_err(|_| TlsError::ServerName(name.clone()))?;
                // Not less strict than the standard one: only the name is another.
                builder.dangerous().with_custom_certificate_verifier(Arc::new(OneName { name, verifier }))
            }
        };
        let config =
            match &self.identity {
                None => builder.with_no_client_auth(),
                Some((chain, key)) => {
                    let key_der = PrivateKeyDer::from_pem_file(key)
                        .map_err(|source| TlsError::File { path: key.clone(), source })?;
                    builder.with_client_auth_cert(certificates(chain)?, key_der).map_err(|error| {
                        TlsError::Identity { certificate: chain.clone(), key: key.clone(), reason: error.to_string() }
                    })?
                }
            };
        Ok(Arc::new(config))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |source| TlsError::File { path: path.to_owned(), source };
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(path).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)?;
    if certificates.is_empty() {
        return Err(TlsError::Empty { path: path.to_owned() });
    }
    Ok(certificates)
}

/// Verifies as rustls does, but against one configured name instead of the address connected to.
#[derive(Debug)]
struct OneName {
    name: ServerName<'static>,
    verifier: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for OneName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _address: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.verifier.verify_server_cert(end_entity, intermediates, &self.name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertifiedKey, generate_simple_self_signed};

    #[test]
    fn material_that_is_none_or_does_not_fit_is_found_without_a_connection() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["db".to_owned()]).unwrap();
        let other = generate_simple_self_signed(["db".to_owned()]).unwrap();
        let (ca, key) = (write("ca.pem", &cert.pem()), write("key.pem", &signing_key.serialize_pem()));
        let other_key = write("other.pem", &other.signing_key.serialize_pem());
        let junk = write("junk.pem", "junk");
        let check = |ca: &Path, identity: Option<(&Path, &Path)>, name: Option<&str>| {
            let identity = identity.map(|(chain, key)| (chain.to_owned(), key.to_owned()));
            Tls { ca_file: ca.to_owned(), identity, server_name: name.map(str::to_owned) }.check()
        };
        check(&ca, Some((&ca, &key)), Some("db")).unwrap();
        assert!(matches!(check(&junk, None, None), Err(TlsError::Empty { path }) if path == junk));
        assert!(matches!(check(&ca, Some((&junk, &key)), None), Err(TlsError::Empty { path }) if path == junk));
        assert!(matches!(check(&ca, Some((&ca, &junk)), None), Err(TlsError::File { path, .. }) if path == junk));
        let unfit = check(&ca, Some((&ca, &other_key)), None);
        assert!(matches!(unfit, Err(TlsError::Identity { key, .. }) if key == other_key));
        assert!(matches!(check(&ca, None, Some("a b")), Err(TlsError::ServerName(_))));
    }
}
