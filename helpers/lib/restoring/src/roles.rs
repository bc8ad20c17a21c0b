//! Creates the roles of a set before the objects that they own.

use std::io::Read;

use nexus_backup_set::database_sql::setting_value;
use nexus_backup_set::{ROLES, open};
use nexus_cli::failure::{Exit, OrFail, Result};
use nexus_cli::text::printable;
use nexus_postgres::blocking::Control;
use nexus_postgres::failure::from_client;
use nexus_postgres::quote;

use crate::Restoring;
use crate::role_plan::{Existing, RolePlan, plan};
use crate::statements::split;

/// The longest roles file, in bytes: about 30,000 roles.
const LONGEST: u64 = 16 << 20;

/// Creates the roles that do not exist, and records them in `restoring`.
///
/// # Errors
/// Data (65) when the file is damaged; errors of the server.
pub fn restore(restoring: &mut Restoring<'_>, control: &Control) -> Result<()> {
    let path = restoring.set.path.join(ROLES);
    let mut sql = String::new();
    open::open(&path, &restoring.unlock.identities()?)?
        .take(LONGEST)
        .read_to_string(&mut sql)
        .map_err(|cause| open::damaged(&path, cause))?;
    let statements = split(&sql).or_fail(Exit::Data, || format!("reading {}", path.display()))?;
    let plan = plan(&statements, &existing(control)?);
    run(restoring, control, &plan)?;
    add_notes(restoring, &plan);
    Ok(())
}

fn existing(control: &Control) -> Result<Existing> {
    let doing = "listing the roles";
    let roles = control.rows(doing, "SELECT rolname::text FROM pg_catalog.pg_roles", &[])?;
    let memberships = control.rows(
        doing,
        "SELECT r.rolname::text, m.rolname::text FROM pg_catalog.pg_auth_members a \
         JOIN pg_catalog.pg_roles r ON r.oid = a.roleid JOIN pg_catalog.pg_roles m ON m.oid = a.member",
        &[],
    )?;
    let settings = control.rows(
        doing,
        "SELECT r.rolname::text, pg_catalog.unnest(s.setconfig) FROM pg_catalog.pg_db_role_setting s \
         JOIN pg_catalog.pg_roles r ON r.oid = s.setrole WHERE s.setdatabase = 0",
        &[],
    )?;
    let setting = |row: &tokio_postgres::Row| {
        let (name, value) = row.get::<_, &str>(1).split_once('=')?;
        Some((row.get(0), name.to_owned(), setting_value(name, value)))
    };
    Ok(Existing {
        settings: settings.iter().filter_map(setting).collect(),
        roles: roles.iter().map(|row| row.get(0)).collect(),
        memberships: memberships.iter().map(|row| (row.get(0), row.get(1))).collect(),
    })
}

fn run(restoring: &mut Restoring<'_>, control: &Control, plan: &RolePlan) -> Result<()> {
    // pg_dumpall writes backslashes for this setting.
    control.run("preparing for the roles", "SET standard_conforming_strings = on")?;
    for step in &plan.run {
        let mut outcome = control.try_run(&step.text)?;
        if let (Err(_), Some(without)) = (&outcome, &step.without_grantor) {
            outcome = control.try_run(without)?;
        }
        match outcome {
            Ok(()) => restoring.roles_made.extend(step.creates.clone()),
            // A statement that another version does not support must not prevent the restore.
            Err(error) if step.creates.is_none() => {
                restoring
                    .note(from_client(printable(&format!("not applied: {}", step.text)), &error).to_string());
            }
            Err(error) => {
                return Err(from_client(printable(&format!("creating a role: {}", step.text)), &error));
            }
        }
    }
    Ok(())
}

fn add_notes(restoring: &mut Restoring<'_>, plan: &RolePlan) {
    for role in &plan.login {
        restoring.note(format!(
            "role {} was made without its password: give it one in psql with \\password {}",
            printable(role),
            printable(&quote::identifier(role))
        ));
    }
    for statement in &plan.settings {
        restoring.note(printable(&format!(
            "existing roles keep their settings; to apply one of the set: {statement}"
        )));
    }
    for (role, member) in &plan.missing {
        let (role, member) = (quote::identifier(role), quote::identifier(member));
        restoring.note(printable(&format!(
            "{member} was a member of {role} in the set and is not now; if it should be: GRANT {role} TO {member}"
        )));
    }
}

/// Removes the roles that this run has created. By then they own nothing; one that owns something
/// stays.
pub fn remove(control: &Control, made: &[String]) {
    for role in made.iter().rev() {
        let outcome = control.try_run(&format!("DROP ROLE IF EXISTS {}", quote::identifier(role)));
        if !matches!(outcome, Ok(Ok(()))) {
            log::warn!("role {} was created for the restore and could not be removed", printable(role));
        }
    }
}
