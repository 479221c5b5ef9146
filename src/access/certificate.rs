//! A client's certificate, and whom it names: its subject (RFC 4514), or where that
//! is empty the first of its alternative names. Whether it is good is not said here.

use std::{
    fmt::Write,
    sync::{Arc, Mutex, Weak},
    time::Instant,
};

use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use x509_parser::{
    certificate::X509Certificate,
    extensions::GeneralName,
    objects::{oid_registry, oid2abbrev},
    prelude::FromDer,
    x509::AttributeTypeAndValue,
};

use super::{Identity, tls::Held};

/// One that was shown on a connection, and verified.
#[derive(Debug)]
pub(super) struct Certificate {
    /// Whom it names.
    pub(super) identity: Identity,
    /// It, and those between it and its root.
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) judged: Mutex<Judged>,
}

/// What was found when it was looked at last.
#[derive(Debug)]
pub(super) struct Judged {
    /// By these authorities and revocation lists.
    by: Weak<Held>,
    pub(super) at: Instant,
    pub(super) good: bool,
}

impl Certificate {
    /// The first of `chain`, which is not empty and was just found good by `held`.
    pub(super) fn new(chain: &[CertificateDer<'static>], held: &Arc<Held>) -> Self {
        Self {
            identity: identity(chain.first().map_or(&[], |own| own)),
            chain: chain.to_vec(),
            judged: Mutex::new(Judged::new(held, true)),
        }
    }
}

impl Judged {
    /// `held` finds it `good`, or not.
    pub(super) fn new(held: &Arc<Held>, good: bool) -> Self {
        Self {
            by: Arc::downgrade(held),
            at: Instant::now(),
            good,
        }
    }

    /// Whether that was by `held`.
    pub(super) fn is_by(&self, held: &Arc<Held>) -> bool {
        std::ptr::eq(self.by.as_ptr(), Arc::as_ptr(held))
    }
}

/// Whom the certificate `der`, which was verified, names.
fn identity(der: &[u8]) -> Identity {
    let parsed = X509Certificate::from_der(der).ok();
    let named = parsed
        .and_then(|(_, certificate)| subject(&certificate).or_else(|| alternative(&certificate)));
    Identity::Certificate(named.unwrap_or_else(|| {
        let mut text = String::from("sha256:");
        for byte in Sha256::digest(der) {
            let _ = write!(text, "{byte:02x}");
        }
        text
    }))
}

/// As RFC 4514 writes it, so that no two subjects are written alike; in the order
/// of the certificate.
fn subject(certificate: &X509Certificate<'_>) -> Option<String> {
    let sets = certificate.subject().iter_rdn();
    let sets: Vec<_> = sets
        .map(|set| set.iter().map(attribute).collect::<Vec<_>>().join("+"))
        .collect();
    (!sets.is_empty()).then(|| sets.join(","))
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let oid = attribute.attr_type();
    let name = oid2abbrev(oid, oid_registry()).map_or_else(|_| oid.to_id_string(), str::to_owned);
    let mut text = format!("{name}=");
    if let Ok(value) = attribute.as_str() {
        for c in value.chars() {
            match c {
                ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=' | '#' => text.extend(['\\', c]),
                c if c.is_control() => text.extend(c.escape_unicode()),
                c => text.push(c),
            }
        }
    } else {
        text.push('#');
        for byte in attribute.attr_value().data {
            let _ = write!(text, "{byte:02x}");
        }
    }
    text
}

fn alternative(certificate: &X509Certificate<'_>) -> Option<String> {
    let names = certificate.subject_alternative_name().ok()??;
    names
        .value
        .general_names
        .iter()
        .find_map(|name| match name {
            GeneralName::URI(uri) => Some(format!("URI:{uri}")),
            GeneralName::RFC822Name(address) => Some(format!("email:{address}")),
            GeneralName::DNSName(name) => Some(format!("DNS:{name}")),
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn of(change: impl Fn(&mut CertificateParams)) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        match identity(params.self_signed(&key).unwrap().der()) {
            Identity::Certificate(name) => name,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_certificate_names_its_subject_or_its_first_other_name() {
        let one = of(|params| {
            params.distinguished_name.push(DnType::CommonName, "alice");
            params
                .distinguished_name
                .push(DnType::OrganizationName, "Example");
        });
        assert_eq!(one, "CN=alice,O=Example");
        let forged = of(|params| {
            params
                .distinguished_name
                .push(DnType::CommonName, "alice,O=Example");
        });
        assert_eq!(forged, "CN=alice\\,O\\=Example");
        let spiffe = of(|params| {
            let uri = "spiffe://example/agent".try_into().unwrap();
            params.subject_alt_names.push(SanType::URI(uri));
        });
        assert_eq!(spiffe, "URI:spiffe://example/agent");
        assert!(of(|_| {}).starts_with("sha256:"));
    }
}
