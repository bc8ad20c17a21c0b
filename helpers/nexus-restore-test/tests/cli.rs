//! The output of nexus-restore-test on the command line: help, error messages, exit codes.

#[test]
fn golden_files() {
    let cases = trycmd::TestCases::new();
    // Independent of this machine's settings and terminal width.
    cases
        .env("NEXUS_SETTINGS", "/nonexistent")
        .env("NEXUS_CREDENTIALS", "/nonexistent")
        .env("COLUMNS", "100");
    cases.case("../../tests/cli/nexus-restore-test/*.toml");
}
