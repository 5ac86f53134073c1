//! Damaged, locked and full: what is wrong is named, what can be recovered is, and nothing is left half-written.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use postern_testkit::parts::command::{Output, command, run};
use postern_testkit::processes::Processes;
use postern_testkit::programs::{program, tolerant};
use postern_testkit::records::read_spool;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Child;

use crate::bounded;

const MINUTE: Duration = Duration::from_secs(60);

#[track_caller]
fn assert_fails(output: &Output, words: &[&str]) {
    assert_eq!(output.status.code(), Some(1), "{words:?}: {}", output.stderr);
    for word in words {
        assert!(output.stderr.contains(word), "no {word:?} in: {}", output.stderr);
    }
    assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
}

/// Runs a gateway that is expected to end by itself.
async fn gateway(processes: &Processes) -> anyhow::Result<Output> {
    let mut gateway = program("postern-gateway").await?;
    gateway
        .args(["run", "--state"])
        .arg(processes.directory().join("gateway"));
    run(&mut gateway, MINUTE).await
}

/// Serves one byte to whoever connects, until the test ends.
async fn one_byte() -> anyhow::Result<std::net::SocketAddr> {
    let target = TcpListener::bind("127.0.0.1:0").await?;
    let address = target.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = target.accept().await {
            stream.write_all(b"!").await.ok();
        }
    });
    Ok(address)
}

