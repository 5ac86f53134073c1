//! What a daemon knows: the last snapshot, and the trust that it gives.

use std::sync::Arc;
use std::time::Duration;

use postern_api::{Revocation, Snapshot, TrustDocument};
use postern_domain::{AuthorityRole, DaemonId, InstanceId, Timestamp};
use postern_pki::{Revocations, SshAnchor, TlsAnchor, Trust};
use postern_sshkey::PublicKey;

/// A snapshot that was accepted.
#[derive(Debug, Clone)]
pub struct Known {
    /// The snapshot; the same allocation for as long as nothing but `time` changed.
    pub snapshot: Arc<Snapshot>,
    /// What it says of authorities and revocations, parsed, and when it was learned.
    pub trust: Arc<Trust>,
    /// Counts the changes of anything but the time: where it stands still, nothing needs to be judged again but for
    /// the clock.
    pub revision: u64,
}

/// A snapshot was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It is for somebody else.
    #[error("the snapshot is for {found}, and this is {expected}")]
    Daemon {
        /// Whom it is for.
        found: DaemonId,
        /// Who this is.
        expected: DaemonId,
    },
    /// It is of another instance.
    #[error("the snapshot is of instance {found}, and this daemon belongs to {expected}")]
    Instance {
        /// The instance that it is of.
        found: InstanceId,
        /// The instance that the daemon enrolled with.
        expected: InstanceId,
    },
    /// It lacks what a daemon of this kind must know, or says it of another daemon.
    #[error("the snapshot does not say what a {0} must know")]
    Incomplete(&'static str),
    /// It is older than what is known, in the same epoch of the store.
    #[error("the snapshot is older than what is known: {scope} version {found} after {known}")]
    Older {
        /// The scope whose version went back.
        scope: &'static str,
        /// The version that came.
        found: u64,
        /// The version that is known.
        known: u64,
    },
    /// An authority in it cannot be used.
    #[error("the snapshot's authorities cannot be used: {0}")]
    Authority(String),
}

impl Known {
    /// Accepts the first snapshot, learned at `learned` by the local clock.
    ///
    /// # Errors
    /// If it is not for this daemon, not complete, or an authority in it cannot be parsed.
    pub fn first(
        snapshot: Snapshot,
        daemon: DaemonId,
        instance: InstanceId,
        learned: Timestamp,
    ) -> Result<Self, SnapshotError> {
        check(&snapshot, daemon, instance)?;
        Ok(Self {
            trust: Arc::new(to_trust(&snapshot.trust, instance, learned)?),
            snapshot: Arc::new(snapshot),
            revision: 1,
        })
    }

    /// Accepts the snapshot that follows.
    ///
    /// # Errors
    /// As [`Self::first`], and if a version went back within one epoch of the store.
    pub fn next(&self, snapshot: Snapshot, learned: Timestamp) -> Result<Self, SnapshotError> {
        let known = &self.snapshot;
        check(&snapshot, known.daemon, known.instance)?;
        if snapshot.epoch == known.epoch {
            not_older("instance", snapshot.instance_version, known.instance_version)?;
            let (found, known) = (snapshot.organization_version, known.organization_version);
            not_older(
                "organization",
                found.unwrap_or_default(),
                known.unwrap_or_default(),
            )?;
        } else {
            tracing::warn!(
                known = known.epoch,
                new = snapshot.epoch,
                "the platform's store began a new epoch: it was restored"
            );
        }
        let trust = if snapshot.trust == known.trust {
            Trust {
                learned,
                ..Trust::clone(&self.trust)
            }
        } else {
            to_trust(&snapshot.trust, known.instance, learned)?
        };
        let same = is_same(&snapshot, known);
        Ok(Self {
            snapshot: if same {
                Arc::clone(known)
            } else {
                Arc::new(snapshot)
            },
            trust: Arc::new(trust),
            revision: self.revision + u64::from(!same),
        })
    }
}

fn check(snapshot: &Snapshot, daemon: DaemonId, instance: InstanceId) -> Result<(), SnapshotError> {
    if snapshot.instance != instance {
        return Err(SnapshotError::Instance {
            found: snapshot.instance,
            expected: instance,
        });
    }
    if snapshot.daemon != daemon {
        return Err(SnapshotError::Daemon {
            found: snapshot.daemon,
            expected: daemon,
        });
    }
    let complete = match daemon {
        DaemonId::Relay(id) => snapshot.relay.as_ref().is_some_and(|relay| relay.id == id),
        DaemonId::Gateway(id) => snapshot.gateway.as_ref().is_some_and(|policy| policy.id == id),
    };
    if complete {
        Ok(())
    } else {
        Err(SnapshotError::Incomplete(crate::daemon::kind_of(daemon).as_str()))
    }
}

const fn not_older(scope: &'static str, found: u64, known: u64) -> Result<(), SnapshotError> {
    if found < known {
        Err(SnapshotError::Older { scope, found, known })
    } else {
        Ok(())
    }
}

/// Whether two snapshots differ in nothing but the time: the platform's, and when the relay was last seen.
fn is_same(one: &Snapshot, other: &Snapshot) -> bool {
    let relay = |snapshot: &Snapshot| {
        snapshot.relay.as_ref().map(|relay| {
            let (scope, host, ports) = (relay.scope, relay.host.clone(), (relay.ssh_port, relay.tls_port));
            (relay.id, relay.name.clone(), scope, host, ports, relay.enrolled)
        })
    };
    let versions = |s: &Snapshot| (s.instance_version, s.organization_version);
    one.epoch == other.epoch
        && versions(one) == versions(other)
        && one.platform_pins == other.platform_pins
        && one.trust == other.trust
        && one.gateway == other.gateway
        && relay(one) == relay(other)
}

fn to_trust(
    document: &TrustDocument,
    instance: InstanceId,
    learned: Timestamp,
) -> Result<Trust, SnapshotError> {
    let tls = document.tls.iter().map(|anchor| {
        TlsAnchor::parse(anchor.owner, anchor.role, &anchor.root, &anchor.issuer)
            .map_err(|error| SnapshotError::Authority(error.to_string()))
    });
    let ssh = document.ssh.iter().map(|anchor| {
        let key = match anchor.role {
            AuthorityRole::RelaySshClient | AuthorityRole::RelaySshServer => {
                PublicKey::from_openssh(&anchor.key)
            }
            AuthorityRole::RelayRoot
            | AuthorityRole::RelayClient
            | AuthorityRole::RelayServer
            | AuthorityRole::GatewayRoot
            | AuthorityRole::GatewayClient
            | AuthorityRole::GatewayServer
            | AuthorityRole::AuditKey
            | AuthorityRole::PlatformRoot => {
                let what = format!("{} is not an SSH authority", anchor.role.title());
                return Err(SnapshotError::Authority(what));
            }
        };
        Ok(SshAnchor {
            owner: anchor.owner,
            role: anchor.role,
            key: key
                .map_err(|error| SnapshotError::Authority(format!("{}: {error}", anchor.role.title())))?,
        })
    });
    let mut revoked = Revocations::default();
    for revocation in &document.revoked {
        match revocation {
            Revocation::Certificate { issuer, serial } => revoked.insert_certificate(*issuer, serial.clone()),
            Revocation::Key { key } => revoked.insert_key(*key),
        }
    }
    Ok(Trust {
        instance,
        tls: tls.collect::<Result<_, _>>()?,
        ssh: ssh.collect::<Result<_, _>>()?,
        revoked,
        learned,
        max_age: Duration::from_secs(document.max_age_s),
    })
}
