//! Signing certificates: what shall stand in one, and the signature over it.

use aws_lc_rs::rand;

use crate::certificate::{
    Certificate, CertificateError, CertificateKind, UnverifiedCertificate, is_principal,
};
use crate::private::PrivateKey;
use crate::public::{Material, PublicKey, RsaNumbers};
use crate::wire::Writer;

const NONCE: usize = 32;

/// What shall stand in a certificate. It gets no extensions: none of OpenSSH's permissions is ever given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateSpec {
    /// What it is for.
    pub kind: CertificateKind,
    /// The key to certify.
    pub key: PublicKey,
    /// The serial number.
    pub serial: u64,
    /// The key id, which logs of SSH servers show.
    pub key_id: String,
    /// The names that it is for; at least one, none with commas or white space.
    pub principals: Vec<String>,
    /// The first second of its validity, since 1970.
    pub valid_after: u64,
    /// The first second after its validity, since 1970.
    pub valid_before: u64,
    /// The critical options, in any order, each name once.
    pub critical_options: Vec<(String, String)>,
}

impl CertificateSpec {
    /// Signs a certificate, then reads and verifies it as anybody else would.
    ///
    /// # Errors
    /// Refuses every certificate that we would refuse to read, such as one without principals.
    pub fn sign(&self, authority: &PrivateKey) -> Result<Certificate, CertificateError> {
        if !self.principals.iter().all(|principal| is_principal(principal)) {
            return Err(CertificateError::Principal);
        }
        let mut nonce = [0; NONCE];
        rand::fill(&mut nonce).map_err(|_| CertificateError::Malformed("the random generator failed"))?;
        let mut principals = Writer::default();
        for principal in &self.principals {
            principals.string(principal.as_bytes());
        }
        let mut sorted: Vec<_> = self.critical_options.iter().collect();
        sorted.sort();
        let mut critical_options = Writer::default();
        for (name, value) in sorted {
            let mut data = Writer::default();
            if !value.is_empty() {
                data.string(value.as_bytes());
            }
            critical_options.string(name.as_bytes()).string(data.as_bytes());
        }
        let mut writer = Writer::default();
        writer
            .string(self.key.algorithm().certificate_name().as_bytes())
            .string(&nonce);
        write_key_fields(&mut writer, &self.key);
        writer
            .u64(self.serial)
            .u32(self.kind.code())
            .string(self.key_id.as_bytes())
            .string(principals.as_bytes())
            .u64(self.valid_after)
            .u64(self.valid_before)
            .string(critical_options.as_bytes())
            .string(&[])
            .string(&[])
            .string(authority.public_key().as_bytes());
        let signature = authority.sign_raw(writer.as_bytes());
        writer.string(&signature);
        UnverifiedCertificate::from_bytes(&writer.into_bytes())?.verify_signature()
    }
}

/// Writes a key without the name of its algorithm.
fn write_key_fields(writer: &mut Writer, key: &PublicKey) {
    match key.material() {
        Material::Ed25519(point) => writer.string(point),
        Material::EcdsaP256(point) => writer.string(b"nistp256").string(point),
        Material::EcdsaP384(point) => writer.string(b"nistp384").string(point),
        Material::Rsa(RsaNumbers { n, e }) => writer.positive(e).positive(n),
    };
}
