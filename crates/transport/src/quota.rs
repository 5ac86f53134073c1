//! Quotas: how many at once ([`Quota`]) and how many a second ([`Buckets`]), each per key and with bounded memory.
//! A key is whoever must not starve the others: a source address before authentication, an organization after.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use postern_domain::Reason;
use tokio::time::Instant;

/// A source as quotas see it: an IPv4 address, or the /64 of an IPv6 address, which is what one host is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceKey(u64);

impl SourceKey {
    /// Returns the key of an address; an IPv4-mapped IPv6 address counts as IPv4.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            // 0:0:0:0::/64 with these bits is the unspecified and IPv4-compatible range, which no peer has.
            IpAddr::V4(v4) => Self(u64::from(v4.to_bits())),
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                let prefix = [a, b, c, d].iter().fold(0, |p, s| (p << 16) | u64::from(*s));
                Self(prefix | u64::from(prefix == 0))
            }
        }
    }
}

/// How many may be taken at once, in total and per key, with fair shares: once more than half of the total is
/// taken, a key gets no more than the total divided by the number of keys that hold any.
pub struct Quota<K: Eq + Hash + Clone>(Arc<Inner<K>>);

struct Inner<K> {
    total: usize,
    per_key: usize,
    counts: Mutex<Counts<K>>,
}

struct Counts<K> {
    taken: usize,
    by_key: HashMap<K, usize>,
}

/// One unit of a quota, given back when dropped.
pub struct Taken<K: Eq + Hash + Clone> {
    quota: Arc<Inner<K>>,
    key: K,
}

impl<K: Eq + Hash + Clone> Quota<K> {
    /// Makes a quota. Its memory is bounded by `total` keys.
    #[must_use]
    pub fn new(total: usize, per_key: usize) -> Self {
        let counts = Mutex::new(Counts {
            taken: 0,
            by_key: HashMap::new(),
        });
        Self(Arc::new(Inner {
            total,
            per_key,
            counts,
        }))
    }

    /// Takes one unit.
    ///
    /// # Errors
    /// [`Reason::OverQuota`], when the total, the key's limit or its fair share is reached.
    pub fn take(&self, key: K) -> Result<Taken<K>, Reason> {
        let inner = &self.0;
        let mut counts = inner.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let held = counts.by_key.get(&key).copied().unwrap_or(0);
        let keys = counts.by_key.len() + usize::from(held == 0);
        let contended = counts.taken >= inner.total.div_ceil(2);
        let fair = if contended {
            (inner.total / keys).max(1)
        } else {
            inner.total
        };
        if counts.taken >= inner.total || held >= inner.per_key.min(fair) {
            return Err(Reason::OverQuota);
        }
        counts.taken += 1;
        counts.by_key.insert(key.clone(), held + 1);
        Ok(Taken {
            quota: Arc::clone(inner),
            key,
        })
    }

    /// Returns how many units are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        let counts = self.0.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.taken
    }

    /// Returns how many keys hold any.
    #[must_use]
    pub fn keys(&self) -> usize {
        let counts = self.0.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.by_key.len()
    }
}

impl<K: Eq + Hash + Clone> Clone for Quota<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Eq + Hash + Clone> fmt::Debug for Quota<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Quota({} of {})", self.taken(), self.0.total)
    }
}

impl<K: Eq + Hash + Clone> Drop for Taken<K> {
    fn drop(&mut self) {
        let mut counts = self.quota.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.taken = counts.taken.saturating_sub(1);
        if let Some(held) = counts.by_key.get_mut(&self.key) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                counts.by_key.remove(&self.key);
            }
        }
    }
}

impl<K: Eq + Hash + Clone + fmt::Debug> fmt::Debug for Taken<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Taken({:?})", self.key)
    }
}

/// How many a second, after a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many a second in the long run; at least one.
    pub per_second: u32,
    /// How many at once after a pause; at least one.
    pub burst: u32,
}

/// Token buckets, one per key, at most `capacity` of them. Keys that do not fit share one bucket, so that a
/// flood of new keys neither grows the map nor wins a fresh bucket by pushing out an old one.
#[derive(Debug)]
pub struct Buckets<K> {
    interval: Duration,
    tolerance: Duration,
    capacity: usize,
    /// When each bucket will be full again.
    full_at: HashMap<K, Instant>,
    overflow: Option<Instant>,
    next_sweep: Option<Instant>,
}

