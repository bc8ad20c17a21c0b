//! Code that the compiler cannot check: a memory-mapped file, and the processor's vector
//! instructions. Only this module of NEXUS may use `unsafe`, for low latency: reading the weights
//! would copy 90 MB at each start, and matrix products are nearly all of the work. Each use says
//! why it is sound, and a test compares each kernel with a plain one. docs/EMBEDDING.md has the
//! speeds.

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod avx2;
#[allow(unsafe_code)]
pub mod map;
mod portable;

/// Rows of a matrix: row `i` begins at `i * stride` and has `width` numbers.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// The numbers.
    pub data: &'a [f32],
    /// The distance between the starts of two rows.
    pub stride: usize,
    /// The numbers of a row.
    pub width: usize,
    /// The number of rows.
    pub count: usize,
}

impl<'a> Rows<'a> {
    /// Creates a matrix whose rows follow each other without gaps.
    ///
    /// # Panics
    /// If `data` is not a whole number of rows.
    pub fn dense(data: &'a [f32], width: usize) -> Self {
        assert!(width > 0 && data.len().is_multiple_of(width), "{} numbers in rows of {width}", data.len());
        Self { data, stride: width, width, count: data.len() / width }
    }

    /// Returns some of the rows.
    #[must_use]
    pub fn range(self, first: usize, count: usize) -> Self {
        debug_assert!(first + count <= self.count, "rows {first} to {} of {}", first + count, self.count);
        Self { data: &self.data[first * self.stride..], count, ..self }
    }

    /// Returns one row.
    pub fn row(&self, index: usize) -> &'a [f32] {
        &self.data[index * self.stride..][..self.width]
    }
}

/// One number of each of eight columns.
///
/// A matrix whose columns are tokens is stored as *panels* of eight columns. A panel is a slice
/// with one `Lanes` for each row. An operation on each token works on eight at once, and sums go
/// down a panel, never across a vector.
pub(crate) type Lanes = [f32; LANES];

/// The columns of a panel.
pub(crate) const LANES: usize = 8;

/// The processor's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instructions {
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2(Detected),
    /// The instructions that the compiler uses for plain loops.
    Portable,
}

/// Proof that the processor has AVX2 and FMA. Only [`Instructions::best`] creates one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detected(());

impl Instructions {
    /// Returns the best instructions of this processor.
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return Self::Avx2(Detected(()));
        }
        Self::Portable
    }

    /// Multiplies a matrix with panels: `out[p][j]` becomes `bias[j]` plus the sum over `k` of
    /// `w.row(j)[k] * x[p][k]`, for each lane. `None` is a bias of zeros.
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub(crate) fn products(
        self,
        w: Rows<'_>,
        bias: Option<&[f32]>,
        x: &[&[Lanes]],
        out: &mut [&mut [Lanes]],
    ) {
        assert_eq!(x.len(), out.len(), "a panel for each panel");
        assert!(x.iter().all(|panel| panel.len() == w.width), "panels as long as the rows, {}", w.width);
        assert!(out.iter().all(|panel| panel.len() == w.count), "room for each of {} rows", w.count);
        assert!(bias.is_none_or(|bias| bias.len() == w.count), "a bias for each of {} rows", w.count);
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(proof) => avx2::products(proof, w, bias, x, out),
            Self::Portable => portable::products(w, bias, x, out),
        }
    }

    /// Runs a plain loop compiled for these instructions. It is faster only if `work` is
    /// `#[inline(always)]`.
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
    /// The result.
    type Output;

    /// Runs the loop.
    fn work(self) -> Self::Output;
}

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

    fn multiply(instructions: Instructions, w: Rows<'_>, bias: Option<&[f32]>, x: &[Lanes]) -> Vec<Lanes> {
        let x: Vec<&[Lanes]> = x.chunks(w.width).collect();
        let mut out = vec![[f32::NAN; LANES]; x.len() * w.count];
        instructions.products(w, bias, &x, &mut out.chunks_mut(w.count).collect::<Vec<_>>());
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn products_equal_the_plain_sums(
            (w, x, bias, width, gap) in (1_usize..30, 1_usize..8, 1_usize..70, 0_usize..3).prop_flat_map(|(n, panels, k, gap)|
                (numbers(n * (k + gap)), numbers(panels * k * LANES), proptest::option::of(numbers(n)), Just(k), Just(gap)))
        ) {
            let w = Rows { data: &w, stride: width + gap, width, count: w.len() / (width + gap) };
            let (x, _) = x.as_chunks::<LANES>();
            for instructions in all() {
                let out = multiply(instructions, w, bias.as_deref(), x);
                for (panel, out) in x.chunks(width).zip(out.chunks(w.count)) {
                    for (j, lane) in (0..w.count).flat_map(|j| (0..LANES).map(move |lane| (j, lane))) {
                        let sum: f64 = w.row(j).iter().zip(panel).map(|(a, b)| f64::from(*a) * f64::from(b[lane])).sum();
                        let exact = sum + bias.as_ref().map_or(0.0, |bias| f64::from(bias[j]));
                        prop_assert!((f64::from(out[j][lane]) - exact).abs() <= 1e-4, "{instructions:?} {j} {lane}");
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "room for each")]
    fn wrong_shapes_panic_before_a_write() {
        let numbers = [1.0; 64];
        let x = [[1.0; LANES]; 8];
        Instructions::best().products(Rows::dense(&numbers, 8), None, &[&x], &mut [&mut [[0.0; LANES]; 7]]);
    }

    #[test]
    #[should_panic(expected = "range")]
    fn missing_rows_panic() {
        let numbers = [1.0; 64];
        let rows = Rows { data: &numbers, stride: 8, width: 8, count: 9 };
        let x = [[1.0; LANES]; 8];
        Instructions::best().products(rows, None, &[&x], &mut [&mut [[0.0; LANES]; 9]]);
    }
}
