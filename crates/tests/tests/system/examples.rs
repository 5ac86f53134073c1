//! The example configurations: each is read by the program that it is for, has every key, and no other.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use postern_gateway::rules::Rules;
use serde_json::Value;
use toml::Table;

/// A program's way to read its configuration, down to the keys and values that it found.
type Load = fn(&Path) -> Result<Value, String>;

const PROGRAMS: [(&str, Load); 3] = [("platform", platform), ("relay", relay), ("gateway", gateway)];

fn platform(file: &Path) -> Result<Value, String> {
    let flags = postern_platform::config::Flags {
        config: Some(file.into()),
        ..Default::default()
    };
    let config = postern_platform::config::Config::load(&flags).map_err(|e| e.to_string())?;
    serde_json::to_value(config).map_err(|e| e.to_string())
}

fn relay(file: &Path) -> Result<Value, String> {
    let flags = postern_relay::config::Flags {
        config: Some(file.into()),
        ..Default::default()
    };
    let config = postern_relay::Config::load(&flags).map_err(|e| e.to_string())?;
    serde_json::to_value(config).map_err(|e| e.to_string())
}

fn gateway(file: &Path) -> Result<Value, String> {
    let flags = postern_gateway::config::Flags {
        config: Some(file.into()),
        ..Default::default()
    };
    let config = postern_gateway::Config::load(&flags).map_err(|e| e.to_string())?;
    serde_json::to_value(config).map_err(|e| e.to_string())
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples")
        .join(format!("{name}.toml"))
}

fn table(name: &str) -> anyhow::Result<Table> {
    std::fs::read_to_string(example(name))?
        .parse()
        .with_context(|| format!("examples/{name}.toml"))
}

/// Returns `section.key` of everything in a configuration.
fn keys<'a>(sections: impl Iterator<Item = (&'a String, Vec<&'a String>)>) -> BTreeSet<String> {
    sections
        .flat_map(|(section, keys)| keys.into_iter().map(move |key| format!("{section}.{key}")))
        .collect()
}

fn keys_of_table(table: &Table) -> BTreeSet<String> {
    keys(table.iter().map(|(section, inner)| {
        (
            section,
            inner.as_table().map(|t| t.keys().collect()).unwrap_or_default(),
        )
    }))
}

fn keys_of_value(value: &Value) -> BTreeSet<String> {
    keys(value.as_object().into_iter().flatten().map(|(section, inner)| {
        (
            section,
            inner.as_object().map(|o| o.keys().collect()).unwrap_or_default(),
        )
    }))
}

/// Reads a configuration that is not one of the examples.
fn load_text(load: Load, text: &str) -> anyhow::Result<Result<Value, String>> {
    let place = tempfile::tempdir()?;
    let file = place.path().join("changed.toml");
    std::fs::write(&file, text)?;
    Ok(load(&file))
}

#[test]
fn every_file_in_the_folder_is_known_here() -> anyhow::Result<()> {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(example("x").parent().context("the folder")?)? {
        names.insert(entry?.file_name().to_string_lossy().into_owned());
    }
    let known = PROGRAMS.map(|(name, _)| format!("{name}.toml"));
    let known: BTreeSet<_> = known
        .into_iter()
        .chain(["gateway-rules.toml".to_owned()])
        .collect();
    assert_eq!(names, known);
    Ok(())
}

#[test]
fn each_is_read_by_the_program_and_has_every_key() -> anyhow::Result<()> {
    for (name, load) in PROGRAMS {
        let read = load(&example(name)).map_err(anyhow::Error::msg)?;
        // What was read is written out with every key, whether the file had it or not.
        assert_eq!(keys_of_table(&table(name)?), keys_of_value(&read), "{name}");
    }
    Ok(())
}

#[test]
fn values_are_the_defaults_where_no_comment_says_otherwise() -> anyhow::Result<()> {
    let otherwise = [
        "platform.server.listen",
        "platform.server.public_address",
        "platform.server.trusted_proxies",
        "platform.store.path",
        "platform.keys.root_key_file",
        "gateway.rules.file",
    ];
    for (name, load) in PROGRAMS {
        let read = load(&example(name)).map_err(anyhow::Error::msg)?;
        let defaults = load_text(load, "")?.map_err(anyhow::Error::msg)?;
        for path in keys_of_value(&read) {
            let (section, key) = path.split_once('.').context("a key")?;
            if !otherwise.contains(&format!("{name}.{path}").as_str()) {
                assert_eq!(read[section][key], defaults[section][key], "{name}: {path}");
            }
        }
    }
    Ok(())
}

#[test]
fn a_key_or_section_more_is_refused_and_named() -> anyhow::Result<()> {
    for (name, load) in PROGRAMS {
        let good = table(name)?;
        for section in good.keys() {
            let mut changed = good.clone();
            let inner = changed.get_mut(section).and_then(toml::Value::as_table_mut);
            inner.context("a section")?.insert("misspelt".into(), 1.into());
            let error = load_text(load, &changed.to_string())?.unwrap_err();
            assert!(
                error.contains("misspelt") && error.contains("changed.toml"),
                "{name} [{section}]: {error}"
            );
        }
        let mut changed = good.clone();
        changed.insert("misspelt".into(), Table::new().into());
        let error = load_text(load, &changed.to_string())?.unwrap_err();
        assert!(error.contains("misspelt"), "{name}: {error}");
    }
    Ok(())
}

#[test]
fn every_key_is_judged_by_its_type() -> anyhow::Result<()> {
    for (name, load) in PROGRAMS {
        let good = table(name)?;
        for (section, inner) in &good {
            for key in inner.as_table().context("a section")?.keys() {
                let mut changed = good.clone();
                let inner = changed.get_mut(section).and_then(toml::Value::as_table_mut);
                inner
                    .context("a section")?
                    .insert(key.clone(), Table::new().into());
                let error = load_text(load, &changed.to_string())?.unwrap_err();
                assert!(
                    error.contains(key) && error.contains("changed.toml"),
                    "{name} {section}.{key}: {error}"
                );
            }
        }
    }
    Ok(())
}

#[test]
fn the_rule_file_is_read_has_every_key_and_no_other() -> anyhow::Result<()> {
    Rules::load(&example("gateway-rules"))?;
    let good = table("gateway-rules")?;
    for section in good.keys() {
        let rules = good[section].as_array().context("rules")?;
        let shown: BTreeSet<&String> = rules
            .iter()
            .filter_map(|r| r.as_table())
            .flat_map(Table::keys)
            .collect();
        let mut changed = good.clone();
        let first = changed[section].as_array_mut().and_then(|all| all.first_mut());
        let first = first.and_then(toml::Value::as_table_mut).context("a rule")?;
        first.insert("misspelt".into(), 1.into());
        let error = changed.to_string().parse::<Rules>().unwrap_err();
        // The error lists what is known: unknown field `misspelt`, expected one of `network`, …
        let mut words = error.split('`').skip(1).step_by(2);
        assert!(words.any(|word| word == "misspelt"), "{error}");
        let known: BTreeSet<&str> = words.collect();
        assert_eq!(
            known,
            shown.iter().map(|key| key.as_str()).collect(),
            "[[{section}]]"
        );
    }
    let mut changed = good.clone();
    changed.insert("misspelt".into(), Table::new().into());
    let error = changed.to_string().parse::<Rules>().unwrap_err();
    let known: BTreeSet<&str> = error.split('`').skip(3).step_by(2).collect();
    assert_eq!(known, good.keys().map(String::as_str).collect());
    Ok(())
}
