//! The kernel in AVX2 and FMA: tiles of sums that stay in registers while what they are sums of streams by.

#![expect(
    clippy::needless_range_loop,
    reason = "indices as the sums are written on paper, in loops of a fixed count that are unrolled whole"
)]

use std::arch::x86_64::{
    __m256, _MM_HINT_T0, _mm_prefetch, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps,
    _mm256_storeu_ps,
};

use super::{Detected, Lanes, Rows, Work};

/// Numbers in a line of the cache.
const LINE: usize = 16;

pub(super) fn run<T: Work>(_: Detected, work: T) -> T::Output {
    #[target_feature(enable = "avx2,fma")]
    fn compiled_for_it<T: Work>(work: T) -> T::Output {
        work.work()
    }
    // SAFETY: the proof is made only where the processor has both.
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
        // At least eight sums, because each waits for its last addition; with what is loaded they fit into 16 registers.
        // SAFETY: the proof is made only where the processor has both.
        done += unsafe {
            match x.len() {
                1 => strip::<8, 1>(w, bias, x, out),
                3 => strip::<3, 3>(w, bias, x, out),
                _ => strip::<6, 2>(w, bias, x, out),
            }
        };
    }
}

/// All rows with the first `N` panels, `M` rows at a time; says `N`.
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

/// `M` rows from `j` with the first `N` panels; says `M`.
#[target_feature(enable = "avx2,fma")]
fn tile<const M: usize, const N: usize>(
    w: Rows<'_>,
    j: usize,
    bias: Option<&[f32]>,
    x: &[&[Lanes]],
    out: &mut [&mut [Lanes]],
) -> usize {
    let (width, stride) = (w.width, w.stride);
    // Each is `width` long, or this panics.
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
        // The rows after these, a line of the cache each: what the processor fetches ahead by itself ends with a row.
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
                // SAFETY: k < width, which is the length of each row. (The compiler does not see it, and checks take as long.)
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
    // SAFETY: eight numbers are read from where there are eight.
    unsafe { _mm256_loadu_ps(lanes.as_ptr()) }
}

#[target_feature(enable = "avx2,fma")]
fn store(lanes: &mut Lanes, numbers: __m256) {
    // SAFETY: eight numbers are written to room for eight.
    unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), numbers) }
}
