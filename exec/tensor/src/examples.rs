//! Prepared examples in memory, and the batches that they come in.
//!
//! A batch follows from the shuffle seed, the epoch and the position alone. Rows are shuffled anew
//! each epoch. A text is cut into windows from a drawn offset on, and these are shuffled; or its
//! pairs are drawn anew each epoch, and shuffled.

use lab_arithmetic::Kernels;
use lab_preparation::Draws;
use lab_preparation::skip_gram::Pairs;

use crate::error::{Result, TensorError};
use crate::files::{Inputs, Prepared, Target};
use crate::network::Signal;
use crate::pairing::Pairing;
use crate::settings::Settings;
use crate::task::slot;
use crate::tensor::Tensor;
use crate::tensors::Tensors;

/// What a stage learns or judges by.
pub(crate) enum Examples {
    /// Features or images, one after the other.
    Rows { x: Vec<f32>, shape: Vec<usize>, y: Targets },
    /// A text: each token's successor is what is to be foretold.
    Text(Vec<u32>),
    /// A text whose tokens foretell those beside them. A place is a pair, as
    /// `token * kinds + neighbour`; `judged` are those that a part is judged by.
    Pairs { tokens: Vec<u32>, pairing: Pairing, judged: Places },
}

/// What is to be foretold of each row.
pub(crate) enum Targets {
    Classes(Vec<u32>),
    /// As they are learned, and as the data has them.
    Numbers {
        scaled: Vec<f32>,
        exact: Vec<f64>,
    },
}

/// A batch: which rows, which pairs, or where windows of a text begin.
pub(crate) type Places = Vec<usize>;

impl Examples {
    /// Reads the examples in the input `name`.
    pub(crate) fn read(inputs: Inputs<'_>, name: &str, prepared: &Prepared) -> Result<Examples> {
        let slot = slot(name);
        let bytes = inputs.bytes(name)?;
        let mut tensors = Tensors::read(&slot, &bytes)?;
        let bad = |why: String| TensorError::BadInput { slot: slot.clone(), why };
        if let Target::Next { tokens } = &prepared.target {
            let all = tensors.integers("tokens", None)?;
            return Ok(Examples::Text(
                below(&all, tokens.len())
                    .ok_or_else(|| bad("a token is none of the vocabulary".to_owned()))?,
            ));
        }
        let (x, shape) = tensors.any_floats("x")?;
        if shape.len() != prepared.sizes.len() + 1 || shape[1..] != prepared.sizes {
            return Err(bad(format!("'x' is {shape:?}, not rows of {:?}", prepared.sizes)));
        }
        let rows = shape[0];
        let y = match &prepared.target {
            Target::Number { .. } => Targets::Numbers {
                scaled: tensors.floats("y", &[rows])?,
                exact: tensors.doubles("target", rows)?,
            },
            Target::Class { classes, .. } => {
                let labels = tensors.integers("y", Some(rows))?;
                let why = || bad("a label is none of the classes".to_owned());
                Targets::Classes(below(&labels, classes.len()).ok_or_else(why)?)
            }
            Target::Next { .. } => return Err(bad("rows where a text is needed".to_owned())),
        };
        Ok(Examples::Rows { x, shape: prepared.sizes.clone(), y })
    }

    /// How pairs are taken from a text of tokens of so many kinds; none if the settings ask for
    /// another model.
    pub(crate) fn pairing(&self, settings: &Settings<'_>, kinds: usize) -> Result<Option<Pairing>> {
        match self {
            Examples::Text(tokens) => Pairing::fit(settings, tokens, kinds),
            _ => Ok(None),
        }
    }

    /// The same text, to be learned from or judged by pairs, if these are said.
    pub(crate) fn paired(self, pairing: Option<&Pairing>) -> Result<Examples> {
        let Some(pairing) = pairing else { return Ok(self) };
        let Examples::Text(tokens) = self else {
            return Err(TensorError::BadModel("pairs are those of the tokens of a text".into()));
        };
        let tokens = pairing.known(&tokens);
        let judged = places(&pairing.pairs(&tokens, 0)?, pairing.kinds());
        Ok(Examples::Pairs { tokens, pairing: pairing.clone(), judged })
    }

