//! The local rule file: what this gateway will never dial, whatever the platform says.
//!
//! ```toml
//! [[deny]]                     # never dialled; network, host and port must all match, each may be absent
//! network = "10.1.0.0/16"
//! port = 25
//!
//! [[deny]]
//! host = "payroll.internal"
//!
//! [[allow_forbidden]]          # an address that is forbidden by default may be dialled, but only for a
//! address = "127.0.0.1"        # resource that the platform approved with exactly this address
//! port = 5432
//! ```
//!
//! It can only narrow: a forbidden address needs the platform's approval *and* this file, and nothing here
//! opens anything that the platform has not approved.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use postern_domain::{Host, Port, Reason, Target};
use postern_session::Network;
use serde::Deserialize;

use crate::address::{canonical, forbidden};

/// The rule file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// The file cannot be read.
    #[error("the rule file {path} cannot be read")]
    Read {
        /// The file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The file is not well-formed.
    #[error("the rule file {path}: {detail}")]
    Parse {
        /// The file.
        path: String,
        /// Which key, and what is wrong with it.
        detail: String,
    },
}

/// A local rule or a default forbids a target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct RuleRefusal {
    /// Why: a local rule, or a forbidden address.
    pub reason: Reason,
    /// Which address or host, and why.
    pub detail: String,
}

/// The rules of one gateway. The default denies nothing more and allows no forbidden address.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    #[serde(default)]
    deny: Vec<Deny>,
    #[serde(default)]
    allow_forbidden: Vec<Allow>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Deny {
    #[serde(default, deserialize_with = "optional_network")]
    network: Option<Network>,
    #[serde(default)]
    host: Option<Host>,
    #[serde(default)]
    port: Option<Port>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Allow {
    address: IpAddr,
    #[serde(default)]
    port: Option<Port>,
}

fn optional_network<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Network>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

impl Deny {
    /// Returns whether network and host match. A rule without a network speaks of hosts only, and is judged before a
    /// name is resolved; but a host that is an address is never dialled, whatever name resolves to it.
    fn covers(&self, target: &Target, address: IpAddr) -> bool {
        let ip = canonical(address);
        match (&self.network, &self.host) {
            (None, Some(Host::Address(denied))) => canonical(*denied) == ip || *denied == address,
            (None, Some(Host::Name(_)) | None) => false,
            (Some(network), host) => {
                let named = match host {
                    None => true,
                    Some(Host::Address(denied)) => canonical(*denied) == ip,
                    Some(Host::Name(_)) => host.as_ref() == Some(&target.host),
                };
                named && (network.contains(ip) || network.contains(address))
            }
        }
    }
}

impl Rules {
    /// Reads a rule file. An empty rule that would deny everything is refused as a mistake.
    ///
    /// # Errors
    /// Says which file, and which key of it.
    pub fn load(path: &Path) -> Result<Self, RulesError> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| RulesError::Read {
            path: shown.clone(),
            source,
        })?;
        text.parse()
            .map_err(|detail| RulesError::Parse { path: shown, detail })
    }

    /// Judges a target by its own text, before its name is resolved.
    ///
    /// # Errors
    /// A deny rule names the host, or its port on every host.
    pub fn judge_target(&self, target: &Target) -> Result<(), RuleRefusal> {
        let denied = self.deny.iter().any(|rule| {
            rule.network.is_none()
                && rule.host.as_ref().is_none_or(|host| *host == target.host)
                && rule.port.is_none_or(|port| port == target.port)
        });
        if denied {
            Err(local(format!("{target} is denied by the gateway's local rules")))
        } else {
            Ok(())
        }
    }

    /// Judges one address that is about to be dialled for `target`.
    ///
    /// # Errors
    /// A deny rule covers the address, or it is forbidden by default and not allowed for exactly this target.
    pub fn judge_address(&self, target: &Target, address: SocketAddr) -> Result<(), RuleRefusal> {
        let ip = canonical(address.ip());
        let denied = self.deny.iter().any(|rule| {
            rule.covers(target, address.ip()) && rule.port.is_none_or(|port| port == target.port)
        });
        if denied {
            return Err(local(format!("{ip} is denied by the gateway's local rules")));
        }
        let Some(why) = forbidden(address.ip()) else {
            return Ok(());
        };
        let named_exactly = matches!(target.host, Host::Address(approved) if approved == address.ip());
        let allowed = self.allow_forbidden.iter().any(|rule| {
            rule.address.to_canonical() == ip && rule.port.is_none_or(|port| port == target.port)
        });
        match (named_exactly, allowed) {
            (true, true) => Ok(()),
            (true, false) => Err(RuleRefusal {
                reason: Reason::TargetForbidden,
                detail: format!("{ip} is {why}; only the gateway's local rule file can allow it"),
            }),
            (false, _) => Err(RuleRefusal {
                reason: Reason::TargetForbidden,
                detail: format!("{} resolves to {ip}, {why}", target.host),
            }),
        }
    }
}

