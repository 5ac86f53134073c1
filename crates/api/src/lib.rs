//! Request and response types of the HTTP API under `/api/v1`, the claims of a daemon's statement, and the
//! policy document as it is sent. Types only: nothing here does anything.
//!
//! Certificates and certificate requests travel as PEM, SSH public keys and certificates as one line in
//! OpenSSH's form, SSH signatures armored as `ssh-keygen -Y sign` writes them, times as RFC 3339.

mod auth;
mod authority;
mod enroll;
mod gateway;
mod identity;
mod list;
mod organization;
mod problem;
mod project;
mod relay;
mod resource;
mod session;
mod snapshot;
mod token;

pub use auth::{PasswordLogin, ServerTime, StatementClaims, StatementLogin, Token, UniversalLogin, Whoami};
pub use authority::{Authority, AuthorityKind};
pub use enroll::{
    DaemonCertificates, EnrollRequest, Enrolled, EnrollmentToken, RenewRequest, Renewed,
    UnverifiedDaemonRequest,
};
pub use gateway::{CreateGateway, Gateway};
pub use identity::{ClientSecret, CreateIdentity, CreatedClientSecret, Identity, Role};
pub use list::{List, ListQuery};
pub use organization::{CreateOrganization, CreatedOrganization, Organization, OwnerCredential};
pub use problem::Problem;
pub use project::{CreateProject, Member, Project};
pub use relay::{CreateRelay, Relay, RelayEndpoint};
pub use resource::{CreateResource, Resource};
pub use session::{
    ClientCertificates, CreateSession, GatewayExpectation, Session, SessionGranted, SessionRelay,
};
pub use snapshot::{
    GatewayPolicy, PolicyProject, PolicyResource, Revocation, Snapshot, SshAnchor, TlsAnchor, TrustDocument,
};
pub use token::{EnrollmentTicket, ParseTicketError};

/// The prefix of every path.
pub const PREFIX: &str = "/api/v1";
