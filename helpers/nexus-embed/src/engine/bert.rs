//! The encoder: Devlin et al., arXiv:1810.04805, as the weights of Hugging Face's `BertModel` have it.

use std::ops::Range;

use nexus_cli::failure::{Exit, Failure, Result};
use rayon::prelude::*;

use crate::engine::linear::{self, Dense, Then};
use crate::engine::math::{AddAndNormalise, Exponentials};
use crate::machine::{Instructions, LANES, Lanes, Rows};
use crate::model::config::BertConfig;
use crate::model::weights::{Tensor, Weights};

/// An encoder whose weights stay in their file.
#[derive(Debug)]
pub struct Bert {
    config: BertConfig,
    words: Tensor,
    positions: Tensor,
    types: Tensor,
    norm: Norm,
    layers: Vec<Layer>,
    instructions: Instructions,
}

#[derive(Debug)]
struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    attention: Linear,
    attention_norm: Norm,
    wide: Linear,
    narrow: Linear,
    norm: Norm,
}

#[derive(Debug)]
struct Linear {
    weight: Tensor,
    bias: Tensor,
}

#[derive(Debug)]
struct Norm {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    fn find(weights: &Weights, name: &str, outputs: usize, inputs: usize) -> Result<Self> {
        Ok(Self {
            weight: weights.tensor(&format!("{name}.weight"), &[outputs, inputs])?,
            bias: weights.tensor(&format!("{name}.bias"), &[outputs])?,
        })
    }

    fn dense(&self) -> Dense<'_> {
        Dense { weight: self.weight.rows(), bias: self.bias.numbers() }
    }
}

impl Norm {
    fn find(weights: &Weights, name: &str, width: usize) -> Result<Self> {
        Ok(Self {
            weight: weights.tensor(&format!("{name}.weight"), &[width])?,
            bias: weights.tensor(&format!("{name}.bias"), &[width])?,
        })
    }
}

/// The room that a pass works in: panels of eight tokens each. The last has as many as there are, and what comes of the
/// lanes that are left over is looked at by nobody.
struct Room {
    /// What the next layer takes.
    states: Vec<Lanes>,
    /// Queries, keys and values, one after the other.
    parts: Vec<Lanes>,
    context: Vec<Lanes>,
    added: Vec<Lanes>,
    wide: Vec<Lanes>,
}

/// A text among the tokens of all.
#[derive(Clone, Copy)]
struct TokenSpan {
    first: usize,
    tokens: usize,
}

impl TokenSpan {
    /// Its panels: with others' tokens in the first and the last.
    fn panels(self) -> Range<usize> {
        self.first / LANES..(self.first + self.tokens).div_ceil(LANES)
    }

    /// Its lanes of a panel.
    fn lanes(self, panel: usize) -> Range<usize> {
        let before = panel * LANES;
        self.first.saturating_sub(before)..(self.first + self.tokens - before).min(LANES)
    }
}

/// Panels of queries that are compared with all keys at once: their scores stay in the cache.
const QUERIES: usize = 4;

impl Bert {
    /// Finds the tensors in `weights`.
    ///
    /// # Errors
    /// Data (65) where one is missing or has another shape than `config` says.
    pub fn new(config: BertConfig, weights: &Weights, instructions: Instructions) -> Result<Self> {
        let width = config.hidden_size;
        let layer = |number| -> Result<Layer> {
            let linear = |name: &str, outputs, inputs| {
                Linear::find(weights, &format!("encoder.layer.{number}.{name}"), outputs, inputs)
            };
            let norm = |name: &str| Norm::find(weights, &format!("encoder.layer.{number}.{name}"), width);
            Ok(Layer {
                query: linear("attention.self.query", width, width)?,
                key: linear("attention.self.key", width, width)?,
                value: linear("attention.self.value", width, width)?,
                attention: linear("attention.output.dense", width, width)?,
                attention_norm: norm("attention.output.LayerNorm")?,
                wide: linear("intermediate.dense", config.intermediate_size, width)?,
                narrow: linear("output.dense", width, config.intermediate_size)?,
                norm: norm("output.LayerNorm")?,
            })
        };
        Ok(Self {
            words: weights.tensor("embeddings.word_embeddings.weight", &[config.vocab_size, width])?,
            positions: weights
                .tensor("embeddings.position_embeddings.weight", &[config.max_position_embeddings, width])?,
            types: weights
                .tensor("embeddings.token_type_embeddings.weight", &[config.type_vocab_size, width])?,
            norm: Norm::find(weights, "embeddings.LayerNorm", width)?,
            layers: (0..config.num_hidden_layers).map(layer).collect::<Result<_>>()?,
            config,
            instructions,
        })
    }

