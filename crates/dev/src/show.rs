//! What people and programs are shown.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use postern::home::{Home, SavedLogin};
use postern::output::{lines, table};
use postern_api::Resource;
use serde_json::json;

use crate::once::Verdict;
use crate::seed::{GATEWAY, ORGANIZATION, PROJECT, Seeded};
use crate::stack::{ADMINISTRATOR, Stack};

/// Writes to standard error. Nobody may be listening.
pub(crate) fn complain(text: &str) {
    writeln!(std::io::stderr().lock(), "postern-dev: {text}").ok();
}

fn print(text: &str) -> anyhow::Result<()> {
    Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
}

/// Logs `postern` in as the organization's owner, in a home of its own.
pub(crate) async fn keep_login(stack: &Stack, seeded: &Seeded, home: &Path) -> anyhow::Result<()> {
    let login = SavedLogin {
        platform: stack.address.target.clone(),
        pins: stack.address.pins.clone(),
        token: Some(seeded.owner.token().await?),
        expires: None,
    };
    Home::choose(Some(home.into()))?.save(&login)
}

/// Says what runs, where each resource is, and what to try.
pub(crate) fn world(
    stack: &Stack,
    home: &Path,
    local: &[(&Resource, SocketAddr)],
    json: bool,
) -> anyhow::Result<()> {
    if json {
        let resources: Vec<_> = local
            .iter()
            .map(|(resource, at)| json!({ "name": resource.name, "id": resource.id, "protocol": resource.protocol, "local": at }))
            .collect();
        let value = json!({
            "instance": stack.platform.instance().id,
            "platform": stack.address,
            "relay": { "id": stack.relay, "ssh": stack.relay_ssh, "tls": stack.relay_tls },
            "organization": ORGANIZATION,
            "project": PROJECT,
            "gateway": GATEWAY,
            "data": stack.directory(),
            "home": home,
            "resources": resources,
        });
        return print(&format!("{value}\n"));
    }
    let pins: Vec<String> = stack.address.pins.iter().map(ToString::to_string).collect();
    let built = lines(&[
        (
            "platform",
            format!("https://{}  (key {})", stack.address.target, pins.join(" ")),
        ),
        (
            "relay",
            format!(
                "SSH {} for gateways, TLS {} for clients",
                stack.relay_ssh, stack.relay_tls
            ),
        ),
        (
            "gateway",
            format!("{GATEWAY}, listens nowhere, holds a tunnel to the relay"),
        ),
        ("organization", format!("{ORGANIZATION}, project {PROJECT}")),
        (
            "administrator",
            format!(
                "{ADMINISTRATOR}, password in {}",
                stack.directory().join("dev.json").display()
            ),
        ),
    ]);
    let rows: Vec<Vec<String>> = local
        .iter()
        .map(|(resource, at)| {
            vec![
                format!("{PROJECT}/{}", resource.name),
                format!("{}:{}", resource.host, resource.port),
                at.to_string(),
            ]
        })
        .collect();
    let resources = table(&["resource", "private target", "local address"], &rows);
    let mut commands: Vec<String> = local
        .iter()
        .map(|(resource, at)| postern::hint(resource, *at))
        .collect();
    let own = std::env::current_exe()?.with_file_name("postern");
    let postern = format!("{} --home {}", own.display(), home.display());
    commands.extend(
        [
            "resource list",
            "gateway list",
            "session list",
            "authority list",
            &format!("connect {PROJECT}/web"),
        ]
        .map(|words| format!("{postern} {words}")),
    );
    let commands: String = commands.iter().map(|command| format!("  {command}\n")).collect();
    print(&format!(
        "\n{built}\n{resources}\nTry:\n{commands}\nEverything stops with Ctrl-C.\n"
    ))
}

/// Says what was verified on each leg.
pub(crate) fn verdict(verdict: &Verdict, json: bool) -> anyhow::Result<()> {
    if json {
        let mut value = serde_json::to_value(verdict)?;
        if let Some(members) = value.as_object_mut() {
            members.insert("holds".into(), verdict.holds().into());
        }
        return print(&format!("{value}\n"));
    }
    let rows: Vec<Vec<String>> = verdict
        .legs
        .iter()
        .map(|leg| {
            let time = leg
                .milliseconds
                .map_or_else(|| "-".into(), |ms| format!("{ms:.1} ms"));
            let (key_exchange, cipher) = (leg.key_exchange.clone(), leg.cipher.clone());
            vec![
                leg.leg.into(),
                leg.peer.clone(),
                leg.authority.clone(),
                key_exchange,
                cipher,
                time,
            ]
        })
        .collect();
    let legs = table(
        &[
            "leg",
            "verified peer",
            "issuing authority",
            "key exchange",
            "cipher",
            "time",
        ],
        &rows,
    );
    let said = match &verdict.failure {
        None => "Every check held; the marker came back whole.".into(),
        Some(failure) => format!("FAILED: {failure}"),
    };
    print(&format!(
        "{legs}\n{said} {:.0} ms from start to verdict.\n",
        verdict.milliseconds
    ))
}
