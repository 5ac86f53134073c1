//! A small whole world for tests: an instance in a temporary directory, with organizations, relays, gateways and
//! resources, made by the same services that answer requests.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postern_api::{
    CreateGateway, CreateIdentity, CreateOrganization, CreateProject, CreateRelay, CreateResource,
    CreateSession, EnrollRequest, Enrolled, EnrollmentTicket, Role, SessionGranted, StatementClaims,
    StatementLogin, Token, UniversalLogin, UnverifiedDaemonRequest,
};
use postern_audit::Record;
use postern_domain::{
    Actor, DaemonId, GatewayId, MachineIdentityId, OrganizationId, ProjectId, Protocol, RelayId, RequestId,
    ResourceId, Secret, Timestamp, UserId,
};
use postern_pki::{DaemonKeys, DaemonKind, LeafKey, sign_identity_statement};
use postern_sshkey::PrivateKey;

use crate::access::{self, AccessDecision, Action};
use crate::keys::RootKey;
use crate::noun::{gateway, identity, mapping, member, organization, project, relay, resource};
use crate::{Arrival, Error, FirstAdministrator, Platform, RequestContext, Settings, credential, enroll};

pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// The instance.
pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) root: RootKey,
    pub(crate) platform: Platform,
    pub(crate) now: Timestamp,
}

/// An organization and its owner.
pub(crate) struct Tenant {
    pub(crate) id: OrganizationId,
    pub(crate) owner: RequestContext,
    pub(crate) login: UniversalLogin,
}

/// All keys of a daemon.
pub(crate) struct Keys {
    pub(crate) daemon: DaemonKeys,
    pub(crate) identity: PrivateKey,
}

impl Keys {
    pub(crate) fn generate() -> Self {
        Self {
            daemon: DaemonKeys::generate().unwrap(),
            identity: PrivateKey::generate().unwrap(),
        }
    }
}

/// An organization with a project, an enrolled gateway mapped to it, and a resource behind it.
pub(crate) struct Site {
    pub(crate) tenant: Tenant,
    pub(crate) project: ProjectId,
    pub(crate) gateway: GatewayId,
    pub(crate) keys: Keys,
    pub(crate) resource: ResourceId,
}

