//! Certificates that are altered, cut, nested or of a form that is never issued.

#![cfg(test)]

use postern_sshkey::{
    Certificate, CertificateError, CertificateKind, CertificateSpec, PrivateKey, SignatureError,
    UnverifiedCertificate,
};

const ED25519: &[u8] = b"ssh-ed25519-cert-v01@openssh.com";

fn spec() -> CertificateSpec {
    CertificateSpec {
        kind: CertificateKind::User,
        key: PrivateKey::generate().unwrap().public_key().clone(),
        serial: 7,
        key_id: "gateway:7".to_owned(),
        principals: vec!["seven".to_owned()],
        valid_after: 1_000,
        valid_before: 2_000,
        critical_options: vec![("org@postern".to_owned(), "c".to_owned())],
    }
}

fn verify(bytes: &[u8]) -> Result<Certificate, CertificateError> {
    UnverifiedCertificate::from_bytes(bytes)?.verify_signature()
}

fn string(into: &mut Vec<u8>, bytes: &[u8]) {
    into.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_be_bytes());
    into.extend_from_slice(bytes);
}

/// A certificate written by hand, so that it can be wrong while its signature holds.
struct Raw {
    algorithm: Vec<u8>,
    key: Vec<u8>,
    kind: u32,
    principals: Vec<u8>,
    valid: (u64, u64),
    options: Vec<u8>,
    signature_key: Vec<u8>,
}

impl Raw {
    fn new(authority: &PrivateKey) -> Self {
        let mut principals = Vec::new();
        string(&mut principals, b"seven");
        Self {
            algorithm: ED25519.to_vec(),
            key: PrivateKey::generate().unwrap().public_key().as_bytes()[19..].to_vec(),
            kind: 1,
            principals,
            valid: (1_000, 2_000),
            options: Vec::new(),
            signature_key: authority.public_key().to_bytes(),
        }
    }

    fn sign(&self, authority: &PrivateKey) -> Vec<u8> {
        let mut bytes = Vec::new();
        string(&mut bytes, &self.algorithm);
        string(&mut bytes, &[9; 32]);
        string(&mut bytes, &self.key);
        bytes.extend_from_slice(&7_u64.to_be_bytes());
        bytes.extend_from_slice(&self.kind.to_be_bytes());
        string(&mut bytes, b"gateway:7");
        string(&mut bytes, &self.principals);
        bytes.extend_from_slice(&self.valid.0.to_be_bytes());
        bytes.extend_from_slice(&self.valid.1.to_be_bytes());
        string(&mut bytes, &self.options);
        string(&mut bytes, b"");
        string(&mut bytes, b"");
        string(&mut bytes, &self.signature_key);
        let signature = authority.sign_raw(&bytes);
        string(&mut bytes, &signature);
        bytes
    }
}

fn packed(texts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for text in texts {
        string(&mut bytes, text);
    }
    bytes
}

#[test]
fn says_what_was_signed() {
    let authority = PrivateKey::generate().unwrap();
    let spec = spec();
    let certificate = spec.sign(&authority).unwrap();
    assert_eq!(certificate.kind(), CertificateKind::User);
    assert_eq!(certificate.key(), &spec.key);
    assert_eq!(certificate.signature_key(), authority.public_key());
    assert_eq!(certificate.serial(), 7);
    assert_eq!(certificate.key_id(), "gateway:7");
    assert_eq!(certificate.principals(), ["seven"]);
    assert_eq!(
        (certificate.valid_after(), certificate.valid_before()),
        (1_000, 2_000)
    );
    assert_eq!(certificate.critical_options(), spec.critical_options);
    assert_eq!(certificate.extensions(), []);
    let again = UnverifiedCertificate::from_openssh(&certificate.to_openssh()).unwrap();
    assert_eq!(again.verify_signature().unwrap(), certificate);
}

#[test]
fn a_certificate_written_by_hand_is_accepted_when_nothing_is_wrong() {
    let authority = PrivateKey::generate().unwrap();
    assert!(verify(&Raw::new(&authority).sign(&authority)).is_ok());
}

#[test]
fn refuses_every_flipped_bit() {
    let authority = PrivateKey::generate().unwrap();
    let bytes = spec().sign(&authority).unwrap().to_bytes();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(verify(&flipped).is_err(), "{bit}");
    }
}

#[test]
fn refuses_a_certificate_cut_at_any_byte_or_with_more_behind() {
    let authority = PrivateKey::generate().unwrap();
    let bytes = spec().sign(&authority).unwrap().to_bytes();
    for length in 0..bytes.len() {
        assert!(verify(&bytes[..length]).is_err(), "{length}");
    }
    assert!(verify(&[&bytes[..], &[0]].concat()).is_err());
}

#[test]
fn refuses_a_certificate_as_signing_key() {
    let authority = PrivateKey::generate().unwrap();
    let mut raw = Raw::new(&authority);
    raw.signature_key = spec().sign(&authority).unwrap().to_bytes();
    assert_eq!(verify(&raw.sign(&authority)), Err(CertificateError::Nested));
}

