//! Tests of pki as its users see it: a small world of authorities, and hostile certificates minted beside it.

#![cfg(test)]

mod authorities;
mod forge;
mod gateway_client;
mod gateway_server;
mod matrix;
mod openssh;
mod openssl;
mod order;
mod relay_client;
mod relay_server;
mod requests;
mod ssh_gateway;
mod ssh_relay;
mod still_holds;
mod world;
