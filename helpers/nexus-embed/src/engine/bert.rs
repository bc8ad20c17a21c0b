//! The encoder: Devlin et al., arXiv:1810.04805, in the layout of Hugging Face's `BertModel`.

use std::ops::Range;

use nexus_cli::failure::{Exit, Failure, Result};
use rayon::prelude::*;

use crate::engine::linear::{self, Dense, Then};
use crate::engine::math::{AddAndNormalize, Exponentials};
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

/// The buffers of a pass, in panels of eight tokens. The last panel may have fewer; the results in
/// its other lanes are ignored.
struct Buffers {
    /// The input of the next layer.
    states: Vec<Lanes>,
    /// Queries, keys and values, one after the other.
    parts: Vec<Lanes>,
    context: Vec<Lanes>,
    added: Vec<Lanes>,
    wide: Vec<Lanes>,
}

/// The tokens of one text among those of all texts.
#[derive(Clone, Copy)]
struct TokenSpan {
    first: usize,
    tokens: usize,
}

impl TokenSpan {
    /// Returns the panels of the text. The first and the last may have other texts' tokens too.
    fn panels(self) -> Range<usize> {
        self.first / LANES..(self.first + self.tokens).div_ceil(LANES)
    }

    /// Returns the lanes of the text in a panel.
    fn lanes(self, panel: usize) -> Range<usize> {
        let before = panel * LANES;
        self.first.saturating_sub(before)..(self.first + self.tokens - before).min(LANES)
    }
}

/// The panels of queries in one product with all keys. Their scores stay in the cache.
const QUERIES: usize = 4;

impl Bert {
    /// Finds the tensors in `weights`.
    ///
    /// # Errors
    /// Data (65) if one is missing or does not have the shape in `config`.
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

    /// Returns the last hidden states of several texts, one after the other, with a row for each
    /// token.
    ///
    /// # Errors
    /// Data (65) if the weights lack a token, or a text has more tokens than positions.
    pub fn forward(&self, texts: &[&[u32]]) -> Result<Vec<f32>> {
        // On one of rayon's threads: from outside, each step would wait for one of them to wake.
        rayon::scope(|_| self.pass(texts))
    }

    fn pass(&self, texts: &[&[u32]]) -> Result<Vec<f32>> {
        let (width, inner) = (self.config.hidden_size, self.config.intermediate_size);
        let mut spans = Vec::with_capacity(texts.len());
        let mut tokens = 0;
        for text in texts.iter().filter(|text| !text.is_empty()) {
            spans.push(TokenSpan { first: tokens, tokens: text.len() });
            tokens += text.len();
        }
        let panels = tokens.div_ceil(LANES);
        let buffer = |rows: usize| vec![[0.0; LANES]; panels * rows];
        let mut buffers = Buffers {
            states: buffer(width),
            parts: buffer(width * 3),
            context: buffer(width),
            added: buffer(width),
            wide: buffer(inner),
        };
        self.embed(texts, &mut buffers.states)?;
        self.add_and_normalize(&mut buffers.states, &buffers.added, &self.norm);
        for layer in &self.layers {
            self.layer(layer, &spans, &mut buffers);
        }
        let mut rows = Vec::with_capacity(tokens * width);
        for token in 0..tokens {
            let panel = &buffers.states[token / LANES * width..][..width];
            rows.extend(panel.iter().map(|lanes| lanes[token % LANES]));
        }
        Ok(rows)
    }

