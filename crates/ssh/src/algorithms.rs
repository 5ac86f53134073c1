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
/// Messages that wait for the reader of a channel. The library opens the window again on receipt, and waits with all
/// channels for the one whose queue is full, so this is many windows of full packets.
pub(crate) const CHANNEL_BUFFER: usize = 4096;

/// How long the library may be stuck in writing to a peer that speaks and does not read; then the tunnel is lost, and
/// made anew. An idle tunnel is not stuck, since answers to keepalives count.
pub(crate) const STUCK: Duration = Duration::from_secs(60);

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

/// Returns the limits after which keys are exchanged anew. The library counts what is in flight on all channels
/// against the window of one, so an exchange ends a busy session; it is put off as far as is safe: 64 GiB are less
/// than 2^31 packets even if every one is of the least size (RFC 4344 section 3.1), and within the bounds of
/// AES-GCM.
pub(crate) fn rekey_limits() -> Limits {
    const BYTES: usize = 64 << 30;
    Limits {
        rekey_write_limit: BYTES,
        rekey_read_limit: BYTES,
        rekey_time_limit: Duration::from_secs(30 * 24 * 60 * 60),
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
