//! What is negotiated: the provider with our key exchanges, cipher suites and signatures, and what came of it.

use std::sync::{Arc, LazyLock};

use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::{CommonState, NamedGroup, SignatureScheme};
use webpki::aws_lc_rs::ECDSA_P256_SHA256;

/// The only signatures on mutual legs: every leaf there has a P-256 key.
const MUTUAL_SIGNATURES: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[ECDSA_P256_SHA256],
    mapping: &[(SignatureScheme::ECDSA_NISTP256_SHA256, &[ECDSA_P256_SHA256])],
};

static MUTUAL: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    Arc::new(CryptoProvider {
        signature_verification_algorithms: MUTUAL_SIGNATURES,
        ..negotiated()
    })
});

static ONE_WAY: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(negotiated()));

fn negotiated() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        kx_groups: vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1],
        ..aws_lc_rs::default_provider()
    }
}

/// The provider of the mutual legs.
pub(super) fn mutual() -> Arc<CryptoProvider> {
    Arc::clone(&MUTUAL)
}

/// The provider of the platform's HTTPS, whose certificate an operator may have brought, with any kind of key.
pub(super) fn one_way() -> Arc<CryptoProvider> {
    Arc::clone(&ONE_WAY)
}

/// What a handshake negotiated, for people and records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFacts {
    /// The key exchange, such as `X25519MLKEM768`.
    pub kx: &'static str,
    /// The cipher suite, such as `TLS_AES_128_GCM_SHA256`.
    pub cipher: &'static str,
    /// The application protocol; empty if none was agreed on.
    pub alpn: Vec<u8>,
}

impl TlsFacts {
    pub(super) fn of(connection: &CommonState) -> Self {
        let kx = connection
            .negotiated_key_exchange_group()
            .map(|group| group.name());
        let cipher = connection.negotiated_cipher_suite().map(|suite| suite.suite());
        Self {
            kx: match kx {
                Some(NamedGroup::X25519MLKEM768) => "X25519MLKEM768",
                Some(NamedGroup::X25519) => "X25519",
                Some(NamedGroup::secp256r1) => "P-256",
                _ => "unknown",
            },
            cipher: match cipher {
                Some(rustls::CipherSuite::TLS13_AES_128_GCM_SHA256) => "TLS_AES_128_GCM_SHA256",
                Some(rustls::CipherSuite::TLS13_AES_256_GCM_SHA384) => "TLS_AES_256_GCM_SHA384",
                Some(rustls::CipherSuite::TLS13_CHACHA20_POLY1305_SHA256) => "TLS_CHACHA20_POLY1305_SHA256",
                _ => "unknown",
            },
            alpn: connection.alpn_protocol().unwrap_or_default().to_vec(),
        }
    }
}
