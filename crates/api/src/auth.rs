//! How an actor shows who it is.

use postern_domain::{Actor, DaemonId, InstanceId, OrganizationId, Secret, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Role;

/// `GET /time`, without authentication: what a daemon needs before it can make a request or a statement.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServerTime {
    /// The platform's clock.
    pub time: Timestamp,
    /// The instance, the audience of every statement.
    pub instance: InstanceId,
}

/// `POST /auth/universal`: a machine identity's client id and client secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UniversalLogin {
    /// The identity's client id.
    pub client_id: String,
    /// One of its client secrets.
    pub client_secret: Secret<String>,
}

/// `POST /auth/password`: a user's name and password.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordLogin {
    /// The user's name.
    pub user: String,
    /// The user's password.
    pub password: Secret<String>,
}

/// `POST /auth/statement`: a daemon's signed statement (JWT, EdDSA by its identity key).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatementLogin {
    /// The statement in compact form (RFC 7519).
    pub statement: Secret<String>,
}

/// The claims of a statement. It lives at most 60 s and is accepted once.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatementClaims {
    /// The daemon that speaks.
    pub iss: DaemonId,
    /// The instance spoken to.
    pub aud: InstanceId,
    /// When it was made, in the platform's time; seconds since the epoch.
    pub iat: u64,
    /// When it ends; seconds since the epoch.
    pub exp: u64,
    /// Random; accepted once.
    pub jti: String,
    /// The method of the request that carries it.
    pub htm: String,
    /// The path of the request that carries it.
    pub htp: String,
}

/// An access token, for `Authorization: Bearer`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Token {
    /// The token.
    pub access_token: Secret<String>,
    /// The moment from which it is refused.
    pub expires: Timestamp,
    /// Whose it is.
    pub actor: Actor,
    /// The platform's clock.
    pub time: Timestamp,
}

/// `GET /whoami`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Whoami {
    /// Who asks.
    pub actor: Actor,
    /// The actor's name.
    pub name: String,
    /// The actor's organization; an instance administrator and a relay of the instance have none.
    pub organization: Option<OrganizationId>,
    /// The actor's role.
    pub role: Role,
    /// When the token ends.
    pub expires: Timestamp,
}
