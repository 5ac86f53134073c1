//! The fixtures' world, filled with the authorities of the running platform: what it mints, the daemons judge as
//! if the platform had issued it.

use postern_api::{CreateOrganization, Resource};
use postern_domain::{
    AuthorityRole, GatewayId, GrantedResource, Host, OrganizationId, ProjectId, RelayId, ResourceId, Scope,
    Timestamp,
};
use postern_fixtures::{Gateway, Organization, Relay, RelayAuthorities};
use postern_pki::{DaemonKeys, SshAuthority, TlsAuthority};
use postern_platform::authority::testing::{ssh_authority, tls_authority};
use postern_sshkey::{Certificate, CertificateSpec, PrivateKey};
use postern_testkit::World;

/// What the good world is about: a gateway, and what is approved behind it.
pub(crate) struct Subject<'a> {
    pub(crate) gateway: GatewayId,
    pub(crate) keys: DaemonKeys,
    pub(crate) resources: &'a [&'a Resource],
}

impl<'a> Subject<'a> {
    /// A gateway whose own keys are of no interest.
    pub(crate) fn new(gateway: GatewayId, resources: &'a [&'a Resource]) -> anyhow::Result<Self> {
        Ok(Self {
            gateway,
            keys: DaemonKeys::generate()?,
            resources,
        })
    }
}

/// Makes the world: organization A is `acme` with the subject as its first gateway, B is a new organization.
pub(crate) async fn of(world: &World, subject: Subject<'_>) -> anyhow::Result<postern_fixtures::World> {
    let mint = Minter { world };
    let name = CreateOrganization {
        name: "stranger".parse()?,
    };
    let admin = world.stack.administrator().await?;
    let stranger = world.stack.api.create_organization(&admin, &name).await?;
    let acme = world.organization().await?.id;
    let other = Subject::new(GatewayId::generate(mint.now()), &[])?;
    Ok(postern_fixtures::World {
        now: mint.now(),
        instance: world.stack.platform.instance().id,
        platform_root: mint.tls(Scope::Instance, AuthorityRole::PlatformRoot).await?,
        relays: mint.relays(Scope::Instance).await?,
        relay: Relay {
            id: world.stack.relay,
            scope: Scope::Instance,
            host: Host::Address(world.stack.relay_ssh.ip()),
            ssh_port: postern_domain::Port::new(world.stack.relay_ssh.port())
                .ok_or_else(|| anyhow::anyhow!("a port"))?,
            keys: DaemonKeys::generate()?,
        },
        a: mint.organization(acme, subject).await?,
        b: mint.organization(stranger.organization.id, other).await?,
    })
}

struct Minter<'a> {
    world: &'a World,
}

