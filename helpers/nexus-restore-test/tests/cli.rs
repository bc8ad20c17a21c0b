//! The output of nexus-restore-test on the command line: help, error messages, exit codes.

use nexus_pages::golden;

#[test]
fn golden_files() {
    golden::command_line("nexus-restore-test");
}
