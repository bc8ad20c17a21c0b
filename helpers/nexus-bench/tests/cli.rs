//! Tests the command line of nexus-bench: help, errors, exit codes.

#[test]
fn what_a_person_sees() {
    let cases = trycmd::TestCases::new();
    // Without the settings and the terminal width of this machine.
    cases
        .env("NEXUS_SETTINGS", "/nonexistent")
        .env("NEXUS_CREDENTIALS", "/nonexistent")
        .env("COLUMNS", "100");
    cases.case("../../tests/cli/nexus-bench/*.toml");
    cases.case("../../tests/cli/nexus-bench/*.trycmd");
}
