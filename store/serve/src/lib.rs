//! A store for others, by HTTP: what `lab serve` is.
