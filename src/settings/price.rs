//! `cost_per_1k_tokens`, read into the shared word for prices.

use super::{Fields, Key, Node, Problems, Setting, Shape};
use crate::domain::{Money, Price};

const KEYS: &[Key] = &[
    key("input", " Dollars per thousand uncached input tokens.", true),
    key("output", " Dollars per thousand output tokens, reasoning included.", true),
    key("cache_read", " Dollars per thousand tokens read from the prompt cache; default: as input.", false),
    key("cache_write", " Dollars per thousand tokens written to the prompt cache; default: as input.", false),
];

const fn key(name: &'static str, doc: &'static str, required: bool) -> Key {
    let default: fn() -> Option<Node> =
        if required { || None } else { || Some(Setting::write(&None::<Money>)) };
    Key { name, doc, required, default, shape: Money::shape }
}

impl Setting for Price {
    const FORM: &'static str = "a map of prices, such as {input: 0.003, output: 0.015}";

    fn read(node: &Node, problems: &mut Problems) -> Option<Price> {
        let known = KEYS.iter().map(|key| key.name).collect::<Vec<_>>();
        let fields = Fields::open(node, &known, Self::FORM, problems)?;
        let (input, output) = (fields.required("input", problems), fields.required("output", problems));
        let cache_read = fields.optional("cache_read", problems);
        let cache_write = fields.optional("cache_write", problems);
        Some(Price { input: input?, output: output?, cache_read, cache_write })
    }

    fn write(&self) -> Node {
        let entries = [
            ("input", self.input.write()),
            ("output", self.output.write()),
            ("cache_read", self.cache_read.write()),
            ("cache_write", self.cache_write.write()),
        ];
        super::write_map(entries.into_iter())
    }

    fn shape() -> Shape {
        Shape::Keys(KEYS)
    }
}
