//! Bad input from whoever configures, enrolls and uses Postern: a clear error, a stable exit code, nothing kept.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use postern_domain::{Protocol, ResourceId, Timestamp};
use postern_testkit::World;
use postern_testkit::parts::command::{Output, run};
use postern_testkit::processes::Processes;
use postern_testkit::programs::program;
use tokio::net::TcpListener;

use crate::bounded;

const MINUTE: Duration = Duration::from_secs(60);

/// Asserts how a program ended, that it said each of these words, and that nothing commands the terminal.
#[track_caller]
fn assert_says(output: &Output, code: i32, words: &[&str]) {
    let said = &output.stderr;
    assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
    for word in words {
        assert!(said.contains(word), "no {word:?} in: {said}");
    }
    assert!(!said.contains('\u{1b}') && !said.contains("panicked"), "{said}");
    assert!(output.stdout.is_empty(), "{}", output.text());
}

/// Runs a daemon with a configuration that is wrong, and asserts that the error names file and key, and that
/// nothing was made or bound.
async fn refuses_configuration(daemon: &str, base: &str, text: &str, key: &str) -> anyhow::Result<()> {
    let place = tempfile::tempdir()?;
    let file = place.path().join("wrong.toml");
    let state = place.path().join("state");
    std::fs::write(
        &file,
        format!("{base}{text}").replace("STATE", &state.display().to_string()),
    )?;
    let mut command = program(&format!("postern-{daemon}")).await?;
    let verb = if daemon == "platform" { "serve" } else { "run" };
    command.arg(verb).arg("--config").arg(&file);
    let output = run(&mut command, MINUTE).await?;
    assert_says(&output, 2, &[key, "wrong.toml"]);
    assert!(!state.exists(), "{text}: something was made");
    Ok(())
}

