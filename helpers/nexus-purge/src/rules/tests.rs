use proptest::prelude::*;

use super::*;

const DAY: u64 = 86_400;

fn rule(kind: Option<&str>, days: Option<u64>, text: &str) -> Rule {
    let age = days.map(|days| Duration::from_secs(days * DAY));
    Rule { kind: kind.map(str::to_owned), age, text: text.to_owned() }
}

fn why(text: &str) -> String {
    Rules::parse(text).unwrap_err().to_string()
}

#[test]
fn the_example_of_the_settings_is_parsed() {
    let rules = Rules::parse("conversation=90d, observation = 30d,note=keep, *=365d").unwrap();
    let expected = [
        rule(Some("conversation"), Some(90), "conversation=90d"),
        rule(Some("observation"), Some(30), "observation = 30d"),
        rule(Some("note"), None, "note=keep"),
        rule(None, Some(365), "*=365d"),
    ];
    assert_eq!(rules.0, expected);
    assert_eq!(rules.kinds(), ["conversation", "observation", "note"]);
}

#[test]
fn an_empty_text_has_no_rules() {
    assert_eq!(Rules::parse(" "), Ok(Rules::default()));
}

#[test]
fn an_error_names_the_rule_and_its_position() {
    assert!(
        why("a=1d, observation=90x")
            .starts_with("rule 2, \"observation=90x\" at character 7: \"90x\" is not an age")
    );
    assert_eq!(why("a=-5d"), "rule 1, \"a=-5d\" at character 1: an age cannot be negative");
    assert_eq!(why("a=1d,b=2d, a=3d"), "rule 3, \"a=3d\" at character 12: rule 1 names \"a\" too");
    assert_eq!(why("*=1d, *=keep"), "rule 2, \"*=keep\" at character 7: rule 1 names \"*\" too");
    assert_eq!(why("ñandú=1d, con*=3d").split(": ").next(), Some("rule 2, \"con*=3d\" at character 11"));
    assert!(why("a=1d,").starts_with("rule 2, \"\" at character 6: empty rule"));
    assert!(why("a").ends_with("expected name=age"));
    assert!(why("=1d").ends_with("there is no name before the ="));
    assert!(why("a=0s").ends_with("an age must be more than zero"));
    assert!(why("a=2000y").ends_with("to keep the rows for ever: \"keep\""));
}

#[test]
fn the_rules_for_redis_keys_are_parsed() {
    let rules = KeyRules::parse("session:=1d, scratch:=2h").unwrap();
    assert_eq!(rules.0[1], KeyRule { prefix: "scratch:".to_owned(), ttl: Duration::from_secs(7200) });
    assert!(KeyRules::parse("a:=keep").is_err() && KeyRules::parse("a:=5ms").is_err());
}

proptest! {
    #[test]
    fn spaces_do_not_change_the_rules(
        days in prop::collection::btree_map("[a-zñ_]{1,9}", 1u64..9999, 1..6),
        spaces in "[ ]{0,3}",
    ) {
        let texts: Vec<_> = days.iter().map(|(kind, days)| format!("{spaces}{kind}={spaces}{days}d{spaces}")).collect();
        let rules = Rules::parse(&texts.join(",")).unwrap();
        let read: std::collections::BTreeMap<_, _> =
            rules.0.into_iter().map(|rule| (rule.kind.unwrap(), rule.age.unwrap().as_secs() / DAY)).collect();
        prop_assert_eq!(read, days);
    }

    #[test]
    fn an_error_quotes_the_rule_at_its_position(text in "[a-c=,* 0-9dx\n-]{0,30}") {
        if let Err(error) = Rules::parse(&text) {
            let rule: String = text.chars().skip(error.at - 1).take(error.text.chars().count()).collect();
            prop_assert_eq!(&rule, &error.text);
        }
    }
}
