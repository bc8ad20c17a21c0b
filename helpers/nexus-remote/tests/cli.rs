//! What a person sees of nexus-remote on the command line: help, refusals, exit codes.

#[test]
fn what_a_person_sees() {
    let cases = trycmd::TestCases::new();
    // Whatever machine this runs on, it has no settings and no width of its own.
    cases
        .env("NEXUS_SETTINGS", "/nonexistent")
        .env("NEXUS_CREDENTIALS", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/credentials"))
        .env("COLUMNS", "100");
    cases.case("../../tests/cli/nexus-remote/*.toml").case("../../tests/cli/nexus-remote/*.trycmd");
}
