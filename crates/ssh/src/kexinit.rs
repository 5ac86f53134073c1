//! The first words of a peer: its version and the algorithms it offers (RFC 4253 sections 4.2 and 7.1).
//!
//! They go over the wire in clear, so we read them on the way, to demand strict key exchange (CVE-2023-48795) and
//! to say what was negotiated, neither of which the library tells a server. What is read here is not trusted for
//! anything else; the key exchange authenticates it.

use crate::algorithms::{cipher_names, kex_names};

const STRICT_CLIENT: &str = "kex-strict-c-v00@openssh.com";
const STRICT_SERVER: &str = "kex-strict-s-v00@openssh.com";
const KEXINIT: u8 = 20;
const COOKIE: usize = 16;
/// Lines before the version, and the version.
const MAX_GREETING: usize = 8 * 1024;
/// The largest packet that everybody must take (RFC 4253 section 6.1).
const MAX_PACKET: usize = 35_000;

/// Which side we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// What was negotiated, for display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The peer's version, such as `SSH-2.0-OpenSSH_9.2`; foreign text, printable and at most 255 bytes.
    pub version: String,
    /// The key exchange.
    pub kex: String,
    /// The cipher, of what the client sends.
    pub cipher: String,
}

/// What a peer began with cannot be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KexInitError {
    #[error("the peer does not speak SSH")]
    NotSsh,
    #[error("the peer did not begin with its key exchange")]
    Malformed,
    #[error("the peer does not offer strict key exchange")]
    NotStrict,
}

/// Gathers the first bytes of a peer until its offer is complete.
#[derive(Debug)]
pub(crate) struct Reading {
    side: Side,
    bytes: Vec<u8>,
}

impl Reading {
    pub(crate) const fn new(side: Side) -> Self {
        Self {
            side,
            bytes: Vec::new(),
        }
    }

    /// Takes the next bytes; returns the facts once the offer is complete.
    pub(crate) fn push(&mut self, more: &[u8]) -> Result<Option<Facts>, KexInitError> {
        let room = (MAX_GREETING + MAX_PACKET).saturating_sub(self.bytes.len());
        self.bytes.extend(more.iter().take(room));
        let Some((version, packet)) = split_greeting(&self.bytes)? else {
            return Ok(None);
        };
        match packet_payload(packet)? {
            Some(payload) => self.judge(version, payload).map(Some),
            None => Ok(None),
        }
    }

    fn judge(&self, version: &str, payload: &[u8]) -> Result<Facts, KexInitError> {
        let lists = payload
            .strip_prefix(&[KEXINIT])
            .and_then(|rest| rest.get(COOKIE..))
            .ok_or(KexInitError::Malformed)?;
        let (kex, rest) = name_list(lists)?;
        let (_host_keys, rest) = name_list(rest)?;
        let (cipher, _rest) = name_list(rest)?;
        let strict = match self.side {
            Side::Client => STRICT_SERVER,
            Side::Server => STRICT_CLIENT,
        };
        if !kex.contains(&strict) {
            return Err(KexInitError::NotStrict);
        }
        let chosen = |ours: Vec<&'static str>, theirs: &[&str]| match self.side {
            Side::Client => first_common(&ours, theirs),
            Side::Server => first_common(theirs, &ours),
        };
        Ok(Facts {
            version: version.chars().filter(|c| !c.is_control()).take(255).collect(),
            kex: chosen(kex_names().collect(), &kex),
            cipher: chosen(cipher_names().collect(), &cipher),
        })
    }
}

/// Returns the first of the client's names that the server has too.
fn first_common(client: &[&str], server: &[&str]) -> String {
    client
        .iter()
        .find(|name| server.contains(name))
        .map_or_else(String::new, |name| (*name).to_owned())
}

/// Splits the version from what follows it, once it is complete. Other lines may come before it.
fn split_greeting(bytes: &[u8]) -> Result<Option<(&str, &[u8])>, KexInitError> {
    let mut rest = bytes;
    loop {
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            let greeting_fits = bytes.len() <= MAX_GREETING;
            return if greeting_fits {
                Ok(None)
            } else {
                Err(KexInitError::NotSsh)
            };
        };
        let (line, after) = rest.split_at_checked(end + 1).ok_or(KexInitError::NotSsh)?;
        if line.starts_with(b"SSH-") {
            let text = std::str::from_utf8(line).map_err(|_| KexInitError::NotSsh)?;
            return Ok(Some((text.trim_end(), after)));
        }
        rest = after;
    }
}

