//! The world the tests speak of: an instance, the organizations A and B, and everybody's authorities.

use std::time::Duration;

use postern_domain::{
    Actor, AuthorityRole, GatewayId, Grant, GrantKind, GrantedResource, Host, InstanceId, MachineIdentityId,
    OrganizationId, Permission, Port, ProjectId, Protocol, RelayId, ResourceId, Scope, SessionId, Timestamp,
};
use postern_pki::{
    DaemonKeys, DaemonKind, IssuedSsh, IssuedTls, Leaf, LeafKey, Leg, Refusal, Revocations, SshAnchor,
    SshAuthority, SshLeaf, TlsAnchor, TlsAuthority, Trust, VerifiedPeer, VerifiedRequest, issue, issue_ssh,
    judge, random_serial, random_ssh_serial, verify_csr, verify_daemon_request,
};
use rustls_pki_types::CertificateDer;

pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// One owner's authorities.
pub(crate) struct Authorities {
    pub(crate) owner: Scope,
    pub(crate) relay_root: TlsAuthority,
    pub(crate) relay_client: TlsAuthority,
    pub(crate) relay_server: TlsAuthority,
    /// The instance has none.
    pub(crate) gateway: Option<Gateways>,
    pub(crate) ssh_client: SshAuthority,
    pub(crate) ssh_server: SshAuthority,
}

/// The authorities of the inner leg.
pub(crate) struct Gateways {
    pub(crate) root: TlsAuthority,
    pub(crate) client: TlsAuthority,
    pub(crate) server: TlsAuthority,
}

impl Authorities {
    fn new(owner: Scope, instance: InstanceId, now: Timestamp) -> Self {
        let make = |role, parent: Option<&TlsAuthority>| {
            TlsAuthority::new(role, owner, instance, parent, now).unwrap()
        };
        let relay_root = make(AuthorityRole::RelayRoot, None);
        let gateway = owner.organization().map(|_| {
            let root = make(AuthorityRole::GatewayRoot, None);
            Gateways {
                client: make(AuthorityRole::GatewayClient, Some(&root)),
                server: make(AuthorityRole::GatewayServer, Some(&root)),
                root,
            }
        });
        Self {
            owner,
            relay_client: make(AuthorityRole::RelayClient, Some(&relay_root)),
            relay_server: make(AuthorityRole::RelayServer, Some(&relay_root)),
            relay_root,
            gateway,
            ssh_client: SshAuthority::new(AuthorityRole::RelaySshClient, owner).unwrap(),
            ssh_server: SshAuthority::new(AuthorityRole::RelaySshServer, owner).unwrap(),
        }
    }

    pub(crate) fn gateways(&self) -> &Gateways {
        self.gateway.as_ref().unwrap()
    }

    pub(crate) fn anchors(&self) -> Vec<TlsAnchor> {
        let mut pairs = vec![
            (&self.relay_root, &self.relay_client),
            (&self.relay_root, &self.relay_server),
        ];
        if let Some(g) = &self.gateway {
            pairs.extend([(&g.root, &g.client), (&g.root, &g.server)]);
        }
        pairs
            .into_iter()
            .map(|(root, issuer)| anchor(root, issuer))
            .collect()
    }

    pub(crate) fn ssh_anchors(&self) -> Vec<SshAnchor> {
        [&self.ssh_client, &self.ssh_server]
            .into_iter()
            .map(|a| SshAnchor {
                owner: a.owner(),
                role: a.role(),
                key: a.public_key().clone(),
            })
            .collect()
    }
}

pub(crate) fn anchor(root: &TlsAuthority, issuer: &TlsAuthority) -> TlsAnchor {
    TlsAnchor::parse(
        issuer.owner(),
        issuer.role(),
        &root.certificate_pem(),
        &issuer.certificate_pem(),
    )
    .unwrap()
}

pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) instance: InstanceId,
    pub(crate) own: Authorities,
    pub(crate) a: Authorities,
    pub(crate) b: Authorities,
    pub(crate) a1: GatewayId,
    pub(crate) a2: GatewayId,
    pub(crate) b1: GatewayId,
    pub(crate) ra: RelayId,
    pub(crate) ri: RelayId,
    pub(crate) project: ProjectId,
    pub(crate) session: SessionId,
}

impl World {
    pub(crate) fn new() -> Self {
        let now = Timestamp::from_millis(1_900_000_000_500);
        let instance = InstanceId::generate(now);
        let organization = || Scope::Organization(OrganizationId::generate(now));
        Self {
            now,
            instance,
            own: Authorities::new(Scope::Instance, instance, now),
            a: Authorities::new(organization(), instance, now),
            b: Authorities::new(organization(), instance, now),
            a1: GatewayId::generate(now),
            a2: GatewayId::generate(now),
            b1: GatewayId::generate(now),
            ra: RelayId::generate(now),
            ri: RelayId::generate(now),
            project: ProjectId::generate(now),
            session: SessionId::generate(now),
        }
    }

    pub(crate) fn org_a(&self) -> OrganizationId {
        self.a.owner.organization().unwrap()
    }

    pub(crate) fn org_b(&self) -> OrganizationId {
        self.b.owner.organization().unwrap()
    }

    /// Trust in every authority there is: what a judge knows at most.
    pub(crate) fn trust(&self) -> Trust {
        let all = [&self.own, &self.a, &self.b];
        Trust {
            instance: self.instance,
            tls: all.iter().flat_map(|o| o.anchors()).collect(),
            ssh: all.iter().flat_map(|o| o.ssh_anchors()).collect(),
            revoked: Revocations::new(),
            learned: self.now,
            max_age: 4 * HOUR,
        }
    }

