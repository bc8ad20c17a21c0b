//! The output of nexus-remote on the command line: help, error messages, exit codes.

use nexus_pages::golden;

#[test]
fn golden_files() {
    let credentials = std::fs::canonicalize("tests/credentials").expect("the test's own credentials");
    let cases = golden::cases(&credentials.to_string_lossy());
    cases.case("../../tests/cli/nexus-remote/*.toml").case("../../tests/cli/nexus-remote/*.trycmd");
    golden::cases("/nonexistent").case("../../tests/cli/nexus-remote/bare/*.trycmd");
}
