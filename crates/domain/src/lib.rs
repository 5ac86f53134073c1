//! The words of Postern: identifiers, names, targets, identities, grants, time and secrets.
//!
//! Everything here is a value: parsed once at the edge, then passed on. Nothing here does I/O, reads a clock
//! or knows a file format, with the exception of the text forms that the types themselves have.

mod actor;
mod authority;
mod grant;
mod host;
mod id;
mod identity;
mod name;
mod pin;
mod reason;
mod scope;
mod secret;
mod serial;
mod target;
mod text;
mod timestamp;

pub use actor::{Actor, ParseActorError};
pub use authority::{AuthorityRole, ParseAuthorityRoleError};
pub use grant::{Grant, GrantKind, GrantedResource, Permission};
pub use host::{Host, ParseHostError};
pub use id::{
    AuthorityId, ClientSecretId, DaemonId, EnrollmentTokenId, GatewayId, InstanceId, MachineIdentityId,
    OrganizationId, ParseIdError, ProjectId, RelayId, RequestId, ResourceId, SessionId, SpoolEpoch, UserId,
};
pub use identity::{Identity, ParseIdentityError};
pub use name::{Name, ParseNameError};
pub use pin::{ParsePinError, Pin};
pub use reason::{ParseReasonError, Reason};
pub use scope::Scope;
pub use secret::Secret;
pub use serial::{ParseSerialError, Serial};
pub use target::{ParseProtocolError, ParseTargetError, Port, Protocol, ResourceAuthority, Target};
pub use text::printable;
pub use timestamp::{ParseTimestampError, Timestamp, Validity};
