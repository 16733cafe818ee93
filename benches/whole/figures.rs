//! What is made of measurements: medians, spreads, tables, and the targets they are held to.

use std::fmt::Write;

/// The median; not a number of none.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The value below which that share of them lies; not a number of none.
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len().saturating_sub(1) as f64 * share).round() as usize;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

/// The least and the greatest.
fn spread(values: &[f64]) -> (f64, f64) {
    (quantile(values, 0.0), quantile(values, 1.0))
}

/// One figure of every server, round by round.
pub struct Rounds {
    /// What it is, with its unit.
    pub title: String,
    /// What the others' ratios are to.
    base: &'static str,
    /// The servers in the order in which they were visited, with their figures.
    pub servers: Vec<(&'static str, Vec<f64>)>,
}

/// The server that others are compared with.
pub const BASE: &str = "bare";
/// The server that has targets.
pub const OURS: &str = "gateway";

impl Rounds {
    /// Nothing measured yet, to be compared with the bare loop.
    pub fn new(title: impl Into<String>) -> Rounds {
        Rounds::beside(BASE, title)
    }

    /// Nothing measured yet, to be compared with that.
    pub fn beside(base: &'static str, title: impl Into<String>) -> Rounds {
        Rounds { title: title.into(), base, servers: Vec::new() }
    }

    /// Adds a round's figure of a server.
    pub fn add(&mut self, server: &'static str, figure: f64) {
        match self.servers.iter_mut().find(|(name, _)| *name == server) {
            Some((_, figures)) => figures.push(figure),
            None => self.servers.push((server, vec![figure])),
        }
    }

    fn of(&self, server: &str) -> &[f64] {
        self.servers.iter().find(|(name, _)| *name == server).map_or(&[], |(_, figures)| figures)
    }

    /// The median over the rounds.
    pub fn median(&self, server: &str) -> f64 {
        median(self.of(server))
    }

    /// A server's figure over the base's, in each round: the machine's speed changes between them.
    fn ratios(&self, server: &str) -> Vec<f64> {
        self.of(server).iter().zip(self.of(self.base)).map(|(figure, base)| figure / base).collect()
    }

    /// The median of [`Rounds::ratios`].
    pub fn ratio(&self, server: &str) -> f64 {
        median(&self.ratios(server))
    }

    /// The greatest of all ratios but the base's own.
    pub fn worst_ratio(&self) -> f64 {
        let others = self.servers.iter().map(|(name, _)| *name).filter(|name| *name != self.base);
        others.map(|name| self.ratio(name)).fold(f64::NAN, f64::max)
    }

    /// The table of medians, spreads and ratios.
    pub fn table(&self) -> String {
        let mut table =
            format!("{:<44}{:>12}{:>23}{:>9}{:>15}\n", self.title, "median", "spread", "ratio", "");
        for (server, figures) in &self.servers {
            let (least, most) = spread(figures);
            let (lowest, highest) = spread(&self.ratios(server));
            // A String takes everything.
            let _ = writeln!(
                table,
                "  {server:<42}{:>12.1}{:>23}{:>9.2}{:>15}",
                median(figures),
                format!("{least:.1}..{most:.1}"),
                self.ratio(server),
                format!("{lowest:.2}..{highest:.2}"),
            );
        }
        table
    }
}

/// A figure of the gateway's that has a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// CPU of a 2 KB request over the bare loop's.
    SmallRequest,
    /// CPU of a relayed event over the bare loop's.
    Event,
    /// Instructions of a 2 KB request over the bare loop's.
    SmallRequestInstructions,
    /// Instructions of a relayed event over the bare loop's.
    EventInstructions,
    /// CPU of a 2 KB request that is put into another dialect's words, over that of one that is passed on: the worst pair's.
    Translated,
    /// Instructions of the same.
    TranslatedInstructions,
    /// KiB of an open stream that asked with 2 KB.
    OpenStream,
    /// MiB when nothing happens.
    Idle,
    /// Microseconds added to the 99th percentile at one connection.
    AddedP99,
    /// Per cent of answers, and of streams' first events, that took a delayed acknowledgement longer, the
    /// mock's own aside.
    Steps,
}

/// What the gateway is held to: at most so much. Instructions are not CPU time, about half of which is the kernel's: theirs
/// is where they are, and some room, so that CI sees them grow.
const TARGETS: &[(Target, &str, f64)] = &[
    (Target::SmallRequest, "CPU of a 2 KB request, of the bare loop's", 1.05),
    (Target::Event, "CPU of a relayed event, of the bare loop's", 1.0),
    (Target::SmallRequestInstructions, "instructions of a 2 KB request, of the bare loop's", 1.2),
    (Target::EventInstructions, "instructions of a relayed event, of the bare loop's", 1.0),
    (Target::Translated, "CPU of a translated 2 KB request, of a passed one's", 1.4),
    (Target::TranslatedInstructions, "instructions of a translated 2 KB request", 1.65),
    (Target::OpenStream, "KiB per open stream", 80.0),
    (Target::Idle, "MiB idle", 30.0),
    (Target::AddedP99, "µs added to p99, one connection", 300.0),
    (Target::Steps, "% of answers that show a 40 ms step", 0.1),
];

/// The targets beside what was measured, and whether all of them are met.
pub fn verdict(measured: &[(Target, f64)]) -> (String, bool) {
    let mut table = String::new();
    let mut is_met = true;
    for (target, title, most) in TARGETS {
        for (_, figure) in measured.iter().filter(|(measured, _)| measured == target) {
            // One that isn't a number meets nothing.
            let is_good = *figure <= *most;
            is_met &= is_good;
            let word = if is_good { "met" } else { "MISSED" };
            let _ = writeln!(table, "  {title:<52}{figure:>10.2}  at most {most:<8}{word}");
        }
    }
    (table, is_met)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_round_by_round() {
        let mut rounds = Rounds::new("µs");
        for (bare, gateway) in [(10.0, 11.0), (20.0, 22.0), (40.0, 48.0)] {
            rounds.add("bare", bare);
            rounds.add("gateway", gateway);
        }
        assert_eq!(rounds.median("bare"), 20.0);
        assert!((rounds.ratio("gateway") - 1.1).abs() < 1e-9);
    }

    #[test]
    fn the_worst_ratio_is_of_others_than_the_base() {
        let mut rounds = Rounds::beside("passed", "µs");
        assert!(rounds.worst_ratio().is_nan());
        for (name, figure) in [("passed", 10.0), ("chat", 9.0), ("messages", 8.0)] {
            rounds.add(name, figure);
        }
        assert!((rounds.worst_ratio() - 0.9).abs() < 1e-9);
    }

    #[test]
    fn quantiles_are_values_that_were_seen() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(quantile(&values, 0.99), 99.0);
        assert_eq!(quantile(&values, 1.0), 100.0);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_target_is_met_at_its_bound_and_missed_past_it() {
        assert!(verdict(&[(Target::Event, 1.0)]).1);
        assert!(!verdict(&[(Target::Event, 1.01)]).1);
        assert!(!verdict(&[(Target::Idle, f64::NAN)]).1);
        assert!(verdict(&[]).1, "what was not measured is not judged");
    }
}
