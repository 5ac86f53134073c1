//! `postern relay …`

use clap::Subcommand;
use postern_api::{CreateRelay, EnrollmentToken, ListQuery, Relay};
use postern_domain::{Host, Name, Port, RelayId};

use crate::args::Reference;
use crate::noun::{all, id};
use crate::output::{Output, Show};
use crate::remote::Remote;

/// What can be done with relays.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make a relay; then run `postern-relay enroll` on its host with a token.
    Create {
        /// Its name.
        name: Name,
        /// Where gateways and clients reach it.
        #[arg(long)]
        host: Host,
        /// Its SSH port; 2222 if absent.
        #[arg(long)]
        ssh_port: Option<Port>,
        /// Its TLS port; 8443 if absent.
        #[arg(long)]
        tls_port: Option<Port>,
    },
    /// List relays.
    List,
    /// Show one.
    Show {
        /// Its name or id.
        relay: Reference,
    },
    /// Delete one; its certificates are revoked.
    Delete {
        /// Its name or id.
        relay: Reference,
    },
    /// Make a one-time enrollment token for a relay.
    Token {
        /// Its name or id.
        relay: Reference,
    },
}

impl Show for Relay {
    const HEADS: &'static [&'static str] = &[
        "id",
        "name",
        "scope",
        "host",
        "ssh port",
        "tls port",
        "enrolled",
        "last seen",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.name.to_string(),
            self.scope.to_string(),
            self.host.to_string(),
            self.ssh_port.to_string(),
            self.tls_port.to_string(),
            yes_no(self.enrolled),
            self.last_seen
                .map_or_else(|| "never".into(), |time| time.to_string()),
        ]
    }
}

/// Says yes or no.
pub(crate) fn yes_no(yes: bool) -> String {
    if yes { "yes".into() } else { "no".into() }
}

/// Prints a one-time token, with what to do with it.
pub(crate) fn show_token(token: &EnrollmentToken, program: &str, out: Output) -> anyhow::Result<()> {
    let text = token.token.expose();
    let hint = format!(
        "Valid once, until {}. On its host, with the token in POSTERN_TOKEN:",
        token.expires
    );
    out.say(
        token,
        &format!("{text}\n\n{hint}\n  {program} enroll --state DIR\n  {program} run --state DIR"),
    )
}

/// Finds a relay's id.
pub(crate) async fn find(remote: &Remote, what: &Reference) -> anyhow::Result<RelayId> {
    let page = async |query: &ListQuery| remote.api.list_relays(&remote.token, query).await;
    id("relay", what, |relay: &Relay| relay.id, page).await
}

/// Does it.
pub(crate) async fn run(verb: Verb, remote: &Remote, out: Output) -> anyhow::Result<()> {
    let Remote { api, token } = remote;
    match verb {
        Verb::Create {
            name,
            host,
            ssh_port,
            tls_port,
        } => {
            let request = CreateRelay {
                name,
                host,
                ssh_port,
                tls_port,
            };
            out.one(&api.create_relay(token, &request).await?)
        }
        Verb::List => out.list(&all(async |query| api.list_relays(token, query).await).await?),
        Verb::Show { relay } => out.one(&api.get_relay(token, find(remote, &relay).await?).await?),
        Verb::Delete { relay } => Ok(api.delete_relay(token, find(remote, &relay).await?).await?),
        Verb::Token { relay } => {
            let ticket = api.create_relay_token(token, find(remote, &relay).await?).await?;
            show_token(&ticket, "postern-relay", out)
        }
    }
}
