//! Products with weights, shared out among the threads.

use rayon::prelude::*;

use crate::engine::math::Gelu;
use crate::machine::{Instructions, Rows};

/// A dense layer: `weight` has a row for each output.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dense<'a> {
    pub(super) weight: Rows<'a>,
    pub(super) bias: &'a [f32],
}

/// What is done with each output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Nothing,
    Gelu,
}

/// Up to so many rows, threads share the outputs: reading the weights is what takes the time, and each thread reads its own.
const FEW_ROWS: usize = 24;

/// Outputs of a share, where outputs are shared.
const SHARE: usize = 32;

/// Rows of a share, at most, where rows are shared: what it works on stays in a core's own cache.
const MOST_ROWS: usize = 48;

/// The outputs of `layers`, side by side, for each row of `x`. `out` has room for them, `scratch` is grown as needed.
pub(super) fn apply(
    instructions: Instructions,
    x: Rows<'_>,
    layers: &[Dense<'_>],
    then: Then,
    out: &mut [f32],
    scratch: &mut Vec<f32>,
) {
    let width: usize = layers.iter().map(|layer| layer.weight.count).sum();
    debug_assert_eq!(out.len(), x.count * width);
    if x.count <= FEW_ROWS {
        by_outputs(instructions, x, layers, then, out, scratch);
        return;
    }
    let a_share = x.count.div_ceil(rayon::current_num_threads()).next_multiple_of(3).min(MOST_ROWS);
    out.par_chunks_mut(a_share * width).enumerate().for_each(|(share, out)| {
        let rows = x.range(share * a_share, out.len() / width);
        let mut before = 0;
        for layer in layers {
            instructions.rows_with_rows(rows, layer.weight, &mut out[before..], width);
            before += layer.weight.count;
        }
        for row in out.chunks_exact_mut(width) {
            let mut before = 0;
            for layer in layers {
                add(&mut row[before..], layer.bias);
                before += layer.bias.len();
            }
        }
        finish(instructions, then, out);
    });
}

fn by_outputs(
    instructions: Instructions,
    x: Rows<'_>,
    layers: &[Dense<'_>],
    then: Then,
    out: &mut [f32],
    scratch: &mut Vec<f32>,
) {
    // (layer, its first output, how many, where they stand in a row of `out`)
    let mut shares = Vec::new();
    let mut width = 0;
    for layer in layers {
        for first in (0..layer.weight.count).step_by(SHARE) {
            shares.push((layer, first, SHARE.min(layer.weight.count - first), width + first));
        }
        width += layer.weight.count;
    }
    scratch.resize((shares.len() * SHARE * x.count).max(scratch.len()), 0.0);
    let rooms = scratch.par_chunks_mut(SHARE * x.count);
    shares.par_iter().with_min_len(2).zip(rooms).for_each(|((layer, first, count, _), room)| {
        let room = &mut room[..count * x.count];
        instructions.rows_with_rows(x, layer.weight.range(*first, *count), room, *count);
        for row in room.chunks_exact_mut(*count) {
            add(row, &layer.bias[*first..first + count]);
        }
        finish(instructions, then, room);
    });
    for ((_, _, count, place), room) in shares.iter().zip(scratch.chunks(SHARE * x.count)) {
        for (row, out) in room.chunks_exact(*count).zip(out.chunks_exact_mut(width)) {
            out[*place..place + count].copy_from_slice(row);
        }
    }
}

fn add(row: &mut [f32], bias: &[f32]) {
    for (x, bias) in row.iter_mut().zip(bias) {
        *x += bias;
    }
}

fn finish(instructions: Instructions, then: Then, out: &mut [f32]) {
    match then {
        Then::Nothing => {}
        Then::Gelu => instructions.run(Gelu(out)),
    }
}
