//! The table of crates, and the judgement of a workspace by it.
//!
//! ```text
//! level 6   cli (postern, postern-dev)
//! level 5   platform           gateway        relay
//! level 4   client             agent
//! level 3   session            transport
//! level 2   pki      ssh       api      audit
//! level 1   domain   sshkey
//! ```
//!
//! An edge that the table does not name is forbidden; one that it names may be missing.

use super::graph::{Graph, Package};

/// A crate: where it stands, and which of ours it may use, as words with spaces between them.
#[derive(Debug)]
pub(crate) struct Crate {
    pub(crate) name: &'static str,
    pub(crate) level: u8,
    /// What it may be built from.
    pub(crate) uses: &'static str,
    /// What its tests may use besides.
    pub(crate) tests_use: &'static str,
}

const fn row(name: &'static str, level: u8, uses: &'static str, tests_use: &'static str) -> Crate {
    Crate {
        name,
        level,
        uses,
        tests_use,
    }
}

/// Everything that ships as part of a daemon or a tool.
const SHIPPED: &str =
    "domain sshkey api audit pki ssh session transport client agent platform relay gateway cli";
/// What the small whole world is made of.
const WORLD: &str =
    "domain sshkey api audit pki ssh session transport client agent platform relay gateway cli dev fixtures";
/// Everything but chores.
const ALL: &str = "domain sshkey api audit pki ssh session transport client agent platform relay gateway cli dev \
                   fixtures testkit";
const TESTKIT: &str = "fixtures testkit";

/// The table. `dev` stands above `cli`, whose library it runs; `fixtures` needs `domain` for the words in
/// which `pki` and `transport` are spoken to.
pub(crate) const CRATES: [Crate; 20] = [
    row("domain", 1, "", ""),
    row("sshkey", 1, "", ""),
    row("api", 2, "domain", ""),
    row("audit", 2, "domain", ""),
    row("pki", 2, "domain sshkey", ""),
    row("ssh", 2, "sshkey", "fixtures"),
    row("session", 3, "domain pki", "fixtures"),
    row("transport", 3, "domain pki", "fixtures"),
    row("client", 4, "domain api pki session transport", "fixtures"),
    row("agent", 4, "domain sshkey api audit pki transport", "fixtures"),
    row(
        "platform",
        5,
        "domain sshkey api audit pki session transport client",
        TESTKIT,
    ),
    row(
        "relay",
        5,
        "domain sshkey api audit pki ssh transport agent",
        TESTKIT,
    ),
    row(
        "gateway",
        5,
        "domain sshkey api audit pki ssh session transport agent",
        TESTKIT,
    ),
    row("cli", 6, "domain api audit pki transport client agent", TESTKIT),
    row("dev", 7, SHIPPED, TESTKIT),
    row("fixtures", 4, "domain pki transport", ""),
    row("testkit", 8, WORLD, ""),
    row("tests", 9, "", ALL),
    row("bench", 9, ALL, ""),
    row("xtask", 1, "", ""),
];

/// Tells whether a list of words has the word.
fn lists(words: &str, word: &str) -> bool {
    words.split_whitespace().any(|listed| listed == word)
}

/// What only one crate, or none, may name, whether in its code or in its tests.
const ONLY: [(&str, &str); 6] = [
    ("russh", "ssh"),
    ("ssh-key", "sshkey"),
    ("rcgen", "pki fixtures"),
    ("sqlx", "platform"),
    ("rusqlite", ""),
    ("ring", ""),
];

/// A binary that ships, and what must not be in it.
#[derive(Debug)]
pub(crate) struct Binary {
    pub(crate) krate: &'static str,
    pub(crate) name: &'static str,
    /// Packages with spaces between them; one that ends in `*` stands for all that begin so.
    pub(crate) lacks: &'static str,
}

const fn binary(krate: &'static str, name: &'static str, lacks: &'static str) -> Binary {
    Binary { krate, name, lacks }
}

