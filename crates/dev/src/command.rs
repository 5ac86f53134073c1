//! The command line of `postern-dev`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Parser;
use postern_api::Resource;
use postern_client::{Connector, Pool};
use postern_domain::{Host, Name, Port, Protocol, Target, printable};
use postern_transport::{Drain, Signals};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::seed::{Seeded, Wanted};
use crate::stack::{Options, Stack, rules_allowing};
use crate::{once, show, web};

/// Runs platform, relay, gateway and a private web service on this machine.
#[derive(Debug, Parser)]
#[command(name = "postern-dev", version, about)]
struct Arguments {
    /// A real target to reach, besides the built-in web service; may be given several times.
    #[arg(long, value_name = "NAME=HOST:PORT", value_parser = wanted)]
    resource: Vec<Wanted>,
    /// Keep everything here, and start from it the next time.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Send a marker through every leg, say what was verified on each, and end.
    #[arg(long)]
    once: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Parses NAME=HOST:PORT; what the resource speaks is told by its well-known port.
fn wanted(text: &str) -> Result<Wanted, String> {
    let (name, target) = text.split_once('=').ok_or("expected NAME=HOST:PORT")?;
    let name: Name = name.parse().map_err(|error| format!("{error}"))?;
    let target: Target = target.parse().map_err(|error| format!("{error}"))?;
    let protocol = match target.port.get() {
        22 => Protocol::Ssh,
        80 | 8000 | 8080 => Protocol::Http,
        443 => Protocol::Https,
        5432 => Protocol::Postgres,
        6443 => Protocol::Kubernetes,
        _ => Protocol::Tcp,
    };
    Ok(Wanted {
        name,
        target,
        protocol,
    })
}

/// Runs the program on the command line that it was started with. Exit codes: 0 done and every check held, 1 failed,
/// 2 the command line is wrong.
pub async fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let level = if arguments.once || arguments.json {
        tracing::Level::WARN
    } else {
        tracing::Level::INFO
    };
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(level)
        .init();
    match start(arguments).await {
        Ok(code) => code,
        Err(error) => {
            show::complain(&printable(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}

async fn start(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let began = tokio::time::Instant::now();
    let temporary = match &arguments.data {
        Some(_) => None,
        None => Some(tempfile::Builder::new().prefix("postern-dev-").tempdir()?),
    };
    let directory = match (&arguments.data, &temporary) {
        (Some(data), _) => std::path::absolute(data)?,
        (None, Some(temporary)) => temporary.path().to_owned(),
        (None, None) => bail!("no directory"),
    };
    let service = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let built_in = built_in(service.local_addr()?)?;
    if arguments
        .resource
        .iter()
        .any(|wanted| wanted.name == built_in.name)
    {
        bail!("web is the name of the built-in web service: give yours another");
    }
    let resources: Vec<Wanted> = std::iter::once(built_in).chain(arguments.resource).collect();
    let (web_hand, web_drain) = Drain::new();
    let serving = tokio::spawn(web::serve(service, web_drain));

    let mut options = Options::in_directory(&directory);
    options.rules = rules_allowing(
        &resources
            .iter()
            .map(|wanted| wanted.target.clone())
            .collect::<Vec<_>>(),
    );
    let mut stack = Stack::start(options).await?;
    let seeded = Seeded::make(&mut stack, &resources).await?;
    let mut approved = Vec::with_capacity(resources.len());
    for wanted in &resources {
        let resource = seeded.approve(wanted).await?;
        stack.until_known(resource.id).await?;
        approved.push(resource);
    }
    let code = if arguments.once {
        let web = approved.first().context("the web service")?;
        let verdict = once::check(&stack, &seeded, web, began).await;
        show::verdict(&verdict, arguments.json)?;
        if verdict.holds() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    } else {
        serve(&stack, seeded, &approved, arguments.json).await?;
        ExitCode::SUCCESS
    };
    stack.stop().await;
    web_hand.start();
    serving.await?;
    Ok(code)
}

fn built_in(at: SocketAddr) -> anyhow::Result<Wanted> {
    let port = Port::new(at.port()).context("a bound port")?;
    let target = Target {
        host: Host::Address(at.ip()),
        port,
    };
    Ok(Wanted {
        name: "web".parse()?,
        target,
        protocol: Protocol::Http,
    })
}

/// Gives each resource a local port, and serves until a signal.
async fn serve(stack: &Stack, seeded: Seeded, resources: &[Resource], json: bool) -> anyhow::Result<()> {
    let home = stack.directory().join("home");
    show::keep_login(stack, &seeded, &home).await?;
    let developer = seeded.developer;
    let (hand, drain) = Drain::new();
    let mut forwards = JoinSet::new();
    let mut local = Vec::with_capacity(resources.len());
    for resource in resources {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        local.push((resource, listener.local_addr()?));
        let connector = Connector::new(Arc::clone(&developer), stack.clock().clone());
        let pool = Arc::new(Pool::new(connector, vec![resource.id]));
        forwards.spawn(postern::forward(
            listener,
            pool,
            resource.id,
            resource.port,
            drain.clone(),
        ));
    }
    show::world(stack, &home, &local, json)?;
    let signals = Signals::listen()?;
    signals.govern(hand, join_all(forwards)).await;
    Ok(())
}

async fn join_all(mut tasks: JoinSet<()>) {
    while tasks.join_next().await.is_some() {}
}
