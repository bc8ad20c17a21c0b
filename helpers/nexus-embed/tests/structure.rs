//! Compares a small encoder with random weights with a plain forward pass in 64 bits, number by
//! number. Needs no model and no network.

#![expect(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::type_complexity,
    reason = "a test may panic, and its counts are small"
)]

use std::collections::BTreeMap;
use std::path::Path;

use nexus_embed::machine::Instructions;
use nexus_embed::model::Model;
use nexus_embed_client::protocol::TextKind;
use serde_json::json;

const WIDTH: usize = 384;
const HEADS: usize = 12;
const LAYERS: usize = 2;
const INNER: usize = 44;
const POSITIONS: usize = 40;
const WORDS: [&str; 12] =
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "cat", "dog", "sun", "moon", "sea", "find", ":", "##s"];

/// A pseudo-random generator with a fixed seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        // Knuth's constants (MMIX).
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f32::from(u16::try_from(self.0 >> 48).unwrap()) / 32_768.0 - 1.0
    }
}

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

fn tensors() -> Tensors {
    let mut random = Random(7);
    let mut tensors = Tensors::new();
    let mut add = |name: String, shape: &[usize], scale: f32, shift: f32| {
        let count = shape.iter().product();
        let numbers = (0..count).map(|_| random.next() * scale + shift).collect();
        tensors.insert(name, (shape.to_vec(), numbers));
    };
    let norm = |add: &mut dyn FnMut(String, &[usize], f32, f32), name: String| {
        add(format!("{name}.weight"), &[WIDTH], 0.3, 1.0);
        add(format!("{name}.bias"), &[WIDTH], 0.3, 0.0);
    };
    add("embeddings.word_embeddings.weight".into(), &[WORDS.len(), WIDTH], 1.0, 0.0);
    add("embeddings.position_embeddings.weight".into(), &[POSITIONS, WIDTH], 0.5, 0.0);
    add("embeddings.token_type_embeddings.weight".into(), &[2, WIDTH], 0.5, 0.0);
    norm(&mut add, "embeddings.LayerNorm".into());
    for layer in 0..LAYERS {
        let place = format!("encoder.layer.{layer}");
        for (name, outputs, inputs) in [
            ("attention.self.query", WIDTH, WIDTH),
            ("attention.self.key", WIDTH, WIDTH),
            ("attention.self.value", WIDTH, WIDTH),
            ("attention.output.dense", WIDTH, WIDTH),
            ("intermediate.dense", INNER, WIDTH),
            ("output.dense", WIDTH, INNER),
        ] {
            add(format!("{place}.{name}.weight"), &[outputs, inputs], 0.15, 0.0);
            add(format!("{place}.{name}.bias"), &[outputs], 0.15, 0.0);
        }
        norm(&mut add, format!("{place}.attention.output.LayerNorm"));
        norm(&mut add, format!("{place}.output.LayerNorm"));
    }
    tensors
}

/// Writes a model folder; `pooling` is the name in `1_Pooling`.
fn write(folder: &Path, tensors: &Tensors, pooling: &str, prompts: &serde_json::Value) {
    std::fs::create_dir_all(folder.join("1_Pooling")).unwrap();
    let json =
        |name: &str, value: &serde_json::Value| std::fs::write(folder.join(name), value.to_string()).unwrap();
    json(
        "config.json",
        &json!({"model_type": "bert", "vocab_size": WORDS.len(), "hidden_size": WIDTH, "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS, "intermediate_size": INNER, "hidden_act": "gelu",
            "max_position_embeddings": POSITIONS, "type_vocab_size": 2, "layer_norm_eps": 1e-12}),
    );
    json("sentence_bert_config.json", &json!({"max_seq_length": 32, "do_lower_case": false}));
    json(
        "1_Pooling/config.json",
        &json!({format!("pooling_mode_{pooling}"): true, "word_embedding_dimension": WIDTH}),
    );
    json("config_sentence_transformers.json", &json!({"prompts": prompts}));
    let vocabulary: BTreeMap<&str, usize> = WORDS.iter().enumerate().map(|(id, word)| (*word, id)).collect();
    let special = |id: usize| json!({"id": WORDS[id], "ids": [id], "tokens": [WORDS[id]]});
    json(
        "tokenizer.json",
        &json!({"version": "1.0", "truncation": {"max_length": 8, "strategy": "LongestFirst", "stride": 0},
            "padding": {"strategy": {"Fixed": 8}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"},
            "added_tokens": [], "decoder": null,
            "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {"type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
                "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                "special_tokens": {"[CLS]": special(2), "[SEP]": special(3)}},
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocabulary}}),
    );
    let mut header = serde_json::Map::new();
    let mut data = Vec::new();
    for (name, (shape, numbers)) in tensors {
        let start = data.len();
        data.extend(numbers.iter().flat_map(|x| x.to_le_bytes()));
        header.insert(
            format!("bert.{name}"),
            json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]}),
        );
    }
    let header = serde_json::Value::Object(header).to_string();
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat();
    std::fs::write(folder.join("model.safetensors"), bytes).unwrap();
}

