//! The inner session from outside: sessions that behave, peers that do not.

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod support;
