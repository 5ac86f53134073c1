//! The client's whole way, over loopback: a platform that grants, relays and a gateway that serve or misbehave.

#[cfg(test)]
mod connect;
#[cfg(test)]
mod pool;
#[cfg(test)]
mod refuse;
#[cfg(test)]
mod support;
