//! Serial numbers: random, so that they tell nothing and collide never.

use aws_lc_rs::rand;
use postern_domain::Serial;

use crate::KeyError;

/// Makes a serial number for an X.509 certificate: 16 bytes, positive, 126 of its bits random.
///
/// # Errors
/// Fails when the system gives no randomness.
pub fn random_serial() -> Result<Serial, KeyError> {
    random::<16>()
}

/// Makes a serial number for an SSH certificate: 8 bytes, below 2^63 so that every store can hold it as a
/// signed integer, 62 of its bits random.
///
/// # Errors
/// Fails when the system gives no randomness.
pub fn random_ssh_serial() -> Result<Serial, KeyError> {
    random::<8>()
}

fn random<const LENGTH: usize>() -> Result<Serial, KeyError> {
    let mut bytes = [0; LENGTH];
    rand::fill(&mut bytes).map_err(|_| KeyError::Randomness)?;
    // The first bit is the sign, the second keeps the length the same for all.
    if let Some(first) = bytes.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    Serial::from_be_bytes(&bytes).ok_or(KeyError::Randomness)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_are_positive_of_full_length_and_differ() {
        let (one, two) = (random_serial().unwrap(), random_serial().unwrap());
        assert_ne!(one, two);
        assert_eq!(one.as_be_bytes().len(), 16);
        assert!(one.as_be_bytes()[0] < 0x80);
        let ssh = random_ssh_serial().unwrap();
        assert!(ssh.as_u64().is_some_and(|n| n < 1 << 63));
    }
}