    /// What a model sees of one example; `context` is the length of a text's windows.
    pub(crate) fn signal(&self, prepared: &Prepared, context: usize) -> Result<Signal> {
        match (prepared.sizes.as_slice(), &prepared.target) {
            (_, Target::Next { tokens }) => {
                Ok(Signal::Ids { length: context, kinds: tokens.len() })
            }
            (&[n], _) => Ok(Signal::Features(n)),
            (&[rows, cols, channels], _) => Ok(Signal::Image([rows, cols, channels])),
            (sizes, _) => {
                let why = format!("no model takes examples of {sizes:?}");
                Err(TensorError::BadInput { slot: slot(crate::task::PREPARED), why })
            }
        }
    }

    /// Rows, or predictions to judge by in a text.
    pub(crate) fn len(&self) -> usize {
        match self {
            Examples::Rows { y: Targets::Classes(y), .. } => y.len(),
            Examples::Rows { y: Targets::Numbers { scaled, .. }, .. } => scaled.len(),
            Examples::Text(tokens) => tokens.len().saturating_sub(1),
            Examples::Pairs { judged, .. } => judged.len(),
        }
    }

    /// The tokens of a text that are foretold, in the order in which they are judged.
    pub(crate) fn foretold(&self) -> Vec<u32> {
        match self {
            Examples::Rows { .. } => Vec::new(),
            Examples::Text(tokens) => tokens.iter().skip(1).copied().collect(),
            Examples::Pairs { pairing, judged, .. } => {
                judged.iter().map(|place| pair(*place, pairing.kinds()).1).collect()
            }
        }
    }

    /// Refuses a text that is shorter than a window.
    pub(crate) fn check_context(&self, context: usize) -> Result<()> {
        match self {
            Examples::Text(_) if self.len() < context => Err(TensorError::TooFewRows(format!(
                "the training part has {} tokens, and train.context = {context} needs one more \
                 than that",
                self.len() + 1
            ))),
            _ => Ok(()),
        }
    }

    /// How many batches there are up to the end of each of so many epochs.
    pub(crate) fn ends(&self, epochs: u64, batch: usize, context: usize) -> Result<Vec<u64>> {
        let mut ends = Vec::new();
        let mut all = 0;
        for epoch in 1..=epochs {
            all += self.batches(epoch, batch, context)?;
            ends.push(all);
        }
        Ok(ends)
    }

    /// How many batches an epoch has.
    fn batches(&self, epoch: u64, batch: usize, context: usize) -> Result<u64> {
        let Examples::Pairs { tokens, pairing, .. } = self else {
            return Ok(self.places(context).div_ceil(batch) as u64);
        };
        match pairing.count(tokens, epoch as u32)? {
            0 => Err(TensorError::TooFewRows(format!(
                "epoch {epoch} has no pairs of tokens: a longer text, or a greater \
                 train.subsample, is needed"
            ))),
            pairs => Ok(pairs.div_ceil(batch as u64)),
        }
    }

    /// Rows, windows or pairs of an epoch; of pairs the most that there can be.
    pub(crate) fn places(&self, context: usize) -> usize {
        match self {
            Examples::Rows { .. } => self.len(),
            // One window less, so that every offset has as many.
            Examples::Text(_) => (self.len() / context.max(1)).saturating_sub(1).max(1),
            Examples::Pairs { tokens, pairing, .. } => pairing.most(tokens),
        }
    }

