//! Each rule for Rust files, fed what it accepts and what it refuses.

use super::*;

fn findings(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    check(&File::new(path, text), &mut findings);
    findings
        .into_iter()
        .filter(|finding| !finding.warning)
        .map(|finding| finding.to_string())
        .collect()
}

fn body(text: &str) -> Vec<String> {
    findings("crates/a/src/b.rs", &format!("//! What it is.\n\n{text}\n"))
}

const NOTHING: [&str; 0] = [];

#[test]
fn refuses_a_file_without_a_header_that_says_something() {
    assert_eq!(
        findings("crates/a/src/b.rs", "//! A thing\n//! of use.\n"),
        NOTHING
    );
    for bad in [
        "",
        "fn a() {}\n",
        "\n//! Too late for a header.\n",
        "// Not the right kind.\n",
        "//! postern-a.\n",
    ] {
        assert_eq!(findings("crates/a/src/b.rs", bad).len(), 1, "{bad:?}");
    }
}

#[test]
fn refuses_a_long_file_but_counts_no_tests() {
    let text = |code: usize, tests: usize| {
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "\n".repeat(tests));
        format!("//! What it is.\n{}{tests}", "\n".repeat(code - 1))
    };
    assert_eq!(findings("crates/a/src/b.rs", &text(400, 900)), NOTHING);
    assert_eq!(findings("crates/a/src/b.rs", &text(401, 0)).len(), 1);
    assert_eq!(findings("crates/a/tests/b.rs", &text(401, 0)), NOTHING);
    assert_eq!(findings("crates/a/src/b/tests.rs", &text(401, 0)), NOTHING);
    assert_eq!(findings("crates/a/src/main.rs", &text(60, 900)), NOTHING);
    assert_eq!(findings("crates/a/src/main.rs", &text(61, 0)).len(), 1);
}

#[test]
fn warns_of_a_file_that_grows_long() {
    let mut all = Vec::new();
    let file = File::new(
        "crates/a/src/b.rs",
        &format!("//! What it is.\n{}", "\n".repeat(360)),
    );
    check(&file, &mut all);
    assert!(matches!(&all[..], [finding] if finding.warning), "{all:?}");
}

#[test]
fn refuses_modules_named_after_nothing() {
    let text = "//! What it is.\n";
    for bad in [
        "a/src/mod.rs",
        "a/src/b/mod.rs",
        "a/src/util.rs",
        "a/src/common/b.rs",
        "a/tests/helpers.rs",
    ] {
        assert_eq!(findings(&format!("crates/{bad}"), text).len(), 1, "{bad}");
    }
    for good in ["a/src/core_dump.rs", "a/src/model.rs"] {
        assert_eq!(findings(&format!("crates/{good}"), text), NOTHING, "{good}");
    }
    for bad in [
        "mod shared;",
        "pub mod core {}",
        "pub(crate) mod utils;",
        "    mod util {",
    ] {
        assert_eq!(body(bad).len(), 1, "{bad}");
    }
    for good in [
        "mod shared_key;",
        "let a = \"mod shared;\";",
        "// mod core;",
        "use core::fmt;",
    ] {
        assert_eq!(body(good), NOTHING, "{good}");
    }
}

#[test]
fn refuses_what_must_not_be_in_code() {
    for bad in [
        "#[ignore]",
        "#[ignore = \"slow\"]",
        "#[cfg_attr(windows, ignore)]",
        "todo!()",
        "unimplemented!(\"x\")",
        "let (a, b) = mpsc::unbounded_channel();",
        "let a: UnboundedSender<u8> = b;",
        "let (a, b) = std::sync::mpsc::channel();",
        "let (a, b) = flume::unbounded();",
    ] {
        assert_eq!(body(bad).len(), 1, "{bad}");
    }
    for good in [
        "let a = \"todo!()\";",
        "// #[ignore] is refused",
        "mpsc::channel(8)",
        "mpsc::sync_channel(1)",
    ] {
        assert_eq!(body(good), NOTHING, "{good}");
    }
}

fn in_test(attribute: &str, line: &str) -> Vec<String> {
    body(&format!(
        "#[cfg(test)]\nmod tests {{\n    {attribute}\n    async fn a() {{\n        {line}\n    }}\n}}"
    ))
}

#[test]
fn refuses_a_test_that_sleeps() {
    for bad in [
        "sleep(D).await;",
        "tokio::time::sleep(D).await;",
        "thread::sleep(D);",
        "time::sleep_until(D);",
    ] {
        assert_eq!(in_test("#[tokio::test]", bad).len(), 1, "{bad}");
        assert_eq!(
            body(&format!("fn a() {{ {bad} }}")),
            NOTHING,
            "outside of tests: {bad}"
        );
        let text = format!("//! What it is.\nfn a() {{ {bad} }}\n");
        assert_eq!(findings("crates/tests/tests/main/a.rs", &text).len(), 1, "{bad}");
        assert_eq!(findings("crates/testkit/src/a.rs", &text).len(), 1, "{bad}");
    }
    for good in [
        "fn sleep(d: D) {}",
        "oversleep(D);",
        "let a = \"sleep(1)\";",
        "// sleep(1)",
    ] {
        assert_eq!(in_test("#[test]", good), NOTHING, "{good}");
    }
}

#[test]
fn lets_a_test_sleep_on_a_paused_clock() {
    assert_eq!(
        in_test("#[tokio::test(start_paused = true)]", "sleep(D).await;"),
        NOTHING
    );
    assert_eq!(
        in_test("#[tokio::test]", "tokio::time::pause();\nsleep(D).await;"),
        NOTHING
    );
    assert_eq!(
        in_test("#[tokio::test]", "sleep(D).await;\ntokio::time::pause();").len(),
        1
    );
    let two =
        "#[tokio::test(start_paused = true)]\nasync fn a() {}\n#[tokio::test]\nasync fn b() {\nsleep(D);\n}";
    assert_eq!(
        body(&format!("#[cfg(test)]\nmod tests {{\n{two}\n}}")).len(),
        1,
        "the other test's clock"
    );
}

#[test]
fn lets_a_test_sleep_for_a_reason() {
    let with = |comment: &str| in_test("#[tokio::test]", &format!("{comment}\nsleep(D).await;"));
    assert_eq!(
        with("// tidy: sleeps because sshd tells nobody when it is ready"),
        NOTHING
    );
    assert_eq!(
        with("// tidy: sleeps because sshd tells\n// nobody when it is ready"),
        NOTHING
    );
    assert_eq!(
        in_test("#[test]", "sleep(D); // tidy: sleeps because sshd tells nobody"),
        NOTHING
    );
    assert_eq!(with("// tidy: sleeps because").len(), 1);
    assert_eq!(with("// sshd tells nobody when it is ready").len(), 1);
    assert_eq!(
        with("// tidy: sleeps because sshd tells nobody\nlet a = 1;").len(),
        1,
        "not right above"
    );
}
