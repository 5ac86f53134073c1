//! Tests of the state directory.

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

#[test]
fn directory_and_files_are_for_their_owner_alone() {
    let outer = tempfile::tempdir().unwrap();
    let path = outer.path().join("new/state");
    let state = StateDir::open(&path).unwrap();
    state.save("a.json", &1).unwrap();
    let inner = state.directory("spool").unwrap();
    assert_eq!([mode(&path), mode(&inner)], [0o700; 2]);
    assert_eq!([mode(&path.join("a.json")), mode(&path.join("lock"))], [0o600; 2]);
}

#[test]
fn a_file_is_replaced_whole_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    assert_eq!(state.load::<String>("a.json").unwrap(), None);
    state.save("a.json", &"a long first value").unwrap();
    state.save("a.json", &"second").unwrap();
    assert_eq!(state.load::<String>("a.json").unwrap().as_deref(), Some("second"));
    assert!(!dir.path().join("a.json.new").exists());
    state.remove("a.json").unwrap();
    state.remove("a.json").unwrap();
    assert_eq!(state.load::<String>("a.json").unwrap(), None);
}

#[test]
fn what_a_crash_left_beside_a_file_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    state.save("a.json", &1).unwrap();
    fs::write(dir.path().join("a.json.new"), "{\"torn").unwrap();
    assert_eq!(state.load("a.json").unwrap(), Some(1));
    state.save("a.json", &2).unwrap();
    assert_eq!(state.load("a.json").unwrap(), Some(2));
}

#[test]
fn refuses_a_directory_that_another_process_holds() {
    let dir = tempfile::tempdir().unwrap();
    let first = StateDir::open(dir.path()).unwrap();
    let clone = first.clone();
    drop(first);
    assert!(matches!(
        StateDir::open(dir.path()),
        Err(StateError::Locked { .. })
    ));
    drop(clone);
    assert!(StateDir::open(dir.path()).is_ok());
}

#[test]
fn a_copy_of_the_lock_in_a_process_that_is_being_started_does_not_keep_it() {
    let dir = tempfile::tempdir().unwrap();
    let first = StateDir::open(dir.path()).unwrap();
    let inherited = first.inner.lock.try_clone().unwrap();
    drop(first);
    assert!(StateDir::open(dir.path()).is_ok());
    drop(inherited);
}

#[test]
fn refuses_a_directory_in_use_that_others_may_enter_and_closes_an_empty_one() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    drop(StateDir::open(dir.path()).unwrap());
    assert_eq!(mode(dir.path()), 0o700);
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o750)).unwrap();
    let error = StateDir::open(dir.path()).unwrap_err();
    assert!(matches!(error, StateError::Open { mode: 0o750, .. }), "{error}");
}

#[test]
fn refuses_a_file_that_others_may_read() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    state.save("a.json", &1).unwrap();
    fs::set_permissions(dir.path().join("a.json"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(state.load::<u8>("a.json"), Err(StateError::Open { .. })));
}

#[test]
fn a_damaged_file_is_named_and_not_quoted() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    fs::write(dir.path().join("a.json"), "\"hunter2\"").unwrap();
    fs::set_permissions(dir.path().join("a.json"), fs::Permissions::from_mode(0o600)).unwrap();
    let text = state.load::<u8>("a.json").unwrap_err().to_string();
    assert!(text.contains("a.json") && text.contains("damaged"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn does_not_write_through_a_symbolic_link() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(&dir.path().join("state")).unwrap();
    let victim = dir.path().join("victim");
    fs::write(&victim, "untouched").unwrap();
    std::os::unix::fs::symlink(&victim, state.path().join("a.json.new")).unwrap();
    state.save("a.json", &1).unwrap();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
}
