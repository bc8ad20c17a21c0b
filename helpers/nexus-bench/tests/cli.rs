//! What a person sees of nexus-bench on the command line: help, refusals, exit codes.

#[test]
fn what_a_person_sees() {
    let cases = trycmd::TestCases::new();
    // Whatever machine this runs on, it has no settings and no width of its own.
    cases
        .env("NEXUS_SETTINGS", "/nonexistent")
        .env("NEXUS_CREDENTIALS", "/nonexistent")
        .env("COLUMNS", "100");
    cases.case("../../tests/cli/nexus-bench/*.toml");
    cases.case("../../tests/cli/nexus-bench/*.trycmd");
}