impl<K: Eq + Hash> Buckets<K> {
    /// How often, at most, a full map is searched for buckets that are full again.
    const SWEEP: Duration = Duration::from_secs(1);

    /// Makes the buckets.
    #[must_use]
    pub fn new(rate: Rate, capacity: usize) -> Self {
        let interval = Duration::from_secs(1) / rate.per_second.max(1);
        Self {
            interval,
            tolerance: interval.saturating_mul(rate.burst.max(1)),
            capacity,
            full_at: HashMap::new(),
            overflow: None,
            next_sweep: None,
        }
    }

    /// Takes a token from the key's bucket; returns whether there was one.
    pub fn allow(&mut self, key: K, now: Instant) -> bool {
        if self.full_at.len() >= self.capacity
            && !self.full_at.contains_key(&key)
            && self.next_sweep.is_none_or(|at| now >= at)
        {
            self.full_at.retain(|_, full_at| *full_at > now);
            self.next_sweep = Some(now + Self::SWEEP);
        }
        let known = self.full_at.get(&key).copied();
        let fits = known.is_some() || self.full_at.len() < self.capacity;
        let full_at = if fits { known } else { self.overflow };
        let next = full_at.map_or(now, |at| at.max(now)) + self.interval;
        if next.duration_since(now) > self.tolerance {
            return false;
        }
        if fits {
            self.full_at.insert(key, next);
        } else {
            self.overflow = Some(next);
        }
        true
    }

    /// Returns how many keys have a bucket.
    #[must_use]
    pub fn len(&self) -> usize {
        self.full_at.len()
    }

    /// Returns whether no key has a bucket.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.full_at.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_is_one_source() {
        let key = |text: &str| SourceKey::of(text.parse().unwrap());
        assert_eq!(key("10.0.0.1"), key("::ffff:10.0.0.1"));
        assert_eq!(key("2001:db8:0:1::1"), key("2001:db8:0:1:ffff::2"));
        assert_ne!(key("2001:db8:0:1::1"), key("2001:db8:0:2::1"));
        assert_ne!(key("10.0.0.1"), key("10.0.0.2"));
    }

    #[test]
    fn units_come_back_and_leave_nothing_behind() {
        let quota = Quota::new(3, 2);
        let first = quota.take("a").unwrap();
        let second = quota.take("a").unwrap();
        assert_eq!(quota.take("a").unwrap_err(), Reason::OverQuota);
        assert_eq!((quota.taken(), quota.keys()), (2, 1));
        drop((first, second));
        assert_eq!((quota.taken(), quota.keys()), (0, 0));
    }

    #[test]
    fn one_key_cannot_take_what_the_others_need() {
        let quota = Quota::new(8, 8);
        let mut greedy = Vec::new();
        let others = [
            quota.take(1).unwrap(),
            quota.take(2).unwrap(),
            quota.take(3).unwrap(),
        ];
        while let Ok(unit) = quota.take(0) {
            greedy.push(unit);
        }
        // Four keys hold any: a quarter of eight each, and at least up to the half that nobody contends.
        assert_eq!(greedy.len(), 2);
        assert!(quota.take(1).is_ok() && quota.take(4).is_ok());
        drop(others);
    }

    #[tokio::test(start_paused = true)]
    async fn a_bucket_allows_its_burst_and_then_its_rate() {
        let rate = Rate {
            per_second: 10,
            burst: 3,
        };
        let mut buckets = Buckets::new(rate, 8);
        let start = Instant::now();
        let allowed = (0..9).filter(|_| buckets.allow("a", start)).count();
        assert_eq!(allowed, 3);
        assert!(buckets.allow("b", start));
        assert!(!buckets.allow("a", start + Duration::from_millis(99)));
        assert!(buckets.allow("a", start + Duration::from_millis(100)));
        assert!(!buckets.allow("a", start + Duration::from_millis(101)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_sources_neither_grows_the_map_nor_renews_a_bucket() {
        let rate = Rate {
            per_second: 1,
            burst: 2,
        };
        let mut buckets = Buckets::new(rate, 4);
        let start = Instant::now();
        let allowed = (0..1000).filter(|n| buckets.allow(*n, start)).count();
        assert_eq!(
            (allowed, buckets.len()),
            (6, 4),
            "four buckets of their own, and one for all others"
        );
        assert!(
            buckets.allow(0, start) && !buckets.allow(0, start),
            "the first kept its own bucket"
        );
        let later = start + Duration::from_secs(9);
        assert!(buckets.allow(5000, later));
        assert_eq!(buckets.len(), 1);
    }
}
