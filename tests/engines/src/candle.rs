//! candle's BERT, from the model's files.

use std::error::Error;
use std::fs;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};

pub(crate) const NAME: &str = "candle";

pub(crate) struct Engine(BertModel);

pub(crate) fn load(folder: &str) -> Result<Engine, Box<dyn Error>> {
    let config: Config = serde_json::from_str(&fs::read_to_string(format!("{folder}/config.json"))?)?;
    let weights = fs::read(format!("{folder}/model.safetensors"))?;
    let weights = VarBuilder::from_buffered_safetensors(weights, DType::F32, &Device::Cpu)?;
    Ok(Engine(BertModel::load(weights, &config)?))
}

impl Engine {
    pub(crate) fn numbers_of_tokens(&mut self, ids: &[u32]) -> Result<Vec<f32>, Box<dyn Error>> {
        let ids = Tensor::new(ids, &Device::Cpu)?.unsqueeze(0)?;
        let types = ids.zeros_like()?;
        Ok(self.0.forward(&ids, &types, None)?.flatten_all()?.to_vec1()?)
    }
}
