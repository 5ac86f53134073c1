//! What we negotiate: hybrid key exchange first, AES-GCM before ChaCha20, no compression, certificates only.

use std::borrow::Cow;
use std::time::Duration;

use russh::keys::Algorithm;
use russh::{Limits, Preferred, cipher, compression, kex, mac};

/// The version that we announce.
pub(crate) const VERSION: &str = "SSH-2.0-Postern";

const KEX: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
];
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_256_GCM,
    cipher::AES_128_GCM,
    cipher::CHACHA20_POLY1305,
];
/// Needed only to name something: every cipher above authenticates by itself.
const MACS: &[mac::Name] = &[mac::HMAC_SHA512_ETM, mac::HMAC_SHA256_ETM];
const COMPRESSION: &[compression::Name] = &[compression::NONE];
const ED25519: &[Algorithm] = &[Algorithm::Ed25519];

/// The window of a channel, in bytes.
pub(crate) const WINDOW: u32 = 2 * 1024 * 1024;
/// The largest packet that we take, in bytes.
pub(crate) const PACKET: u32 = 32 * 1024;
/// Messages that wait for the reader of a channel: a whole window of full packets, many times over.
pub(crate) const CHANNEL_BUFFER: usize = 1024;

/// Lists what a server offers: host keys only so that certificates over them can be.
pub(crate) fn for_server() -> Preferred {
    Preferred {
        kex: Cow::Borrowed(KEX),
        key: Cow::Borrowed(ED25519),
        host_key_certificates: Cow::Borrowed(&[]),
        cipher: Cow::Borrowed(CIPHERS),
        mac: Cow::Borrowed(MACS),
        compression: Cow::Borrowed(COMPRESSION),
    }
}

/// Lists what a client takes: no bare host key at all.
pub(crate) fn for_client() -> Preferred {
    Preferred {
        key: Cow::Borrowed(&[]),
        host_key_certificates: Cow::Borrowed(ED25519),
        ..for_server()
    }
}

/// Returns the limits after which keys are exchanged anew: the most that the library allows, since it counts what
/// is in flight on all channels against the window of one and ends a busy session.
pub(crate) fn rekey_limits() -> Limits {
    Limits {
        rekey_write_limit: 1 << 30,
        rekey_read_limit: 1 << 30,
        rekey_time_limit: Duration::from_secs(24 * 60 * 60),
    }
}

/// Names the key exchanges that we offer, in order.
pub(crate) fn kex_names() -> impl Iterator<Item = &'static str> {
    KEX.iter().map(AsRef::as_ref)
}

/// Names the ciphers that we offer, in order.
pub(crate) fn cipher_names() -> impl Iterator<Item = &'static str> {
    CIPHERS.iter().map(AsRef::as_ref)
}
