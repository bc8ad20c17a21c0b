//! Any roles file of a set is refused, or cut into statements that are pieces of it, in order.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nexus_restoring::statements::split;

fuzz_target!(|sql: &str| {
    let Ok(statements) = split(sql) else { return };
    let mut rest = sql;
    for statement in statements {
        let at = rest.find(&statement.text).expect("a statement is a piece of the text");
        rest = &rest[at + statement.text.len()..];
        assert!(statement.tokens.iter().all(|(at, _)| *at < statement.text.len()));
        assert!(statement.tokens.is_sorted_by_key(|(at, _)| *at));
    }
});
