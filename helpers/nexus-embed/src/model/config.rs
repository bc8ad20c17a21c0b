//! The configuration in a sentence-transformers folder: `config.json`, `modules.json`,
//! `1_Pooling/config.json`, `sentence_bert_config.json`, `config_sentence_transformers.json`,
//! `tokenizer_config.json`. <https://sbert.net/docs/sentence_transformer/usage/custom_models.html>

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use nexus_cli::failure::{Exit, Failure, OrFail, OrFailIo, Result};
use nexus_embed_client::protocol::TextKind;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The dimensions of a vector, as in the database's column.
pub const DIMENSIONS: usize = 384;

/// The longest of these files, in bytes.
const LONGEST: u64 = 1 << 20;

/// `config.json` of a BERT encoder.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[allow(missing_docs)] // Hugging Face documents the names.
pub struct BertConfig {
    pub model_type: String,
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub intermediate_size: usize,
    pub hidden_act: String,
    pub max_position_embeddings: usize,
    pub type_vocab_size: usize,
    pub layer_norm_eps: f32,
    #[serde(default = "absolute")]
    pub position_embedding_type: String,
}

fn absolute() -> String {
    "absolute".to_owned()
}

/// How a model combines the vectors of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The mean.
    Mean,
    /// The first vector.
    First,
    /// The largest number in each dimension.
    Max,
}

/// The configuration of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// The encoder.
    pub bert: BertConfig,
    /// How it combines the vectors of tokens.
    pub pooling: Pooling,
    /// The most tokens of a text, including the special ones.
    pub most_tokens: usize,
    /// Whether texts become lower case before the tokenizer, which may do so itself.
    pub is_lower_case: bool,
    /// The prefix of a query and that of a passage; often empty.
    pub prefixes: (String, String),
}

#[derive(Default, Deserialize)]
struct SentenceBert {
    max_seq_length: Option<usize>,
    #[serde(default)]
    do_lower_case: bool,
}

#[derive(Default, Deserialize)]
struct Prompts {
    #[serde(default)]
    prompts: BTreeMap<String, String>,
    default_prompt_name: Option<String>,
}

#[derive(Default, Deserialize)]
struct TokenizerConfig {
    model_max_length: Option<f64>,
}

#[derive(Deserialize)]
struct Module {
    path: String,
    r#type: String,
}

impl Description {
    /// Reads the configuration in `folder`.
    ///
    /// # Errors
    /// Settings (78) if the folder has no supported model, Data (65) if a file is malformed.
    pub fn read(folder: &Path) -> Result<Self> {
        let bert: BertConfig = read(&folder.join("config.json"))?.ok_or_else(|| no_model(folder))?;
        check(&bert, folder)?;
        let modules: Option<Vec<Module>> = read(&folder.join("modules.json"))?;
        let sentence: SentenceBert = read(&folder.join("sentence_bert_config.json"))?.unwrap_or_default();
        let tokenizer: TokenizerConfig = read(&folder.join("tokenizer_config.json"))?.unwrap_or_default();
        Ok(Self {
            pooling: pooling(folder, modules.as_deref())?,
            most_tokens: most_tokens(&bert, &sentence, &tokenizer),
            is_lower_case: sentence.do_lower_case,
            prefixes: prefixes(
                folder,
                &read(&folder.join("config_sentence_transformers.json"))?.unwrap_or_default(),
            ),
            bert,
        })
    }

    /// Returns the prefix of a text.
    pub fn prefix(&self, kind: TextKind) -> &str {
        match kind {
            TextKind::Query => &self.prefixes.0,
            TextKind::Passage => &self.prefixes.1,
        }
    }
}

/// Parses a file, or returns `None` if it does not exist.
fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let opened = File::open(path).if_there(|| format!("opening {}", path.display()))?;
    let Some(file) = opened else { return Ok(None) };
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text).or_fail_io(|| format!("reading {}", path.display()))?;
    serde_json::from_str(&text).map(Some).or_fail(Exit::Data, || format!("reading {}", path.display()))
}

fn no_model(folder: &Path) -> Failure {
    Failure::new(Exit::Settings, format!("loading the model in {}", folder.display()))
        .because("there is no config.json")
        .advise(
            "Install a model: nexus-setup --model download, or --model DIR. docs/EMBEDDING.md lists models",
        )
}

fn unfit(folder: &Path, why: String) -> Failure {
    Failure::new(Exit::Settings, format!("loading the model in {}", folder.display()))
        .because(why)
        .advise("Take another model for NEXUS_EMBED_MODEL: docs/EMBEDDING.md says which")
}