    /// The batches of an epoch.
    pub(crate) fn epoch(
        &self,
        draws: Draws,
        epoch: u32,
        batch: usize,
        context: usize,
    ) -> Result<Vec<Places>> {
        let mut places: Places = match self {
            Examples::Pairs { tokens, pairing, .. } => {
                places(&pairing.pairs(tokens, epoch)?, pairing.kinds())
            }
            _ => (0..self.places(context)).collect(),
        };
        draws.shuffle(epoch, &mut places);
        if let Examples::Text(_) = self {
            let room = self.len() - places.len() * context;
            let bound = (room + 1).min(context) as u64;
            let offset = draws.also(1).below(epoch, 0, bound) as usize;
            places.iter_mut().for_each(|place| *place = offset + *place * context);
        }
        Ok(places.chunks(batch).map(<[usize]>::to_vec).collect())
    }

    /// Inputs and targets of some places, in this order. Sequences lie as [row, place], or as
    /// [place, row].
    pub(crate) fn batch(
        &self,
        places: &[usize],
        context: usize,
        time_first: bool,
    ) -> candle_core::Result<(Tensor, Tensor)> {
        let rows = places.len();
        match self {
            Examples::Rows { x, shape, y } => {
                let size: usize = shape.iter().product();
                let mut values = Vec::with_capacity(rows * size);
                places.iter().for_each(|row| values.extend(&x[row * size..][..size]));
                let x = Tensor::new(values, &[&[rows], shape.as_slice()].concat())?;
                let y = match y {
                    Targets::Classes(y) => {
                        Tensor::ids(places.iter().map(|row| y[*row]).collect(), &[rows])?
                    }
                    Targets::Numbers { scaled, .. } => {
                        Tensor::new(places.iter().map(|row| scaled[*row]).collect(), &[rows, 1])?
                    }
                };
                Ok((x, y))
            }
            Examples::Text(tokens) => {
                let at = |i: usize| match time_first {
                    true => places[i % rows] + i / rows,
                    false => places[i / context] + i % context,
                };
                let ids =
                    |shift: usize| (0..rows * context).map(|i| tokens[at(i) + shift]).collect();
                let shape = if time_first { [context, rows] } else { [rows, context] };
                Ok((Tensor::ids(ids(0), &shape)?, Tensor::ids(ids(1), &shape)?))
            }
            Examples::Pairs { pairing, .. } => {
                let pairs = places.iter().map(|place| pair(*place, pairing.kinds()));
                let (tokens, neighbours) = pairs.unzip();
                let shape = if time_first { [1, rows] } else { [rows, 1] };
                Ok((Tensor::ids(tokens, &shape)?, Tensor::ids(neighbours, &shape)?))
            }
        }
    }
}

impl Targets {
    /// The loss of these outputs: the mean cross-entropy, or the mean squared distance.
    pub(crate) fn loss(
        kernels: Kernels,
        target: &Target,
        outputs: &Tensor,
        y: &Tensor,
    ) -> candle_core::Result<Tensor> {
        match target {
            Target::Number { .. } => outputs.mean_squares(kernels, y),
            Target::Class { .. } => outputs.cross_entropy(kernels, y),
            Target::Next { tokens } => {
                let rows = outputs.shape().iter().product::<usize>() / tokens.len().max(1);
                outputs.reshape(&[rows, tokens.len()])?.cross_entropy(kernels, &y.reshape(&[rows])?)
            }
        }
    }
}

/// Pairs of tokens as places.
fn places(pairs: &Pairs, kinds: usize) -> Places {
    let both = pairs.centres.iter().zip(&pairs.contexts);
    both.map(|(token, neighbour)| *token as usize * kinds + *neighbour as usize).collect()
}

/// The token and its neighbour of a place.
pub(crate) fn pair(place: usize, kinds: usize) -> (u32, u32) {
    ((place / kinds) as u32, (place % kinds) as u32)
}

fn below(values: &[i64], bound: usize) -> Option<Vec<u32>> {
    let each = |v: &i64| u32::try_from(*v).ok().filter(|v| (*v as usize) < bound);
    values.iter().map(each).collect()
}

#[cfg(test)]
mod tests {
    use lab_arithmetic::{Stream, philox};

    use super::*;

    fn rows(n: usize) -> Examples {
        let y = Targets::Classes((0..n as u32).collect());
        Examples::Rows { x: (0..n).map(|n| n as f32).collect(), shape: vec![1], y }
    }

