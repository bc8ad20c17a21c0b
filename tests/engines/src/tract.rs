//! tract, with an ONNX file. Its plan depends on the length of the text, so it makes one for each length.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use tract_onnx::prelude::*;

pub(crate) const NAME: &str = "tract";

pub(crate) struct Engine {
    model: InferenceModel,
    plans: HashMap<usize, Arc<TypedRunnableModel>>,
}

pub(crate) fn load(file: &str) -> Result<Engine, Box<dyn Error>> {
    Ok(Engine { model: tract_onnx::onnx().model_for_path(file)?, plans: HashMap::new() })
}

impl Engine {
    pub(crate) fn numbers_of_tokens(&mut self, ids: &[u32]) -> Result<Vec<f32>, Box<dyn Error>> {
        if !self.plans.contains_key(&ids.len()) {
            let fact = i64::fact([1, ids.len()]);
            let plan =
                self.model.clone().with_input_fact(0, fact.into())?.into_optimized()?.into_runnable()?;
            self.plans.insert(ids.len(), plan);
        }
        let numbers: Vec<i64> = ids.iter().map(|id| i64::from(*id)).collect();
        let ids = tract_ndarray::Array2::from_shape_vec((1, ids.len()), numbers)?;
        let output = self.plans[&ids.len()].run(tvec!(ids.into_tensor().into()))?;
        Ok(output[0].to_plain_array_view::<f32>()?.iter().copied().collect())
    }
}