fn check(bert: &BertConfig, folder: &Path) -> Result<()> {
    let unfit = |why| Err(unfit(folder, why));
    if bert.model_type != "bert" {
        return unfit(format!("its architecture is {}, only bert is supported", bert.model_type));
    }
    if bert.hidden_size != DIMENSIONS {
        return unfit(format!(
            "its vectors have {} numbers, but those of the database have {DIMENSIONS}",
            bert.hidden_size
        ));
    }
    if bert.hidden_act != "gelu" {
        return unfit(format!("its activation is {}, only gelu is supported", bert.hidden_act));
    }
    if bert.position_embedding_type != "absolute" {
        return unfit(format!(
            "its positions are {}, only absolute ones are supported",
            bert.position_embedding_type
        ));
    }
    let small = |number| (1..1 << 20).contains(&number);
    let all_small = [
        bert.vocab_size,
        bert.num_attention_heads,
        bert.intermediate_size,
        bert.max_position_embeddings,
        bert.type_vocab_size,
    ];
    if !all_small.into_iter().all(small)
        || bert.num_hidden_layers > 100
        || !bert.hidden_size.is_multiple_of(bert.num_attention_heads)
        || bert.max_position_embeddings < 8
        || !(bert.layer_norm_eps > 0.0 && bert.layer_norm_eps < 1.0)
    {
        return Err(Failure::new(Exit::Data, format!("reading {}", folder.join("config.json").display()))
            .because("its numbers do not fit together"));
    }
    Ok(())
}

/// Reads the pooling. For a folder without modules, a plain encoder, sentence-transformers uses the
/// mean.
fn pooling(folder: &Path, modules: Option<&[Module]>) -> Result<Pooling> {
    let mut place = "1_Pooling".to_owned();
    for module in modules.unwrap_or_default() {
        match module.r#type.rsplit('.').next().unwrap_or_default() {
            "Transformer" if module.path.is_empty() => {}
            "Pooling" => place.clone_from(&module.path),
            "Normalize" => {}
            other => {
                return Err(unfit(folder, format!("its module {other} is not supported")));
            }
        }
    }
    if place.contains("..") || place.starts_with('/') {
        return Err(unfit(folder, format!("its modules.json names {place}")));
    }
    let path = folder.join(place).join("config.json");
    let Some(configured) = read::<BTreeMap<String, serde_json::Value>>(&path)? else {
        return Ok(Pooling::Mean);
    };
    let modes: Vec<&str> = configured
        .iter()
        .filter(|(_, value)| **value == serde_json::Value::Bool(true))
        .filter_map(|(name, _)| name.strip_prefix("pooling_mode_"))
        .collect();
    match modes[..] {
        // They differ by a factor, which normalizing removes.
        ["mean_tokens" | "mean_sqrt_len_tokens"] => Ok(Pooling::Mean),
        ["cls_token"] => Ok(Pooling::First),
        ["max_tokens"] => Ok(Pooling::Max),
        _ => Err(unfit(folder, format!("its pooling is {}, which is not supported", modes.join(" with ")))),
    }
}

fn most_tokens(bert: &BertConfig, sentence: &SentenceBert, tokenizer: &TokenizerConfig) -> usize {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    // A tokenizer without a limit says 1e30, which becomes the largest usize.
    let of_tokenizer = tokenizer.model_max_length.map(|length| length as usize);
    let configured = sentence.max_seq_length.or(of_tokenizer).unwrap_or(usize::MAX);
    configured.clamp(8, bert.max_position_embeddings)
}

