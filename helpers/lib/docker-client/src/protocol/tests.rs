//! The wire form of requests.

use super::*;

#[test]
fn a_request_with_an_unknown_field_is_rejected() {
    let line = r#"{"request":"containers","also":"rm -rf"}"#;
    assert!(serde_json::from_str::<Request>(line).is_err());
}

/// During an upgrade, programs of the old and of the new version send requests to each other.
#[test]
fn the_wire_form_of_a_restore_is_that_of_earlier_versions() {
    let restore = |server| Request::Restore {
        database: "nexus".to_owned(),
        section: Section::PreData,
        server,
        without_tablespaces: true,
    };
    for (server, name) in [(Server::Live, "living"), (Server::Scratch, "scratch")] {
        let line = format!(
            r#"{{"request":"restore","database":"nexus","section":"pre-data","server":"{name}","without_tablespaces":true}}"#
        );
        assert_eq!(serde_json::to_string(&restore(server)).unwrap(), line);
        assert_eq!(serde_json::from_str::<Request>(&line).unwrap(), restore(server));
    }
    let shortest = r#"{"request":"restore","database":"nexus","section":"pre-data"}"#;
    let Request::Restore { server: Server::Live, without_tablespaces: false, .. } =
        serde_json::from_str(shortest).unwrap()
    else {
        panic!("the defaults are the live server and its tablespaces");
    };
}

#[test]
fn a_requests_name_is_its_name_on_the_wire() {
    assert_eq!(Request::DumpRoles {}.name().unwrap(), "dump-roles");
    assert_eq!(Request::Restart { service: Service::Redis }.name().unwrap(), "restart");
}
