//! Compares vectors with those of the published model. Needs its folder, which `tests/run embed`
//! downloads:
//!
//! NEXUS_TEST_MODEL=FOLDER cargo test --release -p nexus-embed --test reference -- --ignored

use std::path::PathBuf;

use nexus_embed::machine::Instructions;
use nexus_embed::model::Model;
use nexus_embed_client::protocol::TextKind;
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    text: String,
    tokens: usize,
    embedding: Vec<f64>,
}

fn cosine(ours: &[f32], theirs: &[f64]) -> f64 {
    let ours: Vec<f64> = ours.iter().map(|x| f64::from(*x)).collect();
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    product(&ours, theirs) / (product(&ours, &ours) * product(theirs, theirs)).sqrt()
}

/// Returns the compared part of the text. The reference used the first 256 tokens of its one long
/// text, which are 254 words and two special tokens; ours would be the mean of two pieces.
fn compared(case: &Case) -> &str {
    let words = case.text.match_indices(' ').nth(253);
    match words {
        Some((end, _)) if case.tokens == 256 => &case.text[..end],
        _ => &case.text,
    }
}

#[test]
#[ignore = "needs the model: tests/run embed"]
fn vectors_are_those_of_the_published_weights() {
    let folder = std::env::var_os("NEXUS_TEST_MODEL").map(PathBuf::from).unwrap();
    let reference: Reference =
        serde_json::from_str(include_str!("../testdata/minilm-reference.json")).unwrap();
    assert_eq!(reference.cases.len(), 18);
    for instructions in [Instructions::best(), Instructions::Portable] {
        let model = Model::load(&folder, instructions).unwrap();
        assert_eq!(model.version(), "all-MiniLM-L6-v2@53aa5117");
        let texts: Vec<_> = reference.cases.iter().map(|case| (TextKind::Passage, compared(case))).collect();
        // As a batch, and each text alone.
        let together = model.embed(&texts, &mut || {}).unwrap();
        let mut least = 1.0_f64;
        for (case, together) in reference.cases.iter().zip(together.chunks_exact(384)) {
            let alone = model.embed(&[(TextKind::Query, compared(case))], &mut || {}).unwrap();
            for ours in [together, &alone] {
                let cosine = cosine(ours, &case.embedding);
                assert!(
                    cosine >= 0.9999,
                    "{instructions:?}: cosine {cosine}, {} tokens: {:?}",
                    case.tokens,
                    case.text
                );
                let length: f32 = ours.iter().map(|x| x * x).sum();
                assert!((length - 1.0).abs() < 1e-5, "length {length}");
                least = least.min(cosine);
            }
        }
        println!("{instructions:?}: least cosine {least}");
    }
}