/// The plain forward pass.
struct PlainPass<'a>(&'a Tensors);

impl PlainPass<'_> {
    fn numbers(&self, name: &str) -> Vec<f64> {
        self.0[name].1.iter().map(|x| f64::from(*x)).collect()
    }

    fn dense(&self, name: &str, rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let (weight, bias) = (self.numbers(&format!("{name}.weight")), self.numbers(&format!("{name}.bias")));
        let of = |row: &Vec<f64>, output: usize| {
            let weights = &weight[output * row.len()..][..row.len()];
            weights.iter().zip(row).map(|(a, b)| a * b).sum::<f64>() + bias[output]
        };
        rows.iter().map(|row| (0..bias.len()).map(|output| of(row, output)).collect()).collect()
    }

    fn normalized(&self, name: &str, row: &[f64]) -> Vec<f64> {
        let (weight, bias) = (self.numbers(&format!("{name}.weight")), self.numbers(&format!("{name}.bias")));
        let count = row.len() as f64;
        let mean = row.iter().sum::<f64>() / count;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
        (0..row.len()).map(|i| (row[i] - mean) / (variance + 1e-12).sqrt() * weight[i] + bias[i]).collect()
    }

    fn add_and_normalize(&self, name: &str, rows: &[Vec<f64>], other: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let added =
            rows.iter().zip(other).map(|(a, b)| a.iter().zip(b).map(|(a, b)| a + b).collect::<Vec<_>>());
        added.map(|row| self.normalized(name, &row)).collect()
    }

    fn states(&self, ids: &[usize]) -> Vec<Vec<f64>> {
        let [words, positions, types] = ["word", "position", "token_type"]
            .map(|name| self.numbers(&format!("embeddings.{name}_embeddings.weight")));
        let embedded = ids.iter().enumerate().map(|(position, id)| {
            let sum = |i: usize| words[id * WIDTH + i] + positions[position * WIDTH + i] + types[i];
            self.normalized("embeddings.LayerNorm", &(0..WIDTH).map(sum).collect::<Vec<_>>())
        });
        let mut states: Vec<Vec<f64>> = embedded.collect();
        for layer in 0..LAYERS {
            let place = format!("encoder.layer.{layer}");
            let [q, k, v] = ["query", "key", "value"]
                .map(|name| self.dense(&format!("{place}.attention.self.{name}"), &states));
            let of_head = WIDTH / HEADS;
            let mut context = vec![vec![0.0; WIDTH]; ids.len()];
            for head in 0..HEADS {
                let its = head * of_head..(head + 1) * of_head;
                for i in 0..ids.len() {
                    let score = |j: usize| {
                        let product: f64 = its.clone().map(|d| q[i][d] * k[j][d]).sum();
                        (product / (of_head as f64).sqrt()).exp()
                    };
                    let scores: Vec<f64> = (0..ids.len()).map(score).collect();
                    let total: f64 = scores.iter().sum();
                    for d in its.clone() {
                        context[i][d] = scores.iter().zip(&v).map(|(score, v)| score / total * v[d]).sum();
                    }
                }
            }
            let attended = self.dense(&format!("{place}.attention.output.dense"), &context);
            states =
                self.add_and_normalize(&format!("{place}.attention.output.LayerNorm"), &states, &attended);
            let mut wide = self.dense(&format!("{place}.intermediate.dense"), &states);
            wide.iter_mut()
                .flatten()
                .for_each(|x| *x = 0.5 * *x * (1.0 + erf(*x / std::f64::consts::SQRT_2)));
            let narrow = self.dense(&format!("{place}.output.dense"), &wide);
            states = self.add_and_normalize(&format!("{place}.output.LayerNorm"), &states, &narrow);
        }
        states
    }

    fn vector(&self, ids: &[usize], pooling: &str) -> Vec<f64> {
        let states = self.states(ids);
        let column = |i: usize| states.iter().map(move |row| row[i]);
        let pooled = (0..WIDTH).map(|i| match pooling {
            "cls_token" => states[0][i],
            "max_tokens" => column(i).fold(f64::NEG_INFINITY, f64::max),
            _ => column(i).sum(),
        });
        normalized(pooled.collect())
    }
}

/// Computes the error function by its series, which converges everywhere (Abramowitz and Stegun,
/// 7.1.6).
fn erf(x: f64) -> f64 {
    let mut term = x;
    let mut sum = x;
    for n in 1..400 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
    }
    (2.0 / std::f64::consts::PI.sqrt() * (-x * x).exp() * sum).clamp(-1.0, 1.0)
}

fn normalized(vector: Vec<f64>) -> Vec<f64> {
    let length = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
    vector.into_iter().map(|x| x / length).collect()
}

fn assert_near(ours: &[f32], exact: &[f64], about: &str) {
    for (ours, exact) in ours.iter().zip(exact) {
        assert!((f64::from(*ours) - exact).abs() < 2e-5, "{about}: {ours} instead of {exact}");
    }
}

fn both() -> [Instructions; 2] {
    [Instructions::best(), Instructions::Portable]
}

