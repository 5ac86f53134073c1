//! PEM (RFC 7468), strictly: one block, of the kind that was asked for, with nothing before or after it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;

/// The longest PEM text that is looked at, in bytes.
const LONGEST: usize = 64 * 1024;

/// A text is not the one PEM block that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not PEM: expected exactly one block {label}")]
pub struct PemError {
    label: &'static str,
}

pub(crate) const CERTIFICATE: &str = "CERTIFICATE";
pub(crate) const REQUEST: &str = "CERTIFICATE REQUEST";
pub(crate) const PRIVATE_KEY: &str = "PRIVATE KEY";

/// Writes one block, 64 characters to a line.
pub(crate) fn encode(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut out = String::with_capacity(body.len() + body.len() / 64 + 2 * label.len() + 40);
    out.push_str("-----BEGIN ");
    out.push_str(label);
    out.push_str("-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(64));
        out.push_str(line);
        out.push('\n');
        rest = tail;
    }
    out.push_str("-----END ");
    out.push_str(label);
    out.push_str("-----\n");
    out
}

/// Reads one block; white space around it is allowed, text is not.
pub(crate) fn decode(label: &'static str, text: &str) -> Result<Vec<u8>, PemError> {
    let bad = PemError { label };
    if text.len() > LONGEST {
        return Err(bad);
    }
    let body = text
        .trim_ascii()
        .strip_prefix("-----BEGIN ")
        .and_then(|rest| rest.strip_prefix(label))
        .and_then(|rest| rest.strip_prefix("-----"))
        .and_then(|rest| rest.strip_suffix("-----"))
        .and_then(|rest| rest.strip_suffix(label))
        .and_then(|rest| rest.strip_suffix("-----END "))
        .ok_or(bad)?;
    let joined: String = body.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    match STANDARD.decode(joined) {
        Ok(der) if !der.is_empty() => Ok(der),
        Ok(_) | Err(_) => Err(bad),
    }
}

/// Reads one certificate in PEM. Its content is not looked at.
///
/// # Errors
/// Fails unless the text is exactly one block `CERTIFICATE`.
pub fn certificate_from_pem(text: &str) -> Result<CertificateDer<'static>, PemError> {
    decode(CERTIFICATE, text).map(CertificateDer::from)
}

/// Writes one certificate as PEM.
#[must_use]
pub fn certificate_to_pem(der: &CertificateDer<'_>) -> String {
    encode(CERTIFICATE, der)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_round_trips() {
        for length in [1, 47, 48, 49, 500] {
            let der = vec![7; length];
            let text = encode(CERTIFICATE, &der);
            assert!(text.lines().all(|line| line.len() <= 64));
            assert_eq!(decode(CERTIFICATE, &text), Ok(der.clone()));
            assert_eq!(decode(CERTIFICATE, &text.replace('\n', "\r\n")), Ok(der));
        }
    }

    #[test]
    fn refuses_other_kinds_two_blocks_and_text_around() {
        let one = encode(CERTIFICATE, b"abc");
        for bad in [
            String::new(),
            encode(REQUEST, b"abc"),
            format!("{one}{one}"),
            format!("hello\n{one}"),
            format!("{one}hello"),
            one.replace("YWJj", "YW Jj"),
            one.replace("YWJj", ""),
            one.replace("END CERTIFICATE", "END CERTIFICATES"),
            encode(CERTIFICATE, &vec![0; LONGEST]),
        ] {
            assert!(decode(CERTIFICATE, &bad).is_err(), "{bad}");
        }
    }
}
