//! What stands between the products of matrices: each works on whole rows, in loops that the compiler can turn into vectors.

#![expect(
    clippy::inline_always,
    reason = "only what becomes part of the function that has the processor's instructions turned on is compiled with them"
)]

use crate::machine::{LANES, Work};

/// Gaussian error linear unit, by the error function (not the tanh approximation): Hendrycks and Gimpel, arXiv:1606.08415.
pub(super) struct Gelu<'a>(pub(super) &'a mut [f32]);

impl Work for Gelu<'_> {
    type Output = ();

    #[inline(always)]
    fn work(self) {
        for x in self.0 {
            *x = 0.5 * *x * (1.0 + erf(*x * std::f32::consts::FRAC_1_SQRT_2));
        }
    }
}

/// Of each row's first `count` numbers: times `scale`, then exponentials that sum to one.
pub(super) struct Softmax<'a> {
    pub(super) rows: &'a mut [f32],
    pub(super) stride: usize,
    pub(super) count: usize,
    pub(super) scale: f32,
}

impl Work for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn work(self) {
        for row in self.rows.chunks_exact_mut(self.stride) {
            let row = &mut row[..self.count];
            let largest = row.iter().fold(f32::NEG_INFINITY, |a, b| if *b > a { *b } else { a });
            for x in &mut *row {
                *x = exp((*x - largest) * self.scale);
            }
            let factor = 1.0 / sum(row, |x| x);
            for x in row {
                *x *= factor;
            }
        }
    }
}

/// Adds `other` to each row, then makes its mean 0 and its variance 1, then scales and shifts (Ba et al., arXiv:1607.06450).
pub(super) struct AddAndNormalise<'a> {
    pub(super) rows: &'a mut [f32],
    pub(super) other: &'a [f32],
    pub(super) weight: &'a [f32],
    pub(super) bias: &'a [f32],
    pub(super) epsilon: f32,
}

impl Work for AddAndNormalise<'_> {
    type Output = ();

    #[inline(always)]
    #[allow(clippy::cast_precision_loss)] // a row has some hundreds of numbers
    fn work(self) {
        let width = self.weight.len();
        for (row, other) in self.rows.chunks_exact_mut(width).zip(self.other.chunks_exact(width)) {
            for (x, other) in row.iter_mut().zip(other) {
                *x += other;
            }
            let mean = sum(row, |x| x) / width as f32;
            let variance = sum(row, |x| (x - mean) * (x - mean)) / width as f32;
            let factor = 1.0 / (variance + self.epsilon).sqrt();
            for ((x, weight), bias) in row.iter_mut().zip(self.weight).zip(self.bias) {
                *x = (*x - mean) * factor * weight + bias;
            }
        }
    }
}

/// Lane by lane, which the compiler may not do with a plain sum.
#[inline(always)]
fn sum(row: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let (chunks, rest) = row.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            sums[lane] += of(chunk[lane]);
        }
    }
    sums.iter().sum::<f32>() + rest.iter().map(|x| of(*x)).sum::<f32>()
}

/// Error function: Abramowitz and Stegun, 7.1.26; the error is below 5e-7.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x.abs());
    let polynomial =
        ((((1.061_405_4 * t - 1.453_152) * t + 1.421_413_7) * t - 0.284_496_74) * t + 0.254_829_6) * t;
    (1.0 - polynomial * exp(-x * x)).copysign(x)
}

/// e to the power of `x`, for `x` up to 88; relative error below 3e-7. Below -87 it is 1e-38 and not less.
#[inline(always)]
#[allow(clippy::excessive_precision)] // as Cephes, expf.c, has them
fn exp(x: f32) -> f32 {
    // Adding it leaves a whole number in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * 0.693_359_375 + n * 2.121_944_400e-4;
    let polynomial = ((((1.987_569_15e-4 * r + 1.398_199_95e-3) * r + 8.333_451_9e-3) * r + 4.166_579_6e-2)
        * r
        + 1.666_666_55e-1)
        * r
        + 5.000_000_1e-1;
    let power = (shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127)) << 23;
    (polynomial * r * r + r + 1.0) * f32::from_bits(power)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::machine::Instructions;

    proptest! {
        #[test]
        fn exp_is_exp(x in -87.0_f32..88.0) {
            let exact = f64::from(x).exp();
            prop_assert!((f64::from(exp(x)) - exact).abs() <= exact * 3e-7, "{} {exact}", exp(x));
        }

        #[test]
        fn rows_that_are_normalised_are_so(row in proptest::collection::vec(-9.0_f32..9.0, 2..50)) {
            let width = row.len();
            let (ones, zeros) = (vec![1.0; width], vec![0.0; width]);
            let mut ours = row.clone();
            Instructions::best().run(AddAndNormalise { rows: &mut ours, other: &row, weight: &ones, bias: &zeros, epsilon: 1e-12 });
            let doubled: Vec<f64> = row.iter().map(|x| f64::from(*x) * 2.0).collect();
            let mean = doubled.iter().sum::<f64>() / f64::from(u16::try_from(width).unwrap());
            let variance = doubled.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / f64::from(u16::try_from(width).unwrap());
            prop_assume!(variance > 1e-3);
            for (ours, x) in ours.iter().zip(&doubled) {
                prop_assert!((f64::from(*ours) - (x - mean) / variance.sqrt()).abs() < 1e-4);
            }
        }

        #[test]
        fn shares_sum_to_one_and_keep_their_order(row in proptest::collection::vec(-30.0_f32..30.0, 1..40), scale in 0.1_f32..1.0) {
            let mut ours = row.clone();
            ours.push(f32::NAN);
            let stride = ours.len();
            Instructions::best().run(Softmax { rows: &mut ours, stride, count: row.len(), scale });
            let total: f64 = row.iter().map(|x| f64::from(x * scale).exp()).sum();
            for (ours, x) in ours.iter().zip(&row) {
                prop_assert!((f64::from(*ours) - f64::from(x * scale).exp() / total).abs() < 1e-5);
            }
        }
    }

    /// Values of the error function from Abramowitz and Stegun, table 7.1.
    #[test]
    fn erf_is_that_of_the_table() {
        for (x, exact) in
            [(0.0, 0.0), (0.1, 0.112_462_92), (0.5, 0.520_499_9), (1.0, 0.842_700_8), (2.0, 0.995_322_3)]
        {
            assert!((erf(x) - exact).abs() < 5e-7, "{x}");
            assert!((erf(-x) + exact).abs() < 5e-7, "-{x}");
        }
        assert_eq!((erf(9.0), erf(-9.0)), (1.0, -1.0));
    }
}
