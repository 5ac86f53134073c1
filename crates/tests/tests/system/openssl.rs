//! OpenSSL and OpenSSH as strangers: what they get without a certificate, and what they think of those that the
//! running platform issued.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use postern_api::{Authority, AuthorityKind, ListQuery};
use postern_audit::{Hop, Outcome, Source};
use postern_domain::{AuthorityRole, Protocol, Reason, Scope};
use postern_testkit::World;
use postern_testkit::parts::command::{Output, command, run};
use postern_testkit::records::wait_for_record;
use postern_testkit::state::DaemonFiles;
use tokio::net::TcpListener;

use crate::bounded;

const HALF_A_MINUTE: Duration = Duration::from_secs(30);

/// Connects without a certificate; only what the application sent comes on standard output.
async fn s_client(port: u16, alpn: &str) -> anyhow::Result<Output> {
    let mut openssl = command("openssl");
    openssl.args(["s_client", "-quiet", "-tls1_3", "-alpn", alpn]);
    openssl.args(["-connect", &format!("127.0.0.1:{port}")]);
    run(&mut openssl, HALF_A_MINUTE).await
}

fn heard_nothing(output: &Output) -> anyhow::Result<()> {
    ensure!(output.stdout.is_empty(), "it heard {:?}", output.text());
    ensure!(
        output.stderr.contains("alert certificate required"),
        "no alert: {}",
        output.stderr
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn s_client_without_a_certificate_hears_nothing_from_the_relay() -> anyhow::Result<()> {
    bounded(async {
        let world = World::start().await?;
        heard_nothing(&s_client(world.stack.relay_tls.port(), "postern-relay/1").await?)?;
        let record = wait_for_record(&world.relay_spool(), |record| {
            record.event.reason == Some(Reason::NoCertificate)
        })
        .await?
        .event;
        assert_eq!((record.hop, record.outcome), (Hop::RelayTls, Outcome::Refused));
        world.stop().await;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn s_client_without_a_certificate_hears_nothing_from_the_gateway_inside() -> anyhow::Result<()> {
    bounded(async {
        let world = World::start().await?;
        let resource = world.resource("r", Protocol::Tcp, "127.0.0.1:9".parse()?).await?;
        let session = world.raw_session(&[resource.id]).await?;
        let port = TcpListener::bind("127.0.0.1:0").await?;
        let joined = async {
            let (mut plain, _) = port.accept().await?;
            let mut pipe = world.pipe(&session).await?;
            let source = pipe.get_ref().0.local_addr()?;
            // Whoever hangs up first ends it; what OpenSSL heard says the rest.
            tokio::io::copy_bidirectional(&mut plain, &mut pipe).await.ok();
            anyhow::Ok(source)
        };
        let (source, output) = tokio::join!(joined, s_client(port.local_addr()?.port(), "h2"));
        heard_nothing(&output?)?;
        let source = Some(Source::claimed(source?));
        let record = wait_for_record(&world.gateway_spool(), |record| record.event.source == source)
            .await?
            .event;
        assert_eq!(
            (record.hop, record.outcome, record.reason),
            (Hop::GatewayInner, Outcome::Refused, Some(Reason::NoCertificate))
        );
        world.stop().await;
        Ok(())
    })
    .await
}

/// Every authority of the instance and of `acme`, as the API lists them.
struct Authorities {
    all: Vec<Authority>,
    directory: PathBuf,
}

impl Authorities {
    async fn of(world: &World) -> anyhow::Result<Self> {
        let (api, query) = (&world.stack.api, ListQuery::default());
        let admin = world.stack.administrator().await?;
        let owner = world.seeded.owner.token().await?;
        let mut all = api.list_authorities(&admin, &query).await?.items;
        for authority in api.list_authorities(&owner, &query).await?.items {
            if all.iter().all(|known| known.id != authority.id) {
                all.push(authority);
            }
        }
        let directory = world.directory().join("openssl");
        std::fs::create_dir(&directory)?;
        Ok(Self { all, directory })
    }

    fn find(&self, owner: Scope, role: AuthorityRole) -> anyhow::Result<&Authority> {
        let found = self.all.iter().find(|a| a.owner == owner && a.role == role);
        found.with_context(|| format!("no {role} of {owner}"))
    }

    fn write(&self, name: &str, content: &str) -> anyhow::Result<PathBuf> {
        let path = self.directory.join(name);
        std::fs::write(&path, content)?;
        Ok(path)
    }

    /// Runs `openssl verify -x509_strict` from the root of an authority over that authority to a leaf.
    async fn verify(
        &self,
        (owner, role): (Scope, AuthorityRole),
        leaf: &str,
        more: &[&str],
    ) -> anyhow::Result<Output> {
        let issuer = self.find(owner, role)?;
        let root = match role.parent() {
            Some(parent) => self.find(owner, parent)?,
            None => issuer,
        };
        let root = self.write("root.pem", &root.public)?;
        let issuer = self.write("issuer.pem", &issuer.public)?;
        let leaf = self.write("leaf.pem", leaf)?;
        let mut openssl = command("openssl");
        openssl.args(["verify", "-x509_strict", "-no-CApath", "-no-CAstore", "-CAfile"]);
        openssl
            .arg(root)
            .arg("-untrusted")
            .arg(issuer)
            .args(more)
            .arg(leaf);
        run(&mut openssl, HALF_A_MINUTE).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_verifies_strictly_what_the_platform_issued() -> anyhow::Result<()> {
    bounded(async {
        let world = World::start().await?;
        let resource = world.resource("r", Protocol::Tcp, "127.0.0.1:9".parse()?).await?;
        let session = world.raw_session(&[resource.id]).await?;
        let relay = DaemonFiles::read(&world.stack.directory().join("relay"))?;
        let gateway = DaemonFiles::read(&world.stack.directory().join("gateway-gateway"))?;
        let authorities = Authorities::of(&world).await?;
        let acme = Scope::Organization(world.organization().await?.id);
        let client = ["-purpose", "sslclient"].as_slice();
        let server = ["-purpose", "sslserver"].as_slice();
        let host = ["-purpose", "sslserver", "-verify_ip", "127.0.0.1"].as_slice();
        let certificates = &session.granted.certificates;
        let leafs = [
            (
                (Scope::Instance, AuthorityRole::RelayClient),
                &certificates.relay,
                client,
                server,
            ),
            (
                (acme, AuthorityRole::GatewayClient),
                &certificates.gateway,
                client,
                server,
            ),
            (
                (Scope::Instance, AuthorityRole::RelayServer),
                &relay.certificates.tls,
                host,
                client,
            ),
            (
                (acme, AuthorityRole::GatewayServer),
                &gateway.certificates.tls,
                server,
                client,
            ),
        ];
        for (authority, chain, right, wrong) in leafs {
            let leaf = chain.first().context("a leaf")?;
            let name = format!("{} of {}", authority.1, authority.0);
            let output = authorities.verify(authority, leaf, right).await?;
            output.success().with_context(|| name.clone())?;
            let output = authorities.verify(authority, leaf, wrong).await?;
            ensure!(
                !output.status.success(),
                "{name}: {wrong:?} was not refused, only {right:?} is right"
            );
        }
        let mut verified = 0;
        for authority in &authorities.all {
            if authority.kind != AuthorityKind::X509 {
                continue;
            }
            let chain = (authority.owner, authority.role);
            let output = authorities.verify(chain, &authority.public, &[]).await?;
            output.success().with_context(|| authority.title.clone())?;
            verified += 1;
        }
        // Instance: relay root and two below it, the platform's; organization: two roots and two below each.
        assert_eq!(verified, 4 + 6);
        world.stop().await;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_verifies_the_platforms_https_strictly_from_its_root() -> anyhow::Result<()> {
    bounded(async {
        let world = World::start().await?;
        let authorities = Authorities::of(&world).await?;
        let root = authorities.find(Scope::Instance, AuthorityRole::PlatformRoot)?;
        let root = authorities.write("root.pem", &root.public)?;
        let mut openssl = command("openssl");
        openssl.args(["s_client", "-brief", "-x509_strict", "-verify_return_error"]);
        openssl.args(["-no-CApath", "-no-CAstore", "-verify_ip", "127.0.0.1", "-CAfile"]);
        openssl
            .arg(root)
            .args(["-connect", &world.stack.address.target.to_string()]);
        let output = run(&mut openssl, HALF_A_MINUTE).await?.success()?;
        ensure!(
            output.stderr.contains("Verification: OK"),
            "openssl said {}",
            output.stderr
        );
        world.stop().await;
        Ok(())
    })
    .await
}

/// Runs `ssh-keygen -L` and returns what it printed, each line without the white space around it.
async fn read_by_ssh_keygen(directory: &Path, line: &str) -> anyhow::Result<Vec<String>> {
    let path = directory.join("certificate.pub");
    std::fs::write(&path, line)?;
    let mut keygen = command("ssh-keygen");
    keygen.arg("-L").arg("-f").arg(path);
    let text = run(&mut keygen, HALF_A_MINUTE).await?.success()?.text();
    Ok(text.lines().map(|line| line.trim().to_owned()).collect())
}

/// Returns the lines between one heading and the next.
fn below<'a>(lines: &'a [String], heading: &str) -> Vec<&'a str> {
    let after = lines.iter().skip_while(|line| !line.starts_with(heading)).skip(1);
    let headings = ["Critical Options:", "Extensions:"];
    after
        .take_while(|line| headings.iter().all(|next| !line.starts_with(next)))
        .map(String::as_str)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_keygen_reads_what_the_platform_issued() -> anyhow::Result<()> {
    bounded(async {
        let world = World::start().await?;
        let relay = DaemonFiles::read(&world.stack.directory().join("relay"))?;
        let gateway = DaemonFiles::read(&world.stack.directory().join("gateway-gateway"))?;

        let lines = read_by_ssh_keygen(world.directory(), &gateway.certificates.ssh).await?;
        let says = |wanted: &str| lines.iter().any(|line| line == wanted);
        assert!(
            says("Type: ssh-ed25519-cert-v01@openssh.com user certificate"),
            "{lines:?}"
        );
        assert!(says(&format!("Key ID: \"{}\"", gateway.id)), "{lines:?}");
        assert_eq!(
            below(&lines, "Principals:"),
            [world.seeded.gateway.to_string()],
            "{lines:?}"
        );
        let options: Vec<_> = below(&lines, "Critical Options:")
            .iter()
            .filter_map(|line| line.split(' ').next())
            .collect();
        assert_eq!(options, ["org@postern", "relays@postern"], "{lines:?}");
        assert!(says("Extensions: (none)"), "{lines:?}");

        let lines = read_by_ssh_keygen(world.directory(), &relay.certificates.ssh).await?;
        let says = |wanted: &str| lines.iter().any(|line| line == wanted);
        assert!(
            says("Type: ssh-ed25519-cert-v01@openssh.com host certificate"),
            "{lines:?}"
        );
        assert!(says(&format!("Key ID: \"{}\"", relay.id)), "{lines:?}");
        let address = world.stack.relay_ssh;
        assert_eq!(
            below(&lines, "Principals:"),
            [address.ip().to_string(), address.to_string()],
            "{lines:?}"
        );
        assert!(
            says("Critical Options: (none)") && says("Extensions: (none)"),
            "{lines:?}"
        );
        world.stop().await;
        Ok(())
    })
    .await
}
