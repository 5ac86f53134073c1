//! The rule for a crate's manifest: the lints of the workspace hold in it, and it is not published by accident.

use super::Finding;
use super::tree::File;

/// Adds what is wrong in a manifest.
pub(crate) fn check(file: &File, findings: &mut Vec<Finding>) {
    if !file.path.starts_with("crates/") {
        return;
    }
    let manifest: toml::Table = match file.text.parse() {
        Ok(manifest) => manifest,
        Err(error) => {
            findings.push(Finding::new(file, 0, format!("not TOML: {error}")));
            return;
        }
    };
    for (table, key) in [
        ("lints", None),
        ("package", Some("publish")),
        ("package", Some("edition")),
    ] {
        let value = manifest.get(table);
        let value = key.map_or(value, |key| value.and_then(|table| table.get(key)));
        let inherited = value
            .and_then(|value| value.get("workspace"))
            .and_then(toml::Value::as_bool);
        if inherited != Some(true) {
            let what = key.unwrap_or(table);
            findings.push(Finding::new(file, 0, format!("{what} must be the workspace's")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> usize {
        let mut findings = Vec::new();
        check(&File::new(path, text), &mut findings);
        findings.len()
    }

    const GOOD: &str = "[package]\nname = \"a\"\npublish.workspace = true\nedition.workspace = true\n";

    #[test]
    fn accepts_the_lints_of_the_workspace_and_nothing_else() {
        let path = "crates/a/Cargo.toml";
        assert_eq!(findings(path, &format!("{GOOD}[lints]\nworkspace = true\n")), 0);
        assert_eq!(findings(path, &format!("{GOOD}[lints]\nworkspace = false\n")), 1);
        assert_eq!(
            findings(path, &format!("{GOOD}[lints.rust]\nunsafe_code = \"warn\"\n")),
            1
        );
        assert_eq!(findings(path, GOOD), 1);
        assert_eq!(
            findings(path, "[package]\npublish = true\n[lints]\nworkspace = true\n"),
            2
        );
        assert_eq!(findings(path, "[package"), 1);
    }

    #[test]
    fn leaves_the_manifest_of_the_workspace_alone() {
        assert_eq!(findings("Cargo.toml", "[workspace]\n"), 0);
    }
}