/// The binaries that ship.
pub(crate) const BINARIES: [Binary; 5] = [
    binary(
        "cli",
        "postern",
        "postern-platform postern-ssh russh sqlx* libsqlite3-sys",
    ),
    binary("dev", "postern-dev", ""),
    binary("platform", "postern-platform", "postern-ssh russh"),
    binary(
        "relay",
        "postern-relay",
        "postern-session postern-client postern-platform sqlx* libsqlite3-sys",
    ),
    binary(
        "gateway",
        "postern-gateway",
        "postern-client postern-platform sqlx* libsqlite3-sys",
    ),
];

/// Returns the package of a crate.
pub(crate) fn package(krate: &str) -> String {
    if krate == "cli" {
        "postern".to_owned()
    } else {
        format!("postern-{krate}")
    }
}

/// Returns every fault of the workspace, each as a sentence.
pub(crate) fn judge(graph: &Graph) -> Vec<String> {
    let mut faults = Vec::new();
    for krate in &CRATES {
        match graph.packages.get(&package(krate.name)) {
            Some(found) => faults.extend(edges(krate, found).into_iter().chain(shape(krate, found))),
            None => faults.push(format!("the crate {} is missing", krate.name)),
        }
    }
    for name in graph.packages.keys() {
        if by_package(name).is_none() {
            faults.push(format!(
                "{name} is not in the table of crates: say where it stands"
            ));
        }
    }
    faults
}

fn by_package(name: &str) -> Option<&'static Crate> {
    CRATES.iter().find(|krate| package(krate.name) == name)
}

/// The faults in what a crate names.
fn edges(krate: &Crate, found: &Package) -> Vec<String> {
    let Crate {
        name: user,
        level,
        uses,
        tests_use,
    } = krate;
    let may = |name: &str, tests_use: &str| match by_package(name) {
        Some(used) => lists(uses, used.name) || lists(tests_use, used.name),
        None => only(name).is_none_or(|users| lists(users, user)),
    };
    let normal = found.normal.iter().filter(|name| !may(name, ""));
    let dev = found.dev.iter().filter(|name| !may(name, tests_use));
    let normal = normal.map(|name| format!("{user} (level {level}) must not use {name}"));
    let dev = dev.map(|name| format!("the tests of {user} (level {level}) must not use {name}"));
    normal.chain(dev).collect()
}

/// Returns who may name a library, if not everybody may.
fn only(name: &str) -> Option<&'static str> {
    ONLY.iter()
        .find(|(only, _)| *only == name)
        .map(|(_, users)| *users)
}

