//! rten, with an ONNX file.

use std::error::Error;

use rten::{Model, NodeId};
use rten_tensor::NdTensor;
use rten_tensor::prelude::*;

pub(crate) const NAME: &str = "rten";

pub(crate) struct Engine {
    model: Model,
    input: NodeId,
    output: NodeId,
}

pub(crate) fn load(file: &str) -> Result<Engine, Box<dyn Error>> {
    let model = Model::load_file(file)?;
    let (input, output) = (model.input_ids()[0], model.output_ids()[0]);
    Ok(Engine { model, input, output })
}

impl Engine {
    pub(crate) fn numbers_of_tokens(&mut self, ids: &[u32]) -> Result<Vec<f32>, Box<dyn Error>> {
        let ids =
            NdTensor::from_data([1, ids.len()], ids.iter().map(|id| id.cast_signed()).collect::<Vec<i32>>());
        let [output] = self.model.run_n(vec![(self.input, ids.view().into())], [self.output], None)?;
        let numbers: NdTensor<f32, 3> = output.try_into()?;
        Ok(numbers.to_vec())
    }
}
