//! The end of a certificate's validity, for people who have to renew it in time.
//!
//! TLS itself checks validity at each handshake, and has no answer to the question until when it lasts.

use rustls::pki_types::CertificateDer;
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

/// The time at which the first certificate of a chain expires, in seconds since 1970; `None` if one of
/// them cannot be read here.
pub(super) fn ends_at(chain: &[CertificateDer<'_>]) -> Option<i64> {
    let ends: Option<Vec<_>> = chain.iter().map(end_of).collect();
    ends?.into_iter().min()
}

fn end_of(certificate: &CertificateDer<'_>) -> Option<i64> {
    let (_, read) = X509Certificate::from_der(certificate).ok()?;
    Some(read.validity().not_after.timestamp())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn expiring(year: i32) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(["node".to_owned()]).expect("parameters");
        params.not_after = date_time_ymd(year, 3, 1);
        let key = KeyPair::generate().expect("a key");
        let made = params.self_signed(&key).expect("signed");
        made.der().clone()
    }

    #[test]
    fn a_chain_ends_with_the_first_of_its_certificates() {
        // The first in the short form of time, the second in the long one.
        let [early, late] = [2031, 2061].map(expiring);
        assert_eq!(ends_at(std::slice::from_ref(&late)), Some(2_876_860_800));
        assert_eq!(ends_at(&[late, early]), Some(1_930_089_600));
        assert_eq!(ends_at(&[CertificateDer::from(vec![1, 2, 3])]), None);
    }
}