/// The faults in where a crate lies and what it is built into.
fn shape(krate: &Crate, found: &Package) -> Vec<String> {
    let mut faults = Vec::new();
    if found.folder != krate.name {
        faults.push(format!(
            "{} lies in {}, not in crates/{}",
            krate.name, found.folder, krate.name
        ));
    }
    if let Some(binary) = BINARIES.iter().find(|binary| binary.krate == krate.name) {
        if !found.library {
            faults.push(format!("{} is no library: its main.rs only calls it", krate.name));
        }
        if found.binaries.iter().ne([binary.name]) {
            faults.push(format!(
                "{} must have exactly the binary {}",
                krate.name, binary.name
            ));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A workspace in which every edge of the table exists.
    fn good() -> Graph {
        let packages = CRATES.iter().map(|krate| {
            let binary = BINARIES.iter().find(|binary| binary.krate == krate.name);
            let found = Package {
                folder: krate.name.to_owned(),
                normal: krate.uses.split_whitespace().map(package).collect(),
                dev: krate.tests_use.split_whitespace().map(package).collect(),
                binaries: binary.iter().map(|binary| binary.name.to_owned()).collect(),
                library: true,
            };
            (package(krate.name), found)
        });
        Graph {
            packages: packages.collect(),
        }
    }

    fn with_normal(krate: &str, name: &str) -> Vec<String> {
        let mut graph = good();
        graph
            .packages
            .get_mut(&package(krate))
            .unwrap()
            .normal
            .insert(name.to_owned());
        judge(&graph)
    }

    fn with_dev(krate: &str, name: &str) -> Vec<String> {
        let mut graph = good();
        graph
            .packages
            .get_mut(&package(krate))
            .unwrap()
            .dev
            .insert(name.to_owned());
        judge(&graph)
    }

    #[test]
    fn accepts_the_table_itself() {
        assert_eq!(judge(&good()), Vec::<String>::new());
    }

    #[test]
    fn every_edge_of_the_table_leads_down() {
        for krate in &CRATES {
            for used in krate.uses.split_whitespace() {
                let used = CRATES.iter().find(|other| other.name == used).unwrap();
                assert!(used.level < krate.level, "{} uses {}", krate.name, used.name);
            }
        }
    }

    #[test]
    fn refuses_an_edge_upwards_or_sideways() {
        for (krate, name) in [
            ("domain", "postern-api"),
            ("pki", "postern-transport"),
            ("session", "postern-transport"),
            ("transport", "postern-session"),
            ("agent", "postern-client"),
            ("gateway", "postern-client"),
            ("gateway", "postern-platform"),
            ("xtask", "postern-domain"),
        ] {
            let faults = with_normal(krate, name);
            assert_eq!(faults.len(), 1, "{krate} uses {name}");
            assert!(
                faults[0].starts_with(krate) && faults[0].ends_with(name),
                "{faults:?}"
            );
        }
    }

    #[test]
    fn refuses_a_relay_that_knows_sessions_clients_or_a_database() {
        for name in ["postern-session", "postern-client", "sqlx"] {
            assert_eq!(
                with_normal("relay", name),
                [format!("relay (level 5) must not use {name}")]
            );
        }
        for name in ["postern-session", "sqlx"] {
            assert_eq!(
                with_dev("relay", name),
                [format!("the tests of relay (level 5) must not use {name}")]
            );
        }
    }

    #[test]
    fn refuses_a_command_line_that_knows_the_platform_even_in_its_tests() {
        assert_eq!(with_normal("cli", "postern-platform").len(), 1);
        assert_eq!(with_dev("cli", "postern-platform").len(), 1);
    }

    #[test]
    fn refuses_a_second_crate_that_names_russh_even_in_its_tests() {
        assert_eq!(with_normal("ssh", "russh"), Vec::<String>::new());
        for krate in ["sshkey", "relay", "gateway", "bench", "testkit"] {
            assert_eq!(with_normal(krate, "russh").len(), 1, "{krate}");
        }
        assert_eq!(
            with_dev("tests", "russh"),
            ["the tests of tests (level 9) must not use russh"]
        );
        assert_eq!(with_normal("agent", "ssh-key").len(), 1);
        assert_eq!(with_dev("pki", "ring").len(), 1);
    }

    #[test]
    fn keeps_test_crates_out_of_what_ships_and_out_of_low_levels() {
        for krate in ["session", "relay", "cli", "dev"] {
            assert_eq!(with_normal(krate, "postern-fixtures").len(), 1, "{krate}");
            assert_eq!(with_normal(krate, "postern-testkit").len(), 1, "{krate}");
        }
        for krate in ["domain", "sshkey", "api", "audit", "pki"] {
            assert_eq!(with_dev(krate, "postern-fixtures").len(), 1, "{krate}");
        }
        for krate in ["domain", "pki", "ssh", "session", "transport", "client", "agent"] {
            assert_eq!(with_dev(krate, "postern-testkit").len(), 1, "{krate}");
        }
        assert_eq!(
            with_normal("tests", "postern-domain"),
            ["tests (level 9) must not use postern-domain"]
        );
    }

    #[test]
    fn refuses_a_missing_crate_and_one_that_the_table_does_not_know() {
        let mut graph = good();
        graph.packages.remove("postern-audit");
        graph
            .packages
            .insert("postern-extra".to_owned(), Package::default());
        let faults = judge(&graph);
        assert_eq!(faults.len(), 2);
        assert_eq!(faults[0], "the crate audit is missing");
        assert!(
            faults[1].starts_with("postern-extra is not in the table"),
            "{faults:?}"
        );
    }

    #[test]
    fn refuses_a_daemon_without_library_or_with_another_binary_or_elsewhere() {
        let mut graph = good();
        let relay = graph.packages.get_mut("postern-relay").unwrap();
        relay.library = false;
        relay.binaries.insert("relayd".to_owned());
        relay.folder = "router".to_owned();
        assert_eq!(judge(&graph).len(), 3);
    }
}