impl std::str::FromStr for Rules {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rules: Self = toml::from_str(text).map_err(|e| e.to_string())?;
        let empty = |rule: &Deny| rule.network.is_none() && rule.host.is_none() && rule.port.is_none();
        if rules.deny.iter().any(empty) {
            return Err("a [[deny]] rule without network, host and port would deny everything".into());
        }
        Ok(rules)
    }
}

fn local(detail: String) -> RuleRefusal {
    RuleRefusal {
        reason: Reason::LocalRule,
        detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        text.parse().unwrap()
    }

    fn judge(rules: &Rules, asked: &str, address: &str) -> Result<(), Reason> {
        rules
            .judge_address(&target(asked), address.parse().unwrap())
            .map_err(|r| r.reason)
    }

    #[test]
    fn without_rules_forbidden_addresses_stay_forbidden() {
        let rules = Rules::default();
        assert_eq!(
            judge(&rules, "127.0.0.1:80", "127.0.0.1:80"),
            Err(Reason::TargetForbidden)
        );
        assert_eq!(
            judge(&rules, "rebind.example:80", "169.254.169.254:80"),
            Err(Reason::TargetForbidden)
        );
        assert_eq!(judge(&rules, "db.example:80", "192.0.2.1:80"), Ok(()));
    }

    #[test]
    fn a_forbidden_address_needs_both_the_exact_approval_and_the_local_file() {
        let rules: Rules = "[[allow_forbidden]]\naddress = '127.0.0.1'\nport = 5432"
            .parse()
            .unwrap();
        assert_eq!(judge(&rules, "127.0.0.1:5432", "127.0.0.1:5432"), Ok(()));
        assert_eq!(
            judge(&rules, "127.0.0.1:5433", "127.0.0.1:5433"),
            Err(Reason::TargetForbidden)
        );
        assert_eq!(
            judge(&rules, "localhost:5432", "127.0.0.1:5432"),
            Err(Reason::TargetForbidden)
        );
        assert_eq!(
            judge(&rules, "127.0.0.1:5432", "127.0.0.2:5432"),
            Err(Reason::TargetForbidden)
        );
    }

    #[test]
    fn deny_rules_narrow_by_network_host_and_port() {
        let rules: Rules =
            "[[deny]]\nnetwork = '10.1.0.0/16'\n[[deny]]\nhost = 'payroll.internal'\n[[deny]]\nport = 25"
                .parse()
                .unwrap();
        assert_eq!(
            judge(&rules, "a.internal:1", "10.1.2.3:1"),
            Err(Reason::LocalRule)
        );
        assert_eq!(
            judge(&rules, "a.internal:1", "[::ffff:10.1.2.3]:1"),
            Err(Reason::LocalRule)
        );
        assert_eq!(judge(&rules, "a.internal:1", "10.2.2.3:1"), Ok(()));
        let by_text = |t: &str| rules.judge_target(&target(t)).map_err(|r| r.reason);
        assert_eq!(by_text("payroll.internal:443"), Err(Reason::LocalRule));
        assert_eq!(by_text("a.internal:25"), Err(Reason::LocalRule));
        assert_eq!(by_text("a.internal:26"), Ok(()));
    }

    #[test]
    fn a_denied_address_is_not_dialled_under_any_name() {
        let rules: Rules = "[[deny]]\nhost = '10.1.2.3'\n[[deny]]\nhost = '10.1.2.4'\nport = 25"
            .parse()
            .unwrap();
        for (asked, address) in [
            ("10.1.2.3:1", "10.1.2.3:1"),
            ("rebind.example:1", "10.1.2.3:1"),
            ("rebind.example:1", "[::ffff:10.1.2.3]:1"),
            ("rebind.example:1", "[64:ff9b::a01:203]:1"),
            ("rebind.example:25", "10.1.2.4:25"),
        ] {
            assert_eq!(judge(&rules, asked, address), Err(Reason::LocalRule), "{asked}");
        }
        assert_eq!(judge(&rules, "rebind.example:26", "10.1.2.4:26"), Ok(()));
        assert_eq!(judge(&rules, "rebind.example:1", "10.1.2.5:1"), Ok(()));
    }

    #[test]
    fn says_what_is_wrong_with_a_rule_file() {
        for (text, word) in [
            ("[[deny]]", "everything"),
            ("[[deny]]\nnetwork = '10.0.0.0/33'", "network"),
            ("[[deny]]\nnetwrok = '10.0.0.0/8'", "netwrok"),
            ("[[deny]]\nport = 0", "port"),
            ("[[deny]]\nport = 65536", "port"),
            ("[[allow_forbidden]]\nport = 5", "address"),
            ("deny = 5", "deny"),
        ] {
            let error = text.parse::<Rules>().unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
