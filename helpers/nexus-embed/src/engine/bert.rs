//! The encoder: Devlin et al., arXiv:1810.04805, as the weights of Hugging Face's `BertModel` have it.

use nexus_core::failure::{Exit, Failure, Result};
use rayon::prelude::*;

use crate::engine::linear::{self, Dense, Then};
use crate::engine::math::{AddAndNormalise, Softmax};
use crate::machine::{Instructions, LANES, Rows};
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

/// The room that a pass works in.
#[derive(Default)]
struct Room {
    /// What the next layer takes.
    states: Vec<f32>,
    /// Queries, keys and values, side by side.
    parts: Vec<f32>,
    context: Vec<f32>,
    added: Vec<f32>,
    wide: Vec<f32>,
    scratch: Vec<f32>,
}

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
        let mut room = Room { states: self.embed(texts)?, ..Room::default() };
        let width = self.config.hidden_size;
        let tokens = room.states.len() / width;
        room.parts.resize(tokens * width * 3, 0.0);
        room.context.resize(tokens * width, 0.0);
        room.added.resize(tokens * width, 0.0);
        room.wide.resize(tokens * self.config.intermediate_size, 0.0);
        for layer in &self.layers {
            self.layer(layer, texts, &mut room);
        }
        Ok(room.states)
    }

    fn embed(&self, texts: &[&[u32]]) -> Result<Vec<f32>> {
        let width = self.config.hidden_size;
        let (words, positions) = (self.words.rows(), self.positions.rows());
        let first_type = self.types.rows().row(0);
        let tokens: usize = texts.iter().map(|text| text.len()).sum();
        let mut states = Vec::with_capacity(tokens * width);
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
                let (word, position) = (words.row(token), positions.row(position));
                states.extend(word.iter().zip(position).zip(first_type).map(|((a, b), c)| a + b + c));
            }
        }
        let nothing = vec![0.0; states.len()];
        self.add_and_normalise(&mut states, &nothing, &self.norm);
        Ok(states)
    }

    fn layer(&self, layer: &Layer, texts: &[&[u32]], room: &mut Room) {
        let width = self.config.hidden_size;
        let Room { states, parts, context, added, wide, scratch } = room;
        let apply =
            |x: &[f32], x_width, layers: &[Dense<'_>], then, out: &mut [f32], scratch: &mut Vec<f32>| {
                linear::apply(self.instructions, Rows::dense(x, x_width), layers, then, out, scratch);
            };
        let all = [layer.query.dense(), layer.key.dense(), layer.value.dense()];
        apply(states, width, &all, Then::Nothing, parts, scratch);
        self.attend(texts, parts, context);
        apply(context, width, &[layer.attention.dense()], Then::Nothing, added, scratch);
        self.add_and_normalise(states, added, &layer.attention_norm);
        apply(states, width, &[layer.wide.dense()], Then::Gelu, wide, scratch);
        let inner = self.config.intermediate_size;
        apply(wide, inner, &[layer.narrow.dense()], Then::Nothing, added, scratch);
        self.add_and_normalise(states, added, &layer.norm);
    }

    /// Attention within each text, by each head: one task for the two.
    fn attend(&self, texts: &[&[u32]], parts: &[f32], context: &mut [f32]) {
        let (width, heads) = (self.config.hidden_size, self.config.num_attention_heads);
        let mut first = 0;
        let mut tasks = Vec::with_capacity(texts.len() * heads);
        for text in texts {
            tasks.extend((0..heads).map(|head| (first, text.len(), head)));
            first += text.len();
        }
        let least = if first < 64 { tasks.len().div_ceil(rayon::current_num_threads()) } else { 1 };
        let results: Vec<Vec<f32>> = tasks
            .par_iter()
            .with_min_len(least)
            .map(|(first, tokens, head)| {
                self.attend_by_one(&parts[first * width * 3..][..tokens * width * 3], *tokens, *head)
            })
            .collect();
        let (of_head, padded) = self.widths_of_a_head();
        for ((first, _, head), result) in tasks.iter().zip(&results) {
            let rows = context[first * width..].chunks_exact_mut(width);
            for (row, result) in rows.zip(result.chunks_exact(padded)) {
                row[head * of_head..][..of_head].copy_from_slice(&result[..of_head]);
            }
        }
    }

    /// A row of `padded` numbers for each token.
    #[allow(clippy::cast_precision_loss)] // a head has some dozens of numbers
    fn attend_by_one(&self, parts: &[f32], tokens: usize, head: usize) -> Vec<f32> {
        let width = self.config.hidden_size;
        let (of_head, padded) = self.widths_of_a_head();
        let part = |number: usize| Rows {
            data: &parts[number * width + head * of_head..],
            stride: width * 3,
            width: of_head,
            count: tokens,
        };
        let (queries, keys, values) = (part(0), part(1), part(2));
        // Keys as columns, both padded to whole vectors with zeros.
        let columns = tokens.next_multiple_of(LANES);
        let mut key_columns = vec![0.0; of_head * columns];
        let mut value_rows = vec![0.0; tokens * padded];
        for token in 0..tokens {
            for (d, key) in keys.row(token).iter().enumerate() {
                key_columns[d * columns + token] = *key;
            }
            value_rows[token * padded..][..of_head].copy_from_slice(values.row(token));
        }
        let mut scores = vec![0.0; tokens * columns];
        self.instructions.rows_with_columns(
            queries,
            Rows::dense(&key_columns, columns),
            &mut scores,
            columns,
        );
        let scale = 1.0 / (of_head as f32).sqrt();
        self.instructions.run(Softmax { rows: &mut scores, stride: columns, count: tokens, scale });
        let scores = Rows { data: &scores, stride: columns, width: tokens, count: tokens };
        let mut result = vec![0.0; tokens * padded];
        self.instructions.rows_with_columns(scores, Rows::dense(&value_rows, padded), &mut result, padded);
        result
    }

    /// Numbers of a head, and the same as whole vectors.
    fn widths_of_a_head(&self) -> (usize, usize) {
        let width = self.config.hidden_size / self.config.num_attention_heads;
        (width, width.next_multiple_of(LANES))
    }

    fn add_and_normalise(&self, states: &mut [f32], added: &[f32], norm: &Norm) {
        let (weight, bias) = (norm.weight.numbers(), norm.bias.numbers());
        let a_share = if states.len() < 1 << 15 { states.len() } else { weight.len() * 32 };
        states.par_chunks_mut(a_share.max(1)).zip(added.par_chunks(a_share.max(1))).for_each(
            |(rows, other)| {
                self.instructions.run(AddAndNormalise {
                    rows,
                    other,
                    weight,
                    bias,
                    epsilon: self.config.layer_norm_eps,
                });
            },
        );
    }
}
