//! What is linked into a shipped binary: exactly one crypto provider, none of the libraries that must not
//! ship, and none of our crates that the binary has no business with.
//!
//! Until a transport of our own stands, what comes through russh is the one exception: a library is excused
//! where everything that uses it belongs to russh's own tree.

use std::collections::{BTreeMap, BTreeSet};

use super::table::Binary;

/// The one crypto provider.
const PROVIDER: &str = "aws-lc-rs";

/// Never linked, through whatever it comes.
const NEVER: [&str; 11] = [
    "ring",
    "rustls-rustcrypto",
    "rustls-openssl",
    "rustls-graviola",
    "mbedtls",
    "boring",
    "boring-sys",
    "openssl",
    "openssl-sys",
    "native-tls",
    "rusqlite",
];

/// Never linked, unless only through russh.
const ONLY_THROUGH_RUSSH: [&str; 5] = ["rsa", "ed25519-dalek", "p256", "p384", "p521"];

/// Ours, for tests and chores.
const TEST_CRATES: [&str; 5] = [
    "postern-fixtures",
    "postern-testkit",
    "postern-tests",
    "postern-bench",
    "postern-xtask",
];

/// A binary's tree: each package by name and version, with what it uses.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    uses: BTreeMap<String, BTreeSet<String>>,
}

impl Tree {
    /// Reads the output of `cargo tree --prefix depth --format {p}`. A package that was printed before is
    /// printed again without what it uses, so the lines together hold every edge once.
    pub(crate) fn parse(text: &str) -> Self {
        let mut tree = Self::default();
        let mut path: Vec<String> = Vec::new();
        for line in text.lines() {
            let digits = line.bytes().take_while(u8::is_ascii_digit).count();
            let (depth, rest) = line.split_at(digits);
            let (Ok(depth), Some(package)) = (depth.parse::<usize>(), package(rest)) else {
                continue;
            };
            path.truncate(depth);
            if let Some(user) = path.last() {
                tree.uses.entry(user.clone()).or_default().insert(package.clone());
            }
            tree.uses.entry(package.clone()).or_default();
            path.push(package);
        }
        tree
    }

    fn named<'a>(&'a self, pattern: &'a str) -> impl Iterator<Item = &'a String> {
        let fits = move |name: &str| match pattern.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == pattern,
        };
        self.uses.keys().filter(move |key| fits(name(key)))
    }

    /// Returns everything below the packages of that name.
    fn below<'a>(&'a self, start: &'a str) -> BTreeSet<&'a String> {
        let mut found = BTreeSet::new();
        let mut left: Vec<_> = self.named(start).collect();
        while let Some(next) = left.pop() {
            if found.insert(next) {
                left.extend(self.uses.get(next).into_iter().flatten());
            }
        }
        found
    }

    fn users<'a>(&'a self, used: &'a String) -> impl Iterator<Item = &'a String> {
        self.uses
            .iter()
            .filter(move |(_, uses)| uses.contains(used))
            .map(|(user, _)| user)
    }
}

/// Takes name and version from a line such as `bytes v1.12.1 (*)`.
fn package(text: &str) -> Option<String> {
    let mut words = text.split_whitespace();
    let (name, version) = (words.next()?, words.next()?);
    Some(format!("{name} {version}"))
}

fn name(package: &str) -> &str {
    package.split(' ').next().unwrap_or(package)
}

