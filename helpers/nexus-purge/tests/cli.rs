//! The command line of nexus-purge: help, errors, exit codes.

use nexus_pages::golden;

#[test]
fn the_command_line_matches_its_golden_files() {
    golden::command_line("nexus-purge");
}
