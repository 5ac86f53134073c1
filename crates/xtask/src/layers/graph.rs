//! The workspace's packages and what each of them names, read from `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use serde_json::Value;

/// A package of the workspace.
#[derive(Debug, Default, Clone)]
pub(crate) struct Package {
    /// The folder in `crates`, taken from the manifest's path.
    pub(crate) folder: String,
    /// The packages it names as dependencies, its own and foreign ones; build dependencies count as normal.
    pub(crate) normal: BTreeSet<String>,
    /// The packages that only its tests use.
    pub(crate) dev: BTreeSet<String>,
    /// Its binaries.
    pub(crate) binaries: BTreeSet<String>,
    /// Whether it is a library as well.
    pub(crate) library: bool,
}

/// The packages of the workspace, by name.
#[derive(Debug, Default, Clone)]
pub(crate) struct Graph {
    /// Every member.
    pub(crate) packages: BTreeMap<String, Package>,
}

impl Graph {
    /// Reads the output of `cargo metadata --no-deps`.
    pub(crate) fn parse(metadata: &Value) -> anyhow::Result<Self> {
        let mut graph = Self::default();
        for value in list(metadata, "packages")? {
            graph
                .packages
                .insert(text(value, "name")?.to_owned(), package(value)?);
        }
        Ok(graph)
    }
}

fn package(value: &Value) -> anyhow::Result<Package> {
    let manifest = text(value, "manifest_path")?;
    let folder = manifest.rsplit(['/', '\\']).nth(1).unwrap_or_default();
    let mut package = Package {
        folder: folder.to_owned(),
        ..Package::default()
    };
    for dependency in list(value, "dependencies")? {
        let name = text(dependency, "name")?.to_owned();
        match dependency.get("kind").and_then(Value::as_str) {
            Some("dev") => package.dev.insert(name),
            Some(_) | None => package.normal.insert(name),
        };
    }
    for target in list(value, "targets")? {
        let kinds: Vec<_> = list(target, "kind")?.iter().filter_map(Value::as_str).collect();
        package.library |= kinds.contains(&"lib");
        if kinds.contains(&"bin") {
            package.binaries.insert(text(target, "name")?.to_owned());
        }
    }
    Ok(package)
}

fn list<'a>(value: &'a Value, key: &str) -> anyhow::Result<&'a Vec<Value>> {
    value
        .get(key)
        .and_then(Value::as_array)
        .with_context(|| format!("cargo metadata lacks the list {key}"))
}

fn text<'a>(value: &'a Value, key: &str) -> anyhow::Result<&'a str> {
    value
        .get(key)
        .and_then(Value::as_str)
        .with_context(|| format!("cargo metadata lacks the text {key}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reads_edges_by_kind_and_targets() {
        let metadata = json!({"packages": [{
            "name": "postern-relay",
            "manifest_path": "/somewhere/crates/relay/Cargo.toml",
            "dependencies": [
                {"name": "postern-ssh", "kind": null},
                {"name": "cc", "kind": "build"},
                {"name": "tempfile", "kind": "dev"},
            ],
            "targets": [
                {"kind": ["lib"], "name": "postern_relay"},
                {"kind": ["bin"], "name": "postern-relay"},
                {"kind": ["test"], "name": "routes"},
            ],
        }]});
        let graph = Graph::parse(&metadata).unwrap();
        let relay = &graph.packages["postern-relay"];
        assert_eq!(relay.folder, "relay");
        assert_eq!(relay.normal, ["cc", "postern-ssh"].map(String::from).into());
        assert_eq!(relay.dev, ["tempfile"].map(String::from).into());
        assert_eq!(relay.binaries, ["postern-relay"].map(String::from).into());
        assert!(relay.library);
    }

    #[test]
    fn refuses_what_is_not_metadata() {
        for bad in [
            json!({}),
            json!({"packages": [{}]}),
            json!({"packages": [{"name": "a"}]}),
        ] {
            assert!(Graph::parse(&bad).is_err(), "{bad}");
        }
    }
}