    /// The last hidden states of several texts, one after the other: a row for each token.
    ///
    /// # Errors
    /// Data (65) for a token that the weights do not know, or a text longer than the positions.
    pub fn forward(&self, texts: &[&[u32]]) -> Result<Vec<f32>> {
        // All of it on one of the threads that share the work: from outside, each step would wait to be taken up.
        rayon::scope(|_| self.pass(texts))
    }

    fn pass(&self, texts: &[&[u32]]) -> Result<Vec<f32>> {
        let (width, inner) = (self.config.hidden_size, self.config.intermediate_size);
        let mut places = Vec::with_capacity(texts.len());
        let mut tokens = 0;
        for text in texts.iter().filter(|text| !text.is_empty()) {
            places.push(TokenSpan { first: tokens, tokens: text.len() });
            tokens += text.len();
        }
        let panels = tokens.div_ceil(LANES);
        let room_for = |rows: usize| vec![[0.0; LANES]; panels * rows];
        let mut room = Room {
            states: room_for(width),
            parts: room_for(width * 3),
            context: room_for(width),
            added: room_for(width),
            wide: room_for(inner),
        };
        self.embed(texts, &mut room.states)?;
        self.add_and_normalise(&mut room.states, &room.added, &self.norm);
        for layer in &self.layers {
            self.layer(layer, &places, &mut room);
        }
        let mut rows = Vec::with_capacity(tokens * width);
        for token in 0..tokens {
            let panel = &room.states[token / LANES * width..][..width];
            rows.extend(panel.iter().map(|lanes| lanes[token % LANES]));
        }
        Ok(rows)
    }

    /// Puts each token's word, its position and its type, of which there is one, into its lane.
    fn embed(&self, texts: &[&[u32]], states: &mut [Lanes]) -> Result<()> {
        let width = self.config.hidden_size;
        let (words, positions) = (self.words.rows(), self.positions.rows());
        let first_type = self.types.rows().row(0);
        let mut number = 0;
        for text in texts {
            if text.len() > positions.count {
                return Err(Failure::new(Exit::Data, "embedding a text").because(format!(
                    "{} tokens, the model takes {}",
                    text.len(),
                    positions.count
                )));
            }
            for (position, token) in text.iter().enumerate() {
                let token = *token as usize;
                if token >= words.count {
                    return Err(Failure::new(Exit::Data, "embedding a text")
                        .because(format!(
                            "token {token} of the tokenizer is not among the {} of the weights",
                            words.count
                        ))
                        .advise("tokenizer.json and model.safetensors are not of the same model"));
                }
                let parts = words.row(token).iter().zip(positions.row(position)).zip(first_type);
                let panel = &mut states[number / LANES * width..][..width];
                for (lanes, ((a, b), c)) in panel.iter_mut().zip(parts) {
                    lanes[number % LANES] = a + b + c;
                }
                number += 1;
            }
        }
        Ok(())
    }

    fn layer(&self, layer: &Layer, places: &[TokenSpan], room: &mut Room) {
        let (width, inner) = (self.config.hidden_size, self.config.intermediate_size);
        let Room { states, parts, context, added, wide } = room;
        let apply = |x: &[Lanes], x_width: usize, layers: &[Dense<'_>], then, out: &mut [Lanes]| {
            linear::apply(self.instructions, (x, x_width), layers, then, out);
        };
        let all = [layer.query.dense(), layer.key.dense(), layer.value.dense()];
        apply(states, width, &all, Then::Nothing, parts);
        self.attend(places, parts, context);
        apply(context, width, &[layer.attention.dense()], Then::Nothing, added);
        self.add_and_normalise(states, added, &layer.attention_norm);
        apply(states, width, &[layer.wide.dense()], Then::Gelu, wide);
        apply(wide, inner, &[layer.narrow.dense()], Then::Nothing, added);
        self.add_and_normalise(states, added, &layer.norm);
    }