    /// The places 0, 1, ... shuffled as docs/arithmetic.md says.
    fn shuffled(draws: Draws, epoch: u32, n: usize) -> Vec<usize> {
        let mut places: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            let [low, high, ..] = draws.bits(epoch, i as u64);
            let draw = u128::from(u64::from(high) << 32 | u64::from(low));
            places.swap(i, ((draw * (i as u128 + 1)) >> 64) as usize);
        }
        places
    }

    // proves
    #[test]
    fn batches_are_runs_of_shuffled_rows() {
        let draws = Draws::new(3, "shuffle");
        for (n, batch) in [(1, 4), (7, 3), (9, 3), (20, 32)] {
            let mut seen = Vec::new();
            for epoch in 1..4 {
                let batches = rows(n).epoch(draws, epoch, batch, 0).unwrap();
                let plain = shuffled(draws, epoch, n);
                assert!(batches.iter().map(Vec::as_slice).eq(plain.chunks(batch)));
                let ends = rows(n).ends(7, batch, 0).unwrap();
                assert!(ends.into_iter().eq((1..=7).map(|n| n * batches.len() as u64)));
                seen.push(plain);
            }
            assert!(n < 7 || seen[0] != seen[1]);
        }
        let (x, y) = rows(9).batch(&[4, 0, 8], 0, false).unwrap();
        assert_eq!(
            (x.values().unwrap(), y.all_ids().unwrap()),
            (vec![4.0, 0.0, 8.0], vec![4, 0, 8])
        );
    }

    // proves A-80
    #[test]
    fn windows_of_a_text_begin_at_a_drawn_offset() {
        let draws = Draws::new(4, "shuffle");
        for (tokens, context) in
            [(9usize, 8usize), (10, 8), (16, 8), (17, 8), (24, 8), (101, 8), (102, 5)]
        {
            let text = Examples::Text((0..tokens as u32).collect());
            let n = tokens - 1;
            let windows = (n / context).saturating_sub(1).max(1);
            let bound = (n - windows * context + 1).min(context) as u64;
            for epoch in 1..20 {
                // The first two words of block 0 of the stream beside that of the shuffle.
                let Stream { key, purpose: [_, stream] } = draws.stream(epoch);
                let [low, high, ..] = philox([0, 0, epoch, stream.wrapping_add(1)], key);
                let draw = u128::from(u64::from(high) << 32 | u64::from(low));
                let offset = ((draw * u128::from(bound)) >> 64) as usize;
                let plain = shuffled(draws, epoch, windows).into_iter();
                let plain: Vec<usize> = plain.map(|place| offset + place * context).collect();
                let found = text.epoch(draws, epoch, 3, context).unwrap();
                assert!(found.iter().map(Vec::as_slice).eq(plain.chunks(3)), "{tokens} {context}");
                // Each window and its last target lie in the text.
                assert!(plain.iter().all(|start| start + context < tokens));
            }
        }
    }

    // proves A-88
    #[test]
    fn pairs_are_those_of_what_stays_in_an_epoch() {
        let (kinds, window, t, seed) = (6, 2, 0.05, 9);
        let learned: Vec<u32> = (0..90).map(|n| n * n % 7 % 5).collect();
        let counts: Vec<usize> =
            (0..kinds).map(|id| learned.iter().filter(|l| **l == id).count()).collect();
        assert_eq!(counts[5], 0);
        let pairing: Pairing = serde_json::from_value(serde_json::json!({
            "window": window, "subsample": t, "seed": seed, "counts": counts
        }))
        .unwrap();
        // What a part has of the tokens that were learned from, and does not leave out.
        let plain = |text: &[u32], epoch: u32| {
            let known = text.iter().filter(|token| counts[**token as usize] > 0);
            let Stream { key, purpose: [_, stream] } =
                Draws::new(seed, "pairs/subsample").stream(epoch);
            let stays = |(i, token): &(usize, &u32)| {
                let draw = (philox([*i as u32, 0, epoch, stream], key)[0] >> 8) as f64;
                let f = counts[**token as usize] as f64 / learned.len() as f64;
                draw / 16_777_216.0 < f64::min(1.0, ((f / t).sqrt() + 1.0) * t / f)
            };
            let kept: Vec<u32> = known.enumerate().filter(stays).map(|(_, token)| *token).collect();
            let mut pairs = Vec::new();
            for i in 0..kept.len() {
                for j in (i.max(window) - window)..(i + window + 1).min(kept.len()) {
                    if j != i {
                        pairs.push((kept[i], kept[j]));
                    }
                }
            }
            pairs
        };
        let pairs_of = |text: &Examples, places: &[usize]| {
            let (x, y) = text.batch(places, 1, false).unwrap();
            assert_eq!((x.shape(), y.shape()), (&[places.len(), 1][..], &[places.len(), 1][..]));
            let turned = text.batch(places, 1, true).unwrap();
            assert_eq!(turned.0.shape(), [1, places.len()]);
            let pairs = x.all_ids().unwrap().into_iter().zip(y.all_ids().unwrap());
            pairs.collect::<Vec<_>>()
        };
        let draws = Draws::new(seed, "shuffle");
        let text = Examples::Text(learned.clone()).paired(Some(&pairing)).unwrap();
        let (mut steps, mut seen) = (0, Vec::new());
        for epoch in 1..5 {
            let pairs = plain(&learned, epoch);
            let order = shuffled(draws, epoch, pairs.len());
            let batches = text.epoch(draws, epoch, 7, 1).unwrap();
            let found: Vec<_> = batches.iter().flat_map(|b| pairs_of(&text, b)).collect();
            assert_eq!(found, order.iter().map(|at| pairs[*at]).collect::<Vec<_>>());
            assert!(batches.iter().rev().skip(1).all(|batch| batch.len() == 7));
            steps += batches.len() as u64;
            assert_eq!(text.ends(u64::from(epoch), 7, 1).unwrap().last(), Some(&steps));
            seen.push(pairs);
        }
        assert!(seen[0] != seen[1] && seen[0].len() < 4 * learned.len());

        // A part is judged by those of epoch 0, in order; what was never learned is passed over.
        let held: Vec<u32> = (0..60).map(|n| n * 5 % 11 % 6).collect();
        assert!(held.contains(&5));
        let part = Examples::Text(held.clone()).paired(Some(&pairing)).unwrap();
        let Examples::Pairs { judged, .. } = &part else { panic!() };
        let pairs = plain(&held, 0);
        assert_eq!(pairs_of(&part, judged), pairs);
        assert_eq!(part.len(), pairs.len());
        assert_eq!(part.foretold(), pairs.iter().map(|(_, label)| *label).collect::<Vec<_>>());
        assert!(rows(3).paired(Some(&pairing)).is_err() && rows(3).paired(None).is_ok());
    }

    // proves A-80
    #[test]
    fn texts_lie_by_rows_or_by_places() {
        let text = Examples::Text((0..50).collect());
        let ids = |time_first| {
            let (x, y) = text.batch(&[10, 30], 3, time_first).unwrap();
            (x.shape().to_vec(), x.all_ids().unwrap(), y.all_ids().unwrap())
        };
        let by_rows = (vec![2, 3], vec![10, 11, 12, 30, 31, 32], vec![11, 12, 13, 31, 32, 33]);
        assert_eq!(ids(false), by_rows);
        let by_places = (vec![3, 2], vec![10, 30, 11, 31, 12, 32], vec![11, 31, 12, 32, 13, 33]);
        assert_eq!(ids(true), by_places);
    }

    // proves A-80
    #[test]
    fn a_text_has_a_whole_window() {
        let text = |tokens| Examples::Text(vec![0; tokens]);
        assert!(text(9).check_context(8).is_ok());
        assert!(text(8).check_context(8).is_err());
        assert!(rows(1).check_context(0).is_ok());
    }
}
