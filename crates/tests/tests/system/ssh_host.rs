//! A private OpenSSH server, reached with `ssh` and `scp` whose ProxyCommand is `postern connect --stdio`.

use std::time::Duration;

use postern_domain::Protocol;
use postern_testkit::World;
use postern_testkit::parts::command::{command, run};
use postern_testkit::parts::sshd::Sshd;
use tokio::process::Command;

use crate::bounded;

const MINUTE: Duration = Duration::from_secs(60);

/// Makes `ssh` or `scp` that goes through Postern.
async fn through_postern(world: &World, sshd: &Sshd, program: &str) -> anyhow::Result<Command> {
    let postern = world.postern().await?;
    let path = postern.as_std().get_program().to_string_lossy().into_owned();
    let home = world.directory().join("home");
    let mut ssh = command(program);
    ssh.args(sshd.client_options());
    ssh.arg("-o").arg(format!(
        "ProxyCommand={path} --home {} connect --stdio demo/host",
        home.display()
    ));
    Ok(ssh)
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_runs_a_command_through_proxy_command() -> anyhow::Result<()> {
    bounded(async {
        let (world, sshd) = tokio::try_join!(World::start(), Sshd::start())?;
        world.resource("host", Protocol::Ssh, sshd.address()).await?;
        let mut ssh = through_postern(&world, &sshd, "ssh").await?;
        ssh.args(["anything", "echo said by $((40 + 2)); exit 7"]);
        let output = run(&mut ssh, MINUTE).await?;
        assert_eq!(output.text(), "said by 42\n", "{}", output.stderr);
        assert_eq!(output.status.code(), Some(7));
        world.stop().await;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn scp_brings_50_mb_whole_in_both_directions() -> anyhow::Result<()> {
    bounded(async {
        let (world, sshd) = tokio::try_join!(World::start(), Sshd::start())?;
        world.resource("host", Protocol::Ssh, sshd.address()).await?;
        let file = |name: &str| world.directory().join(name);
        let mut content = vec![0_u8; 50 * 1000 * 1000];
        let mut state = 1_u64;
        for byte in &mut content {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            *byte = (state >> 56) as u8;
        }
        std::fs::write(file("sent"), &content)?;
        let mut up = through_postern(&world, &sshd, "scp").await?;
        up.arg(file("sent"))
            .arg(format!("anything:{}", file("there").display()));
        run(&mut up, 2 * MINUTE).await?.success()?;
        let mut down = through_postern(&world, &sshd, "scp").await?;
        down.arg(format!("anything:{}", file("there").display()))
            .arg(file("back"));
        run(&mut down, 2 * MINUTE).await?.success()?;
        assert!(
            std::fs::read(file("there"))? == content,
            "what arrived differs from what was sent"
        );
        assert!(
            std::fs::read(file("back"))? == content,
            "what came back differs from what was sent"
        );
        world.stop().await;
        Ok(())
    })
    .await
}
