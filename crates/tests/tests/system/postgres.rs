//! A private PostgreSQL, reached with `psql` through `postern connect`.

use std::time::Duration;

use postern_domain::Protocol;
use postern_testkit::World;
use postern_testkit::parts::command::{run, run_with_input};
use postern_testkit::parts::postgres::Postgres;
use tokio::task::JoinSet;

use crate::bounded;

const MINUTE: Duration = Duration::from_secs(60);
const COPIED: usize = 100 * 1000 * 1000;

#[tokio::test(flavor = "multi_thread")]
async fn psql_copies_100_mb_out_and_in_with_equal_checksums() -> anyhow::Result<()> {
    bounded(async {
        let (world, postgres) = tokio::try_join!(World::start(), Postgres::start())?;
        world
            .resource("db", Protocol::Postgres, postgres.address())
            .await?;
        let at = world.listen("demo/db").await?;
        let port = at.address.port();
        let psql = |port, sql: &str| {
            let mut psql = Postgres::psql(port);
            psql.args(["--command", sql]);
            psql
        };
        // Lines of 99 characters and a line feed: 100 bytes a row in COPY's text form.
        let make = format!(
            "CREATE TABLE t AS SELECT md5(i::text) || md5((i+1)::text) || md5((i+2)::text) || 'xyz' AS line \
             FROM generate_series(1, {}) AS i; CREATE TABLE u (line text)",
            COPIED / 100
        );
        run(&mut psql(postgres.address().port(), &make), MINUTE)
            .await?
            .success()?;
        let out = run(&mut psql(port, "COPY t TO STDOUT"), 2 * MINUTE)
            .await?
            .success()?;
        assert_eq!(out.stdout.len(), COPIED);
        run_with_input(&mut psql(port, "COPY u FROM STDIN"), out.stdout, 2 * MINUTE)
            .await?
            .success()?;
        let sum =
            |table: &str| format!("SELECT count(*), md5(string_agg(line, '' ORDER BY line)) FROM {table}");
        let direct = postgres.address().port();
        let sent = run(&mut psql(direct, &sum("t")), MINUTE).await?.success()?.text();
        let arrived = run(&mut psql(direct, &sum("u")), MINUTE).await?.success()?.text();
        assert_eq!(sent, arrived);
        assert!(sent.starts_with(&format!("{}|", COPIED / 100)), "{sent}");
        world.stop().await;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_connections_at_once_each_get_their_own_answer() -> anyhow::Result<()> {
    bounded(async {
        let (world, postgres) = tokio::try_join!(World::start(), Postgres::start())?;
        world
            .resource("db", Protocol::Postgres, postgres.address())
            .await?;
        let at = world.listen("demo/db").await?;
        let port = at.address.port();
        let mut running = JoinSet::new();
        for i in 0..50 {
            running.spawn(async move {
                let mut psql = Postgres::psql(port);
                psql.args(["--command", &format!("SELECT {i}, pg_sleep(1), pg_backend_pid()")]);
                anyhow::Ok((i, run(&mut psql, MINUTE).await?.success()?.text()))
            });
        }
        let mut backends = std::collections::BTreeSet::new();
        while let Some(done) = running.join_next().await {
            let (i, text) = done??;
            assert!(text.starts_with(&format!("{i}|")), "{i}: {text}");
            backends.insert(text.trim().rsplit('|').next().map(str::to_owned));
        }
        assert_eq!(backends.len(), 50);
        world.stop().await;
        Ok(())
    })
    .await
}