impl World {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = RootKey::generate().unwrap();
        let now = Timestamp::from_unix_seconds(1_800_000_000);
        let administrator = FirstAdministrator {
            name: "admin".parse().unwrap(),
            password: Secret::new(PASSWORD.into()),
        };
        let path = dir.path().join("platform.db");
        let platform = Platform::create(&path, &root, administrator, Settings::default(), now)
            .await
            .unwrap();
        Self {
            dir,
            root,
            platform,
            now,
        }
    }

    pub(crate) fn pass(&mut self, span: Duration) {
        self.now = self.now.plus(span);
    }

    pub(crate) fn arrival(&self) -> Arrival {
        Arrival {
            request: RequestId::generate(self.now),
            now: self.now,
            source: IpAddr::V4(Ipv4Addr::LOCALHOST),
        }
    }

    pub(crate) fn context(
        &self,
        actor: Actor,
        role: Role,
        organization: Option<OrganizationId>,
    ) -> RequestContext {
        let Arrival { request, now, source } = self.arrival();
        let token_expires = now.plus(Duration::from_secs(3600));
        let name = String::from("somebody");
        RequestContext {
            actor,
            name,
            role,
            organization,
            request,
            now,
            source,
            token_expires,
            token: None,
        }
    }

    /// Returns a context as of now.
    pub(crate) fn again(&self, context: &RequestContext) -> RequestContext {
        self.context(context.actor, context.role, context.organization)
    }

    pub(crate) async fn administrator(&self) -> RequestContext {
        let id = self.text("SELECT id FROM users").await;
        let user: UserId = id.parse().unwrap();
        self.context(Actor::User(user), Role::Administrator, None)
    }

    pub(crate) async fn organization(&self, name: &str) -> Tenant {
        let administrator = self.administrator().await;
        let access = decide(&administrator, Action::CreateOrganization);
        let request = CreateOrganization {
            name: name.parse().unwrap(),
        };
        let made = organization::create(&self.platform, &administrator, &access, request)
            .await
            .unwrap();
        let id = made.organization.id;
        let owner = Actor::MachineIdentity(made.owner.identity);
        Tenant {
            id,
            owner: self.context(owner, Role::Owner, Some(id)),
            login: UniversalLogin {
                client_id: made.owner.client_id,
                client_secret: made.owner.client_secret,
            },
        }
    }

    pub(crate) async fn relay(&self, owner: &RequestContext, name: &str) -> RelayId {
        let request = CreateRelay {
            name: name.parse().unwrap(),
            host: format!("{name}.example").parse().unwrap(),
            ssh_port: None,
            tls_port: None,
        };
        let access = decide(owner, Action::CreateRelay);
        relay::create(self.platform.store(), owner, &access, request)
            .await
            .unwrap()
            .id
    }

    pub(crate) async fn gateway(&self, owner: &RequestContext, name: &str) -> GatewayId {
        let request = CreateGateway {
            name: name.parse().unwrap(),
            relays: Vec::new(),
        };
        let access = decide(owner, Action::CreateGateway);
        gateway::create(self.platform.store(), owner, &access, request)
            .await
            .unwrap()
            .id
    }

    pub(crate) async fn project(&self, owner: &RequestContext, name: &str) -> ProjectId {
        let request = CreateProject {
            name: name.parse().unwrap(),
        };
        let access = decide(owner, Action::CreateProject);
        project::create(self.platform.store(), owner, &access, request)
            .await
            .unwrap()
            .id
    }

    pub(crate) async fn map(&self, owner: &RequestContext, gateway: GatewayId, project: ProjectId) {
        let access = decide(owner, Action::MapGateway);
        mapping::add(self.platform.store(), owner, &access, (gateway, project))
            .await
            .unwrap();
    }

    pub(crate) async fn resource(
        &self,
        owner: &RequestContext,
        name: &str,
        (gateway, project): (GatewayId, ProjectId),
    ) -> ResourceId {
        let request = CreateResource {
            name: name.parse().unwrap(),
            project,
            gateway,
            host: format!("{name}.internal").parse().unwrap(),
            port: 5432.try_into().unwrap(),
            protocol: Protocol::Postgres,
            allowed_networks: Vec::new(),
        };
        let access = decide(owner, Action::CreateResource);
        resource::create(self.platform.store(), owner, &access, request)
            .await
            .unwrap()
            .id
    }

    pub(crate) async fn identity(&self, owner: &RequestContext, name: &str, role: Role) -> RequestContext {
        let request = CreateIdentity {
            name: name.parse().unwrap(),
            role,
        };
        let access = decide(owner, Action::CreateIdentity);
        let made = identity::create(self.platform.store(), owner, &access, request)
            .await
            .unwrap();
        self.context(Actor::MachineIdentity(made.id), role, owner.organization)
    }

    pub(crate) async fn join(&self, owner: &RequestContext, project: ProjectId, who: &RequestContext) {
        let access = decide(owner, Action::AddMember);
        let Actor::MachineIdentity(id) = who.actor else {
            panic!("an identity")
        };
        let id: MachineIdentityId = id;
        member::add(self.platform.store(), owner, &access, (project, id))
            .await
            .unwrap();
    }

    /// Makes a one-time token and returns its secret.
    pub(crate) async fn ticket(
        &self,
        owner: &RequestContext,
        daemon: DaemonId,
    ) -> Result<Secret<String>, Error> {
        let action = match daemon {
            DaemonId::Gateway(_) => Action::CreateGatewayToken,
            DaemonId::Relay(_) => Action::CreateRelayToken,
        };
        let access = access::decide(owner, action)?;
        let address = "platform.example:8080".parse().unwrap();
        let made = enroll::create_ticket(&self.platform, owner, &access, daemon, &address).await?;
        let ticket: EnrollmentTicket = made.token.expose().parse().unwrap();
        assert_eq!(ticket.pins, self.platform.pins());
        Ok(ticket.secret.clone())
    }

    pub(crate) fn daemon_request(&self, keys: &Keys, kind: DaemonKind) -> UnverifiedDaemonRequest {
        let made = keys.daemon.requests(self.platform.instance().id, kind).unwrap();
        UnverifiedDaemonRequest {
            csr: made.csr,
            ssh_key: made.ssh_key,
            ssh_proof: made.ssh_proof,
        }
    }

    pub(crate) fn enroll_request(&self, keys: &Keys, kind: DaemonKind) -> EnrollRequest {
        let instance = self.platform.instance().id;
        let csr = keys.daemon.tls.csr_der();
        EnrollRequest {
            token: None,
            name: None,
            relays: Vec::new(),
            request: self.daemon_request(keys, kind),
            identity_key: keys.identity.public_key().to_openssh(),
            identity_proof: sign_identity_statement(&keys.identity, instance, csr).unwrap(),
        }
    }

    pub(crate) async fn enroll(
        &self,
        secret: &Secret<String>,
        keys: &Keys,
        kind: DaemonKind,
    ) -> Result<Enrolled, Error> {
        let request = EnrollRequest {
            token: Some(secret.clone()),
            ..self.enroll_request(keys, kind)
        };
        enroll::enroll(&self.platform, &self.arrival(), None, request).await
    }

    /// Makes and enrolls an instance relay.
    pub(crate) async fn instance_relay(&self, name: &str) -> (RelayId, Keys) {
        let administrator = self.administrator().await;
        let id = self.relay(&administrator, name).await;
        let secret = self.ticket(&administrator, DaemonId::Relay(id)).await.unwrap();
        let keys = Keys::generate();
        self.enroll(&secret, &keys, DaemonKind::Relay).await.unwrap();
        (id, keys)
    }

    /// Makes an organization with all that a session needs. An instance relay must be there.
    pub(crate) async fn site(&self, name: &str) -> Site {
        let tenant = self.organization(name).await;
        let project = self.project(&tenant.owner, "billing").await;
        let gateway = self.gateway(&tenant.owner, "edge").await;
        let keys = Keys::generate();
        let secret = self
            .ticket(&tenant.owner, DaemonId::Gateway(gateway))
            .await
            .unwrap();
        self.enroll(&secret, &keys, DaemonKind::Gateway).await.unwrap();
        self.map(&tenant.owner, gateway, project).await;
        let resource = self.resource(&tenant.owner, "ledger", (gateway, project)).await;
        Site {
            tenant,
            project,
            gateway,
            keys,
            resource,
        }
    }

    pub(crate) async fn session(
        &self,
        who: &RequestContext,
        resources: &[ResourceId],
    ) -> Result<SessionGranted, Error> {
        let access = access::decide(who, Action::CreateSession)?;
        let request = CreateSession {
            resources: resources.to_vec(),
            relay_csr: LeafKey::generate().unwrap().csr_pem(),
            gateway_csr: LeafKey::generate().unwrap().csr_pem(),
        };
        crate::session::create(&self.platform, who, &access, request).await
    }

    pub(crate) fn claims(&self, daemon: DaemonId) -> StatementClaims {
        let now = self.now.as_unix_seconds();
        StatementClaims {
            iss: daemon,
            aud: self.platform.instance().id,
            iat: now,
            exp: now + 60,
            jti: RequestId::generate(self.now).to_string(),
            htm: "POST".into(),
            htp: "/api/v1/auth/statement".into(),
        }
    }

    pub(crate) async fn state(&self, claims: &StatementClaims, key: &PrivateKey) -> Result<Token, Error> {
        let login = StatementLogin {
            statement: Secret::new(sign_claims(claims, key)),
        };
        credential::statement_login(&self.platform, &self.arrival(), login).await
    }

    /// Returns one number that the store says.
    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        let mut read = self.platform.store().read().await.unwrap();
        sqlx::query_scalar(sql).fetch_one(&mut *read).await.unwrap()
    }

    /// Returns one text that the store says.
    pub(crate) async fn text(&self, sql: &'static str) -> String {
        let mut read = self.platform.store().read().await.unwrap();
        sqlx::query_scalar(sql).fetch_one(&mut *read).await.unwrap()
    }

    /// Returns every audit record, in order.
    pub(crate) async fn records(&self) -> Vec<Record> {
        let mut read = self.platform.store().read().await.unwrap();
        let texts: Vec<String> = sqlx::query_scalar("SELECT record FROM audit_records ORDER BY number")
            .fetch_all(&mut *read)
            .await
            .unwrap();
        texts
            .iter()
            .map(|t| Record::from_canonical(t.as_bytes()).unwrap())
            .collect()
    }
}

pub(crate) fn decide(context: &RequestContext, action: Action) -> AccessDecision {
    access::decide(context, action).unwrap()
}

/// Makes a statement in compact form.
pub(crate) fn sign_claims(claims: &StatementClaims, key: &PrivateKey) -> String {
    let header = URL_SAFE_NO_PAD.encode(br#"{"typ":"JWT","alg":"EdDSA"}"#);
    let payload = URL_SAFE_NO_PAD.encode(serde_json::to_vec(claims).unwrap());
    let signed = format!("{header}.{payload}");
    let blob = key.sign_raw(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(&blob[blob.len() - 64..]))
}
