//! The command line of nexus-alert: help, errors, exit codes.

#[test]
fn the_command_line_matches_its_golden_files() {
    let cases = trycmd::TestCases::new();
    // The result must not depend on the machine's settings or its terminal.
    cases
        .env("NEXUS_SETTINGS", "/nonexistent")
        .env("NEXUS_CREDENTIALS", "/nonexistent")
        .env("COLUMNS", "100");
    cases.case("../../tests/cli/nexus-alert/*.toml");
}
