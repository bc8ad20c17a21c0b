//! Compares schemas, views, policies, functions, roles and other objects; extensions and their versions.

use std::collections::BTreeMap;

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::text::{counted, printable};
use nexus_postgres::blocking::Control;
use nexus_postgres::objects::Strictness;
use nexus_restoring::Restoring;

/// Compares all objects with the manifest's list; returns the number of each kind.
///
/// # Errors
/// Data (65) if one differs.
pub(crate) fn compare(
    making: &mut Restoring<'_>,
    control: &Control,
    server_version: u32,
) -> Result<BTreeMap<String, u64>> {
    let Some(expected) = making.manifest.objects.clone() else {
        making.note(
            "the set is from an older NEXUS, which did not list views, policies, functions and roles"
                .to_owned(),
        );
        return Ok(BTreeMap::new());
    };
    let of_set = &making.manifest.postgres;
    let same = of_set.server_version_num == server_version && of_set.extensions == extensions(control)?;
    let strictness = if same { Strictness::Equal } else { Strictness::Present };
    let found = control.objects()?;
    // Compare only roles that the restore created: initdb created the first role of this server.
    let roles = making.roles_made.iter().cloned().collect();
    let differences = expected.differences(&found, strictness, &roles);
    let Some(first) = differences.first() else { return Ok(expected.counts()) };
    let others = match differences.len() as u64 - 1 {
        0 => String::new(),
        more => format!(" (and {})", counted(more, "other difference")),
    };
    Err(Failure::new(Exit::Data, "comparing what was restored")
        .because(format!("{}{others}", printable(first))))
}

/// Checks that the set's extensions exist, and notes those with another version. Returns all extensions and their versions.
///
/// # Errors
/// Data (65) if one is missing.
pub(crate) fn check_extensions(
    making: &mut Restoring<'_>,
    control: &Control,
) -> Result<BTreeMap<String, String>> {
    let found = extensions(control)?;
    for (name, version) in making.manifest.postgres.extensions.clone() {
        match found.get(&name) {
            Some(here) if *here == version => {}
            Some(here) => making.note(format!("extension {name}: {version} in the set, {here} here")),
            None => {
                return Err(Failure::new(Exit::Data, "comparing what was restored")
                    .because(format!("extension {} is missing", printable(&name))));
            }
        }
    }
    Ok(found)
}

fn extensions(control: &Control) -> Result<BTreeMap<String, String>> {
    let sql = "SELECT extname::text, extversion FROM pg_extension";
    let rows = control.rows("reading the extensions", sql, &[])?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
