//! The agent against a small platform in the same process: real TLS, real certificates, invented time.

#[cfg(test)]
mod api;
#[cfg(test)]
mod enroll;
#[cfg(test)]
mod platform;
#[cfg(test)]
mod renew;
#[cfg(test)]
mod snapshot;
#[cfg(test)]
mod token;
