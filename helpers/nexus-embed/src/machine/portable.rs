//! The kernel as plain loops over lanes. The compiler uses the vectors that every processor of the
//! target has.

#![expect(clippy::inline_always, reason = "as in engine/math.rs")]

use super::{LANES, Lanes, Rows};

pub(super) fn products(w: Rows<'_>, bias: Option<&[f32]>, x: &[&[Lanes]], out: &mut [&mut [Lanes]]) {
    let bias = |j: usize| bias.map_or(0.0, |bias| bias[j]);
    // The inner loop goes over the panels, so that these few rows stay in the cache.
    let mut j = 0;
    while j < w.count {
        // Two rows need eight vectors of four, which most processors have.
        let together = if j + 2 <= w.count { 2 } else { 1 };
        for (x, out) in x.iter().zip(&mut *out) {
            if together == 2 {
                let two = sums([w.row(j), w.row(j + 1)], [bias(j), bias(j + 1)], x);
                out[j..j + 2].copy_from_slice(&two);
            } else {
                [out[j]] = sums([w.row(j)], [bias(j)], x);
            }
        }
        j += together;
    }
}

fn sums<const M: usize>(w: [&[f32]; M], bias: [f32; M], x: &[Lanes]) -> [Lanes; M] {
    let w = w.map(|row| &row[..x.len()]);
    let mut sums = bias.map(|bias| [bias; LANES]);
    for (k, x) in x.iter().enumerate() {
        for m in 0..M {
            for lane in 0..LANES {
                sums[m][lane] = multiply_add(w[m][k], x[lane], sums[m][lane]);
            }
        }
    }
    sums
}

/// Rounds once if the target has an instruction for it. Otherwise that would be a function call.
#[inline(always)]
fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(any(target_arch = "aarch64", target_feature = "fma")) { a.mul_add(b, c) } else { a * b + c }
}
