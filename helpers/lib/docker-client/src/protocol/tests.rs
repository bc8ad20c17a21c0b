//! What is sent comes back, and rubbish is told apart.

use proptest::prelude::*;

use super::*;

fn frames() -> impl Strategy<Value = Frame> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300).prop_map(Frame::Stdout),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(Frame::Stderr),
        any::<i32>().prop_map(Frame::Exit),
        ".{0,80}".prop_map(Frame::Refused),
    ]
}

proptest! {
    #[test]
    fn frames_come_back_as_they_were_sent(sent in prop::collection::vec(frames(), 0..8)) {
        let mut wire = Vec::new();
        for frame in &sent {
            frame.write_to(&mut wire)?;
        }
        let mut input = wire.as_slice();
        let mut got = Vec::new();
        while let Some(frame) = Frame::read_from(&mut input)? {
            got.push(frame);
        }
        prop_assert_eq!(got, sent);
    }

    #[test]
    fn rubbish_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut input = bytes.as_slice();
        while let Ok(Some(_)) = Frame::read_from(&mut input) {}
    }
}

#[test]
fn a_request_with_a_field_that_is_not_on_the_list_is_refused() {
    let line = r#"{"request":"containers","also":"rm -rf"}"#;
    assert!(serde_json::from_str::<Request>(line).is_err());
}
