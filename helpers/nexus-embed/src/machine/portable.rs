//! The kernels as plain loops over lanes, which the compiler turns into whatever vectors the target has for certain.

#![expect(clippy::inline_always, reason = "as in engine/math.rs")]

use super::{LANES, Rows};

/// Rows of `w` that are worked on together.
const GROUP: usize = 4;

pub(super) fn rows_with_rows(x: Rows<'_>, w: Rows<'_>, out: &mut [f32], stride: usize) {
    for first in (0..w.count).step_by(GROUP) {
        for i in 0..x.count {
            let out = &mut out[i * stride..][first..(first + GROUP).min(w.count)];
            for (j, sum) in out.iter_mut().enumerate() {
                *sum = product(x.row(i), w.row(first + j));
            }
        }
    }
}

fn product(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] = multiply_add(a[lane], b[lane], sums[lane]);
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

pub(super) fn rows_with_columns(x: Rows<'_>, y: Rows<'_>, out: &mut [f32], stride: usize) {
    for i in 0..x.count {
        let out = &mut out[i * stride..][..y.width];
        out.fill(0.0);
        for (k, factor) in x.row(i).iter().enumerate() {
            for (sum, value) in out.iter_mut().zip(y.row(k)) {
                *sum = multiply_add(*factor, *value, *sum);
            }
        }
    }
}

/// With one rounding where the target does that in one instruction; elsewhere it would be a call of a function.
#[inline(always)]
fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(any(target_arch = "aarch64", target_feature = "fma")) { a.mul_add(b, c) } else { a * b + c }
}