    /// Trust in what organization A's daemons are told: its own authorities and the instance's.
    pub(crate) fn trust_of_a(&self) -> Trust {
        let mut trust = self.trust();
        trust.tls.retain(|anchor| anchor.owner() != self.b.owner);
        trust.ssh.retain(|anchor| anchor.owner != self.b.owner);
        trust
    }

    pub(crate) fn expires(&self) -> Timestamp {
        self.now.plus(8 * HOUR)
    }

    pub(crate) fn grant(&self) -> Grant {
        Grant {
            kind: GrantKind::Connect,
            organization: self.org_a(),
            project: Some(self.project),
            gateway: self.a1,
            actor: Actor::MachineIdentity(MachineIdentityId::generate(self.now)),
            session: self.session,
            permission: Permission::Connect,
            resources: vec![self.resource()],
            session_expires: self.expires(),
        }
    }

    pub(crate) fn resource(&self) -> GrantedResource {
        GrantedResource {
            id: ResourceId::generate(self.now),
            host: "db.internal".parse().unwrap(),
            port: Port::new(5432).unwrap(),
            protocol: Protocol::Postgres,
        }
    }

    pub(crate) fn client_leaf(&self) -> Leaf {
        Leaf::GatewayClient {
            instance: self.instance,
            grant: self.grant(),
        }
    }

    pub(crate) fn relay_client_leaf(&self) -> Leaf {
        Leaf::RelayClient {
            instance: self.instance,
            organization: self.org_a(),
            gateway: self.a1,
            session: self.session,
            session_expires: self.expires(),
        }
    }

    pub(crate) fn gateway_leaf(&self) -> Leaf {
        Leaf::GatewayServer {
            instance: self.instance,
            organization: self.org_a(),
            gateway: self.a1,
        }
    }

    pub(crate) fn relay_leaf(&self) -> Leaf {
        Leaf::RelayServer {
            instance: self.instance,
            scope: self.a.owner,
            relay: self.ra,
            host: relay_host(),
        }
    }

    pub(crate) fn request(&self) -> VerifiedRequest {
        verify_csr(&LeafKey::generate().unwrap().csr_pem()).unwrap()
    }

    pub(crate) fn daemon_request(&self, kind: DaemonKind) -> VerifiedRequest {
        let keys = DaemonKeys::generate().unwrap();
        let sent = keys.requests(self.instance, kind).unwrap();
        verify_daemon_request(&sent.csr, &sent.ssh_key, &sent.ssh_proof, self.instance, kind).unwrap()
    }

    pub(crate) fn request_for(&self, leaf: &Leaf) -> VerifiedRequest {
        match leaf {
            Leaf::RelayServer { .. } => self.daemon_request(DaemonKind::Relay),
            Leaf::GatewayServer { .. } => self.daemon_request(DaemonKind::Gateway),
            Leaf::RelayClient { .. } | Leaf::GatewayClient { .. } | Leaf::Platform { .. } => self.request(),
        }
    }

    pub(crate) fn issue(&self, authority: &TlsAuthority, leaf: &Leaf) -> IssuedTls {
        let request = self.request_for(leaf);
        issue(authority, leaf, &request, &random_serial().unwrap(), self.now).unwrap()
    }

    pub(crate) fn issue_ssh(&self, authority: &SshAuthority, leaf: &SshLeaf) -> IssuedSsh {
        let kind = match leaf {
            SshLeaf::Relay { .. } => DaemonKind::Relay,
            SshLeaf::Gateway { .. } => DaemonKind::Gateway,
        };
        let request = self.daemon_request(kind);
        issue_ssh(authority, leaf, &request, &random_ssh_serial().unwrap(), self.now).unwrap()
    }

    pub(crate) fn at_gateway(&self) -> Leg {
        Leg::GatewayClient {
            organization: self.org_a(),
            gateway: self.a1,
        }
    }

    pub(crate) fn at_relay(&self) -> Leg {
        Leg::RelayClient { scope: self.a.owner }
    }

    pub(crate) fn of_gateway(&self, pin: postern_domain::Pin) -> Leg {
        Leg::GatewayServer {
            organization: self.org_a(),
            gateway: self.a1,
            pins: vec![pin],
        }
    }

    pub(crate) fn of_relay(&self) -> Leg {
        Leg::RelayServer {
            scope: self.a.owner,
            relay: self.ra,
            host: relay_host(),
        }
    }

    /// Judges now, trusting everybody.
    pub(crate) fn judge(&self, leg: &Leg, der: &CertificateDer<'_>) -> Result<VerifiedPeer, Refusal> {
        self.judge_with(leg, der, &self.trust(), self.now)
    }

    pub(crate) fn judge_with(
        &self,
        leg: &Leg,
        der: &CertificateDer<'_>,
        trust: &Trust,
        now: Timestamp,
    ) -> Result<VerifiedPeer, Refusal> {
        let fresh = Trust {
            learned: now,
            ..trust.clone()
        };
        judge(leg, std::slice::from_ref(der), &fresh.fresh(now).unwrap(), now)
    }
}

pub(crate) fn relay_host() -> Host {
    "relay.example.com".parse().unwrap()
}

/// The reason of a refusal; a success is a failure of the test.
pub(crate) fn reason<T: std::fmt::Debug>(result: Result<T, Refusal>) -> postern_domain::Reason {
    result.expect_err("was taken").reason
}
