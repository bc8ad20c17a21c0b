//! The outcome of the last test alert in `tested.json`. nexus-health reads it, because nobody notices a broken channel
//! before an alert is lost.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use nexus_cli::failure::{Exit, OrFail, OrFailIo, Result};
use nexus_fs::files;
use serde::Serialize;

use crate::channel::Channel;

/// The version of the file.
const VERSION: u32 = 1;

/// The outcome of a test alert.
#[derive(Serialize)]
pub(crate) struct TestOutcome<'a> {
    version: u32,
    /// When the test was sent.
    at: Timestamp,
    /// The error by configured channel; `None` if the channel accepted the test.
    #[serde(rename = "ways")]
    channels: &'a BTreeMap<Channel, Option<String>>,
}

/// Replaces the file in `directory` atomically, and syncs it to disk.
///
/// # Errors
/// I/O (74), CannotCreate (73) on a full disk.
pub(crate) fn write(
    directory: &Path,
    at: Timestamp,
    channels: &BTreeMap<Channel, Option<String>>,
) -> Result<()> {
    let path = directory.join("tested.json");
    let doing = || format!("writing {}", path.display());
    let json = serde_json::to_vec_pretty(&TestOutcome { version: VERSION, at, channels })
        .or_fail(Exit::Software, doing)?;
    files::replace_on_disk(&path, &json, 0o600).or_fail_io(doing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_the_form_that_nexus_health_reads() {
        let directory = tempfile::tempdir().unwrap();
        let outcomes =
            BTreeMap::from([(Channel::Mail, None), (Channel::Webhook, Some("it answered 500".to_owned()))]);
        write(directory.path(), "2026-11-22T03:00:12Z".parse().unwrap(), &outcomes).unwrap();
        let text = std::fs::read_to_string(directory.path().join("tested.json")).unwrap();
        let found: serde_json::Value = serde_json::from_str(&text).unwrap();
        let expected = serde_json::json!({"version": 1, "at": "2026-11-22T03:00:12Z",
            "ways": {"mail": null, "webhook": "it answered 500"}});
        assert_eq!(found, expected);
    }
}