fn prefixes(folder: &Path, configured: &Prompts) -> (String, String) {
    let named = |names: &[&str]| names.iter().find_map(|name| configured.prompts.get(*name).cloned());
    let default =
        configured.default_prompt_name.as_ref().and_then(|name| configured.prompts.get(name).cloned());
    // E5 was trained with these prefixes, but its folders do not name them (Wang et al.,
    // arXiv:2402.05672; its model card).
    let name = folder.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let is_e5 = name.split(|c: char| !c.is_ascii_alphanumeric()).any(|part| part == "e5");
    let of_e5 =
        |prefix: &str| if is_e5 && configured.prompts.is_empty() { Some(prefix.to_owned()) } else { None };
    (
        named(&["query"]).or_else(|| default.clone()).or_else(|| of_e5("query: ")).unwrap_or_default(),
        named(&["passage", "document", "corpus"])
            .or(default)
            .or_else(|| of_e5("passage: "))
            .unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const BERT: &str = r#"{"model_type": "bert", "vocab_size": 100, "hidden_size": 384, "num_hidden_layers": 2, "num_attention_heads": 12,
        "intermediate_size": 64, "hidden_act": "gelu", "max_position_embeddings": 64, "type_vocab_size": 2, "layer_norm_eps": 1e-12}"#;

    /// Creates a folder with these files.
    fn folder(name: &str, files: &[(&str, &str)]) -> (tempfile::TempDir, std::path::PathBuf) {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join(name);
        std::fs::create_dir_all(folder.join("1_Pooling")).unwrap();
        for (file, text) in files {
            std::fs::write(folder.join(file), text).unwrap();
        }
        (place, folder)
    }

    fn description(name: &str, files: &[(&str, &str)]) -> Result<Description> {
        let (_place, folder) = folder(name, files);
        Description::read(&folder)
    }

    #[test]
    fn the_configuration_is_used() {
        let it = description(
            "some-model",
            &[
                ("config.json", BERT),
                ("sentence_bert_config.json", r#"{"max_seq_length": 32, "do_lower_case": true}"#),
                ("1_Pooling/config.json", r#"{"word_embedding_dimension": 384, "pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}"#),
                ("config_sentence_transformers.json", r#"{"prompts": {"query": "find: ", "document": "text: "}, "default_prompt_name": null}"#),
            ],
        )
        .unwrap();
        assert_eq!((it.pooling, it.most_tokens, it.is_lower_case), (Pooling::First, 32, true));
        assert_eq!((it.prefix(TextKind::Query), it.prefix(TextKind::Passage)), ("find: ", "text: "));
    }

    #[test]
    fn defaults_are_those_of_sentence_transformers() {
        let it = description(
            "m",
            &[("config.json", BERT), ("tokenizer_config.json", r#"{"model_max_length": 1e30}"#)],
        )
        .unwrap();
        assert_eq!((it.pooling, it.most_tokens, it.is_lower_case), (Pooling::Mean, 64, false));
        assert_eq!(it.prefixes, (String::new(), String::new()));
        let it = description(
            "m",
            &[("config.json", BERT), ("tokenizer_config.json", r#"{"model_max_length": 48}"#)],
        )
        .unwrap();
        assert_eq!(it.most_tokens, 48);
    }

    #[test]
    fn e5_has_its_prefixes_although_its_folder_does_not_name_them() {
        let it = description("multilingual-e5-small", &[("config.json", BERT)]).unwrap();
        assert_eq!((it.prefix(TextKind::Query), it.prefix(TextKind::Passage)), ("query: ", "passage: "));
        let it = description("se500", &[("config.json", BERT)]).unwrap();
        assert_eq!(it.prefix(TextKind::Query), "");
    }

    #[test]
    fn an_unsupported_model_is_refused_with_the_reason() {
        let changed = |from: &str, to: &str| BERT.replace(from, to);
        for (config, why) in [
            (changed(r#""bert""#, r#""xlm-roberta""#), "its architecture is xlm-roberta"),
            (changed("384", "768"), "its vectors have 768 numbers"),
            (changed("gelu", "relu"), "its activation is relu"),
            (changed(": 12,", ": 11,"), "do not fit together"),
            (changed("1e-12", "0"), "do not fit together"),
            ("{".to_owned(), "config.json"),
        ] {
            let failure = description("m", &[("config.json", &config)]).unwrap_err();
            assert!(failure.to_string().contains(why), "{failure}");
        }
        for (file, text, why) in [
            ("1_Pooling/config.json", r#"{"pooling_mode_lasttoken": true}"#, "its pooling is lasttoken"),
            (
                "1_Pooling/config.json",
                r#"{"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true}"#,
                "cls_token with mean_tokens",
            ),
            (
                "modules.json",
                r#"[{"path": "2_Dense", "type": "sentence_transformers.models.Dense"}]"#,
                "its module Dense",
            ),
            (
                "modules.json",
                r#"[{"path": "../x", "type": "sentence_transformers.models.Pooling"}]"#,
                "names ../x",
            ),
        ] {
            let failure = description("m", &[("config.json", BERT), (file, text)]).unwrap_err();
            assert!(failure.to_string().contains(why), "{failure}");
        }
        assert!(description("m", &[]).unwrap_err().to_string().contains("there is no config.json"));
    }
}