impl Minter<'_> {
    fn now(&self) -> Timestamp {
        self.world.stack.clock().now()
    }

    async fn tls(&self, owner: Scope, role: AuthorityRole) -> anyhow::Result<TlsAuthority> {
        Ok(tls_authority(&self.world.stack.platform, owner, role).await?)
    }

    async fn ssh(&self, owner: Scope, role: AuthorityRole) -> anyhow::Result<SshAuthority> {
        Ok(ssh_authority(&self.world.stack.platform, owner, role).await?)
    }

    async fn relays(&self, scope: Scope) -> anyhow::Result<RelayAuthorities> {
        Ok(RelayAuthorities {
            scope,
            root: self.tls(scope, AuthorityRole::RelayRoot).await?,
            client: self.tls(scope, AuthorityRole::RelayClient).await?,
            server: self.tls(scope, AuthorityRole::RelayServer).await?,
            ssh_client: self.ssh(scope, AuthorityRole::RelaySshClient).await?,
            ssh_server: self.ssh(scope, AuthorityRole::RelaySshServer).await?,
        })
    }

    async fn organization(&self, id: OrganizationId, subject: Subject<'_>) -> anyhow::Result<Organization> {
        let (scope, now) = (Scope::Organization(id), self.now());
        let is_ours = subject.gateway == self.world.seeded.gateway || !subject.resources.is_empty();
        let mut resources: Vec<_> = subject.resources.iter().map(|r| granted(r)).collect();
        if resources.is_empty() {
            // A grant without resources is never issued; this one exists nowhere.
            resources.push(GrantedResource {
                id: ResourceId::generate(now),
                host: "10.1.0.7".parse()?,
                port: postern_domain::Port::new(5432).ok_or_else(|| anyhow::anyhow!("a port"))?,
                protocol: postern_domain::Protocol::Tcp,
            });
        }
        Ok(Organization {
            id,
            relays: self.relays(scope).await?,
            gateway_root: self.tls(scope, AuthorityRole::GatewayRoot).await?,
            gateway_client: self.tls(scope, AuthorityRole::GatewayClient).await?,
            gateway_server: self.tls(scope, AuthorityRole::GatewayServer).await?,
            relay: Relay {
                id: RelayId::generate(now),
                scope,
                host: "relay.example".parse()?,
                ssh_port: postern_domain::Port::new(2222).ok_or_else(|| anyhow::anyhow!("a port"))?,
                keys: DaemonKeys::generate()?,
            },
            one: Gateway {
                id: subject.gateway,
                organization: id,
                keys: subject.keys,
            },
            two: Gateway {
                id: GatewayId::generate(now),
                organization: id,
                keys: DaemonKeys::generate()?,
            },
            project: if is_ours {
                self.world.seeded.project
            } else {
                ProjectId::generate(now)
            },
            resources,
        })
    }
}

fn granted(resource: &Resource) -> GrantedResource {
    GrantedResource {
        id: resource.id,
        host: resource.host.clone(),
        port: resource.port,
        protocol: resource.protocol,
    }
}

/// A right SSH certificate, and what can be made of it by whoever holds its authority's key.
pub(crate) struct Cards {
    pub(crate) good: Certificate,
    pub(crate) signer: PrivateKey,
    pub(crate) now: Timestamp,
}

impl Cards {
    /// Returns the certificate with something changed, signed by the right authority.
    pub(crate) fn changed(&self, change: impl FnOnce(&mut CertificateSpec)) -> anyhow::Result<Certificate> {
        let mut spec = self.spec();
        change(&mut spec);
        Ok(spec.sign(&self.signer)?)
    }

    /// Returns the same certificate, signed by somebody else.
    pub(crate) fn signed_by(&self, signer: &PrivateKey) -> anyhow::Result<Certificate> {
        Ok(self.spec().sign(signer)?)
    }

    /// Returns the certificate as one of the past.
    pub(crate) fn expired(&self) -> anyhow::Result<Certificate> {
        let now = self.now.as_unix_seconds();
        self.changed(|spec| {
            spec.valid_after = now - 7200;
            spec.valid_before = now - 3600;
        })
    }

    /// Returns the certificate as one of the future.
    pub(crate) fn not_yet_valid(&self) -> anyhow::Result<Certificate> {
        let now = self.now.as_unix_seconds();
        self.changed(|spec| {
            spec.valid_after = now + 3600;
            spec.valid_before = now + 7200;
        })
    }

    fn spec(&self) -> CertificateSpec {
        let good = &self.good;
        CertificateSpec {
            kind: good.kind(),
            key: good.key().clone(),
            serial: good.serial(),
            key_id: good.key_id().into(),
            principals: good.principals().to_vec(),
            valid_after: good.valid_after(),
            valid_before: good.valid_before(),
            critical_options: good.critical_options().to_vec(),
        }
    }
}

/// Returns an SSH authority's private key.
pub(crate) fn key_of(authority: &SshAuthority) -> anyhow::Result<PrivateKey> {
    let sealed = authority.to_sealed_parts()?;
    Ok(PrivateKey::from_openssh(std::str::from_utf8(sealed.expose())?)?)
}
