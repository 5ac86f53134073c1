//! How an actor shows who it is, and the access token that it gets for it.
//!
//! Secrets are random, prefixed by kind, and stored as SHA-256; passwords as argon2id. Unknown and wrong answer
//! the same. A login records itself, in the transaction that stores its token.

mod password;
mod secret;
mod statement;
mod token;
mod universal;

pub use password::password_login;
pub(crate) use password::{create_user, hash_password};
pub(crate) use secret::{SecretKind, client_id, digest, mint};
pub(crate) use statement::actor_of;
pub use statement::statement_login;
pub use token::authenticate;
pub(crate) use token::{exists, parse_role};
pub use universal::universal_login;

/// The paths on which a statement is accepted: method and path are part of what it says.
pub(crate) const STATEMENT_METHOD: &str = "POST";
/// See [`STATEMENT_METHOD`].
pub(crate) const STATEMENT_PATH: &str = "/api/v1/auth/statement";

#[cfg(test)]
mod tests;
