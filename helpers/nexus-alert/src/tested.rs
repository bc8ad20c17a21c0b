//! What has become of the newest test alert: `tested.json`, which nexus-health reads, because an alert that reaches nobody
//! is the failure nobody sees.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use nexus_cli::failure::{Exit, OrFail, OrFailIo, Result};
use nexus_fs::files;
use serde::Serialize;

use crate::ways::Way;

/// The version this code writes.
const VERSION: u32 = 1;

/// What has become of a test alert.
#[derive(Serialize)]
pub(crate) struct Tested<'a> {
    version: u32,
    /// When it was sent off.
    at: Timestamp,
    /// Every way that was set then, with what went wrong; `None` for one that took it.
    ways: &'a BTreeMap<Way, Option<String>>,
}

/// Puts it in its place, by one rename, on the disk when this returns.
///
/// # Errors
/// I/O (74), CannotCreate (73) on a full disk.
pub(crate) fn write(alerts: &Path, at: Timestamp, ways: &BTreeMap<Way, Option<String>>) -> Result<()> {
    let path = alerts.join("tested.json");
    let doing = || format!("writing {}", path.display());
    let json =
        serde_json::to_vec_pretty(&Tested { version: VERSION, at, ways }).or_fail(Exit::Software, doing)?;
    files::replace_on_disk(&path, &json, 0o600).or_fail_io(doing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_nexus_health_reads() {
        let alerts = tempfile::tempdir().unwrap();
        let ways = BTreeMap::from([(Way::Mail, None), (Way::Webhook, Some("it answered 500".to_owned()))]);
        write(alerts.path(), "2026-11-22T03:00:12Z".parse().unwrap(), &ways).unwrap();
        let text = std::fs::read_to_string(alerts.path().join("tested.json")).unwrap();
        let found: serde_json::Value = serde_json::from_str(&text).unwrap();
        let expected = serde_json::json!({"version": 1, "at": "2026-11-22T03:00:12Z",
            "ways": {"mail": null, "webhook": "it answered 500"}});
        assert_eq!(found, expected);
    }
}