const ONE: (&str, [usize; 5]) = ("Cats, moon", [2, 4, 11, 1, 7]);

#[test]
fn vectors_equal_those_of_the_plain_pass() {
    let place = tempfile::tempdir().unwrap();
    let tensors = tensors();
    for pooling in ["mean_tokens", "cls_token", "max_tokens", "mean_sqrt_len_tokens"] {
        write(place.path(), &tensors, pooling, &json!({}));
        for instructions in both() {
            let model = Model::load(place.path(), instructions).unwrap();
            let sentence = ["sun"; 29].join(" ");
            let texts = [(TextKind::Query, ONE.0), (TextKind::Passage, ""), (TextKind::Passage, &sentence)];
            let ours = model.embed(&texts, &mut || {}).unwrap();
            let one: Vec<usize> = ONE.1.into_iter().chain([3]).collect();
            let long: Vec<usize> = [2].into_iter().chain([6; 29]).chain([3]).collect();
            for (ours, ids) in ours.chunks_exact(WIDTH).zip([&one[..], &[2, 3], &long]) {
                assert_near(
                    ours,
                    &PlainPass(&tensors).vector(ids, pooling),
                    &format!("{pooling} {instructions:?} {ids:?}"),
                );
            }
        }
    }
}

#[test]
fn a_long_text_is_the_mean_of_its_pieces_each_with_its_prefix() {
    let place = tempfile::tempdir().unwrap();
    let tensors = tensors();
    write(place.path(), &tensors, "mean_tokens", &json!({"query": "find: ", "passage": ""}));
    let model = Model::load(place.path(), Instructions::best()).unwrap();
    let text: Vec<&str> = ["cat", "dog", "sea"].into_iter().cycle().take(70).collect();
    let ids: Vec<usize> = [4, 5, 8].into_iter().cycle().take(70).collect();
    for (kind, prefix) in [(TextKind::Passage, &[][..]), (TextKind::Query, &[9, 10])] {
        let mut sum = vec![0.0; WIDTH];
        // A piece has 32 tokens; two of them are special.
        for piece in ids.chunks(30 - prefix.len()) {
            let piece: Vec<usize> = [&[2], prefix, piece, &[3]].concat();
            let vector = PlainPass(&tensors).vector(&piece, "mean_tokens");
            sum.iter_mut().zip(vector).for_each(|(sum, x)| *sum += x * piece.len() as f64);
        }
        let mut parts = 0;
        let ours = model.embed(&[(kind, &text.join(" "))], &mut || parts += 1).unwrap();
        assert_near(&ours, &normalized(sum), &format!("{kind:?}"));
        assert!(parts > 0);
    }
}

#[test]
fn a_batch_gives_the_same_vectors_as_single_texts() {
    let place = tempfile::tempdir().unwrap();
    write(place.path(), &tensors(), "mean_tokens", &json!({}));
    let model = Model::load(place.path(), Instructions::best()).unwrap();
    let texts: Vec<String> = (0..40)
        .map(|n| WORDS[4..10].iter().cycle().skip(n).take(n).copied().collect::<Vec<_>>().join(" "))
        .collect();
    let asked: Vec<_> = texts.iter().map(|text| (TextKind::Passage, text.as_str())).collect();
    let together = model.embed(&asked, &mut || {}).unwrap();
    for (text, together) in asked.iter().zip(together.chunks_exact(WIDTH)) {
        let alone = model.embed(&[*text], &mut || {}).unwrap();
        let exact: Vec<f64> = alone.iter().map(|x| f64::from(*x)).collect();
        assert_near(together, &exact, text.1);
    }
}

#[test]
fn a_very_long_text_gets_a_vector() {
    let place = tempfile::tempdir().unwrap();
    write(place.path(), &tensors(), "mean_tokens", &json!({}));
    let model = Model::load(place.path(), Instructions::best()).unwrap();
    for text in [
        "cat ".repeat(300_000),
        "x".repeat(1 << 20),
        "🙂".repeat(1 << 18),
        "\u{301}".repeat(1 << 18),
        " ".repeat(1 << 20),
    ] {
        let vector = model.embed(&[(TextKind::Passage, &text)], &mut || {}).unwrap();
        assert!(vector.iter().all(|x| x.is_finite()));
    }
}

#[test]
fn altered_weights_are_refused() {
    let place = tempfile::tempdir().unwrap();
    write(place.path(), &tensors(), "mean_tokens", &json!({}));
    std::fs::write(place.path().join("SHA256SUMS"), format!("{}  model.safetensors\n", "0".repeat(64)))
        .unwrap();
    let failure = Model::load(place.path(), Instructions::best()).err().unwrap();
    assert!(failure.to_string().contains("SHA256SUMS says 00000000"), "{failure}");
    std::fs::remove_file(place.path().join("SHA256SUMS")).unwrap();
    let weights = place.path().join("model.safetensors");
    let whole = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &whole[..whole.len() - 1]).unwrap();
    let failure = Model::load(place.path(), Instructions::best()).err().unwrap();
    assert!(failure.to_string().contains("cut short"), "{failure}");
}