/// Makes the resource `byte`, and reads its byte through everything.
async fn assert_works(processes: &Processes) -> anyhow::Result<()> {
    let at = processes.listen("demo/byte").await?;
    let mut stream = TcpStream::connect(at.address).await?;
    assert_eq!(stream.read_u8().await?, b'!');
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_state_directory_is_named_and_left_alone() -> anyhow::Result<()> {
    bounded(async {
        let mut processes = Processes::start().await?;
        let state = processes.directory().join("gateway");

        let second = gateway(&processes).await?;
        assert_fails(
            &second,
            &["in use by another process", &state.display().to_string()],
        );
        processes.gateway.kill().await?;

        let file = state.join("daemon.json");
        let good = std::fs::read(&file)?;
        let half = good.get(..good.len() / 2).unwrap();
        for bad in [&b""[..], b"{}", b"\0\0\0\0", b"[1,2", half] {
            std::fs::write(&file, bad)?;
            assert_fails(&gateway(&processes).await?, &["daemon.json is damaged"]);
            assert_eq!(std::fs::read(&file)?, bad, "it was touched");
        }
        let mut other = serde_json::from_slice::<serde_json::Value>(&good)?;
        other["keys"]["ssh"] = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n".into();
        std::fs::write(&file, other.to_string())?;
        assert_fails(
            &gateway(&processes).await?,
            &["daemon.json is damaged", "SSH key"],
        );
        std::fs::write(&file, &good)?;

        run(command("chmod").arg("644").arg(&file), MINUTE)
            .await?
            .success()?;
        assert_fails(&gateway(&processes).await?, &["daemon.json", "chmod"]);
        run(command("chmod").arg("600").arg(&file), MINUTE)
            .await?
            .success()?;
        run(command("chmod").arg("755").arg(&state), MINUTE)
            .await?
            .success()?;
        assert_fails(&gateway(&processes).await?, &["open to others", "chmod"]);
        run(command("chmod").arg("700").arg(&state), MINUTE)
            .await?
            .success()?;
        processes.start_gateway_again().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_directory_of_another_kind_of_daemon_is_refused() -> anyhow::Result<()> {
    bounded(async {
        let mut processes = Processes::start().await?;
        processes.relay.kill().await?;
        let mut gateway = program("postern-gateway").await?;
        gateway
            .args(["run", "--state"])
            .arg(processes.directory().join("relay"));
        assert_fails(&run(&mut gateway, MINUTE).await?, &["not to a gateway"]);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_snapshot_and_a_torn_spool_are_recovered() -> anyhow::Result<()> {
    bounded(async {
        let mut processes = Processes::start().await?;
        processes.resource("byte", "tcp", one_byte().await?).await?;
        assert_works(&processes).await?;
        processes.gateway.kill().await?;

        let state = processes.directory().join("gateway");
        std::fs::write(state.join("snapshot.json"), "{\"learned\": \"yester")?;
        let before = read_spool(&state.join("spool"))?;
        let spool = std::fs::read_dir(state.join("spool"))?
            .next()
            .context("a spool")??
            .path();
        let mut torn = std::fs::read(&spool)?;
        torn.extend_from_slice(b"{\"action\":\"stream.op");
        std::fs::write(&spool, torn)?;

        processes.start_gateway_again().await?;
        assert_works(&processes).await?;
        let snapshot: serde_json::Value =
            serde_json::from_slice(&std::fs::read(state.join("snapshot.json"))?)?;
        assert!(snapshot["snapshot"].is_object());
        let after = read_spool(&state.join("spool"))?;
        assert_eq!(
            after.get(..before.len()),
            Some(&before[..]),
            "what was there is there"
        );
        let numbers: Vec<u64> = after.iter().map(|record| record.key.number).collect();
        assert_eq!(
            numbers,
            (1..=after.len() as u64).collect::<Vec<_>>(),
            "no number is missing"
        );
        assert!(after.len() > before.len());
        Ok(())
    })
    .await
}

async fn serve(data: &Path) -> anyhow::Result<Output> {
    let mut serve = program("postern-platform").await?;
    serve
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(data);
    run(&mut serve, MINUTE).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_store_and_a_wrong_root_key_are_named_and_left_alone() -> anyhow::Result<()> {
    bounded(async {
        let place = tempfile::tempdir()?;
        let data = place.path().join("data");
        assert_fails(&serve(&data).await?, &["root.key"]);
        let mut init = program("postern-platform").await?;
        init.args(["init", "--data"]).arg(&data);
        run(&mut init, MINUTE).await?.success()?;
        // Who makes it again is told, and nothing is touched.
        let (store, key) = (data.join("platform.db"), data.join("root.key"));
        let (good_store, good_key) = (std::fs::read(&store)?, std::fs::read(&key)?);
        assert_fails(
            &run(&mut init, MINUTE).await?,
            &["platform.db", "nothing was touched"],
        );
        assert_eq!(std::fs::read(&key)?, good_key);

        let other = place.path().join("other");
        let mut init = program("postern-platform").await?;
        run(init.args(["init", "--data"]).arg(&other), MINUTE)
            .await?
            .success()?;
        std::fs::write(&key, std::fs::read(other.join("root.key"))?)?;
        assert_fails(&serve(&data).await?, &["root key"]);
        std::fs::write(&key, "nonsense\n")?;
        assert_fails(&serve(&data).await?, &["root.key"]);
        std::fs::write(&key, &good_key)?;

        let half = good_store.get(..good_store.len() / 2).unwrap();
        let mut scratched = good_store.clone();
        scratched.get_mut(..64).unwrap().fill(0x55);
        for bad in [&b"nonsense"[..], half, &scratched, b""] {
            std::fs::write(&store, bad)?;
            for beside in ["platform.db-wal", "platform.db-shm"] {
                std::fs::remove_file(data.join(beside)).ok();
            }
            assert_fails(&serve(&data).await?, &["platform.db"]);
        }
        std::fs::remove_file(&store)?;
        assert_fails(&serve(&data).await?, &["platform.db", "postern-platform init"]);
        assert!(!store.exists());
        Ok(())
    })
    .await
}

/// Holds a lock on the store from outside, as a backup program might.
struct Lock {
    child: Child,
}

impl Lock {
    async fn take(store: &Path, how: &str) -> anyhow::Result<Self> {
        let script = format!(
            "import sqlite3, sys\n\
             c = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
             {how}\n\
             print('locked', flush=True)\n\
             sys.stdin.read()"
        );
        let mut python = command("python3");
        python.args(["-c", &script]).arg(store).stdin(Stdio::piped());
        let mut child = python.spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("standard output")?).lines();
        let said = tokio::time::timeout(MINUTE, lines.next_line()).await??;
        assert_eq!(said.as_deref(), Some("locked"));
        Ok(Self { child })
    }

    async fn release(mut self) -> anyhow::Result<()> {
        drop(self.child.stdin.take());
        tokio::time::timeout(MINUTE, self.child.wait()).await??;
        Ok(())
    }
}

/// Runs `postern` as the organization's owner, and returns how it ended and the stable code that it gave.
async fn owner(processes: &Processes, arguments: &[&str]) -> anyhow::Result<(Option<i32>, String)> {
    let mut postern = processes.command().await?;
    let output = run(postern.arg("--json").args(arguments), MINUTE).await?;
    Ok((output.status.code(), output.stderr))
}

async fn projects(processes: &Processes) -> anyhow::Result<usize> {
    let list = processes.postern(&["project", "list"]).await?;
    Ok(list.as_array().map(Vec::len).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_store_refuses_changes_keeps_nothing_of_them_and_recovers() -> anyhow::Result<()> {
    bounded(async {
        let mut processes = Processes::start().await?;
        let store = processes.directory().join("platform/platform.db");
        let lock = Lock::take(&store, "c.execute('BEGIN IMMEDIATE')").await?;
        let (code, said) = owner(&processes, &["project", "create", "more"]).await?;
        assert_eq!(code, Some(6), "{said}");
        assert!(
            said.contains("\"unavailable\"") || said.contains("\"not_recorded\""),
            "{said}"
        );
        lock.release().await?;
        assert_eq!(projects(&processes).await?, 1);
        processes.postern(&["project", "create", "more"]).await?;
        assert_eq!(projects(&processes).await?, 2);

        // A platform that cannot have its store does not start.
        processes.platform.ask_to_end()?;
        assert!(processes.platform.ended().await?.success());
        let lock = "c.execute('PRAGMA locking_mode=EXCLUSIVE'); c.execute('BEGIN EXCLUSIVE')";
        let lock = Lock::take(&store, lock).await?;
        let refused = serve(&processes.directory().join("platform")).await?;
        assert_fails(&refused, &["platform.db", "locked"]);
        lock.release().await?;
        processes.start_platform_again().await?;
        assert_eq!(projects(&processes).await?, 2);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_lets_no_instance_be_made_and_leaves_nothing_of_it() -> anyhow::Result<()> {
    bounded(async {
        let place = tempfile::tempdir()?;
        let data = place.path().join("data");
        for longest in [8, 4096, 100_000] {
            let mut init = tolerant("postern-platform", Some(longest)).await?;
            init.args(["init", "--data"]).arg(&data);
            let output = run(&mut init, MINUTE).await?;
            assert_fails(&output, &[&data.display().to_string()]);
            assert!(output.stdout.is_empty());
            let left: Vec<_> = std::fs::read_dir(&data)?.collect::<Result<_, _>>()?;
            assert!(left.is_empty(), "{longest}: {left:?}");
        }
        let mut init = tolerant("postern-platform", None).await?;
        init.args(["init", "--data"]).arg(&data);
        run(&mut init, MINUTE).await?.success()?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_changes_and_the_same_change_succeeds_later() -> anyhow::Result<()> {
    bounded(async {
        let processes = Processes::start().await?;
        processes.platform.limit_files(Some(1024))?;
        let (code, said) = owner(&processes, &["project", "create", "more"]).await?;
        assert_eq!(code, Some(6), "{said}");
        assert!(
            said.contains("\"unavailable\"") || said.contains("\"not_recorded\""),
            "{said}"
        );
        processes.platform.limit_files(None)?;
        assert_eq!(projects(&processes).await?, 1);
        processes.postern(&["project", "create", "more"]).await?;
        assert_eq!(projects(&processes).await?, 2);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrollment_on_a_full_disk_leaves_nothing_and_its_token_unused() -> anyhow::Result<()> {
    bounded(async {
        let processes = Processes::start().await?;
        processes.postern(&["gateway", "create", "other"]).await?;
        let ticket = processes.postern(&["gateway", "token", "other"]).await?;
        let token = ticket["token"].as_str().context("a token")?;
        let state = processes.directory().join("other");
        let names = || -> anyhow::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in std::fs::read_dir(&state)? {
                names.push(entry?.file_name().to_string_lossy().into_owned());
            }
            Ok(names)
        };
        for longest in [0, 100, 1000] {
            let mut enroll = tolerant("postern-gateway", Some(longest)).await?;
            enroll.args(["enroll", "--state"]).arg(&state);
            let output = run(enroll.env("POSTERN_TOKEN", token), MINUTE).await?;
            assert_fails(&output, &["cannot write", "enrolling.json"]);
            assert_eq!(names()?, ["lock"], "{longest}");
        }
        let mut enroll = tolerant("postern-gateway", None).await?;
        enroll.args(["enroll", "--state"]).arg(&state);
        run(enroll.env("POSTERN_TOKEN", token), MINUTE).await?.success()?;
        assert!(names()?.contains(&"daemon.json".to_owned()));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_cannot_record_lets_nobody_through_until_it_can() -> anyhow::Result<()> {
    bounded(async {
        let processes = Processes::start().await?;
        processes.resource("byte", "tcp", one_byte().await?).await?;
        assert_works(&processes).await?;
        let spool = processes.directory().join("gateway/spool");
        let before = read_spool(&spool)?;
        // No file may be longer than a few bytes: no record can be added.
        processes.gateway.limit_files(Some(16))?;
        let mut postern = processes.command().await?;
        let refused = run(
            postern.args(["--json", "connect", "--stdio", "demo/byte"]),
            MINUTE,
        )
        .await?;
        assert_eq!(refused.status.code(), Some(7), "{}", refused.stderr);
        assert!(refused.stderr.contains("\"not_recorded\""), "{}", refused.stderr);
        assert!(refused.stdout.is_empty(), "a byte came through");
        assert_eq!(read_spool(&spool)?, before);
        processes.gateway.limit_files(None)?;
        assert_works(&processes).await?;
        let after = read_spool(&spool)?;
        assert!(after.len() > before.len());
        let numbers: Vec<u64> = after.iter().map(|record| record.key.number).collect();
        assert_eq!(numbers, (1..=after.len() as u64).collect::<Vec<_>>());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_on_a_full_disk_leaves_the_old_one() -> anyhow::Result<()> {
    bounded(async {
        let processes = Processes::start().await?;
        let before = std::fs::read(processes.home.join("login.json"))?;
        let mut logout = tolerant("postern", Some(16)).await?;
        logout.arg("logout").env("POSTERN_HOME", &processes.home);
        assert_fails(
            &run(&mut logout, MINUTE).await?,
            &["login.json cannot be written"],
        );
        assert_eq!(std::fs::read(processes.home.join("login.json"))?, before);
        assert_eq!(std::fs::read_dir(&processes.home)?.count(), 1);
        processes.postern(&["whoami"]).await?;
        Ok(())
    })
    .await
}
