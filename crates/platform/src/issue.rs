//! The only place that signs certificates.
//!
//! A certificate is planned, its serial number is recorded together with the audit record and whatever else
//! belongs to it in one transaction, and only then it is signed: [`sign`] asks for the proof that the plan was
//! recorded. A certificate that was recorded and not signed is none; the other way round cannot be.

use std::sync::Arc;

use postern_audit::Recorded;
use postern_domain::{Host, OrganizationId, Pin, Scope, Serial, Timestamp, Validity};
use postern_pki::profile::{BACK_DATING, LeafKind, LeafProfile};
use postern_pki::{
    Leaf, Lifetimes, SshAuthority, SshLeaf, TlsAuthority, VerifiedRequest, issue_ssh_with, issue_with,
    random_serial, random_ssh_serial,
};
use sqlx::SqliteConnection;

use crate::access::{self, AccessDecision, Action};
use crate::authority::{open_ssh, open_tls};
use crate::record::{allowed_arrival, commit_recorded};
use crate::store::{Write, millis, scope_text};
use crate::{Arrival, Error, Platform};

/// A certificate that is about to be made.
#[derive(Debug)]
pub(crate) struct Planned<A, L> {
    authority: Arc<A>,
    leaf: L,
    request: VerifiedRequest,
    serial: Serial,
}

/// A TLS certificate that is about to be made.
pub(crate) type PlannedTls = Planned<TlsAuthority, Leaf>;
/// An SSH certificate that is about to be made.
pub(crate) type PlannedSsh = Planned<SshAuthority, SshLeaf>;

impl<A, L> Planned<A, L> {
    /// Returns the serial number that it will have.
    pub(crate) const fn serial(&self) -> &Serial {
        &self.serial
    }
}

/// Plans a TLS certificate: opens its authority and gives it a serial number.
///
/// # Errors
/// Forbidden, if the decision does not call for it; internal, if the authority cannot be opened.
pub(crate) async fn plan_tls(
    platform: &Platform,
    connection: &mut SqliteConnection,
    access: &AccessDecision,
    (owner, leaf): (Scope, Leaf),
    request: &VerifiedRequest,
) -> Result<PlannedTls, Error> {
    let role = LeafProfile::of(leaf.kind()).signer;
    Ok(Planned {
        authority: open_tls(platform, connection, access, (owner, role)).await?,
        leaf,
        request: request.clone(),
        serial: random_serial().map_err(Error::internal)?,
    })
}

/// Plans an SSH certificate.
///
/// # Errors
/// As [`plan_tls`].
pub(crate) async fn plan_ssh(
    platform: &Platform,
    connection: &mut SqliteConnection,
    access: &AccessDecision,
    (owner, leaf): (Scope, SshLeaf),
    request: &VerifiedRequest,
) -> Result<PlannedSsh, Error> {
    let role = LeafProfile::of(leaf.kind()).signer;
    Ok(Planned {
        authority: open_ssh(platform, connection, access, (owner, role)).await?,
        leaf,
        request: request.clone(),
        serial: random_ssh_serial().map_err(Error::internal)?,
    })
}

/// Whose certificate it is.
#[derive(Debug, Clone)]
pub(crate) struct Holder {
    /// `gateway:<id>`, `relay:<id>`, `session:<id>` or `platform`.
    pub(crate) owner: String,
    /// The holder's organization.
    pub(crate) organization: Option<OrganizationId>,
}

/// Records a planned TLS certificate in the transaction that goes before its signing.
///
/// # Errors
/// Refused as revoked, if its key was; then the transaction must not be committed.
pub(crate) async fn insert_tls(
    write: &mut Write,
    plan: &PlannedTls,
    holder: &Holder,
    (now, lifetimes): (Timestamp, &Lifetimes),
) -> Result<(), Error> {
    let row = Row {
        issuer: plan.authority.pin(),
        scope: plan.authority.owner(),
        kind: plan.leaf.kind(),
        key: plan.request.pin(),
        serial: &plan.serial,
    };
    row.insert(write, holder, (now, lifetimes)).await
}

/// Records a planned SSH certificate.
///
/// # Errors
/// As [`insert_tls`].
pub(crate) async fn insert_ssh(
    write: &mut Write,
    plan: &PlannedSsh,
    holder: &Holder,
    (now, lifetimes): (Timestamp, &Lifetimes),
) -> Result<(), Error> {
    let row = Row {
        issuer: plan.authority.pin(),
        scope: plan.authority.owner(),
        kind: plan.leaf.kind(),
        key: plan
            .request
            .ssh_pin()
            .ok_or_else(|| Error::internal("a daemon's request has an SSH key"))?,
        serial: &plan.serial,
    };
    row.insert(write, holder, (now, lifetimes)).await
}

struct Row<'a> {
    issuer: Pin,
    scope: Scope,
    kind: LeafKind,
    key: Pin,
    serial: &'a Serial,
}

