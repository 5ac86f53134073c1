//! The HTTP API from outside: a whole platform on a free port, over its own TLS, without our own client.

#[cfg(test)]
mod bounds;
#[cfg(test)]
mod daemons;
#[cfg(test)]
mod input;
#[cfg(test)]
mod life;
#[cfg(test)]
mod logins;
#[cfg(test)]
mod nouns;
#[cfg(test)]
mod surface;
#[cfg(test)]
mod tenants;
#[cfg(test)]
mod world;
