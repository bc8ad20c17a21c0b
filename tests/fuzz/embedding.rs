//! Any bytes on nexus-embed's socket, in either direction, are refused in one line, or are a request or reply that keeps the limits
//! and survives a round trip.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nexus_embed_client::protocol::{EmbedReply, Request, MOST_TEXTS};

fuzz_target!(|bytes: &[u8]| {
    match Request::parse(bytes) {
        Ok(request) => {
            assert!((1..=MOST_TEXTS).contains(&request.texts.len()));
            // Our encoding of the text may be longer than the received one, and exceed the limit.
            if let Ok(frame) = request.to_frame() {
                assert_eq!(Request::parse(&frame[4..]), Ok(request));
            }
        }
        Err(why) => assert!(is_one_line(&why.to_string())),
    }
    match EmbedReply::parse(bytes) {
        Ok(answer) => {
            if let EmbedReply::Vectors(vectors) = &answer {
                assert_eq!(vectors.rows().len() * vectors.dimensions, vectors.values.len());
                assert!(vectors.values.iter().all(|value| value.is_finite()));
            }
            let frame = answer.to_frame().unwrap();
            assert_eq!(EmbedReply::parse(&frame[4..]), Ok(answer));
        }
        Err(why) => assert!(is_one_line(&why.to_string())),
    }
});

fn is_one_line(text: &str) -> bool {
    !text.is_empty() && !text.contains('\n') && text.len() < 1000
}