impl Row<'_> {
    async fn insert(
        &self,
        write: &mut Write,
        holder: &Holder,
        (now, lifetimes): (Timestamp, &Lifetimes),
    ) -> Result<(), Error> {
        crate::revoke::demand_good_key(write, self.key).await?;
        // The certificate may end earlier, with its session or its authority, and never later.
        let not_after = now.plus(lifetimes.of(self.kind));
        sqlx::query(
            "INSERT INTO certificates \
             (issuer, serial, scope, organization, kind, owner, key, not_before, not_after, created) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(self.issuer.to_string())
        .bind(self.serial.to_string())
        .bind(scope_text(self.scope))
        .bind(holder.organization.map(|o| o.to_string()))
        .bind(kind_text(self.kind))
        .bind(&holder.owner)
        .bind(self.key.to_string())
        .bind(millis(now.minus(BACK_DATING)))
        .bind(millis(not_after))
        .bind(millis(now))
        .execute(&mut **write)
        .await?;
        Ok(())
    }
}

/// Returns a kind of certificate as it is stored.
pub(crate) const fn kind_text(kind: LeafKind) -> &'static str {
    match kind {
        LeafKind::RelayServer => "relay_server",
        LeafKind::GatewayServer => "gateway_server",
        LeafKind::RelayClient => "relay_client",
        LeafKind::GatewayClient => "gateway_client",
        LeafKind::Platform => "platform",
        LeafKind::RelaySsh => "relay_ssh",
        LeafKind::GatewaySsh => "gateway_ssh",
    }
}

/// A signed TLS certificate.
#[derive(Debug, Clone)]
pub(crate) struct SignedTls {
    /// Leaf and authority, PEM.
    pub(crate) chain: Vec<String>,
    /// Its validity.
    pub(crate) validity: Validity,
}

/// A daemon's certificates, before they are signed.
#[derive(Debug)]
pub(crate) struct DaemonPlan {
    pub(crate) tls: PlannedTls,
    pub(crate) ssh: PlannedSsh,
}

/// A session's certificates, before they are signed.
#[derive(Debug)]
pub(crate) struct SessionPlan {
    pub(crate) relay: PlannedTls,
    pub(crate) gateway: PlannedTls,
}

/// Signs a daemon's certificates.
///
/// # Errors
/// If the authority refuses, which the log has.
pub(crate) fn sign_daemon(
    plan: Recorded<DaemonPlan>,
    (now, lifetimes): (Timestamp, &Lifetimes),
) -> Result<postern_api::DaemonCertificates, Error> {
    let DaemonPlan { tls, ssh } = plan.into_inner();
    let tls = sign_tls(&tls, now, lifetimes)?;
    let ssh = issue_ssh_with(
        &ssh.authority,
        &ssh.leaf,
        &ssh.request,
        &ssh.serial,
        now,
        lifetimes,
    )
    .map_err(Error::internal)?;
    Ok(postern_api::DaemonCertificates {
        ssh: ssh.line,
        issued: now,
        expires: tls.validity.not_after.min(ssh.validity.not_after),
        tls: tls.chain,
    })
}

/// Signs a session's certificates.
///
/// # Errors
/// If an authority refuses, which the log has.
pub(crate) fn sign_session(
    plan: Recorded<SessionPlan>,
    (now, lifetimes): (Timestamp, &Lifetimes),
) -> Result<postern_api::ClientCertificates, Error> {
    let SessionPlan { relay, gateway } = plan.into_inner();
    let relay = sign_tls(&relay, now, lifetimes)?;
    let gateway = sign_tls(&gateway, now, lifetimes)?;
    Ok(postern_api::ClientCertificates {
        expires: relay.validity.not_after.min(gateway.validity.not_after),
        relay: relay.chain,
        gateway: gateway.chain,
    })
}

fn sign_tls(plan: &PlannedTls, now: Timestamp, lifetimes: &Lifetimes) -> Result<SignedTls, Error> {
    let issued = issue_with(
        &plan.authority,
        &plan.leaf,
        &plan.request,
        &plan.serial,
        now,
        lifetimes,
    )
    .map_err(Error::internal)?;
    Ok(SignedTls {
        chain: vec![issued.pem, plan.authority.certificate_pem()],
        validity: issued.validity,
    })
}

/// The platform's HTTPS certificate.
#[derive(Debug, Clone)]
pub struct PlatformCertificate {
    /// Leaf and Platform Root, PEM.
    pub chain: Vec<String>,
    /// Its validity.
    pub validity: Validity,
}

/// Certifies the platform's own HTTPS key, for the hosts by which it is reached.
///
/// # Errors
/// If the store cannot be written, or the Platform Root cannot be opened.
pub async fn certify_platform(
    platform: &Platform,
    arrival: &Arrival,
    request: &VerifiedRequest,
    hosts: Vec<Host>,
) -> Result<PlatformCertificate, Error> {
    let access = access::decide_for_platform(Action::CertifyPlatform, Scope::Instance)?;
    let lifetimes = &platform.settings().certificates;
    let mut write = platform.store().write().await?;
    let leaf = (Scope::Instance, Leaf::Platform { hosts });
    let plan = plan_tls(platform, &mut write, &access, leaf, request).await?;
    let holder = Holder {
        owner: access.actor().to_string(),
        organization: None,
    };
    insert_tls(&mut write, &plan, &holder, (arrival.now, lifetimes)).await?;
    let event = allowed_arrival(arrival, Action::CertifyPlatform.code())
        .with_actor(access.actor())
        .with_certificate(plan.serial().clone());
    let plan = commit_recorded(write, plan, event).await?;
    let signed = sign_tls(plan.get(), arrival.now, lifetimes)?;
    Ok(PlatformCertificate {
        chain: signed.chain,
        validity: signed.validity,
    })
}
