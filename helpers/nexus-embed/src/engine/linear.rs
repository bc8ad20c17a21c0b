//! Products with weights, divided among the threads.

use rayon::prelude::*;

use crate::engine::math::Gelu;
use crate::machine::{Instructions, Lanes, Rows};

/// A dense layer: `weight` has a row for each output.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dense<'a> {
    pub(super) weight: Rows<'a>,
    pub(super) bias: &'a [f32],
}

/// The operation on each output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Nothing,
    Gelu,
}

/// The outputs of a share: a multiple of the kernel's tile, and few enough for their weights to
/// stay in a core's own cache for all panels.
const SHARE: usize = 48;

/// Some outputs of a layer, for all panels.
struct Share<'a, 'o> {
    weight: Rows<'a>,
    bias: &'a [f32],
    /// The rows of these outputs in each panel.
    out: Vec<&'o mut [Lanes]>,
}

/// Computes the outputs of `layers`, one after the other, for each panel of `x`, which has `width`
/// rows. Writes them to `out`. Each thread computes some outputs, so that it reads their weights
/// from memory once.
pub(super) fn apply(
    instructions: Instructions,
    (x, width): (&[Lanes], usize),
    layers: &[Dense<'_>],
    then: Then,
    out: &mut [Lanes],
) {
    let x: Vec<&[Lanes]> = x.chunks_exact(width).collect();
    shares(layers, out, x.len()).par_iter_mut().with_min_len(2).for_each(|share| {
        instructions.products(share.weight, Some(share.bias), &x, &mut share.out);
        if then == Then::Gelu {
            for out in &mut share.out {
                instructions.run(Gelu(out.as_flattened_mut()));
            }
        }
    });
}

fn shares<'a, 'o>(layers: &[Dense<'a>], out: &'o mut [Lanes], panels: usize) -> Vec<Share<'a, 'o>> {
    let mut shares = Vec::new();
    for layer in layers {
        for first in (0..layer.weight.count).step_by(SHARE) {
            let count = SHARE.min(layer.weight.count - first);
            shares.push(Share {
                weight: layer.weight.range(first, count),
                bias: &layer.bias[first..first + count],
                out: Vec::with_capacity(panels),
            });
        }
    }
    let outputs: usize = layers.iter().map(|layer| layer.weight.count).sum();
    debug_assert_eq!(out.len(), panels * outputs);
    for mut panel in out.chunks_exact_mut(outputs) {
        for share in &mut shares {
            let (of_share, rest) = panel.split_at_mut(share.weight.count);
            share.out.push(of_share);
            panel = rest;
        }
    }
    shares
}
