//! No secret passes, and other text stays readable.

use proptest::prelude::*;

use super::*;

#[test]
fn every_form_compiles() {
    assert_eq!(RULES.len(), FORMS);
    assert!(SPOKEN.is_some() && LONG_WORD.is_some());
}

#[test]
fn ordinary_lines_are_not_changed() {
    for line in [
        "backup 000042-20261122T030012Z: 1 234 rows in 12 tables, 3.4 MiB",
        "nexus-backup: connecting to PostgreSQL at /run/nexus/postgres: Connection refused (os error 111). Start it with: systemctl start nexus-stack",
        "nexus-backup: password authentication failed for user \"nexus\"",
        "nexus-backup.service: Main process exited, code=exited, status=74/IOERR",
        "nexus-backup.service: Failed with result 'exit-code'.",
        "/var/lib/nexus/backups/000042-20261122T030012Z/manifest.json.age: No such file or directory",
        "opening credential /etc/nexus/credentials/postgres_password: Permission denied (os error 13)",
        "Container nexus-postgres is unhealthy",
    ] {
        assert_eq!(one_line(line), line);
    }
}

#[test]
fn a_private_key_of_several_lines_is_masked_to_its_end() {
    let mut mask = Mask::default();
    let lines =
        ["x -----BEGIN OPENSSH PRIVATE KEY-----", "b3Blbn", "-----END OPENSSH PRIVATE KEY-----", "after"];
    let masked = lines.map(|line| mask.line(line));
    assert_eq!(masked, ["x [masked]", "[masked]", "[masked]", "after"]);
}

/// Lines with a secret, which stands for `{}`.
const TEMPLATES: [&str; 28] = [
    "nexus/db/password={} x",
    "password={}",
    "PGPASSWORD={} psql",
    "POSTGRES_PASSWORD: {}",
    "the password is {} now",
    "mysql --password {} -h x",
    "psql --password={}",
    "wrong password '{}'",
    "{\"user\":\"a\",\"password\": \"{}\", \"b\":1}",
    "{'api_key': '{}'}",
    "x-api-key: {}",
    "client_secret => {}",
    "token={}&x=1",
    "host=/run user=nexus password={} dbname=nexus",
    "postgresql://nexus:{}@localhost/nexus is down",
    "redis://:{}@h:6379",
    "https://user:{}@example.org/x",
    "POST https://ntfy.example.org/{}: 404",
    "GET https://example.org/ping?{} failed",
    "Authorization: Bearer {}",
    "> authorization: Basic {}",
    "with bearer {} refused",
    "Cookie: id={}; theme=dark",
    "AUTH {}",
    "AUTH default {}",
    "CONFIG SET requirepass {}",
    "identity AGE-SECRET-KEY-1{}",
    "key AGE-SECRET-KEY-1{} of the machine",
];

proptest! {
    #[test]
    fn a_secret_after_a_key_word_is_masked(
        secret in "[A-Za-z0-9!#%*+,./:;<>?@^_|~-]{8,60}",
        before in "[a-z ]{0,20}",
        template in prop::sample::select(&TEMPLATES[..]),
    ) {
        prop_assume!(!PLAIN_WORDS.contains(&secret.trim_end_matches([',', '.', ':', ';']).to_lowercase().as_str()));
        let line = format!("{before} {}", template.replace("{}", &secret));
        let masked = one_line(&line);
        prop_assert!(!masked.contains(&secret), "{masked}");
        // Nor half of it.
        prop_assert!(!masked.contains(&secret[..8]) || before.contains(&secret[..8]) || template.contains(&secret[..8]), "{masked}");
    }

    #[test]
    fn a_path_with_an_at_is_masked(
        before in "[A-Za-z0-9!#%*+,./:;<>?^_|~-]{0,9}", after in "[A-Za-z0-9!#%*+,./:;<>?@^_|~-]{8,30}", at in "@{1,3}",
    ) {
        let secret = format!("{before}{at}{after}");
        for template in ["https://ntfy.example.org/{}", "https://user:{}@example.org/x"] {
            let masked = one_line(&template.replace("{}", &secret));
            prop_assert!(!masked.contains(&after), "{masked}");
        }
    }

    #[test]
    fn random_words_are_masked(hex in "[0-9a-f]{32,80}", bytes in prop::collection::vec(any::<u8>(), 32)) {
        let masked = one_line(&format!("it says {hex}."));
        prop_assert!(!masked.contains(&hex));
        // As nexus-setup generates passwords.
        let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let word: String = bytes.iter().map(|byte| char::from(letters[usize::from(byte % 64)])).collect();
        if is_random(&word) {
            let masked = one_line(&format!("it says {word}."));
            prop_assert!(!masked.contains(&word));
        }
    }

    #[test]
    fn masking_never_panics_and_twice_masks_no_less(line in "\\PC{0,200}") {
        let once = one_line(&line);
        let twice = one_line(&once);
        // The second pass may mask more, never less.
        prop_assert!(twice.matches(MASKED).count() >= once.matches(MASKED).count().min(1));
    }
}
