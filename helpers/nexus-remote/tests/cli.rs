//! What a person sees of nexus-remote on the command line: help, refusals, exit codes.

#[test]
fn what_a_person_sees() {
    // Whatever machine this runs on, it has no settings and no width of its own.
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
