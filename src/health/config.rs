//! The settings of probing and healing.

use crate::domain::Period;
use crate::settings::{Node, Problems, Url, choices, settings};

settings! {
    /// How providers are probed.
    #[derive(Eq)]
    pub struct HealthCheck {
        /// Whether they are; default true.
        enabled: bool = true,
        /// The time between two probes of a provider; default 30s.
        interval: Period = Period::from_secs(30),
        /// How long a probe may take; default 10s.
        timeout: Period = Period::from_secs(10),
        /// Failures in a row that make a provider unhealthy; default 3.
        unhealthy_threshold: u32 = 3 => 1..,
        /// Successes in a row that make it healthy again; default 2.
        healthy_threshold: u32 = 2 => 1..,
    }
    check Self::check;
}

impl HealthCheck {
    fn check(&self, node: &Node, problems: &mut Problems) {
        if self.timeout > self.interval {
            problems.warning_at(node, "timeout", "is longer than `interval`: slow probes delay the next one");
        }
    }
}

choices! {
    /// The method of a probe.
    pub enum ProbeMethod {
        /// No body in the answer.
        Head = "HEAD",
        /// As a reader would.
        Get = "GET",
        /// With an empty body.
        Post = "POST",
    }
}

settings! {
    /// How one provider is probed.
    #[derive(Eq)]
    pub struct ProviderHealthCheck {
        /// Whether it is; default true.
        enabled: bool = true,
        /// What is asked; default: HEAD on `base_url`.
        endpoint: Option<Url>,
        /// HEAD, GET or POST; default HEAD.
        method: ProbeMethod,
        /// The only status that counts as success; default: any below 500.
        expected_status: Option<u32> => 100..=599,
        /// Whether the probe carries the provider's key, if it goes to the provider's own host; default false.
        send_credentials: bool = false,
    }
}

settings! {
    /// How providers that are unhealthy, or cooling for long, are brought back.
    #[derive(Eq)]
    pub struct SelfHealing {
        /// Whether they are; default true.
        enabled: bool = true,
        /// The time between two rounds; default 1m.
        check_interval: Period = Period::from_mins(1),
        /// Probes of one provider in a round; default 3.
        max_attempts: u32 = 3 => 1..=100,
        /// The time between these; default 30s.
        backoff_duration: Period = Period::from_secs(30),
    }
}
