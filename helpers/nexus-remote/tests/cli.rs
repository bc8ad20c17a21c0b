//! The output of nexus-remote on the command line: help, error messages, exit codes.

#[test]
fn golden_files() {
    // Independent of this machine's settings and terminal width.
    let with = |credentials: &str| {
        let cases = trycmd::TestCases::new();
        cases
            .env("NEXUS_SETTINGS", "/nonexistent")
            .env("NEXUS_CREDENTIALS", credentials)
            .env("COLUMNS", "100");
        cases
    };
    let credentials = std::fs::canonicalize("tests/credentials").expect("the test's own credentials");
    let cases = with(&credentials.to_string_lossy());
    cases.case("../../tests/cli/nexus-remote/*.toml").case("../../tests/cli/nexus-remote/*.trycmd");
    with("/nonexistent").case("../../tests/cli/nexus-remote/bare/*.trycmd");
}