#[test]
fn refuses_a_certificate_within_a_certificate() {
    let authority = PrivateKey::generate().unwrap();
    let mut raw = Raw::new(&authority);
    raw.key = spec().sign(&authority).unwrap().to_bytes();
    assert!(matches!(
        verify(&raw.sign(&authority)),
        Err(CertificateError::Key(_))
    ));
    let mut raw = Raw::new(&authority);
    raw.algorithm = b"ssh-ed25519-cert-v01@openssh.com-cert-v01@openssh.com".to_vec();
    assert!(matches!(
        verify(&raw.sign(&authority)),
        Err(CertificateError::Key(_))
    ));
}

#[test]
fn refuses_a_certificate_that_another_key_signed_than_it_names() {
    let authority = PrivateKey::generate().unwrap();
    let other = PrivateKey::generate().unwrap();
    assert_eq!(
        verify(&Raw::new(&authority).sign(&other)),
        Err(CertificateError::Signature(SignatureError::Invalid))
    );
}

#[test]
fn refuses_an_unknown_type_and_a_plain_key() {
    let authority = PrivateKey::generate().unwrap();
    let mut raw = Raw::new(&authority);
    raw.kind = 3;
    assert_eq!(verify(&raw.sign(&authority)), Err(CertificateError::Kind));
    assert!(matches!(
        verify(authority.public_key().as_bytes()),
        Err(CertificateError::Key(_))
    ));
}

#[test]
fn never_issues_and_never_accepts_nobody_or_a_name_that_could_be_two() {
    let authority = PrivateKey::generate().unwrap();
    let mut empty = spec();
    empty.principals.clear();
    assert_eq!(empty.sign(&authority), Err(CertificateError::NoPrincipals));
    let mut raw = Raw::new(&authority);
    raw.principals.clear();
    assert_eq!(verify(&raw.sign(&authority)), Err(CertificateError::NoPrincipals));
    for name in ["", "a,b", "a b", " a", "a\n", "a\t", "a\u{a0}b", "a\0", "a\u{7f}"] {
        let mut wrong = spec();
        wrong.principals = vec!["good".to_owned(), name.to_owned()];
        assert_eq!(
            wrong.sign(&authority),
            Err(CertificateError::Principal),
            "{name:?}"
        );
        let mut raw = Raw::new(&authority);
        raw.principals = packed(&[b"good", name.as_bytes()]);
        assert_eq!(
            verify(&raw.sign(&authority)),
            Err(CertificateError::Principal),
            "{name:?}"
        );
    }
}

#[test]
fn refuses_a_name_that_is_not_text() {
    let authority = PrivateKey::generate().unwrap();
    let mut raw = Raw::new(&authority);
    raw.principals = packed(&[b"\xff\xfe"]);
    assert!(matches!(
        verify(&raw.sign(&authority)),
        Err(CertificateError::Malformed(_))
    ));
}

#[test]
fn refuses_a_validity_that_ends_before_it_begins() {
    let authority = PrivateKey::generate().unwrap();
    for valid in [(2_000, 1_000), (1_000, 1_000), (u64::MAX, 0)] {
        let mut wrong = spec();
        (wrong.valid_after, wrong.valid_before) = valid;
        assert_eq!(wrong.sign(&authority), Err(CertificateError::Validity));
    }
}

#[test]
fn refuses_options_twice_out_of_order_or_with_more_than_one_text() {
    let authority = PrivateKey::generate().unwrap();
    let data = packed(&[b"x"]);
    for options in [
        packed(&[b"a", &data, b"a", &data]),
        packed(&[b"b", &data, b"a", &data]),
        packed(&[b"a", &packed(&[b"x", b"y"])]),
        packed(&[b"a", b"x"]),
        packed(&[b"a"]),
    ] {
        let mut raw = Raw::new(&authority);
        raw.options.clone_from(&options);
        assert!(matches!(
            verify(&raw.sign(&authority)),
            Err(CertificateError::Malformed(_))
        ));
    }
    let mut twice = spec();
    twice
        .critical_options
        .push(("org@postern".to_owned(), "d".to_owned()));
    assert!(twice.sign(&authority).is_err());
}

#[test]
fn refuses_more_names_and_longer_certificates_than_anybody_needs() {
    let authority = PrivateKey::generate().unwrap();
    let mut many = spec();
    many.principals = (0..257).map(|number| number.to_string()).collect();
    assert!(many.sign(&authority).is_err());
    let mut long = spec();
    long.key_id = "x".repeat(17 * 1024);
    assert!(long.sign(&authority).is_err());
}

#[test]
fn refuses_a_line_that_names_another_algorithm() {
    let authority = PrivateKey::generate().unwrap();
    let line = spec().sign(&authority).unwrap().to_openssh();
    let other = line.replace("ssh-ed25519-cert", "ssh-rsa-cert");
    assert!(UnverifiedCertificate::from_openssh(&other).is_err());
    assert!(UnverifiedCertificate::from_openssh(&authority.public_key().to_openssh()).is_err());
}
