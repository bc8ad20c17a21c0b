//! The kernel in AVX2 and FMA. Tiles of sums stay in registers while rows and panels stream
//! through.

#![expect(
    clippy::needless_range_loop,
    reason = "the indices are those of the formula, and the loops of fixed count unroll completely"
)]

use std::arch::x86_64::{
    __m256, _MM_HINT_T0, _mm_prefetch, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps,
    _mm256_storeu_ps,
};

use super::{Detected, Lanes, Rows, Work};

/// The numbers in a cache line.
const LINE: usize = 16;

pub(super) fn run<T: Work>(_: Detected, work: T) -> T::Output {
    #[target_feature(enable = "avx2,fma")]
    fn compiled_for_it<T: Work>(work: T) -> T::Output {
        work.work()
    }
    // SAFETY: `Detected` exists only if the processor has both.
    unsafe { compiled_for_it(work) }
}

pub(super) fn products(
    _: Detected,
    w: Rows<'_>,
    bias: Option<&[f32]>,
    x: &[&[Lanes]],
    out: &mut [&mut [Lanes]],
) {
    let mut done = 0;
    while done < x.len() {
        let (x, out) = (&x[done..], &mut out[done..]);
        // At least eight sums, because each waits for its previous addition. With their operands
        // they fit into 16 registers.
        // SAFETY: `Detected` exists only if the processor has both.
        done += unsafe {
            match x.len() {
                1 => strip::<8, 1>(w, bias, x, out),
                3 => strip::<3, 3>(w, bias, x, out),
                _ => strip::<6, 2>(w, bias, x, out),
            }
        };
    }
}

/// Multiplies all rows with the first `N` panels, `M` rows at a time. Returns `N`.
#[target_feature(enable = "avx2,fma")]
fn strip<const M: usize, const N: usize>(
    w: Rows<'_>,
    bias: Option<&[f32]>,
    x: &[&[Lanes]],
    out: &mut [&mut [Lanes]],
) -> usize {
    let mut j = 0;
    while j < w.count {
        j += match w.count - j {
            rest if rest >= M => tile::<M, N>(w, j, bias, x, out),
            4.. => tile::<4, N>(w, j, bias, x, out),
            2.. => tile::<2, N>(w, j, bias, x, out),
            _ => tile::<1, N>(w, j, bias, x, out),
        };
    }
    N
}

/// Multiplies `M` rows from `j` with the first `N` panels. Returns `M`.
#[target_feature(enable = "avx2,fma")]
fn tile<const M: usize, const N: usize>(
    w: Rows<'_>,
    j: usize,
    bias: Option<&[f32]>,
    x: &[&[Lanes]],
    out: &mut [&mut [Lanes]],
) -> usize {
    let (width, stride) = (w.width, w.stride);
    // Panics unless each has `width` numbers.
    let w: [&[f32]; M] = std::array::from_fn(|m| &w.row(j + m)[..width]);
    let x: [&[Lanes]; N] = std::array::from_fn(|n| &x[n][..width]);
    let mut sums = [[_mm256_setzero_ps(); N]; M];
    if let Some(bias) = bias {
        for m in 0..M {
            sums[m] = [_mm256_set1_ps(bias[j + m]); N];
        }
    }
    let mut k = 0;
    while k < width {
        // Prefetches a cache line of each of the next rows, because the processor's own prefetching
        // ends with a row.
        for m in 0..M {
            _mm_prefetch::<_MM_HINT_T0>(w[m].as_ptr().wrapping_add(M * stride + k).cast());
        }
        let end = (k + LINE).min(width);
        while k < end {
            let mut from_x = [_mm256_setzero_ps(); N];
            for n in 0..N {
                // SAFETY: k < width, which is the length of each panel.
                from_x[n] = load(unsafe { x[n].get_unchecked(k) });
            }
            for m in 0..M {
                // SAFETY: k < width, which is the length of each row. (The compiler does not see
                // that, and a check takes as long as the product.)
                let factor = _mm256_set1_ps(unsafe { *w[m].get_unchecked(k) });
                for n in 0..N {
                    sums[m][n] = _mm256_fmadd_ps(factor, from_x[n], sums[m][n]);
                }
            }
            k += 1;
        }
    }
    for n in 0..N {
        for m in 0..M {
            store(&mut out[n][j + m], sums[m][n]);
        }
    }
    M
}

#[target_feature(enable = "avx2,fma")]
fn load(lanes: &Lanes) -> __m256 {
    // SAFETY: `lanes` has the eight numbers that this reads.
    unsafe { _mm256_loadu_ps(lanes.as_ptr()) }
}

#[target_feature(enable = "avx2,fma")]
fn store(lanes: &mut Lanes, numbers: __m256) {
    // SAFETY: `lanes` has room for the eight numbers that this writes.
    unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), numbers) }
}
