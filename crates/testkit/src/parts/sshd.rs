//! An OpenSSH server of the test's own: one `sshd -i` for each connection to a loopback port that the kernel
//! chose, with a host key and an authorized key made for the test.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Child;
use tokio::task::JoinHandle;

use super::command::{command, run};

/// A running server. Dropped, it accepts nothing more and its children are killed.
#[derive(Debug)]
pub struct Sshd {
    address: SocketAddr,
    directory: tempfile::TempDir,
    accepting: JoinHandle<()>,
}

impl Sshd {
    /// Makes keys and begins to listen.
    ///
    /// # Errors
    /// OpenSSH is not installed.
    pub async fn start() -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("postern-sshd-").tempdir()?;
        let path = directory.path();
        for key in ["host", "user"] {
            let mut keygen = command("ssh-keygen");
            keygen
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(path.join(key));
            run(&mut keygen, Duration::from_secs(20))
                .await?
                .success()
                .context("ssh-keygen")?;
        }
        std::fs::copy(path.join("user.pub"), path.join("authorized_keys"))?;
        let host_key = std::fs::read_to_string(path.join("host.pub"))?;
        std::fs::write(path.join("known_hosts"), format!("postern-test {host_key}"))?;
        std::fs::write(path.join("sshd_config"), configuration(path))?;
        // As root, sshd separates privileges in this directory, which the package's service would make.
        std::fs::create_dir_all("/run/sshd").ok();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(accept(listener, path.join("sshd_config")));
        Ok(Self {
            address,
            directory,
            accepting,
        })
    }

    /// Returns where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the options with which `ssh` and `scp` reach it as the host `postern-test`.
    #[must_use]
    pub fn client_options(&self) -> Vec<String> {
        let file = |name: &str| self.directory.path().join(name).display().to_string();
        [
            "BatchMode=yes".into(),
            "StrictHostKeyChecking=yes".into(),
            "HostKeyAlias=postern-test".into(),
            "IdentitiesOnly=yes".into(),
            "ConnectTimeout=20".into(),
            format!("IdentityFile={}", file("user")),
            format!("UserKnownHostsFile={}", file("known_hosts")),
        ]
        .into_iter()
        .flat_map(|option| ["-o".into(), option])
        .collect()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn configuration(path: &Path) -> String {
    let file = |name: &str| path.join(name).display().to_string();
    [
        format!("HostKey {}", file("host")),
        format!("AuthorizedKeysFile {}", file("authorized_keys")),
        "StrictModes no".into(),
        "UsePAM no".into(),
        "PasswordAuthentication no".into(),
        "KbdInteractiveAuthentication no".into(),
        "PermitRootLogin yes".into(),
        "PidFile none".into(),
        "Subsystem sftp internal-sftp".into(),
    ]
    .join("\n")
}

async fn accept(listener: TcpListener, configuration: PathBuf) {
    let mut children = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let Ok(mut child) = serve(stream, &configuration) else {
            continue;
        };
        children.spawn(async move { child.wait().await.map(drop) });
    }
}

/// Serves one connection by an `sshd -i` with this configuration file. Dropped, it is killed.
///
/// # Errors
/// OpenSSH is not installed, or the socket cannot be handed over.
pub fn serve(stream: TcpStream, configuration: &Path) -> anyhow::Result<Child> {
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    let (input, output): (OwnedFd, OwnedFd) = (stream.try_clone()?.into(), stream.into());
    let mut sshd = command("/usr/sbin/sshd");
    sshd.args(["-i", "-e", "-f"]).arg(configuration);
    sshd.stdin(Stdio::from(input))
        .stdout(Stdio::from(output))
        .stderr(Stdio::null());
    Ok(sshd.spawn()?)
}
