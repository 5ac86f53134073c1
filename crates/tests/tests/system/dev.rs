//! `postern dev`, as a new user runs it.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use postern_testkit::parts::command::{Output, command, run};
use postern_testkit::programs::program;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::bounded;

const MINUTE: Duration = Duration::from_secs(60);
const LEGS: [&str; 5] = [
    "client to platform",
    "gateway to relay",
    "client to relay",
    "client to gateway",
    "gateway to resource",
];

async fn dev(arguments: &[&str]) -> anyhow::Result<Output> {
    let mut postern = program("postern").await?;
    run(postern.arg("dev").args(arguments), MINUTE).await
}

/// Returns who was verified at the other end of each leg.
fn peers(verdict: &Value) -> Vec<String> {
    let legs = verdict["legs"].as_array().into_iter().flatten();
    legs.map(|leg| leg["peer"].to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn once_verifies_every_leg_and_says_so() -> anyhow::Result<()> {
    bounded(async {
        let output = dev(&["--once", "--json"]).await?.success()?;
        let verdict: Value = serde_json::from_str(&output.text())?;
        assert_eq!(
            (verdict["holds"].as_bool(), verdict["marker"].as_bool()),
            (Some(true), Some(true)),
            "{verdict}"
        );
        assert_eq!(verdict["failure"], Value::Null);
        let legs = verdict["legs"].as_array().context("legs")?;
        let names: Vec<_> = legs.iter().filter_map(|leg| leg["leg"].as_str()).collect();
        assert_eq!(names, LEGS);
        for leg in legs {
            for word in ["peer", "authority", "key_exchange", "cipher"] {
                assert!(
                    leg[word].as_str().is_some_and(|word| !word.is_empty()),
                    "{word} in {leg}"
                );
            }
            assert!(
                leg["milliseconds"].as_f64().is_some_and(|time| time > 0.0),
                "{leg}"
            );
        }
        for (leg, authority) in [
            (2, "Instance Relay PKI Server CA"),
            (3, "Organization Gateway Server CA"),
        ] {
            assert!(
                legs[leg]["authority"]
                    .as_str()
                    .is_some_and(|a| a.contains(authority)),
                "{}",
                legs[leg]
            );
            assert_eq!(legs[leg]["key_exchange"], "X25519MLKEM768");
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn once_tells_people_the_same() -> anyhow::Result<()> {
    bounded(async {
        let text = dev(&["--once"]).await?.success()?.text();
        for word in LEGS.into_iter().chain(["Every check held"]) {
            assert!(text.contains(word), "{text}");
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_is_there_the_next_time() -> anyhow::Result<()> {
    bounded(async {
        let place = tempfile::tempdir()?;
        let data = place.path().join("data").display().to_string();
        let mut seen = Vec::new();
        for _ in 0..2 {
            let output = dev(&["--once", "--json", "--data", &data]).await?.success()?;
            let verdict: Value = serde_json::from_str(&output.text())?;
            assert_eq!(verdict["holds"], true);
            // The last leg leads to the built-in service, which has another port each time.
            seen.push(peers(&verdict)[..4].to_vec());
        }
        assert_eq!(seen[0], seen[1], "platform, relay, gateway and their ids");

        let mut serving = program("postern").await?;
        serving
            .args(["dev", "--json", "--data", &data])
            .stderr(Stdio::null());
        let mut child = serving.spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("standard output")?).lines();
        let line = tokio::time::timeout(MINUTE, lines.next_line()).await??;
        let world: Value = serde_json::from_str(&line.context("what was built")?)?;
        let web: SocketAddr = world["resources"][0]["local"]
            .as_str()
            .context("an address")?
            .parse()?;
        let mut curl = command("curl");
        let page = run(curl.args(["-sS", &format!("http://{web}/")]), MINUTE).await?;
        assert!(page.success()?.text().contains("You are inside."));
        let home = world["home"].as_str().context("a home")?;
        for (noun, name) in [("project", "demo"), ("gateway", "gateway"), ("resource", "web")] {
            let mut list = program("postern").await?;
            list.args(["--json", "--home", home, noun, "list"]);
            let list: Value = serde_json::from_str(&run(&mut list, MINUTE).await?.success()?.text())?;
            assert_eq!(list.as_array().map(Vec::len), Some(1), "{noun}: {list}");
            assert_eq!(list[0]["name"], name);
        }
        let pid = child.id().context("running")?.to_string();
        run(command("kill").args(["-INT", &pid]), MINUTE)
            .await?
            .success()?;
        let ended = tokio::time::timeout(MINUTE, child.wait()).await??;
        assert_eq!(ended.code(), Some(0));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_resource_that_is_not_name_host_and_port() -> anyhow::Result<()> {
    bounded(async {
        for wrong in [
            "",
            "db",
            "=",
            "db=",
            "db=host",
            "db=host:",
            "db=host:0",
            "db=host:65536",
            "db=host:-1",
            "db=:5432",
            "DB=host:1",
            "a\u{1b}[2J=host:1",
            "db=ho st:1",
            "db=ho\u{1b}st:1",
        ] {
            let output = dev(&["--once", "--resource", wrong]).await?;
            assert_eq!(output.status.code(), Some(2), "{wrong:?}: {}", output.stderr);
            assert!(
                output.stderr.contains("--resource"),
                "{wrong:?}: {}",
                output.stderr
            );
            assert!(!output.stderr.contains('\u{1b}'), "{wrong:?}: {}", output.stderr);
            assert!(output.stdout.is_empty());
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn names_a_damaged_file_of_what_is_kept() -> anyhow::Result<()> {
    bounded(async {
        let place = tempfile::tempdir()?;
        std::fs::write(place.path().join("dev.json"), "{\"platform\": 1")?;
        let output = dev(&["--once", "--data", &place.path().display().to_string()]).await?;
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stderr.contains("dev.json is damaged"), "{}", output.stderr);
        Ok(())
    })
    .await
}
