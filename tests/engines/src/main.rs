//! Times one engine on the model of nexus-embed: milliseconds for a text, by its tokens.
//!
//! usage: nexus-engines MODEL        MODEL is a folder for candle, an ONNX file for the others; tests/run engines makes both

#[cfg(feature = "candle")]
#[path = "candle.rs"]
mod engine;
#[cfg(feature = "rten")]
#[path = "rten.rs"]
mod engine;
#[cfg(feature = "tract")]
#[path = "tract.rs"]
mod engine;

use std::error::Error;
use std::time::Instant;

/// Numbers of tokens of a text, each with its number of rounds.
const LENGTHS: [(usize, usize); 4] = [(9, 200), (20, 200), (64, 50), (256, 20)];

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: nexus-engines MODEL")?;
    let began = Instant::now();
    let mut engine = engine::load(&path)?;
    let loaded = began.elapsed();
    let mut halves = Vec::new();
    for (tokens, rounds) in LENGTHS {
        let ids = text_of(tokens);
        let mut times = (0..rounds)
            .map(|_| {
                let began = Instant::now();
                engine.numbers_of_tokens(&ids)?;
                Ok(began.elapsed().as_secs_f64() * 1e3)
            })
            .collect::<Result<Vec<f64>, Box<dyn Error>>>()?;
        times.sort_by(f64::total_cmp);
        halves.push(format!("{:.1}", times[times.len() / 2]));
    }
    let vector = vector_of(&engine.numbers_of_tokens(&text_of(9))?);
    // Two engines that compute the same agree in the last two numbers.
    println!(
        "{} {:.0} {} {} {:.4} {:.4}",
        engine::NAME,
        loaded.as_secs_f64() * 1e3,
        halves.join(" "),
        resident(),
        vector[0],
        vector[383]
    );
    Ok(())
}

/// Returns the token `[CLS]`, one repeated word, and `[SEP]`.
fn text_of(tokens: usize) -> Vec<u32> {
    let mut ids = vec![2773; tokens];
    ids[0] = 101;
    ids[tokens - 1] = 102;
    ids
}

/// Returns the text's vector: the normalised mean of the tokens' 384 numbers.
fn vector_of(numbers: &[f32]) -> Vec<f32> {
    let mut sums = vec![0.0; 384];
    for token in numbers.chunks_exact(384) {
        for (sum, number) in sums.iter_mut().zip(token) {
            *sum += number;
        }
    }
    let length = sums.iter().map(|sum| sum * sum).sum::<f32>().sqrt();
    sums.iter().map(|sum| sum / length).collect()
}

/// Returns the resident memory of this process in MiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).map_or(0, |kib| kib / 1024)
}
