//! Tunnels between our two sides, hostile peers on either, and OpenSSH as a gateway.

#![cfg(test)]

mod hostile;
mod login;
mod openssh;
mod streams;
mod world;
