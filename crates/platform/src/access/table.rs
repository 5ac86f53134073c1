//! The table of permissions: for every action, how far each role's permission reaches.

use postern_api::Role;

/// How far a permission reaches within the actor's scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Nowhere.
    Never,
    /// Everything in the scope.
    Scope,
    /// Everything in the scope, and the public facts of what the instance shares.
    ScopeAndInstance,
    /// What belongs to the projects that the actor is a member of.
    Membership,
    /// The actor itself, and what it made.
    Own,
}

macro_rules! actions {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal
        [$admin:ident $owner:ident $enroller:ident $connector:ident $gateway:ident $relay:ident])+) => {
        /// What can be done.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Action {
            /// Every action, in the order of documentation.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Returns the stable code, the `action` of audit records.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)+
                }
            }
        }

        /// Returns how far a role's permission reaches.
        pub(super) const fn reach(role: Role, action: Action) -> Reach {
            // A column for each role, in the order administrator, owner, enroller, connector, gateway, relay.
            let row = match action {
                $(Action::$name => [
                    Reach::$admin, Reach::$owner, Reach::$enroller,
                    Reach::$connector, Reach::$gateway, Reach::$relay,
                ],)+
            };
            let [administrator, owner, enroller, connector, gateway, relay] = row;
            match role {
                Role::Administrator => administrator,
                Role::Owner => owner,
                Role::Enroller => enroller,
                Role::Connector => connector,
                Role::Gateway => gateway,
                Role::Relay => relay,
            }
        }
    };
}

actions! {
    //                     administrator owner enroller connector gateway relay
    /// Ask who one is.
    Whoami = "whoami" [Scope Scope Scope Scope Own Own]
    /// Make an organization.
    CreateOrganization = "organization.create" [Scope Never Never Never Never Never]
    /// List organizations.
    ListOrganizations = "organization.list" [Scope Never Never Never Never Never]
    /// Show an organization.
    ShowOrganization = "organization.show" [Scope Never Never Never Never Never]
    /// Delete an organization.
    DeleteOrganization = "organization.delete" [Scope Never Never Never Never Never]
    /// Make a relay.
    CreateRelay = "relay.create" [Scope Scope Never Never Never Never]
    /// List relays: where they are reached, and whether they are there.
    ListRelays = "relay.list" [Scope ScopeAndInstance ScopeAndInstance Never Never Never]
    /// Show a relay.
    ShowRelay = "relay.show" [Scope ScopeAndInstance ScopeAndInstance Never Never Never]
    /// Delete a relay.
    DeleteRelay = "relay.delete" [Scope Scope Never Never Never Never]
    /// Make a one-time token for a relay.
    CreateRelayToken = "relay_token.create" [Scope Scope Never Never Never Never]
    /// Make a one-time token for a relay that is enrolled already.
    EnrollRelayAgain = "relay.enroll_again" [Scope Scope Never Never Never Never]
    /// Make a project.
    CreateProject = "project.create" [Never Scope Never Never Never Never]
    /// List projects.
    ListProjects = "project.list" [Never Scope Never Membership Never Never]
    /// Show a project.
    ShowProject = "project.show" [Never Scope Never Membership Never Never]
    /// Delete a project.
    DeleteProject = "project.delete" [Never Scope Never Never Never Never]
    /// Make an identity a member of a project.
    AddMember = "member.add" [Never Scope Never Never Never Never]
    /// List the members of a project.
    ListMembers = "member.list" [Never Scope Never Never Never Never]
    /// Take an identity out of a project.
    RemoveMember = "member.remove" [Never Scope Never Never Never Never]
    /// Make a machine identity.
    CreateIdentity = "identity.create" [Never Scope Never Never Never Never]
    /// List machine identities.
    ListIdentities = "identity.list" [Never Scope Never Never Never Never]
    /// Show a machine identity.
    ShowIdentity = "identity.show" [Never Scope Never Never Never Never]
    /// Delete a machine identity.
    DeleteIdentity = "identity.delete" [Never Scope Never Never Never Never]
    /// Make a client secret.
    CreateClientSecret = "client_secret.create" [Never Scope Never Never Never Never]
    /// List the client secrets of an identity.
    ListClientSecrets = "client_secret.list" [Never Scope Never Never Never Never]
    /// Delete a client secret.
    DeleteClientSecret = "client_secret.delete" [Never Scope Never Never Never Never]
    /// Make a gateway.
    CreateGateway = "gateway.create" [Never Scope Scope Never Never Never]
    /// List gateways.
    ListGateways = "gateway.list" [Never Scope Scope Membership Never Never]
    /// Show a gateway.
    ShowGateway = "gateway.show" [Never Scope Scope Membership Never Never]
    /// Delete a gateway.
    DeleteGateway = "gateway.delete" [Never Scope Never Never Never Never]
    /// Make a one-time token for a gateway.
    CreateGatewayToken = "gateway_token.create" [Never Scope Scope Never Never Never]
    /// Enroll a gateway with one's own credential.
    EnrollGateway = "gateway.enroll" [Never Scope Scope Never Never Never]
    /// Enroll a gateway that is enrolled already.
    EnrollGatewayAgain = "gateway.enroll_again" [Never Scope Never Never Never Never]
    /// Map a gateway to a project.
    MapGateway = "gateway.map" [Never Scope Never Never Never Never]
    /// Unmap a gateway from a project.
    UnmapGateway = "gateway.unmap" [Never Scope Never Never Never Never]
    /// Approve a resource.
    CreateResource = "resource.create" [Never Scope Never Never Never Never]
    /// List resources.
    ListResources = "resource.list" [Never Scope Never Membership Never Never]
    /// Show a resource.
    ShowResource = "resource.show" [Never Scope Never Membership Never Never]
    /// Delete a resource.
    DeleteResource = "resource.delete" [Never Scope Never Never Never Never]
    /// Open a session.
    CreateSession = "session.create" [Never Scope Never Membership Never Never]
    /// List sessions.
    ListSessions = "session.list" [Never Scope Never Own Never Never]
    /// Show a session.
    ShowSession = "session.show" [Never Scope Never Own Never Never]
    /// End a session before its time.
    EndSession = "session.end" [Never Scope Never Own Never Never]
    /// List the public parts of authorities.
    ListAuthorities = "authority.list" [Scope Scope Never Never Never Never]
    /// Show the public part of an authority.
    ShowAuthority = "authority.show" [Scope Scope Never Never Never Never]
    /// Enroll the daemon that a one-time token names; the token is the permission.
    EnrollByTicket = "daemon.enroll" [Never Never Never Never Never Never]
    /// Fetch the snapshot.
    WatchSnapshot = "snapshot.fetch" [Never Never Never Never Own Own]
    /// Have one's own keys certified again.
    RenewCertificates = "daemon.renew" [Never Never Never Never Own Own]
    /// Make the authorities of a new owner; the platform does it itself.
    CreateAuthorities = "authority.create" [Never Never Never Never Never Never]
    /// Certify the platform's own HTTPS key; the platform does it itself.
    CertifyPlatform = "platform.certify" [Never Never Never Never Never Never]
}
