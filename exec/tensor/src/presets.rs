//! The standard models, as lists of layers.

use lab_schema::Value;

use crate::error::{Result, TensorError};
use crate::layers::Layer;
use crate::network::Signal;
use crate::settings::Settings;

/// The layers that the settings of `train` ask for, on such a signal.
pub(crate) fn layers(settings: &Settings<'_>, signal: Signal) -> Result<Vec<Layer>> {
    let flat = |layers| match signal {
        Signal::Image(_) => [vec![Layer::Flatten {}], layers].concat(),
        _ => layers,
    };
    match settings.text("model")? {
        "linear" => Ok(flat(Vec::new())),
        "mlp" => mlp(settings).map(flat),
        "lenet" => lenet(settings),
        "resnet" => resnet(settings),
        "lstm" => recurrent(settings, |width| Layer::Lstm { width }),
        "gru" => recurrent(settings, |width| Layer::Gru { width }),
        "transformer" => transformer(settings),
        "skip_gram" => Ok(vec![Layer::Embed { width: size(settings, "width")?, places: false }]),
        _ => Layer::list(&crate::toml_value::to_json(settings.value("layers")?))
            .map_err(TensorError::BadModel),
    }
}

fn size(settings: &Settings<'_>, name: &str) -> Result<usize> {
    Ok(settings.int(name)? as usize)
}

/// Nothing if the rate is zero.
fn dropout(settings: &Settings<'_>) -> Result<Vec<Layer>> {
    let rate = settings.float("dropout")?;
    Ok(if rate == 0.0 { vec![] } else { vec![Layer::Dropout { rate }] })
}

fn mlp(settings: &Settings<'_>) -> Result<Vec<Layer>> {
    let activation = match settings.text("activation")? {
        "tanh" => Layer::Tanh {},
        "gelu" => Layer::Gelu {},
        "silu" => Layer::Silu {},
        _ => Layer::Relu {},
    };
    let mut layers = Vec::new();
    for width in settings.list("hidden")? {
        let Value::Int(width) = width else { continue };
        layers.push(Layer::Linear { width: *width as usize });
        layers.push(activation.clone());
        layers.extend(dropout(settings)?);
    }
    Ok(layers)
}

/// Two convolutions with pooling and two linear layers, after LeCun et al. 1998 in today's form:
/// rectifiers and the greatest of each window.
fn lenet(settings: &Settings<'_>) -> Result<Vec<Layer>> {
    let width = size(settings, "width")?;
    let conv = |channels, kernel| Layer::Conv { channels, kernel, stride: 1, padding: kernel / 2 };
    let pool = || Layer::MaxPool { size: 2, stride: 2 };
    let mut layers = vec![conv(width, 5), Layer::Relu {}, pool()];
    layers.extend([conv(2 * width, 3), Layer::Relu {}, pool(), Layer::Flatten {}]);
    layers.extend([Layer::Linear { width: 8 * width }, Layer::Relu {}]);
    layers.extend(dropout(settings)?);
    Ok(layers)
}

/// Residual blocks of two convolutions (He et al. 2016, section 4.2): three groups of `depth`
/// blocks, each group with half the rows and columns and twice the channels of the one before.
fn resnet(settings: &Settings<'_>) -> Result<Vec<Layer>> {
    let (width, depth) = (size(settings, "width")?, size(settings, "depth")?);
    let norm = || Layer::BatchNorm { eps: 1e-5, momentum: 0.1 };
    let conv =
        |channels, kernel, stride| Layer::Conv { channels, kernel, stride, padding: kernel / 2 };
    let mut layers = vec![conv(width, 3, 1), norm(), Layer::Relu {}];
    for group in 0..3 {
        let channels = width << group;
        for block in 0..depth {
            let stride = if group > 0 && block == 0 { 2 } else { 1 };
            let inner = vec![
                conv(channels, 3, stride),
                norm(),
                Layer::Relu {},
                conv(channels, 3, 1),
                norm(),
            ];
            let shortcut =
                if stride == 2 { vec![conv(channels, 1, 2), norm()] } else { Vec::new() };
            layers.extend([Layer::Residual { layers: inner, shortcut }, Layer::Relu {}]);
        }
    }
    layers.push(Layer::GlobalMean {});
    layers.extend(dropout(settings)?);
    Ok(layers)
}

fn recurrent(settings: &Settings<'_>, layer: impl Fn(usize) -> Layer) -> Result<Vec<Layer>> {
    let width = size(settings, "width")?;
    let mut layers = vec![Layer::Embed { width: width.div_ceil(2), places: false }];
    for _ in 0..size(settings, "depth")? {
        layers.push(layer(width));
        layers.extend(dropout(settings)?);
    }
    Ok(layers)
}

/// Blocks with the normalisation first (Radford et al. 2019, section 2.3).
fn transformer(settings: &Settings<'_>) -> Result<Vec<Layer>> {
    let (width, heads) = (size(settings, "width")?, size(settings, "heads")?);
    let norm = || Layer::LayerNorm { eps: 1e-5 };
    let mut layers = vec![Layer::Embed { width, places: true }];
    for _ in 0..size(settings, "depth")? {
        let mut attention = vec![norm(), Layer::Attention { heads, causal: true }];
        attention.extend(dropout(settings)?);
        let wide = Layer::Linear { width: 4 * width };
        let mut feed = vec![norm(), wide, Layer::Gelu {}, Layer::Linear { width }];
        feed.extend(dropout(settings)?);
        for layers_of in [attention, feed] {
            layers.push(Layer::Residual { layers: layers_of, shortcut: Vec::new() });
        }
    }
    layers.push(norm());
    Ok(layers)
}
