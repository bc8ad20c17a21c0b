//! Tests the command line of nexus-embed: help, errors, exit codes.

use nexus_pages::golden;

#[test]
fn what_a_person_sees() {
    golden::command_line("nexus-embed");
}
