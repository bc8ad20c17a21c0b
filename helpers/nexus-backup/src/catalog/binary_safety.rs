//! Decides which column types COPY can carry in binary format.
//!
//! The binary form of some types contains OIDs, which mean something else in another database: arrays and composites name
//! their element types by OID, and `reg*` types are OIDs. Other types have no binary form. nexus-backup copies a table with
//! such a column as text. (PostgreSQL manual, COPY, "Binary Format"; array_send and record_send in the source.)

use std::collections::HashMap;

/// OIDs below this are the same in every database (`FirstNormalObjectId`, access/transam.h).
const FIRST_NORMAL_OID: u32 = 16384;

/// Types whose receive function refuses the send function's output. For tsquery ("malformed tsquery: operand not found"),
/// int2vector and oidvector ("invalid int2vector data") this is the empty value; for the others, every value. Observed with
/// PostgreSQL 15 and 18.
const REFUSE_THEIR_OWN: [&str; 9] = [
    "tsquery",
    "int2vector",
    "oidvector",
    "pg_node_tree",
    "pg_ndistinct",
    "pg_dependencies",
    "pg_mcv_list",
    "pg_brin_bloom_summary",
    "pg_brin_minmax_multi_summary",
];

/// A type's facts in pg_type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TypeFacts {
    pub(crate) name: String,
    /// `typtype`: b base, c composite, d domain, e enum, p pseudo, r range, m multirange.
    pub(crate) kind: char,
    /// Base type if this is a domain, else 0.
    pub(crate) base: u32,
    /// Element type if this is a true array, else 0.
    pub(crate) element: u32,
    pub(crate) has_send_and_receive: bool,
    pub(crate) of_extension: bool,
}

/// Returns why values of type `oid` must be copied as text; `None` if binary is safe.
pub(crate) fn why_text(types: &HashMap<u32, TypeFacts>, oid: u32) -> Option<String> {
    let Some(facts) = types.get(&oid) else {
        return Some(format!("type {oid} is not in pg_type"));
    };
    let name = &facts.name;
    let builtin = oid < FIRST_NORMAL_OID;
    match facts.kind {
        'd' => why_text(types, facts.base),
        // An enum's binary form is its label.
        'e' => None,
        // Before the arrays: in the catalog an oidvector is one.
        'b' if builtin && REFUSE_THEIR_OWN.contains(&name.as_str()) => {
            Some(format!("{name} refuses binary input"))
        }
        'b' if facts.element != 0 => {
            if !builtin || facts.element >= FIRST_NORMAL_OID {
                return Some(format!("an array ({name}) carries its element type's OID"));
            }
            why_text(types, facts.element)
        }
        'b' if builtin && name.starts_with("reg") => Some(format!("{name} carries an OID")),
        'b' if !facts.has_send_and_receive => Some(format!("{name} has no binary form")),
        'b' | 'r' | 'm' if builtin => None,
        'b' if facts.of_extension => None,
        'b' => Some(format!("base type {name} belongs to no extension")),
        'c' => Some(format!("composite {name} carries its columns' OIDs")),
        'r' | 'm' => Some(format!("range {name} is not built in")),
        _ => Some(format!("this NEXUS does not know the kind of type {name}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(name: &str) -> TypeFacts {
        TypeFacts {
            name: name.into(),
            kind: 'b',
            base: 0,
            element: 0,
            has_send_and_receive: true,
            of_extension: false,
        }
    }

    /// PostgreSQL's own types (int4, regclass, aclitem and others), then types that a database may add.
    fn types() -> HashMap<u32, TypeFacts> {
        let mut types = HashMap::new();
        types.insert(23, base("int4"));
        types.insert(1007, TypeFacts { element: 23, ..base("_int4") });
        types.insert(2205, base("regclass"));
        types.insert(2210, TypeFacts { element: 2205, ..base("_regclass") });
        types.insert(1033, TypeFacts { has_send_and_receive: false, ..base("aclitem") });
        types.insert(3904, TypeFacts { kind: 'r', ..base("int4range") });
        types.insert(194, base("pg_node_tree"));
        types.insert(3615, base("tsquery"));
        types.insert(30, TypeFacts { element: 26, ..base("oidvector") });
        types.insert(26, base("oid"));
        types.insert(1013, TypeFacts { element: 30, ..base("_oidvector") });
        types.insert(20000, TypeFacts { of_extension: true, ..base("vector") });
        types.insert(20001, TypeFacts { element: 20000, of_extension: true, ..base("_vector") });
        types.insert(20002, TypeFacts { kind: 'e', ..base("mood") });
        types.insert(20003, TypeFacts { element: 20002, ..base("_mood") });
        types.insert(20004, TypeFacts { kind: 'd', base: 23, ..base("positive") });
        types.insert(20005, TypeFacts { kind: 'd', base: 20004, ..base("small_positive") });
        types.insert(20006, TypeFacts { kind: 'd', base: 20003, ..base("moods") });
        types.insert(20007, TypeFacts { kind: 'c', ..base("address") });
        types.insert(20008, TypeFacts { kind: 'r', ..base("textrange") });
        types.insert(20009, base("handmade"));
        types.insert(20010, TypeFacts { of_extension: true, has_send_and_receive: false, ..base("shy") });
        types.insert(20011, TypeFacts { element: 20004, ..base("_positive") });
        types
    }

    #[test]
    fn types_without_oids_are_copied_in_binary() {
        for oid in [23, 1007, 3904, 20000, 20002, 20004, 20005] {
            assert_eq!(why_text(&types(), oid), None, "{:?}", types()[&oid]);
        }
    }

    #[test]
    fn types_with_oids_or_without_a_binary_form_are_copied_as_text() {
        for oid in [
            2205, 2210, 1033, 194, 3615, 30, 1013, 20001, 20003, 20006, 20007, 20008, 20009, 20010, 20011,
            99999,
        ] {
            assert!(why_text(&types(), oid).is_some(), "{oid}");
        }
    }
}