    /// Attention within each text, by each head: one task for the two.
    fn attend(&self, places: &[TokenSpan], parts: &[Lanes], context: &mut [Lanes]) {
        let (width, heads, of_head) =
            (self.config.hidden_size, self.config.num_attention_heads, self.of_head());
        let tasks: Vec<(TokenSpan, usize)> =
            places.iter().flat_map(|place| (0..heads).map(|head| (*place, head))).collect();
        let least =
            if parts.len() < width * 3 * 8 { tasks.len().div_ceil(rayon::current_num_threads()) } else { 1 };
        let results: Vec<Vec<Lanes>> = tasks
            .par_iter()
            .with_min_len(least.max(1))
            .map(|(place, head)| self.attend_by_one(parts, *place, *head))
            .collect();
        for ((place, head), result) in tasks.iter().zip(&results) {
            for (panel, result) in place.panels().zip(result.chunks_exact(of_head)) {
                let rows = &mut context[panel * width + head * of_head..][..of_head];
                let lanes = place.lanes(panel);
                for (row, result) in rows.iter_mut().zip(result) {
                    row[lanes.clone()].copy_from_slice(&result[lanes.clone()]);
                }
            }
        }
    }

    /// The text's panels, with the rows of one head. Lanes of other texts are of no use.
    #[allow(clippy::cast_precision_loss)] // a head has some dozens of numbers
    fn attend_by_one(&self, parts: &[Lanes], place: TokenSpan, head: usize) -> Vec<Lanes> {
        let (width, of_head, tokens) = (self.config.hidden_size, self.of_head(), place.tokens);
        // Panel `panel` of the queries, the keys or the values.
        let part = |panel: usize, number: usize| {
            &parts[panel * width * 3 + number * width + head * of_head..][..of_head]
        };
        // What is multiplied with panels has to be rows: a row for each key, and for each number of the values.
        let mut keys = vec![0.0; tokens * of_head];
        let mut values = vec![0.0; tokens * of_head];
        for panel in place.panels() {
            let lanes = place.lanes(panel);
            let token = panel * LANES + lanes.start - place.first;
            for (d, (key, value)) in part(panel, 1).iter().zip(part(panel, 2)).enumerate() {
                for (number, key) in key[lanes.clone()].iter().enumerate() {
                    keys[(token + number) * of_head + d] = *key;
                }
                values[d * tokens + token..][..lanes.len()].copy_from_slice(&value[lanes.clone()]);
            }
        }
        let (keys, values) = (Rows::dense(&keys, of_head), Rows::dense(&values, tokens));
        let scale = 1.0 / (of_head as f32).sqrt();
        let mut results = vec![[0.0; LANES]; place.panels().len() * of_head];
        let mut scores = vec![[0.0; LANES]; place.panels().len().min(QUERIES) * tokens];
        for (first, results) in place.panels().step_by(QUERIES).zip(results.chunks_mut(QUERIES * of_head)) {
            let queries: Vec<&[Lanes]> =
                (first..place.panels().end).take(QUERIES).map(|panel| part(panel, 0)).collect();
            let mut scores: Vec<&mut [Lanes]> = scores.chunks_exact_mut(tokens).take(queries.len()).collect();
            let mut results: Vec<&mut [Lanes]> = results.chunks_exact_mut(of_head).collect();
            self.instructions.products(keys, None, &queries, &mut scores);
            let mut factors = [[0.0; LANES]; QUERIES];
            for (scores, factors) in scores.iter_mut().zip(&mut factors) {
                *factors = self.instructions.run(Exponentials { scores, scale });
            }
            let scores: Vec<&[Lanes]> = scores.iter().map(|scores| &**scores).collect();
            self.instructions.products(values, None, &scores, &mut results);
            for (results, factors) in results.iter_mut().zip(&factors) {
                for (lane, x) in results.iter_mut().flat_map(|row| row.iter_mut().enumerate()) {
                    *x *= factors[lane];
                }
            }
        }
        results
    }

    /// Numbers of a head.
    fn of_head(&self) -> usize {
        self.config.hidden_size / self.config.num_attention_heads
    }

    fn add_and_normalise(&self, states: &mut [Lanes], added: &[Lanes], norm: &Norm) {
        let (weight, bias) = (norm.weight.numbers(), norm.bias.numbers());
        let width = self.config.hidden_size;
        // Few panels are done before another thread has taken one up.
        let least = if states.len() < width * 8 { states.len() } else { 4 };
        states.par_chunks_mut(width).zip(added.par_chunks(width)).with_min_len(least.max(1)).for_each(
            |(panel, other)| {
                self.instructions.run(AddAndNormalise {
                    panel,
                    other,
                    weight,
                    bias,
                    epsilon: self.config.layer_norm_eps,
                });
            },
        );
    }
}