/// Returns every fault of a binary, each as a sentence.
pub(crate) fn judge(binary: &Binary, tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    let mut fault = |what: &str, why: &str| faults.push(format!("{} links {what}: {why}", binary.name));
    for pattern in binary.lacks.split_whitespace() {
        for found in tree.named(pattern) {
            fault(found, "it has no business there");
        }
    }
    for found in TEST_CRATES.iter().flat_map(|name| tree.named(name)) {
        fault(found, "it is for tests and chores");
    }
    for found in NEVER.iter().flat_map(|name| tree.named(name)) {
        fault(
            found,
            "one crypto provider and one database driver, and this is neither",
        );
    }
    let of_russh = tree.below("russh");
    for found in ONLY_THROUGH_RUSSH.iter().flat_map(|name| tree.named(name)) {
        if let Some(user) = tree.users(found).find(|user| !of_russh.contains(user)) {
            fault(found, &format!("it does not ship, and {user} uses it"));
        }
    }
    match tree.named(PROVIDER).count() {
        1 => {}
        0 => fault("no aws-lc-rs", "it is the crypto provider"),
        _ => fault("aws-lc-rs more than once", "there is one crypto provider"),
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::table::BINARIES;

    const GOOD: &str = "\
0postern-relay v0.1.0 (/somewhere/crates/relay)
1postern-ssh v0.1.0 (/somewhere/crates/ssh)
2russh v0.65.1
3aws-lc-rs v1.19.0
3p256 v0.14.0
3ssh-key v0.7.0-rc.11
4p256 v0.14.0 (*)
2postern-sshkey v0.1.0 (/somewhere/crates/sshkey)
3aws-lc-rs v1.19.0 (*)
3ssh-key v0.7.0-rc.11 (*)
1clap v4.6.7
2clap_derive v4.6.7 (proc-macro)
";

    fn relay(extra: &str) -> Vec<String> {
        let binary = BINARIES.iter().find(|binary| binary.krate == "relay").unwrap();
        judge(binary, &Tree::parse(&format!("{GOOD}{extra}")))
    }

    #[test]
    fn excuses_only_what_belongs_to_russh() {
        assert_eq!(relay(""), Vec::<String>::new());
        let faults = relay("1p256 v0.14.0 (*)\n");
        assert_eq!(faults.len(), 1);
        assert!(
            faults[0].contains("p256") && faults[0].contains("postern-relay"),
            "{faults:?}"
        );
        assert_eq!(relay("1other v1.0.0\n2rsa v0.9.0\n").len(), 1);
        assert_eq!(relay("1other v1.0.0\n2ed25519-dalek v3.0.0\n").len(), 1);
    }

    #[test]
    fn refuses_another_library_of_the_same_name_that_russh_does_not_use() {
        assert_eq!(relay("1p256 v0.13.0\n").len(), 1);
    }

    #[test]
    fn refuses_a_second_crypto_provider_even_through_russh() {
        assert_eq!(relay("1russh v0.65.1\n2ring v0.17.14\n").len(), 1);
        assert_eq!(relay("1openssl-sys v0.9.0\n").len(), 1);
        assert_eq!(relay("1aws-lc-rs v1.18.0\n").len(), 1);
        let binary = &BINARIES[0];
        assert_eq!(judge(binary, &Tree::parse("0postern v0.1.0 (x)\n")).len(), 1);
    }

    #[test]
    fn refuses_what_a_relay_has_no_business_with() {
        for name in [
            "postern-session",
            "postern-client",
            "postern-platform",
            "sqlx",
            "sqlx-core",
        ] {
            assert_eq!(relay(&format!("1{name} v0.1.0\n")).len(), 1, "{name}");
        }
    }

    #[test]
    fn refuses_test_crates_in_every_binary() {
        for binary in &BINARIES {
            let tree = format!(
                "0{} v0.1.0\n1aws-lc-rs v1.19.0\n1postern-fixtures v0.1.0\n",
                binary.name
            );
            assert_eq!(judge(binary, &Tree::parse(&tree)).len(), 1, "{}", binary.name);
        }
    }

    #[test]
    fn refuses_the_platform_in_the_command_line() {
        let tree = "0postern v0.1.0\n1aws-lc-rs v1.19.0\n1postern-platform v0.1.0\n";
        assert_eq!(judge(&BINARIES[0], &Tree::parse(tree)).len(), 1);
    }
}