    /// Writes the sum of each token's word, position and type into its lane. All tokens have the
    /// first type.
    fn embed(&self, texts: &[&[u32]], states: &mut [Lanes]) -> Result<()> {
        let width = self.config.hidden_size;
        let (words, positions) = (self.words.rows(), self.positions.rows());
        let first_type = self.types.rows().row(0);
        let mut number = 0;
        for text in texts {
            if text.len() > positions.count {
                return Err(Failure::new(Exit::Data, "embedding a text").because(format!(
                    "it has {} tokens, but the model takes {}",
                    text.len(),
                    positions.count
                )));
            }
            for (position, token) in text.iter().enumerate() {
                let token = *token as usize;
                if token >= words.count {
                    return Err(Failure::new(Exit::Data, "embedding a text")
                        .because(format!(
                            "the weights have {} tokens, but the tokenizer gives token {token}",
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

    fn layer(&self, layer: &Layer, spans: &[TokenSpan], buffers: &mut Buffers) {
        let (width, inner) = (self.config.hidden_size, self.config.intermediate_size);
        let Buffers { states, parts, context, added, wide } = buffers;
        let apply = |x: &[Lanes], x_width: usize, layers: &[Dense<'_>], then, out: &mut [Lanes]| {
            linear::apply(self.instructions, (x, x_width), layers, then, out);
        };
        let all = [layer.query.dense(), layer.key.dense(), layer.value.dense()];
        apply(states, width, &all, Then::Nothing, parts);
        self.attend(spans, parts, context);
        apply(context, width, &[layer.attention.dense()], Then::Nothing, added);
        self.add_and_normalize(states, added, &layer.attention_norm);
        apply(states, width, &[layer.wide.dense()], Then::Gelu, wide);
        apply(wide, inner, &[layer.narrow.dense()], Then::Nothing, added);
        self.add_and_normalize(states, added, &layer.norm);
    }

    /// Computes the attention within each text. Each task is one head of one text.
    fn attend(&self, spans: &[TokenSpan], parts: &[Lanes], context: &mut [Lanes]) {
        let (width, heads, of_head) =
            (self.config.hidden_size, self.config.num_attention_heads, self.of_head());
        let tasks: Vec<(TokenSpan, usize)> =
            spans.iter().flat_map(|span| (0..heads).map(|head| (*span, head))).collect();
        let least =
            if parts.len() < width * 3 * 8 { tasks.len().div_ceil(rayon::current_num_threads()) } else { 1 };
        let results: Vec<Vec<Lanes>> = tasks
            .par_iter()
            .with_min_len(least.max(1))
            .map(|(span, head)| self.attend_by_one(parts, *span, *head))
            .collect();
        for ((span, head), result) in tasks.iter().zip(&results) {
            for (panel, result) in span.panels().zip(result.chunks_exact(of_head)) {
                let rows = &mut context[panel * width + head * of_head..][..of_head];
                let lanes = span.lanes(panel);
                for (row, result) in rows.iter_mut().zip(result) {
                    row[lanes.clone()].copy_from_slice(&result[lanes.clone()]);
                }
            }
        }
    }

    /// Returns the text's panels with the rows of one head. The lanes of other texts have no
    /// meaning.
    #[allow(clippy::cast_precision_loss)] // A head has some dozens of numbers.
    fn attend_by_one(&self, parts: &[Lanes], span: TokenSpan, head: usize) -> Vec<Lanes> {
        let (width, of_head, tokens) = (self.config.hidden_size, self.of_head(), span.tokens);
        // Returns panel `panel` of the queries, the keys or the values.
        let part = |panel: usize, number: usize| {
            &parts[panel * width * 3 + number * width + head * of_head..][..of_head]
        };
        // Only rows can be multiplied with panels: one row for each key, and one for each dimension
        // of the values.
        let mut keys = vec![0.0; tokens * of_head];
        let mut values = vec![0.0; tokens * of_head];
        for panel in span.panels() {
            let lanes = span.lanes(panel);
            let token = panel * LANES + lanes.start - span.first;
            for (d, (key, value)) in part(panel, 1).iter().zip(part(panel, 2)).enumerate() {
                for (number, key) in key[lanes.clone()].iter().enumerate() {
                    keys[(token + number) * of_head + d] = *key;
                }
                values[d * tokens + token..][..lanes.len()].copy_from_slice(&value[lanes.clone()]);
            }
        }
        let (keys, values) = (Rows::dense(&keys, of_head), Rows::dense(&values, tokens));
        let scale = 1.0 / (of_head as f32).sqrt();
        let mut results = vec![[0.0; LANES]; span.panels().len() * of_head];
        let mut scores = vec![[0.0; LANES]; span.panels().len().min(QUERIES) * tokens];
        for (first, results) in span.panels().step_by(QUERIES).zip(results.chunks_mut(QUERIES * of_head)) {
            let queries: Vec<&[Lanes]> =
                (first..span.panels().end).take(QUERIES).map(|panel| part(panel, 0)).collect();
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

    /// Returns the dimensions of a head.
    fn of_head(&self) -> usize {
        self.config.hidden_size / self.config.num_attention_heads
    }

    fn add_and_normalize(&self, states: &mut [Lanes], added: &[Lanes], norm: &Norm) {
        let (weight, bias) = (norm.weight.numbers(), norm.bias.numbers());
        let width = self.config.hidden_size;
        // For few panels, one thread is faster than waking another.
        let least = if states.len() < width * 8 { states.len() } else { 4 };
        states.par_chunks_mut(width).zip(added.par_chunks(width)).with_min_len(least.max(1)).for_each(
            |(panel, other)| {
                self.instructions.run(AddAndNormalize {
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
