//! Layers on images, which lie as [image, row, column, channel].

use candle_core::{Result, bail};
use lab_arithmetic::{Kernels, Window};

use super::{Back, Gradients, Input, Operation};

/// A convolution: images, and weights [out channels, rows, columns, in channels].
pub(crate) struct Convolve {
    pub(crate) kernels: Kernels,
    pub(crate) stride: usize,
    pub(crate) padding: usize,
}

/// The greatest of each square window.
pub(crate) struct MaxPool {
    pub(crate) kernels: Kernels,
    pub(crate) size: [usize; 2],
    pub(crate) stride: usize,
}

/// The mean of each window.
pub(crate) struct MeanPool {
    pub(crate) kernels: Kernels,
    pub(crate) size: [usize; 2],
    pub(crate) stride: usize,
}

/// Where a kernel of this size goes on images of this shape, and the rows and columns that come of
/// it.
fn window(
    shape: &[usize],
    kernel: [usize; 2],
    stride: usize,
    padding: usize,
) -> Result<(Window, [usize; 2])> {
    let &[images, rows, cols, channels] = shape else {
        bail!("images are [image, row, column, channel], not {shape:?}")
    };
    let window = Window { images, size: [rows, cols], channels, kernel, stride, padding };
    match window.output() {
        Some(output) => Ok((window, output)),
        None => bail!("a window of {kernel:?} in steps of {stride} does not fit {shape:?}"),
    }
}

impl Convolve {
    fn window(&self, inputs: &[Input<'_>]) -> Result<(Window, [usize; 2], usize)> {
        let [x, weights] = inputs else { bail!("convolve takes two tensors") };
        let (&[channels, rows, cols, depth], Some(of_x)) = (weights.shape, x.shape.last()) else {
            bail!("weights of shape {:?} for images of shape {:?}", weights.shape, x.shape)
        };
        if depth != *of_x {
            bail!("weights of shape {:?} do not take images of {:?}", weights.shape, x.shape);
        }
        let (window, output) = window(x.shape, [rows, cols], self.stride, self.padding)?;
        Ok((window, output, channels))
    }
}

impl Operation for Convolve {
    const NAME: &'static str = "convolve";

    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<f32>, Vec<usize>)> {
        let (window, [rows, cols], channels) = self.window(inputs)?;
        let mut result = vec![0.0; window.images * rows * cols * channels];
        self.kernels.convolve(window, inputs[0].floats()?, inputs[1].floats()?, &mut result);
        Ok((result, vec![window.images, rows, cols, channels]))
    }

    fn backward(&self, inputs: &[Input<'_>], back: Back<'_>) -> Result<Gradients> {
        let (window, ..) = self.window(inputs)?;
        let (x, weights) = (inputs[0].floats()?, inputs[1].floats()?);
        let dx = back.wanted[0].then(|| {
            let mut dx = vec![0.0; x.len()];
            self.kernels.convolve_images(window, weights, back.upstream, &mut dx);
            dx
        });
        let mut dw = vec![0.0; weights.len()];
        self.kernels.convolve_weights(window, x, back.upstream, &mut dw);
        Ok(vec![dx, Some(dw)])
    }
}

impl Operation for MaxPool {
    const NAME: &'static str = "max_pool";

    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<f32>, Vec<usize>)> {
        let (window, [rows, cols]) = window(inputs[0].shape, self.size, self.stride, 0)?;
        let mut result = vec![0.0; window.images * rows * cols * window.channels];
        self.kernels.max_pool(window, inputs[0].floats()?, &mut result);
        Ok((result, vec![window.images, rows, cols, window.channels]))
    }

    fn backward(&self, inputs: &[Input<'_>], back: Back<'_>) -> Result<Gradients> {
        let (window, _) = window(inputs[0].shape, self.size, self.stride, 0)?;
        let x = inputs[0].floats()?;
        let mut dx = vec![0.0; x.len()];
        self.kernels.max_pool_gradient(window, x, back.upstream, &mut dx);
        Ok(vec![Some(dx)])
    }
}

impl Operation for MeanPool {
    const NAME: &'static str = "mean_pool";

    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<f32>, Vec<usize>)> {
        let (window, [rows, cols]) = window(inputs[0].shape, self.size, self.stride, 0)?;
        let mut result = vec![0.0; window.images * rows * cols * window.channels];
        self.kernels.mean_pool(window, inputs[0].floats()?, &mut result);
        Ok((result, vec![window.images, rows, cols, window.channels]))
    }

    fn backward(&self, inputs: &[Input<'_>], back: Back<'_>) -> Result<Gradients> {
        let (window, _) = window(inputs[0].shape, self.size, self.stride, 0)?;
        let mut dx = vec![0.0; inputs[0].floats()?.len()];
        self.kernels.mean_pool_gradient(window, back.upstream, &mut dx);
        Ok(vec![Some(dx)])
    }
}
