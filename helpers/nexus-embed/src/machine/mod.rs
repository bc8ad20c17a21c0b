//! What the compiler cannot check: a file as memory, and the processor's vector instructions. The only module of NEXUS that
//! lifts the ban on `unsafe`, because latency is what this program exists for: weights that are read instead of mapped are 90 MB
//! to copy at each start, and the products of matrices are nearly all of the work. Each use says why it is sound, and each
//! kernel is tested against a plain one. How fast they are: docs/EMBEDDING.md.

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod avx2;
#[allow(unsafe_code)]
pub mod map;
mod portable;

/// Rows of a matrix: row `i` begins at `i * stride` and `width` numbers of it count.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// The numbers.
    pub data: &'a [f32],
    /// From the beginning of a row to that of the next.
    pub stride: usize,
    /// Numbers of a row that count.
    pub width: usize,
    /// How many rows.
    pub count: usize,
}

impl<'a> Rows<'a> {
    /// A matrix whose rows follow each other without gaps.
    ///
    /// # Panics
    /// When `data` is no whole number of rows.
    pub fn dense(data: &'a [f32], width: usize) -> Self {
        assert!(width > 0 && data.len().is_multiple_of(width), "{} numbers in rows of {width}", data.len());
        Self { data, stride: width, width, count: data.len() / width }
    }

    /// Some of its rows.
    #[must_use]
    pub fn range(self, first: usize, count: usize) -> Self {
        debug_assert!(first + count <= self.count, "rows {first} to {} of {}", first + count, self.count);
        Self { data: &self.data[first * self.stride..], count, ..self }
    }

    /// One row.
    pub fn row(&self, index: usize) -> &'a [f32] {
        &self.data[index * self.stride..][..self.width]
    }
}

/// Which instructions there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instructions {
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2(Proof),
    /// Whatever the compiler makes of plain loops.
    Portable,
}

/// Only [`Instructions::best`] makes one, after it has asked the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof(());

impl Instructions {
    /// The best of this processor.
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return Self::Avx2(Proof(()));
        }
        Self::Portable
    }

    /// Products of rows with rows: `out[i * stride + j]` becomes `x.row(i)` times `w.row(j)`, summed. Weights are stored so.
    ///
    /// # Panics
    /// When the widths differ or `out` is too short.
    pub fn rows_with_rows(self, x: Rows<'_>, w: Rows<'_>, out: &mut [f32], stride: usize) {
        assert_eq!(x.width, w.width, "rows of the same width");
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(proof) => avx2::rows_with_rows(proof, x, w, out, stride),
            Self::Portable => portable::rows_with_rows(x, w, out, stride),
        }
    }

    /// Product of two matrices: `out[i * stride + j]` becomes the sum over `k` of `x.row(i)[k] * y.row(k)[j]`.
    ///
    /// # Panics
    /// When the shapes do not fit, `y`'s width is no multiple of [`LANES`], or `out` is too short.
    pub fn rows_with_columns(self, x: Rows<'_>, y: Rows<'_>, out: &mut [f32], stride: usize) {
        assert_eq!(x.width, y.count, "as many rows as the others are wide");
        assert!(y.width.is_multiple_of(LANES), "a width of {}", y.width);
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(proof) => avx2::rows_with_columns(proof, x, y, out, stride),
            Self::Portable => portable::rows_with_columns(x, y, out, stride),
        }
    }

    /// Runs a plain loop compiled for these instructions: `work` must be `#[inline(always)]` to gain by it.
    pub fn run<W: Work>(self, work: W) -> W::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(proof) => avx2::run(proof, work),
            Self::Portable => work.work(),
        }
    }
}

/// A plain loop, for [`Instructions::run`].
pub trait Work {
    /// What comes of it.
    type Output;

    /// Does it.
    fn work(self) -> Self::Output;
}

/// Numbers that are worked on at once.
pub const LANES: usize = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbers(count: usize) -> impl Strategy<Value = Vec<f32>> {
        proptest::collection::vec(-2.0_f32..2.0, count)
    }

    fn all() -> Vec<Instructions> {
        let mut all = vec![Instructions::Portable];
        if Instructions::best() != Instructions::Portable {
            all.push(Instructions::best());
        }
        all
    }

    fn near(ours: f32, exact: f64) -> bool {
        (f64::from(ours) - exact).abs() <= 1e-4
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn products_are_those_of_the_plain_sums(
            (x, w, width, gap) in (1_usize..12, 1_usize..12, 1_usize..70, 0_usize..3).prop_flat_map(|(m, n, k, gap)| (numbers(m * (k + gap)), numbers(n * (k + gap)), Just(k), Just(gap)))
        ) {
            let stride = width + gap;
            let rows = |data| Rows { data, stride, width, count: data.len() / stride };
            let (x, w) = (rows(&x), rows(&w));
            for instructions in all() {
                let mut out = vec![f32::NAN; x.count * (w.count + gap)];
                instructions.rows_with_rows(x, w, &mut out, w.count + gap);
                for (i, j) in (0..x.count).flat_map(|i| (0..w.count).map(move |j| (i, j))) {
                    let exact: f64 = x.row(i).iter().zip(w.row(j)).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                    prop_assert!(near(out[i * (w.count + gap) + j], exact), "{instructions:?} {i} {j}");
                }
                prop_assert!((0..x.count).all(|i| out[i * (w.count + gap)..][w.count..w.count + gap].iter().all(|v| v.is_nan())));
            }
        }

        #[test]
        fn products_with_columns_too(
            (x, y, m, k, n) in (1_usize..12, 1_usize..40, 1_usize..7).prop_flat_map(|(m, k, n)| (numbers(m * k), numbers(k * n * LANES), Just(m), Just(k), Just(n * LANES)))
        ) {
            for instructions in all() {
                let mut out = vec![f32::NAN; m * n];
                instructions.rows_with_columns(Rows::dense(&x, k), Rows::dense(&y, n), &mut out, n);
                for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
                    let exact: f64 = (0..k).map(|k_| f64::from(x[i * k + k_]) * f64::from(y[k_ * n + j])).sum();
                    prop_assert!(near(out[i * n + j], exact), "{instructions:?} {i} {j}");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "range")]
    fn what_does_not_fit_is_refused_and_not_written() {
        let numbers = [1.0; 64];
        Instructions::best().rows_with_rows(
            Rows::dense(&numbers, 8),
            Rows::dense(&numbers, 8),
            &mut [0.0; 63],
            8,
        );
    }

    #[test]
    #[should_panic(expected = "range")]
    fn rows_that_are_not_there_are_refused() {
        let numbers = [1.0; 64];
        let rows = Rows { data: &numbers, stride: 8, width: 8, count: 9 };
        Instructions::best().rows_with_rows(rows, Rows::dense(&numbers, 8), &mut [0.0; 72], 8);
    }
}
