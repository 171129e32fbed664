//! TLS with brokers: whom to trust, and what to tell people where it does not come about.

use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, RootCertStore};

/// Makes connections to a broker whose certificate is signed by one of those in the file; without it, by a public
/// authority.
///
/// # Errors
/// The file holds no certificate that can be used.
pub(crate) fn connector(ca_file: Option<&Path>) -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(file) => {
            for certificate in certificates(file)? {
                roots.add(certificate).map_err(|error| unusable(file, &error.to_string()))?;
            }
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The certificates of a file.
///
/// # Errors
/// It holds none, or cannot be read.
pub(crate) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let certificates: Vec<_> = read.map_err(|error| unusable(file, &error.to_string()))?;
    if certificates.is_empty() {
        return Err(unusable(file, "it holds no certificate in PEM"));
    }
    Ok(certificates)
}

fn unusable(file: &Path, why: &str) -> String {
    format!("the file {} of `ca_file` cannot be used: {why}", file.display())
}

/// Why TLS with a broker did not come about, and what to do; none: it is not known that it was TLS.
pub(crate) fn words(error: &(dyn Error + 'static), ca_file: Option<&Path>) -> Option<String> {
    use CertificateError as Wrong;
    let error = of_tls(error)?;
    Some(match error {
        // An authority that was made anew has its old name, and another key.
        rustls::Error::InvalidCertificate(Wrong::UnknownIssuer | Wrong::BadSignature) => match ca_file {
            Some(file) => format!(
                "the broker's certificate is signed by none of those in {}: put the one of its authority into that file",
                file.display()
            ),
            None => "the broker's certificate is signed by no authority that is trusted: name a file with the certificate of its authority as `ca_file`".to_owned(),
        },
        rustls::Error::InvalidCertificate(
            Wrong::NotValidForName | Wrong::NotValidForNameContext { .. },
        ) => "the broker's certificate is for another name: put the name that it is for into the address".to_owned(),
        rustls::Error::InvalidCertificate(
            Wrong::Expired
            | Wrong::ExpiredContext { .. }
            | Wrong::NotValidYet
            | Wrong::NotValidYetContext { .. },
        ) => format!("the broker's certificate does not count now: renew it, or set the clock ({error})"),
        rustls::Error::InvalidMessage(_) => {
            "what answers speaks no TLS: take the port that does, or the address without TLS".to_owned()
        }
        other => format!("no TLS with the broker: {other}"),
    })
}

/// The error of TLS among the causes of one. An error of the system hides what it was made of.
fn of_tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_tls_is_found_below_those_of_the_system_and_told_with_what_to_do() {
        for wrong in [CertificateError::UnknownIssuer, CertificateError::BadSignature] {
            let wrong = rustls::Error::InvalidCertificate(wrong);
            let error = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, wrong));
            let told = words(&error, Some(Path::new("/ca.pem"))).expect("words");
            assert!(told.contains("none of those in /ca.pem"), "{told}");
            let told = words(&error, None).expect("words");
            assert!(told.contains("`ca_file`"), "{told}");
        }
        assert_eq!(words(&io::Error::other("else"), None), None);
    }

    #[test]
    fn a_file_without_a_certificate_is_told() {
        let told = connector(Some(Path::new("/dev/null"))).err().expect("words");
        assert!(told.contains("/dev/null") && told.contains("no certificate"), "{told}");
        let told = connector(Some(Path::new("/nowhere/ca.pem"))).err().expect("words");
        assert!(told.contains("/nowhere/ca.pem"), "{told}");
    }
}
