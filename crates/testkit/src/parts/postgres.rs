//! A PostgreSQL server of the test's own: fresh data directory, unprivileged user, loopback port.

use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::command::{command, run};

/// The password of the superuser `postgres` of every server that tests start.
pub const PASSWORD: &str = "postern-test";

/// A running server. Dropped, it is killed.
#[derive(Debug)]
pub struct Postgres {
    address: SocketAddr,
    _server: Child,
    _directory: tempfile::TempDir,
}

impl Postgres {
    /// Makes a data directory and starts a server in it.
    ///
    /// # Errors
    /// PostgreSQL is not installed, or does not start in time.
    pub async fn start() -> anyhow::Result<Self> {
        let programs = programs()?;
        let directory = tempfile::Builder::new().prefix("postern-postgres-").tempdir()?;
        let user = unprivileged_user()?;
        let data = directory.path().join("data");
        let password_file = directory.path().join("password");
        std::fs::write(&password_file, PASSWORD)?;
        if let Some((uid, gid)) = user {
            std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o700))?;
            chown(directory.path(), Some(uid), Some(gid))?;
            chown(&password_file, Some(uid), Some(gid))?;
        }
        let mut initdb = as_user(&programs.join("initdb"), user);
        initdb.args([
            "--auth=scram-sha-256",
            "--username=postgres",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ]);
        initdb
            .arg("--pwfile")
            .arg(&password_file)
            .arg("--pgdata")
            .arg(&data)
            .current_dir("/");
        run(&mut initdb, Duration::from_secs(60))
            .await?
            .success()
            .context("initdb")?;
        // The port is free when it is chosen; should another process take it in between, it is chosen again.
        for _ in 0..5 {
            let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
            if let Some(server) = start(&programs, user, &data, address).await? {
                return Ok(Self {
                    address,
                    _server: server,
                    _directory: directory,
                });
            }
        }
        bail!("no port could be had for PostgreSQL")
    }

    /// Returns where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes `psql` for this server, but dialled at `port` of loopback: its own, or that of a tunnel.
    #[must_use]
    pub fn psql(port: u16) -> Command {
        let mut psql = command("psql");
        psql.env("PGPASSWORD", PASSWORD).env("PGCONNECT_TIMEOUT", "20");
        psql.args([
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--set=ON_ERROR_STOP=1",
        ]);
        psql.arg(format!(
            "host=127.0.0.1 port={port} user=postgres dbname=postgres sslmode=disable"
        ));
        psql
    }
}

async fn start(
    programs: &Path,
    user: Option<(u32, u32)>,
    data: &Path,
    address: SocketAddr,
) -> anyhow::Result<Option<Child>> {
    let mut server = as_user(&programs.join("postgres"), user);
    server
        .arg("-D")
        .arg(data)
        .arg("-p")
        .arg(address.port().to_string())
        .args(["-h", "127.0.0.1"]);
    for setting in [
        "unix_socket_directories=",
        "fsync=off",
        "max_connections=120",
        "shared_buffers=32MB",
    ] {
        server.arg("-c").arg(setting);
    }
    server.current_dir("/");
    let mut child = server.spawn().context("postgres cannot be started")?;
    let mut lines = BufReader::new(child.stderr.take().context("standard error")?).lines();
    let ready = async {
        while let Some(line) = lines.next_line().await? {
            if line.contains("ready to accept connections") {
                return anyhow::Ok(true);
            }
            if line.contains("could not create any TCP/IP sockets") {
                return Ok(false);
            }
        }
        bail!("postgres ended before it was ready")
    };
    let ready = tokio::time::timeout(Duration::from_secs(60), ready)
        .await
        .context("postgres is not ready in time")??;
    // Its log is read on, so that it never waits for a full pipe; the reader ends with the server.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok(ready.then_some(child))
}

/// Finds the programs of the newest installed version.
fn programs() -> anyhow::Result<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").context("postgresql is not installed")?;
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let bin = entry.path().join("bin");
            bin.join("postgres")
                .exists()
                .then_some((entry.file_name().to_str()?.parse().ok()?, bin))
        })
        .collect();
    found.sort();
    found
        .pop()
        .map(|(_, bin)| bin)
        .context("postgresql is not installed")
}

/// As root, PostgreSQL refuses to run: it gets the user of its package.
fn unprivileged_user() -> anyhow::Result<Option<(u32, u32)>> {
    let root = std::fs::metadata("/proc/self").map(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0)?;
    if !root {
        return Ok(None);
    }
    let passwd = std::fs::read_to_string("/etc/passwd")?;
    let ids = passwd.lines().find_map(|line| {
        let mut fields = line.strip_prefix("postgres:")?.split(':').skip(1);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    });
    Ok(Some(ids.context("there is no user postgres")?))
}

/// Runs a program as the given user, to be killed by the kernel should the test's process die.
fn as_user(program: &Path, user: Option<(u32, u32)>) -> Command {
    let mut setpriv = command("setpriv");
    setpriv.arg("--pdeathsig=SIGKILL");
    if let Some((uid, gid)) = user {
        setpriv
            .arg(format!("--reuid={uid}"))
            .arg(format!("--regid={gid}"))
            .arg("--clear-groups");
    }
    setpriv.arg("--").arg(program);
    setpriv
}