/// What is wrong with a configuration of a daemon, and the key that the error must name.
type Wrong = (&'static str, &'static str);

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_with_a_wrong_configuration_names_the_key_and_binds_nothing() -> anyhow::Result<()> {
    bounded(async {
        // The ports are taken: whoever tried to bind them would complain of that.
        let (ssh, tls) = (
            TcpListener::bind("127.0.0.1:0").await?,
            TcpListener::bind("127.0.0.1:0").await?,
        );
        let base = format!(
            "[state]\ndirectory = 'STATE'\n[listen]\nssh = '{}'\ntls = '{}'\n",
            ssh.local_addr()?,
            tls.local_addr()?
        );
        let wrong: [Wrong; 12] = [
            ("shs = '127.0.0.1:1'", "shs"),
            ("[limts]\ngateways = 1", "limts"),
            ("[limits]\ngateways = 'many'", "limits.gateways"),
            ("[limits]\nhandshakes = -1", "limits.handshakes"),
            ("[limits]\nhandshakes = 0", "limits.handshakes"),
            (
                "[limits]\nconnections = 9223372036854775807",
                "limits.connections",
            ),
            ("[limits]\ndrain_seconds = 1.5", "limits.drain_seconds"),
            (
                "[limits]\nconnections_per_second_per_source = 4294967296",
                "limits.connections_per_second_per_source",
            ),
            ("[log]\njson = 'yes'", "log.json"),
            ("[log]\njson = true\njson = false", "json"),
            ("[listen", "listen"),
            ("nonsense", "nonsense"),
        ];
        for (text, key) in wrong {
            refuses_configuration("relay", &base, text, key).await?;
        }
        for (address, key) in [
            ("'127.0.0.1:65536'", "listen.ssh"),
            ("'127.0.0.1'", "listen.ssh"),
            ("'relay.example:2222'", "listen.ssh"),
            ("2222", "listen.ssh"),
        ] {
            let text = format!("[listen]\nssh = {address}\n");
            refuses_configuration("relay", "[state]\ndirectory = 'STATE'\n", &text, key).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_with_a_wrong_configuration_names_the_key() -> anyhow::Result<()> {
    bounded(async {
        let wrong: [Wrong; 7] = [
            ("[stat]\ndirectory = '/x'", "stat"),
            ("[rules]\nfiles = 'x'", "files"),
            ("[rules]\nfile = 5", "rules.file"),
            ("[limits]\nsessions = 0", "limits.sessions"),
            ("[limits]\nsessions = 9223372036854775807", "limits.sessions"),
            (
                "[limits]\nstreams_per_session = 4294967296",
                "limits.streams_per_session",
            ),
            ("[log]\njson = 1", "log.json"),
        ];
        for (text, key) in wrong {
            refuses_configuration("gateway", "[state]\ndirectory = 'STATE'\n", text, key).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_with_a_wrong_rule_file_names_the_key_and_makes_nothing() -> anyhow::Result<()> {
    bounded(async {
        let place = tempfile::tempdir()?;
        let (rules, state) = (place.path().join("rules.toml"), place.path().join("state"));
        let rule_files: [Wrong; 6] = [
            ("[[deny]]\nnetwrok = '10.0.0.0/8'", "netwrok"),
            ("[[deny]]\nnetwork = '10.0.0.0/33'", "network"),
            ("[[deny]]\nport = 0", "port"),
            ("[[deny]]\nport = 65536", "port"),
            ("[[allow_forbidden]]\naddress = 'localhost'", "address"),
            ("[[deny]]", "everything"),
        ];
        for (text, key) in rule_files {
            std::fs::write(&rules, text)?;
            let output = run(gateway_with_rules(&state, &rules).await?.as_mut(), MINUTE).await?;
            assert_says(&output, 2, &["rules.toml", key]);
        }
        std::fs::remove_file(&rules)?;
        let output = run(gateway_with_rules(&state, &rules).await?.as_mut(), MINUTE).await?;
        assert_says(&output, 2, &["rules.toml", "cannot be read"]);
        assert!(!state.exists());
        Ok(())
    })
    .await
}

async fn gateway_with_rules(state: &Path, rules: &Path) -> anyhow::Result<Box<tokio::process::Command>> {
    let mut command = program("postern-gateway").await?;
    command
        .args(["run", "--state"])
        .arg(state)
        .arg("--rules")
        .arg(rules);
    Ok(Box::new(command))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_with_a_wrong_configuration_names_the_key_and_binds_nothing() -> anyhow::Result<()> {
    bounded(async {
        let taken = TcpListener::bind("127.0.0.1:0").await?;
        let base = format!(
            "[store]\npath = 'STATE'\n[server]\nlisten = '{}'\n",
            taken.local_addr()?
        );
        let wrong: [Wrong; 9] = [
            ("lisen = '127.0.0.1:1'", "server.lisen"),
            ("hosts = ['a b']", "server.hosts"),
            ("public_address = 'platform.example:0'", "server.public_address"),
            (
                "public_address = 'platform.example:65536'",
                "server.public_address",
            ),
            ("trusted_proxies = ['10.0.0.0/33']", "server.trusted_proxies"),
            ("[log]\nlevel = 'loud'", "log.level"),
            ("[limits]\nrequests = 'all'", "limits.requests"),
            ("[keyz]\nroot_key_file = 'x'", "keyz"),
            ("[server", "server"),
        ];
        for (text, key) in wrong {
            refuses_configuration("platform", &base, text, key).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_is_not_there_is_named() -> anyhow::Result<()> {
    bounded(async {
        let place = tempfile::tempdir()?;
        for (daemon, verb) in [("relay", "run"), ("gateway", "run"), ("platform", "serve")] {
            for file in [place.path().join("missing.toml"), place.path().to_owned()] {
                let mut command = program(&format!("postern-{daemon}")).await?;
                let output = run(command.arg(verb).arg("--config").arg(&file), MINUTE).await?;
                assert_says(&output, 2, &[&file.display().to_string()]);
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_and_flags_are_judged_like_the_file() -> anyhow::Result<()> {
    bounded(async {
        for (daemon, verb, variable, key) in [
            ("relay", "run", "POSTERN_LISTEN__SSH", "listen.ssh"),
            ("relay", "run", "POSTERN_LIMITS__GATEWAYS", "limits.gateways"),
            ("gateway", "run", "POSTERN_LIMITS__SESSIONS", "limits.sessions"),
            ("platform", "serve", "POSTERN_SERVER__LISTEN", "server.listen"),
        ] {
            let mut command = program(&format!("postern-{daemon}")).await?;
            command.arg(verb).env(variable, "nonsense");
            let output = run(&mut command, MINUTE).await?;
            assert_eq!(output.status.code(), Some(2), "{variable}: {}", output.stderr);
            let said = output.stderr.to_ascii_lowercase();
            assert!(said.contains(key) && said.contains("environment"), "{said}");
        }
        for (daemon, verb, flag) in [
            ("relay", "run", "--listen-ssh"),
            ("relay", "run", "--listen-tls"),
            ("platform", "serve", "--listen"),
            ("platform", "serve", "--public-address"),
        ] {
            for value in ["127.0.0.1:65536", "127.0.0.1", ":1:2:", "a\u{1b}[2Jb:1", ""] {
                let mut command = program(&format!("postern-{daemon}")).await?;
                let output = run(command.args([verb, flag, value]), MINUTE).await?;
                assert_says(&output, 2, &[flag]);
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_enrollment_tokens_are_refused_and_keep_nothing() -> anyhow::Result<()> {
    bounded(async {
        let place = tempfile::tempdir()?;
        let long = format!("postern-enroll-{}", "A".repeat(100_000));
        for daemon in ["relay", "gateway"] {
            for token in [
                "nonsense",
                "postern-enroll-",
                "postern-enroll-AAAA",
                "postern-enroll-e30",
                "postern-enroll-!!!",
                "postern-enroll-\u{1b}[2J",
                &long,
            ] {
                let state = place.path().join(daemon);
                let mut enroll = program(&format!("postern-{daemon}")).await?;
                enroll.args(["enroll", "--state"]).arg(&state);
                let output = run(enroll.env("POSTERN_TOKEN", token), MINUTE).await?;
                assert_says(&output, 1, &["not an enrollment token"]);
                assert!(!output.stderr.contains("AAAA"), "a token is a secret");
                for file in ["daemon.json", "enrolling.json"] {
                    assert!(!state.join(file).exists(), "{token:.40}: {file}");
                }
            }
            let mut enroll = program(&format!("postern-{daemon}")).await?;
            enroll.args(["enroll", "--state"]).arg(place.path().join(daemon));
            assert_says(&run(&mut enroll, MINUTE).await?, 1, &["POSTERN_TOKEN"]);
            let mut daemon_alone = program(&format!("postern-{daemon}")).await?;
            daemon_alone
                .args(["run", "--state"])
                .arg(place.path().join(daemon));
            if daemon == "relay" {
                daemon_alone.args(["--listen-ssh", "127.0.0.1:0", "--listen-tls", "127.0.0.1:0"]);
            }
            assert_says(
                &run(&mut daemon_alone, MINUTE).await?,
                1,
                &["no daemon has enrolled"],
            );
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_token_and_a_token_of_another_kind_enroll_nobody() -> anyhow::Result<()> {
    bounded(async {
        let processes = Processes::start().await?;
        let (relay, gateway) = (processes.tickets.relay.clone(), processes.tickets.gateway.clone());
        let state = processes.directory().join("second");
        for (daemon, token) in [
            ("relay", &relay),
            ("gateway", &gateway),
            ("relay", &gateway),
            ("gateway", &relay),
        ] {
            let mut enroll = program(&format!("postern-{daemon}")).await?;
            enroll.args(["enroll", "--state"]).arg(&state);
            let output = run(enroll.env("POSTERN_TOKEN", token), MINUTE).await?;
            assert_says(&output, 1, &["the platform refused"]);
            assert!(!state.join("daemon.json").exists());
            assert!(!state.join("enrolling.json").exists(), "{}", output.stderr);
        }
        // A token that nobody has used, for the other kind of daemon, is not used up by that either.
        processes.postern(&["gateway", "create", "other"]).await?;
        let ticket = processes.postern(&["gateway", "token", "other"]).await?;
        let token = ticket["token"].as_str().context("a token")?;
        for (daemon, code) in [("relay", 1), ("gateway", 0), ("gateway", 1)] {
            let mut enroll = program(&format!("postern-{daemon}")).await?;
            let state = processes.directory().join(format!("{daemon}-{code}"));
            enroll.args(["enroll", "--state"]).arg(&state);
            let output = run(enroll.env("POSTERN_TOKEN", token), MINUTE).await?;
            assert_eq!(output.status.code(), Some(code), "{daemon}: {}", output.stderr);
            assert_eq!(state.join("daemon.json").exists(), code == 0);
        }
        Ok(())
    })
    .await
}

/// Lines that are wrong as a whole; each part of them that comes from outside has lines of its own.
const GARBAGE: [&[&str]; 19] = [
    &[],
    &["resorce", "list"],
    &["project"],
    &["project", "show"],
    &["project", "show", "not a name"],
    &["session", "show", "demo"],
    &["connect"],
    &["connect", "demo/web", "--listen", "127.0.0.1:65536"],
    &["connect", "demo/web", "--listen", "localhost"],
    &["connect", "demo/web", "--stdio", "--listen", "127.0.0.1:0"],
    &["login", "--platform", "127.0.0.1"],
    &["login", "--platform", "127.0.0.1:0"],
    &["login", "--platform", "127.0.0.1:65536"],
    &["login", "--platform", "a b:1"],
    &["login", "--pin", "sha256/short"],
    &["login", "--pin", "md5/x"],
    &["relay", "create", "r", "--host", "a\u{1b}[2Jb"],
    &["relay", "create", "r", "--host", "h", "--ssh-port", "0"],
    &["relay", "create", "r", "--host", "h", "--tls-port", "65536"],
];

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_the_command_line_is_named_and_exits_with_2() -> anyhow::Result<()> {
    bounded(async {
        let mut lines: Vec<Vec<&str>> = GARBAGE.iter().map(|line| line.to_vec()).collect();
        let resource = [
            "resource",
            "create",
            "x",
            "--project",
            "p",
            "--gateway",
            "g",
            "--target",
        ];
        for wrong in [
            "h:0",
            "h:65536",
            "h",
            ":1",
            "a b:1",
            "a\u{1b}[2Jb:1",
            "[::1:5",
            "-x.y:1",
            "",
        ] {
            lines.push([&resource[..], &[wrong]].concat());
        }
        lines.push([&resource[..], &["h:1", "--protocol", "gopher"]].concat());
        for wrong in ["", "UPPER", "a b", "a\u{1b}[2J", "a\nb", "a\u{202e}b", "-", "ü"] {
            lines.push(vec!["project", "create", wrong]);
        }
        let place = tempfile::tempdir()?;
        for line in lines {
            let mut postern = program("postern").await?;
            postern.env("POSTERN_HOME", place.path().join("home")).args(&line);
            let output = run(&mut postern, MINUTE).await?;
            assert_says(&output, 2, &[]);
            assert!(!output.stderr.is_empty(), "{line:?}");
        }
        assert!(!place.path().join("home").exists());
        Ok(())
    })
    .await
}

/// Runs `postern --json` as the identity that may connect, and nothing else.
async fn developer(world: &World, arguments: &[&str]) -> anyhow::Result<Output> {
    run(world.postern().await?.arg("--json").args(arguments), MINUTE).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_failure_has_its_exit_code_and_stable_code() -> anyhow::Result<()> {
    bounded(async {
        let world = World::start().await?;
        let closed = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
        world.resource("closed", Protocol::Tcp, closed).await?;
        let unknown = ResourceId::generate(Timestamp::from_unix_seconds(1)).to_string();
        for (arguments, code, reason) in [
            (&["project", "create", "mine"][..], 4, "forbidden"),
            (&["resource", "show", "nothing"], 5, "not_found"),
            (&["resource", "show", "demo/nothing"], 5, "not_found"),
            (&["resource", "show", "nowhere/closed"], 5, "not_found"),
            (&["resource", "show", &unknown], 5, "not_found"),
            (&["connect", "--stdio", "demo/nothing"], 5, "not_found"),
            (&["connect", "--stdio", &unknown], 5, "not_found"),
            (&["connect", "--stdio", "demo/closed"], 7, "target_refused"),
        ] {
            let output = developer(&world, arguments).await?;
            assert_says(&output, code, &[]);
            let last = output.stderr.lines().last().context("an error")?;
            let said: serde_json::Value = serde_json::from_str(last).context(last.to_owned())?;
            assert_eq!(said["code"], reason, "{arguments:?}: {last}");
            assert!(
                said["error"].as_str().is_some_and(|text| text.len() > 10),
                "{last}"
            );
        }

        let home = world.directory().join("home");
        let login = std::fs::read_to_string(home.join("login.json"))?;
        let with = async |text: &str, code: i32, words: &[&str]| {
            std::fs::write(home.join("login.json"), text)?;
            let mut postern = program("postern").await?;
            postern.env("POSTERN_HOME", &home).arg("whoami");
            assert_says(&run(&mut postern, MINUTE).await?, code, words);
            anyhow::Ok(())
        };
        let parsed: serde_json::Value = serde_json::from_str(&login)?;
        let changed = |key: &str, value: serde_json::Value| {
            let mut changed = parsed.clone();
            changed[key] = value;
            changed.to_string()
        };
        with(&changed("token", "nonsense".into()), 3, &["unauthenticated"]).await?;
        with(&changed("token", serde_json::Value::Null), 3, &["postern login"]).await?;
        with(&changed("expires", "2020-01-01T00:00:00Z".into()), 3, &["over"]).await?;
        with(&changed("platform", closed.to_string().into()), 6, &["platform"]).await?;
        let other_pin = serde_json::json!([format!("sha256/{}=", "A".repeat(43))]);
        with(&changed("pins", other_pin), 1, &["did not prove itself"]).await?;
        with(&login[..login.len() / 2], 1, &["login.json is damaged"]).await?;
        with("\u{1b}[2J", 1, &["login.json is damaged"]).await?;
        std::fs::remove_file(home.join("login.json"))?;
        let mut postern = program("postern").await?;
        postern.env("POSTERN_HOME", &home).arg("whoami");
        assert_says(&run(&mut postern, MINUTE).await?, 3, &["postern login"]);
        world.stop().await;
        Ok(())
    })
    .await
}
