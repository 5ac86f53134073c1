//! What was taken back: certificates by issuing key and serial number, and keys whatever certificate they are
//! in.

use std::collections::{HashMap, HashSet};

use postern_domain::{Pin, Serial};

/// A set of revocations. The owner bounds its size: it comes from the platform and nobody else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revocations {
    certificates: HashMap<Pin, HashSet<Serial>>,
    keys: HashSet<Pin>,
}

impl Revocations {
    /// Makes an empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one certificate, by its issuer's key and its serial number.
    pub fn insert_certificate(&mut self, issuer: Pin, serial: Serial) {
        self.certificates.entry(issuer).or_default().insert(serial);
    }

    /// Adds a key: a leaf's, an authority's, of X.509 or SSH.
    pub fn insert_key(&mut self, key: Pin) {
        self.keys.insert(key);
    }

    /// Returns whether this certificate is revoked.
    #[must_use]
    pub fn contains_certificate(&self, issuer: Pin, serial: &Serial) -> bool {
        self.certificates
            .get(&issuer)
            .is_some_and(|serials| serials.contains(serial))
    }

    /// Returns whether this key is revoked.
    #[must_use]
    pub fn contains_key(&self, key: Pin) -> bool {
        self.keys.contains(&key)
    }

    /// Returns how many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len() + self.certificates.values().map(HashSet::len).sum::<usize>()
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
