//! Manual pages: of a helper, its command line, what is written by hand (docs/man/by-hand), and its units; each unit's
//! own name leads to the page too.

use std::fs;

use clap::Command;
use clap_mangen::Man;

use crate::units::{self, Unit};
use crate::{Result, kept, root};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How the generator writes an apostrophe.
const PREAMBLE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";

/// The codes of `nexus_cli::failure::Exit`, for pages that have none of their own.
const EXIT_STATUS: &str = r".SH EXIT STATUS
0 done, 64 usage, 65 data damaged, 69 a service is down, 70 a fault of the program itself, 73 cannot create (a full disk),
74 input or output failed, 75 someone else is at it or it was stopped: try later, 77 permission, 78 a setting is wrong.
";

/// Text as roff takes it literally.
pub fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    let lines = text
        .lines()
        .map(|line| if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.into() });
    lines.collect::<Vec<String>>().join("\n")
}

/// The page of a helper, and the names of its units that lead to it.
///
/// # Errors
/// Says which file differs.
pub fn of_helper(mut command: Command) -> Result {
    // Builds it, so that --help and what subcommands inherit are there.
    command.build();
    let name = command.get_name().to_owned();
    let mut page = title(&name, 8);
    page += &rendered(&command, |man, page| {
        man.render_name_section(page)?;
        man.render_synopsis_section(page)?;
        man.render_description_section(page)
    })?;
    page += &options(&command, ".SH OPTIONS")?;
    for sub in command.get_subcommands() {
        page += &options(sub, &format!(".SH {}\n{}", sub.get_name().to_uppercase(), about(sub)))?;
    }
    page += &by_hand(&format!("{name}.8"))?;
    finish(&name, 8, page)
}

/// A page without a command line: what is written by hand, `more` after it, and its units.
///
/// # Errors
/// Says which file differs.
pub fn of_hand(name: &str, section: u8, more: &str) -> Result {
    let page = title(name, section) + &by_hand(&format!("{name}.{section}"))? + more;
    finish(name, section, page)
}

fn title(name: &str, section: u8) -> String {
    format!(
        ".\\\" Made by tests/pages. What is written by hand is in docs/man/by-hand/{name}.{section}.\n\
         {PREAMBLE}.TH {} {section} \"\" \"NEXUS {VERSION}\" \"NEXUS\"\n",
        name.to_uppercase()
    )
}

/// What the generator writes, with its preamble left out: the title has it already.
fn rendered(command: &Command, write: impl Fn(&Man, &mut Vec<u8>) -> std::io::Result<()>) -> Result<String> {
    let mut page = Vec::new();
    write(&Man::new(command.clone()), &mut page).map_err(|error| error.to_string())?;
    let text = String::from_utf8(page).map_err(|error| error.to_string())?;
    Ok(text.replace(PREAMBLE, ""))
}

/// The options of a command or subcommand, below `heading`; nothing where it has but --help.
fn options(command: &Command, heading: &str) -> Result<String> {
    let has_options = command.get_arguments().any(|arg| arg.get_id() != "help" && !arg.is_hide_set());
    if !has_options {
        return Ok(String::new());
    }
    let text = rendered(command, |man, page| man.render_options_section(page))?;
    Ok(text.replacen(".SH OPTIONS", heading, 1))
}

fn about(command: &Command) -> String {
    command.get_about().map(|about| escaped(&about.to_string())).unwrap_or_default() + "."
}

fn by_hand(file: &str) -> Result<String> {
    let path = format!("docs/man/by-hand/{file}");
    fs::read_to_string(root().join(&path)).map_err(|error| {
        format!("{path}: {error}. Write there what the command line does not say: FILES, EXAMPLES")
    })
}

/// Adds what all pages have, and keeps the page and the names that lead to it.
fn finish(name: &str, section: u8, mut page: String) -> Result {
    let units: Vec<Unit> =
        units::all()?.into_iter().filter(|u| u.page() == Some(&format!("{name}({section})"))).collect();
    if !units.is_empty() {
        page += ".SH UNITS\n";
    }
    for unit in &units {
        page += &of_unit(unit);
        kept::same(
            &format!("docs/man/man8/{}.8", unit.name),
            &format!(".so man{section}/{name}.{section}\n"),
        )?;
    }
    if section == 8 && !page.contains(".SH EXIT STATUS") {
        page += EXIT_STATUS;
    }
    let others = [("nexus", 7), ("nexus.env", 5)];
    let others = others.iter().filter(|(other, _)| *other != name);
    let others: Vec<String> = others.map(|(other, section)| format!(".BR {other} ({section})")).collect();
    page += &format!(".SH SEE ALSO\n{}\n", others.join(",\n"));
    kept::same(&format!("docs/man/man{section}/{name}.{section}"), &page)
}

/// What it is, when it starts by itself, as whom it runs and where it may write.
fn of_unit(unit: &Unit) -> String {
    let mut text = format!(
        ".TP\n\\fB{}\\fR\n{}.\n",
        escaped(&unit.name),
        escaped(unit.value("Description").unwrap_or_default().trim_start_matches("NEXUS "))
    );
    let mut facts = unit.when();
    for key in ["User", "PrivateNetwork", "ReadWritePaths", "TimeoutStartSec", "MemoryMax"] {
        facts.extend(unit.value(key).map(|value| format!("{key}={value}")));
    }
    if !facts.is_empty() {
        text += &format!(".br\n{}.\n", escaped(&facts.join(", ")));
    }
    text
}
