//! Files that the repository keeps although they can be made: so that installing needs no second build, and a change is seen
//! when it is reviewed.

use std::fs;

use crate::{Result, root};

/// The content must be what `path` (from the repository's root) holds; with `NEXUS_WRITE_PAGES=1` it is written there.
///
/// # Errors
/// Names the first line that differs, and the command that mends it.
pub fn same(path: &str, content: &str) -> Result {
    let file = root().join(path);
    // Some generators end a line with blanks.
    let content = content.lines().map(|line| line.trim_end().to_owned() + "\n").collect::<String>();
    let kept = fs::read_to_string(&file).unwrap_or_default();
    if kept == content {
        return Ok(());
    }
    if std::env::var_os("NEXUS_WRITE_PAGES").is_some() {
        let made = file.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&file, content));
        return made.map_err(|error| format!("writing {path}: {error}"));
    }
    let longest = content.lines().count().max(kept.lines().count());
    let (mut now, mut then) = (content.lines(), kept.lines());
    let (line, now, then) = (1..=longest)
        .map(|line| (line, now.next(), then.next()))
        .find(|(_, now, then)| now != then)
        .unwrap_or_default();
    Err(format!(
        "{path} is not what the code says. Its line {line} is {then:?} and should be {now:?}. \
         Make it anew: NEXUS_WRITE_PAGES=1 cargo test --release --workspace documented"
    ))
}
