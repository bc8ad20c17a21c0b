//! A directory is a set only if its name is the canonical form of a number and a time. A text that names a set finds that set or
//! none.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use nexus_backup_set::directory::BackupDirectory;
use nexus_backup_set::name::SetName;

const SETS: [&str; 3] = ["000001-20250101T000000Z", "000042-20261122T030012Z", "1000000-20270101T000000Z"];

static DIRECTORY: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let directory = tempfile::tempdir().unwrap();
    for set in SETS {
        std::fs::create_dir(directory.path().join(set)).unwrap();
    }
    directory
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let parsed = text.parse::<SetName>();
    if let Ok(name) = parsed {
        assert_eq!(name.to_string(), text);
        assert_eq!(SetName::new(name.sequence, name.taken), name);
        assert!(!text.starts_with('.') && !text.contains('/'));
    }
    let Ok(found) = BackupDirectory::at(DIRECTORY.path()).unwrap().find(text) else { return };
    assert!(SETS.contains(&found.name.to_string().as_str()));
    let by_number = text.parse() == Ok(found.name.sequence);
    assert!(text == "latest" || by_number || parsed == Ok(found.name));
});
