//! The kernels in AVX2 and FMA: tiles of sums that stay in registers while what they are sums of streams by.

#![expect(
    clippy::needless_range_loop,
    clippy::many_single_char_names,
    reason = "names and indices as the sums are written on paper, in loops of a fixed count that are unrolled whole"
)]

use std::arch::x86_64::{
    __m256, _mm_add_ps, _mm_storeu_ps, _mm256_broadcast_ss, _mm256_castps256_ps128, _mm256_extractf128_ps,
    _mm256_fmadd_ps, _mm256_hadd_ps, _mm256_loadu_ps, _mm256_setzero_ps, _mm256_storeu_ps,
};

use super::{LANES, Proof, Rows, Work};

/// 12 of the 16 registers are sums: 3 rows of x with 4 of w.
const X: usize = 3;
const W: usize = 4;

pub(super) fn run<T: Work>(_: Proof, work: T) -> T::Output {
    #[target_feature(enable = "avx2,fma")]
    fn compiled_for_it<T: Work>(work: T) -> T::Output {
        work.work()
    }
    // SAFETY: the proof is made only where the processor has both.
    unsafe { compiled_for_it(work) }
}

pub(super) fn rows_with_rows(_: Proof, x: Rows<'_>, w: Rows<'_>, out: &mut [f32], stride: usize) {
    let mut j = 0;
    while j < w.count {
        let mut i = 0;
        let is_whole = j + W <= w.count;
        while i < x.count {
            let rest = x.count - i;
            let out = &mut out[i * stride + j..];
            // SAFETY: the proof is made only where the processor has both.
            unsafe {
                match (rest, is_whole) {
                    (X.., true) => tile::<X, W>(x, i, w, j, out, stride),
                    (2, true) => tile::<2, W>(x, i, w, j, out, stride),
                    (_, true) => tile::<1, W>(x, i, w, j, out, stride),
                    (X.., false) => tile::<X, 1>(x, i, w, j, out, stride),
                    (2, false) => tile::<2, 1>(x, i, w, j, out, stride),
                    (_, false) => tile::<1, 1>(x, i, w, j, out, stride),
                }
            }
            i += X.min(rest);
        }
        j += if is_whole { W } else { 1 };
    }
}

/// `M` rows of `x` from `i` with `N` rows of `w` from `j`.
#[target_feature(enable = "avx2,fma")]
fn tile<const M: usize, const N: usize>(
    x: Rows<'_>,
    i: usize,
    w: Rows<'_>,
    j: usize,
    out: &mut [f32],
    stride: usize,
) {
    // Each is `width` long, or this panics.
    let x: [&[f32]; M] = std::array::from_fn(|m| x.row(i + m));
    let w: [&[f32]; N] = std::array::from_fn(|n| w.row(j + n));
    let width = x[0].len();
    assert!(x.iter().chain(&w).all(|row| row.len() == width), "rows of one width");
    let whole = width - width % LANES;

    let mut sums = [[_mm256_setzero_ps(); N]; M];
    let mut k = 0;
    while k < whole {
        let mut from_x = [_mm256_setzero_ps(); M];
        for m in 0..M {
            // SAFETY: k + 8 <= width, which is the length of each row.
            from_x[m] = unsafe { _mm256_loadu_ps(x[m].as_ptr().add(k)) };
        }
        for n in 0..N {
            // SAFETY: as above.
            let from_w = unsafe { _mm256_loadu_ps(w[n].as_ptr().add(k)) };
            for m in 0..M {
                sums[m][n] = _mm256_fmadd_ps(from_x[m], from_w, sums[m][n]);
            }
        }
        k += LANES;
    }
    for m in 0..M {
        let out = &mut out[m * stride..][..N];
        if N == 4 {
            let four = add_lanes([sums[m][0], sums[m][1 % N], sums[m][2 % N], sums[m][3 % N]]);
            out.copy_from_slice(&four[..N]);
        } else {
            for n in 0..N {
                out[n] =
                    add_lanes([sums[m][n], _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps()])[0];
            }
        }
        for n in 0..N {
            for k in whole..width {
                out[n] += x[m][k] * w[n][k];
            }
        }
    }
}

/// The sum of each one's lanes.
#[target_feature(enable = "avx2,fma")]
fn add_lanes(sums: [__m256; 4]) -> [f32; 4] {
    let [a, b, c, d] = sums;
    let halves = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    let whole = _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps::<1>(halves));
    let mut four = [0.0; 4];
    // SAFETY: four numbers are written to room for four.
    unsafe { _mm_storeu_ps(four.as_mut_ptr(), whole) };
    four
}

pub(super) fn rows_with_columns(_: Proof, x: Rows<'_>, y: Rows<'_>, out: &mut [f32], stride: usize) {
    let mut j = 0;
    while j < y.width {
        let pair = j + 2 * LANES <= y.width;
        let mut i = 0;
        while i < x.count {
            let rest = x.count - i;
            let out = &mut out[i * stride + j..];
            // SAFETY: the proof is made only where the processor has both.
            let done = unsafe {
                match (rest, pair) {
                    (5.., true) => strip::<5, 2>(x, i, y, j, out, stride),
                    (3.., true) => strip::<3, 2>(x, i, y, j, out, stride),
                    (_, true) => strip::<1, 2>(x, i, y, j, out, stride),
                    (5.., false) => strip::<5, 1>(x, i, y, j, out, stride),
                    (3.., false) => strip::<3, 1>(x, i, y, j, out, stride),
                    (_, false) => strip::<1, 1>(x, i, y, j, out, stride),
                }
            };
            i += done;
        }
        j += if pair { 2 * LANES } else { LANES };
    }
}

/// `M` rows of `x` from `i` with `N` times eight columns of `y` from `j`; says `M`.
#[target_feature(enable = "avx2,fma")]
fn strip<const M: usize, const N: usize>(
    x: Rows<'_>,
    i: usize,
    y: Rows<'_>,
    j: usize,
    out: &mut [f32],
    stride: usize,
) -> usize {
    let x: [&[f32]; M] = std::array::from_fn(|m| x.row(i + m));
    let mut sums = [[_mm256_setzero_ps(); N]; M];
    for k in 0..y.count {
        let row = &y.row(k)[j..][..N * LANES];
        let mut from_y = [_mm256_setzero_ps(); N];
        for n in 0..N {
            // SAFETY: the slice has N times eight numbers.
            from_y[n] = unsafe { _mm256_loadu_ps(row.as_ptr().add(n * LANES)) };
        }
        for m in 0..M {
            let factor = _mm256_broadcast_ss(&x[m][k]);
            for n in 0..N {
                sums[m][n] = _mm256_fmadd_ps(factor, from_y[n], sums[m][n]);
            }
        }
    }
    for m in 0..M {
        let out = &mut out[m * stride..][..N * LANES];
        for n in 0..N {
            // SAFETY: the slice has room for N times eight numbers.
            unsafe { _mm256_storeu_ps(out.as_mut_ptr().add(n * LANES), sums[m][n]) };
        }
    }
    M
}
