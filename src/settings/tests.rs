//! What the toolkit promises to those who declare settings with it.
#![allow(unreachable_pub, reason = "the macros declare what rooms export")]

use super::*;
use crate::domain::{Money, Period, Price, Ratio, Secret, Size};
use std::collections::BTreeMap;

choices! {
    /// Colours.
    pub enum Colour {
        /// The default.
        Red = "red",
        /// The other.
        Green = "green",
    }
}

settings! {
    /// A lamp.
    pub struct Lamp {
        /// What it shines in: red or green; default red.
        colour: Colour,
        /// How bright, 1 to 10; default 5.
        brightness: u32 = 5 => 1..=10,
        /// When it goes off; default 0 = never.
        off_after: OrOff<Period> = OrOff::off(),
    }
    check Self::check;
}

impl Lamp {
    fn check(&self, node: &Node, problems: &mut Problems) {
        if self.colour == Colour::Green && self.brightness > 8 {
            problems.error_at(node, "brightness", "green can't be that bright");
        }
    }
}

settings! {
    /// A room with lamps.
    pub struct Room {
        required {
            /// What it is called.
            name: String,
        }
        /// Its lamps.
        lamps: Vec<Lamp>,
    }
    or text Self::named;
}

impl Room {
    fn named(name: &str) -> Room {
        Room { name: name.to_owned(), lamps: Vec::new() }
    }
}

fn map<const N: usize>(entries: [(&str, Node); N]) -> Node {
    write_map(entries.into_iter())
}

fn list<const N: usize>(items: [Node; N]) -> Node {
    Node::written(Value::List(items.into()))
}

fn read<T: Setting>(node: &Node) -> (Option<T>, Vec<String>) {
    let mut problems = Problems::new();
    let value = T::read(node, &mut problems);
    let told = |problem: Problem| format!("{}: {}", problem.path, problem.message);
    (value, problems.into_sorted().into_iter().map(told).collect())
}

fn parsed<T: Scalar>(text: &str) -> Option<String> {
    T::parse(text).map(|value| value.text())
}

#[test]
fn what_is_left_out_has_its_default() {
    let (lamp, problems) = read::<Lamp>(&map([("colour", Node::text("green"))]));
    assert_eq!(lamp, Some(Lamp { colour: Colour::Green, ..Lamp::default() }));
    assert_eq!(lamp.map(|lamp| lamp.brightness), Some(5));
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!(read::<Lamp>(&Node::written(Value::Null)).0, Some(Lamp::default()));
}

#[test]
fn all_problems_are_told_with_their_paths() {
    let lamp =
        map([("colour", Node::text("gren")), ("brightness", Node::text("11")), ("watts", Node::text("5"))]);
    let room = map([("lamps", list([Node::text("x"), lamp])), ("lamps", list([]))]);
    let (read, problems) = read::<Room>(&room);
    assert_eq!(read, None);
    assert_eq!(
        problems,
        [
            "lamps: is given twice, first in line 0",
            "name: is required: a text",
            "lamps[0]: expected a map of settings, found a text",
            "lamps[1].watts: is not a known key; known here: colour, brightness, off_after",
            "lamps[1].colour: `gren` is not known; did you mean `green`?",
            "lamps[1].brightness: must be within 1..=10",
        ]
    );
}

#[test]
fn checks_across_keys_see_the_whole() {
    let lamp = map([("colour", Node::text("green")), ("brightness", Node::text("9"))]);
    assert_eq!(read::<Lamp>(&lamp).1, ["brightness: green can't be that bright"]);
}

#[test]
fn a_text_is_read_where_it_is_allowed_and_never_an_empty_one() {
    assert_eq!(read::<Room>(&Node::text("hall")).0, Some(Room::named("hall")));
    assert_eq!(read::<Room>(&Node::text("")).0, None);
}

#[test]
fn numbers_are_held_at_the_bound_and_one_past_it() {
    let brightness = |text| read::<Lamp>(&map([("brightness", Node::text(text))])).1.len();
    assert_eq!(["0", "1", "10", "11"].map(brightness), [1, 0, 0, 1]);
}

#[test]
fn what_is_written_reads_the_same() {
    let room = Room {
        name: "hall".to_owned(),
        lamps: vec![Lamp::default(), Lamp { brightness: 7, ..Lamp::default() }],
    };
    assert_eq!(read::<Room>(&room.write()).0, Some(room));
    let price = Price { input: Money::from_nanos(3), cache_read: Some(Money::ZERO), ..Price::default() };
    assert_eq!(read::<Price>(&price.write()).0, Some(price));
}

#[test]
fn the_table_of_keys_has_docs_and_defaults() {
    let told = Lamp::KEYS.iter().map(|key| (key.name, key.doc.trim(), (key.default)()));
    let first = told.into_iter().next();
    assert_eq!(
        first,
        Some(("colour", "What it shines in: red or green; default red.", Some(Node::text("red"))))
    );
    assert!(Room::KEYS[0].required && !Room::KEYS[1].required);
}

