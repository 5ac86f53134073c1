//! The command line: `postern <noun> <verb>`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use postern_domain::{Name, Pin, Target};

use crate::noun::{authority, gateway, identity, organization, project, relay, resource, session};

/// Access to private resources without an open inbound port.
#[derive(Debug, Parser)]
#[command(name = "postern", version, about, propagate_version = true)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Print JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// Where the login is kept, mode 0700.
    #[arg(long, global = true, value_name = "DIR", env = "POSTERN_HOME")]
    pub home: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Log in to a platform.
    Login(Login),
    /// Forget the login.
    Logout,
    /// Say who is logged in.
    Whoami,
    /// Organizations: the tenants (instance administrators only).
    #[command(subcommand)]
    Organization(organization::Verb),
    /// Projects: groups of resources, members and gateways.
    #[command(subcommand)]
    Project(project::Verb),
    /// Machine identities and their client secrets.
    #[command(subcommand)]
    Identity(identity::Verb),
    /// Relays.
    #[command(subcommand)]
    Relay(relay::Verb),
    /// Gateways and the projects they are mapped to.
    #[command(subcommand)]
    Gateway(gateway::Verb),
    /// Resources: the approved targets.
    #[command(subcommand)]
    Resource(resource::Verb),
    /// Sessions.
    #[command(subcommand)]
    Session(session::Verb),
    /// Certificate authorities: public parts.
    #[command(subcommand)]
    Authority(authority::Verb),
    /// Connect to a resource.
    Connect(Connect),
    /// Run everything on this machine, to try it: platform, relay, gateway and a private web service.
    Dev(Dev),
}

/// `postern login`.
#[derive(Debug, Args)]
pub struct Login {
    /// The platform's address.
    #[arg(long, value_name = "HOST:PORT")]
    pub platform: Option<Target>,
    /// The key of the Platform Root, as `postern-platform init` printed it; several may be given.
    #[arg(long, value_name = "sha256/…")]
    pub pin: Vec<Pin>,
    /// A machine identity's client id. Its secret is read from POSTERN_CLIENT_SECRET, --secret-file or the
    /// terminal.
    #[arg(long, value_name = "ID", env = "POSTERN_CLIENT_ID", conflicts_with = "user")]
    pub client_id: Option<String>,
    /// A user's name. The password is read from POSTERN_PASSWORD, --secret-file or the terminal.
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// A file that holds the client secret or password; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
}

/// `postern connect`.
#[derive(Debug, Args)]
pub struct Connect {
    /// The resource: PROJECT/NAME, a name that only one resource has, or an id.
    pub resource: String,
    /// Listen here and carry each connection to the resource; port 0 lets the kernel choose.
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "stdio")]
    pub listen: Option<SocketAddr>,
    /// Carry standard input and output to the resource, as ssh's ProxyCommand wants it.
    #[arg(long)]
    pub stdio: bool,
}

/// `postern dev`, carried out by `postern-dev` beside this program.
#[derive(Debug, Args)]
pub struct Dev {
    /// A real target to reach, besides the built-in web service; may be given several times.
    #[arg(long, value_name = "NAME=HOST:PORT")]
    pub resource: Vec<String>,
    /// Keep everything here, and start from it the next time.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Send a marker through every leg, say what was verified on each, and end.
    #[arg(long)]
    pub once: bool,
}

/// Something by its name or its id.
#[derive(Debug, Clone)]
pub enum Reference {
    /// Its name.
    Name(Name),
    /// Its id, not yet told which kind.
    Id(String),
}

impl std::str::FromStr for Reference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<Name>() {
            Ok(name) => Ok(Self::Name(name)),
            // Ids of every kind have one form; which kind it is, the place it is used in says.
            Err(error) => match text.parse::<postern_domain::ResourceId>() {
                Ok(id) => Ok(Self::Id(id.to_string())),
                Err(_) => Err(format!("neither a name nor an id: {error}")),
            },
        }
    }
}