/// Returns the payload of an unencrypted packet, once it is complete.
fn packet_payload(bytes: &[u8]) -> Result<Option<&[u8]>, KexInitError> {
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| KexInitError::Malformed)?;
    if length > MAX_PACKET {
        return Err(KexInitError::Malformed);
    }
    let Some(packet) = rest.get(..length) else {
        return Ok(None);
    };
    let (padding, payload) = packet.split_first().ok_or(KexInitError::Malformed)?;
    let end = payload
        .len()
        .checked_sub(usize::from(*padding))
        .ok_or(KexInitError::Malformed)?;
    payload.get(..end).map(Some).ok_or(KexInitError::Malformed)
}

fn name_list(bytes: &[u8]) -> Result<(Vec<&str>, &[u8]), KexInitError> {
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or(KexInitError::Malformed)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| KexInitError::Malformed)?;
    let (list, rest) = rest.split_at_checked(length).ok_or(KexInitError::Malformed)?;
    let list = std::str::from_utf8(list).map_err(|_| KexInitError::Malformed)?;
    Ok((list.split(',').collect(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(kex: &str, cipher: &str) -> Vec<u8> {
        let mut payload = vec![KEXINIT];
        payload.extend_from_slice(&[7; COOKIE]);
        for list in [kex, "ssh-ed25519", cipher, cipher] {
            payload.extend_from_slice(&u32::try_from(list.len()).unwrap().to_be_bytes());
            payload.extend_from_slice(list.as_bytes());
        }
        let mut bytes = b"hello\r\nSSH-2.0-Test_1 comment\r\n".to_vec();
        bytes.extend_from_slice(&u32::try_from(payload.len() + 5).unwrap().to_be_bytes());
        bytes.push(4);
        bytes.extend_from_slice(&payload);
        bytes.extend_from_slice(&[0; 4]);
        bytes
    }

    #[test]
    fn says_what_was_negotiated_whatever_the_pieces_it_arrives_in() {
        let bytes = offer(
            "sntrup761x25519-sha512@openssh.com,curve25519-sha256,kex-strict-c-v00@openssh.com",
            "chacha20-poly1305@openssh.com,aes128-gcm@openssh.com",
        );
        for size in [1, 7, bytes.len()] {
            let mut reading = Reading::new(Side::Server);
            let mut facts = None;
            for piece in bytes.chunks(size) {
                facts = reading.push(piece).unwrap();
            }
            let facts = facts.unwrap();
            assert_eq!(facts.version, "SSH-2.0-Test_1 comment");
            assert_eq!(facts.kex, "curve25519-sha256");
            assert_eq!(facts.cipher, "chacha20-poly1305@openssh.com");
        }
    }

    #[test]
    fn refuses_a_peer_without_strict_key_exchange() {
        let server = offer(
            "curve25519-sha256,kex-strict-s-v00@openssh.com",
            "aes256-gcm@openssh.com",
        );
        let none = offer("curve25519-sha256", "aes256-gcm@openssh.com");
        assert_eq!(
            Reading::new(Side::Server).push(&server),
            Err(KexInitError::NotStrict)
        );
        assert_eq!(
            Reading::new(Side::Server).push(&none),
            Err(KexInitError::NotStrict)
        );
        assert_eq!(
            Reading::new(Side::Client).push(&none),
            Err(KexInitError::NotStrict)
        );
        assert!(Reading::new(Side::Client).push(&server).unwrap().is_some());
    }

    #[test]
    fn refuses_a_peer_that_begins_with_anything_else() {
        let mut ignore = b"SSH-2.0-Evil\r\n".to_vec();
        ignore.extend_from_slice(&[0, 0, 0, 12, 6, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(
            Reading::new(Side::Server).push(&ignore),
            Err(KexInitError::Malformed)
        );
        let mut huge = b"SSH-2.0-Evil\r\n".to_vec();
        huge.extend_from_slice(&[0xff; 8]);
        assert_eq!(
            Reading::new(Side::Server).push(&huge),
            Err(KexInitError::Malformed)
        );
        let endless = vec![b'x'; MAX_GREETING + 1];
        assert_eq!(
            Reading::new(Side::Server).push(&endless),
            Err(KexInitError::NotSsh)
        );
    }
}