#[test]
fn zero_is_refused_unless_it_means_off() {
    assert_eq!(parsed::<Period>("0s"), None);
    assert_eq!(parsed::<Size>("0"), None);
    assert_eq!(OrOff::<Period>::parse("0"), Some(OrOff::off()));
    assert_eq!(OrOff::<Period>::parse("0s"), Some(OrOff::off()));
    assert_eq!(OrOff::<Period>::parse("2m"), Some(OrOff::on(Period::from_secs(120))));
}

#[test]
fn scalars_take_their_form_only() {
    assert_eq!(parsed::<Port>("65535"), Some("65535".to_owned()));
    assert_eq!([parsed::<Port>("0"), parsed::<Port>("65536"), parsed::<Port>("+1")], [None, None, None]);
    assert_eq!([parsed::<u32>("+1"), parsed::<u32>(""), parsed::<u32>("1_000")], [None, None, None]);
    assert_eq!(
        [parsed::<Ratio>("1.01"), parsed::<Ratio>("-0"), parsed::<Ratio>("nan")].map(|r| r.is_some()),
        [false, true, false]
    );
    assert_eq!(parsed::<Timestamp>("2026-02-19T23:00:00+01:00"), Some("2026-02-19T22:00:00Z".to_owned()));
    assert_eq!(
        [parsed::<Timestamp>("2026-02-19"), parsed::<Timestamp>("1969-12-31T23:59:59Z")],
        [None, None]
    );
}

#[test]
fn secrets_are_written_masked() {
    assert_eq!(Secret::new("sk-1").write(), Node::text("***"));
}

#[test]
fn addresses_are_taken_apart() {
    let url = Url::parse("https://example.com/v1/?a=b").unwrap();
    assert_eq!((url.scheme, url.host.as_str(), url.port), (Scheme::Https, "example.com", 443));
    assert_eq!((url.path.as_str(), url.query.as_deref()), ("/v1", Some("a=b")));
    assert_eq!(url.to_string(), "https://example.com/v1?a=b");
    let v6 = Url::parse("http://[::1]:8317").unwrap();
    assert_eq!((v6.host.as_str(), v6.port, v6.authority().as_str()), ("::1", 8317, "[::1]:8317"));
    assert_eq!(Url::parse("http://[::1]").map(|url| url.port), Some(80));
}

#[test]
fn what_is_not_a_plain_web_address_is_refused() {
    let bad = [
        "",
        "example.com",
        "/v1",
        "ftp://a",
        "http://",
        "https://user:pass@a",
        "https://user@a",
        "http://a:0",
        "http://a:",
        "http://a:65536",
        "http://a/#b",
        "http://a b",
        "HTTP:a",
    ];
    for text in bad {
        assert_eq!(Url::parse(text), None, "{text}");
    }
}

#[test]
fn one_or_many_is_a_list_either_way() {
    assert_eq!(read::<OneOrMany<String>>(&Node::text("a")).0, Some(OneOrMany(vec!["a".to_owned()])));
    assert_eq!(
        read::<OneOrMany<u32>>(&list([Node::text("1"), Node::text("2")])).0,
        Some(OneOrMany(vec![1, 2]))
    );
}

#[test]
fn one_bad_item_hides_no_other_problem() {
    let (numbers, problems) = read::<Vec<u32>>(&list([Node::text("a"), Node::text("1"), Node::text("b")]));
    assert_eq!((numbers, problems.len()), (Some(vec![1]), 2));
    let (numbers, problems) =
        read::<BTreeMap<String, u32>>(&map([("a.b", Node::text("x")), ("c", Node::text("1"))]));
    assert_eq!(numbers, Some(BTreeMap::from([("c".to_owned(), 1)])));
    assert_eq!(problems, ["[\"a.b\"]: expected a whole number, found `x`"]);
}

#[test]
fn what_came_from_the_environment_is_never_repeated() {
    let expanded =
        |text: &str| Node::written(Value::Scalar { text: text.to_owned(), quoted: true, expanded: true });
    assert_eq!(
        read::<u32>(&expanded("hunter2")).1,
        [": expected a whole number, found the text of a variable"]
    );
    assert_eq!(
        read::<Colour>(&expanded("rd")).1,
        [": expected one of: red green, found the text of a variable"]
    );
}

#[test]
fn an_unset_variable_is_told_by_name_and_marked() {
    let mut problems = Problems::new();
    let node = Node { line: 3, column: 5, value: Value::Unset { variables: vec!["KEY".to_owned()] } };
    assert_eq!(Secret::read(&node, &mut problems), None);
    let problem = &problems.into_sorted()[0];
    assert_eq!(problem.unset.as_deref(), Some("KEY"));
    assert_eq!(problem.to_string(), "3:5: error: the environment variable KEY is not set");
}

#[test]
fn the_nearest_name_is_a_slip_away_and_no_further() {
    assert_eq!(nearest("tsl", ["tls", "auth"]), Some("tls"));
    assert_eq!(nearest("max_concurency", ["max_concurrency", "max_body_size"]), Some("max_concurrency"));
    assert_eq!(
        [nearest("a", ["b"]), nearest("cache", ["auth"]), nearest(&"x".repeat(65), ["xx"])],
        [None, None, None]
    );
}
