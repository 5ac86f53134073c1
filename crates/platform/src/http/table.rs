//! The table of endpoints: method, path, who is admitted, and what is done.

use http::Method;

use super::endpoint::{Admission, Endpoint, Handler};
use super::handler::{
    auth, authority, daemon, gateway, identity, organization, project, relay, resource, session,
};
use crate::access::Action;

macro_rules! endpoints {
    ($($method:ident $path:literal $kind:ident($admission:expr) => $handler:path;)+) => {
        /// Every endpoint of the API, in the order of documentation.
        pub static ENDPOINTS: &[Endpoint] = &[$(Endpoint {
            method: Method::$method,
            path: $path,
            admission: Admission::$kind($admission),
            handler: endpoints!(@handler $kind $handler),
        }),+];
    };
    (@handler Bearer $handler:path) => { Handler::Guarded(|call| Box::pin($handler(call))) };
    (@handler $open:ident $handler:path) => { Handler::Open(|call| Box::pin($handler(call))) };
}

endpoints! {
    GET "/time" Open("time.show") => auth::time;
    POST "/auth/universal" Login("auth.universal") => auth::universal;
    POST "/auth/password" Login("auth.password") => auth::password;
    POST "/auth/statement" Login("auth.statement") => auth::statement;
    GET "/whoami" Bearer(Action::Whoami) => auth::whoami;

    POST "/organizations" Bearer(Action::CreateOrganization) => organization::create;
    GET "/organizations" Bearer(Action::ListOrganizations) => organization::list;
    GET "/organizations/{id}" Bearer(Action::ShowOrganization) => organization::show;
    DELETE "/organizations/{id}" Bearer(Action::DeleteOrganization) => organization::delete;

    POST "/projects" Bearer(Action::CreateProject) => project::create;
    GET "/projects" Bearer(Action::ListProjects) => project::list;
    GET "/projects/{id}" Bearer(Action::ShowProject) => project::show;
    DELETE "/projects/{id}" Bearer(Action::DeleteProject) => project::delete;
    GET "/projects/{id}/members" Bearer(Action::ListMembers) => project::members;
    PUT "/projects/{id}/members/{identity}" Bearer(Action::AddMember) => project::add_member;
    DELETE "/projects/{id}/members/{identity}" Bearer(Action::RemoveMember) => project::remove_member;

    POST "/identities" Bearer(Action::CreateIdentity) => identity::create;
    GET "/identities" Bearer(Action::ListIdentities) => identity::list;
    GET "/identities/{id}" Bearer(Action::ShowIdentity) => identity::show;
    DELETE "/identities/{id}" Bearer(Action::DeleteIdentity) => identity::delete;
    POST "/identities/{id}/client-secrets" Bearer(Action::CreateClientSecret) => identity::create_secret;
    GET "/identities/{id}/client-secrets" Bearer(Action::ListClientSecrets) => identity::secrets;
    DELETE "/identities/{id}/client-secrets/{secret}" Bearer(Action::DeleteClientSecret) => identity::delete_secret;

    POST "/relays" Bearer(Action::CreateRelay) => relay::create;
    GET "/relays" Bearer(Action::ListRelays) => relay::list;
    GET "/relays/{id}" Bearer(Action::ShowRelay) => relay::show;
    DELETE "/relays/{id}" Bearer(Action::DeleteRelay) => relay::delete;
    POST "/relays/{id}/enrollment-tokens" Bearer(Action::CreateRelayToken) => relay::create_token;

    POST "/gateways" Bearer(Action::CreateGateway) => gateway::create;
    GET "/gateways" Bearer(Action::ListGateways) => gateway::list;
    GET "/gateways/{id}" Bearer(Action::ShowGateway) => gateway::show;
    DELETE "/gateways/{id}" Bearer(Action::DeleteGateway) => gateway::delete;
    POST "/gateways/{id}/enrollment-tokens" Bearer(Action::CreateGatewayToken) => gateway::create_token;
    GET "/gateways/{id}/projects" Bearer(Action::ShowGateway) => gateway::projects;
    PUT "/gateways/{id}/projects/{project}" Bearer(Action::MapGateway) => gateway::map;
    DELETE "/gateways/{id}/projects/{project}" Bearer(Action::UnmapGateway) => gateway::unmap;

    POST "/resources" Bearer(Action::CreateResource) => resource::create;
    GET "/resources" Bearer(Action::ListResources) => resource::list;
    GET "/resources/{id}" Bearer(Action::ShowResource) => resource::show;
    DELETE "/resources/{id}" Bearer(Action::DeleteResource) => resource::delete;

    POST "/sessions" Bearer(Action::CreateSession) => session::create;
    GET "/sessions" Bearer(Action::ListSessions) => session::list;
    GET "/sessions/{id}" Bearer(Action::ShowSession) => session::show;
    DELETE "/sessions/{id}" Bearer(Action::EndSession) => session::end;

    GET "/authorities" Bearer(Action::ListAuthorities) => authority::list;
    GET "/authorities/{id}" Bearer(Action::ShowAuthority) => authority::show;

    POST "/enroll" Login("daemon.enroll") => daemon::enroll;
    POST "/daemon/certificates" Bearer(Action::RenewCertificates) => daemon::renew;
    GET "/watch/snapshot" Bearer(Action::WatchSnapshot) => daemon::snapshot;
}
