//! Tests that another directory at the same path is refused unless the owner accepts it.

use super::*;

/// A machine with its state and a directory for backups.
struct Machine {
    place: tempfile::TempDir,
    homes: Homes,
}

impl Machine {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        for name in ["state", "backups"] {
            fs::create_dir(place.path().join(name)).unwrap();
        }
        let homes = Homes { state: place.path().join("state"), is_typed: false };
        Self { place, homes }
    }

    fn directory(&self, name: &str) -> BackupDirectory {
        BackupDirectory::at(&self.place.path().join(name)).unwrap()
    }

    /// Makes a backup: takes the next number and creates a directory with that name.
    fn back_up(&self, name: &str, is_meant: bool) -> Result<u64> {
        let directory = self.directory(name);
        let highest = self.homes.enter(&directory, is_meant)?;
        let sequence = directory.next_sequence(highest)?;
        let set = set(sequence);
        fs::create_dir(directory.path().join(set.to_string())).unwrap();
        self.homes.published(&directory, set)?;
        Ok(sequence)
    }

    /// Leaves an empty directory at the path, as when the disk is not mounted.
    fn unmount(&self) {
        fs::rename(self.place.path().join("backups"), self.place.path().join("disk")).unwrap();
        fs::create_dir(self.place.path().join("backups")).unwrap();
    }
}

fn set(sequence: u64) -> SetName {
    SetName::new(sequence, "2026-11-22T03:00:12Z".parse().unwrap())
}

#[test]
fn an_empty_directory_instead_of_the_disk_is_refused_and_stays_empty() {
    let machine = Machine::new();
    assert_eq!(machine.back_up("backups", false).unwrap(), 1);
    machine.homes.require(&machine.directory("backups")).unwrap();
    machine.unmount();
    for refused in [
        machine.homes.require(&machine.directory("backups")).unwrap_err(),
        machine.back_up("backups", false).unwrap_err(),
    ] {
        assert_eq!(refused.exit(), Exit::Settings);
        let said = refused.to_string();
        assert!(said.contains("not the directory that set 000001-20261122T030012Z was written to"), "{said}");
        assert!(said.contains("Is its disk mounted?"), "{said}");
    }
    assert_eq!(fs::read_dir(machine.place.path().join("backups")).unwrap().count(), 0);
}

#[test]
fn an_accepted_new_directory_continues_the_numbers() {
    let machine = Machine::new();
    machine.back_up("backups", false).unwrap();
    machine.unmount();
    assert_eq!(machine.back_up("backups", true).unwrap(), 2);
    assert_eq!(machine.back_up("backups", false).unwrap(), 3);
    // Another path in the settings is accepted.
    fs::create_dir(machine.place.path().join("elsewhere")).unwrap();
    assert_eq!(machine.back_up("elsewhere", false).unwrap(), 4);
}

/// Backs up three times beside an empty directory with this number. Returns the number of each set
/// or its exit code.
fn beside_a_directory_of(number: &str) -> (Machine, Vec<std::result::Result<u64, Exit>>) {
    let machine = Machine::new();
    machine.back_up("backups", false).unwrap();
    let hostile = machine.directory("backups").path().join(format!("{number}-20261122T030012Z"));
    fs::create_dir(&hostile).unwrap();
    let made = (0..3).map(|_| machine.back_up("backups", false).map_err(|failure| failure.exit())).collect();
    fs::remove_dir(&hostile).unwrap();
    (machine, made)
}

#[test]
fn no_directory_restarts_the_numbers() {
    for number in ["18446744073709551615", "18446744073709551614", "1000000000"] {
        let (machine, made) = beside_a_directory_of(number);
        assert_eq!(made, [Ok(2), Ok(3), Ok(4)], "{number}");
        assert_eq!(machine.back_up("backups", false).unwrap(), 5);
    }
}

#[test]
fn a_directory_with_the_highest_number_fails_backups_until_it_is_removed() {
    let (machine, made) = beside_a_directory_of("999999999");
    assert_eq!(made, [Err(Exit::Data); 3]);
    assert_eq!(machine.back_up("backups", false).unwrap(), 2);
    // Its number is higher than any later set's, but it is not remembered: a person may move both
    // away.
    let (machine, made) = beside_a_directory_of("999999998");
    assert_eq!(made, [Ok(999_999_999), Err(Exit::Data), Err(Exit::Data)]);
    fs::remove_dir(machine.directory("backups").path().join(set(999_999_999).to_string())).unwrap();
    assert_eq!(machine.back_up("backups", false).unwrap(), 2);
}

#[test]
fn an_impossible_remembered_number_is_ignored() {
    let machine = Machine::new();
    machine.back_up("backups", false).unwrap();
    let path = machine.place.path().join("state/directories.json");
    let json =
        fs::read_to_string(&path).unwrap().replace("\"highest\":1,", &format!("\"highest\":{},", u64::MAX));
    assert!(json.contains("18446744073709551615"), "{json}");
    fs::write(&path, json).unwrap();
    let last = machine.directory("backups").path().join(".last.json");
    let all = format!(r#"{{"sequence":{0},"database_bytes":1,"set_bytes":1,"accepted":{0}}}"#, u64::MAX);
    fs::write(last, all).unwrap();
    assert_eq!(machine.directory("backups").remembered().unwrap().accepted, 0);
    assert_eq!(machine.back_up("backups", false).unwrap(), 2);
}

#[test]
fn a_directory_with_sets_is_accepted_and_continued() {
    let machine = Machine::new();
    fs::create_dir(machine.directory("backups").path().join(set(41).to_string())).unwrap();
    assert_eq!(machine.back_up("backups", false).unwrap(), 42);
}

#[test]
fn sets_that_were_copied_without_the_identity_are_the_same_directory() {
    let machine = Machine::new();
    machine.back_up("backups", false).unwrap();
    machine.unmount();
    fs::create_dir(machine.directory("backups").path().join(set(1).to_string())).unwrap();
    assert_eq!(machine.back_up("backups", false).unwrap(), 2);
}

#[test]
fn a_disk_that_is_mounted_before_the_first_set_is_accepted() {
    let machine = Machine::new();
    machine.homes.enter(&machine.directory("backups"), false).unwrap();
    machine.unmount();
    assert_eq!(machine.back_up("backups", false).unwrap(), 1);
}

#[test]
fn a_typed_directory_is_not_compared_unless_it_is_known() {
    let machine = Machine::new();
    machine.back_up("backups", false).unwrap();
    fs::create_dir(machine.place.path().join("own")).unwrap();
    let typed = Homes { is_typed: true, ..machine.homes.clone() };
    assert_eq!(typed.enter(&machine.directory("own"), false).unwrap(), 0);
    assert_eq!(fs::read_dir(machine.place.path().join("own")).unwrap().count(), 0);
    machine.unmount();
    assert_eq!(typed.require(&machine.directory("backups")).unwrap_err().exit(), Exit::Settings);
}

#[test]
fn damaged_state_is_an_error() {
    let machine = Machine::new();
    machine.back_up("backups", false).unwrap();
    fs::write(machine.homes.file(), "{").unwrap();
    assert_eq!(machine.back_up("backups", false).unwrap_err().exit(), Exit::Data);
}

#[test]
fn the_device_of_a_path_is_that_of_its_mount() {
    assert_eq!(device_of(Path::new("/proc/1")), device_of(Path::new("/proc")));
    assert!(device_of(Path::new("/")).is_some());
}
