//! The settings of alerts: rules, and the channels that they speak through.

use crate::domain::{Period, Secret};
use crate::settings::{Node, OneOrMany, OrOff, Problems, Scalar, Url, choices, settings};
use std::collections::BTreeMap;

settings! {
    /// When an operator is told.
    #[derive(Eq)]
    pub struct Alerts {
        /// Whether rules are evaluated; default true.
        enabled: bool = true,
        /// The time between two evaluations; default 5s.
        interval: Period = Period::from_secs(5),
        /// The time between two messages of a rule that goes on firing; default 4h.
        repeat_interval: Period = Period::from_hours(4),
        /// Requests in a window below which `error_rate` says nothing; default 20.
        min_requests: u32 = 20,
        /// The rules; default: none.
        rules: Vec<Rule>,
    }
}

choices! {
    /// How bad it is.
    pub enum Severity {
        /// Look at it some day.
        Warning = "warning",
        /// Good to know.
        Info = "info",
        /// Get up.
        Critical = "critical",
    }
}

choices! {
    /// What a rule looks at.
    pub enum Scope {
        /// All traffic together.
        Overall = "overall",
        /// Each provider on its own.
        Provider = "provider",
    }
}

settings! {
    /// A condition that an operator wants to be told of.
    #[derive(Eq)]
    pub struct Rule {
        required {
            /// What it is called in messages.
            name: String,
            /// What must hold, such as `error_rate > 0.05 and request_rate > 1`.
            condition: String,
        }
        /// For how long it must hold; default 0 = at once.
        duration: OrOff<Period> = OrOff::off(),
        /// The time that is looked back on; default: the larger of `duration` and 1m.
        window: Option<Period>,
        /// info, warning or critical; default warning.
        severity: Severity,
        /// overall or provider (one instance each); default: provider for `provider_*`, else overall.
        scope: Option<Scope>,
        /// For how long it must not hold to be over; default: the smaller of `duration` and 1m.
        resolve_after: Option<Period>,
        /// The time between two messages while it holds; default: `alerts.repeat_interval`.
        repeat_interval: Option<Period>,
        /// The channels that are told: slack, email, pagerduty, webhook; default: none.
        notifications: OneOrMany<String>,
    }
    check Self::check;
}

impl Rule {
    fn check(&self, node: &Node, problems: &mut Problems) {
        for (key, text) in [("name", &self.name), ("condition", &self.condition)] {
            if text.trim().is_empty() {
                problems.error_at(node, key, "must not be empty");
            }
        }
    }
}

settings! {
    /// The channels that alerts speak through.
    #[derive(Eq)]
    pub struct Notifications {
        /// A Slack channel; default: none.
        slack: Option<Slack>,
        /// E-mail; default: none.
        email: Option<Email>,
        /// PagerDuty; default: none.
        pagerduty: Option<PagerDuty>,
        /// Any HTTP service; default: none.
        webhook: Option<Webhook>,
    }
}

impl Notifications {
    /// The names of all channels.
    pub const CHANNELS: [&'static str; 4] = ["slack", "email", "pagerduty", "webhook"];

    /// Whether there is a channel of that name, switched on and complete.
    pub fn is_active(&self, channel: &str) -> bool {
        match channel {
            "slack" => self.slack.as_ref().is_some_and(|slack| slack.enabled && slack.webhook_url.is_some()),
            "email" => self.email.as_ref().is_some_and(Email::is_active),
            "pagerduty" => {
                self.pagerduty.as_ref().is_some_and(|duty| duty.enabled && duty.service_key.is_some())
            }
            "webhook" => self.webhook.as_ref().is_some_and(|hook| hook.enabled && hook.url.is_some()),
            _ => false,
        }
    }
}

/// Reports keys that an enabled channel can't do without. A key whose variable is not set counts as given
/// here: that is reported on its own, and only switches the channel off.
fn require(enabled: bool, keys: &[&str], node: &Node, problems: &mut Problems) {
    for key in keys.iter().filter(|key| enabled && node.get(key).is_none()) {
        problems.error_at(node, key, "is required");
    }
}

/// Reports an address that is none, without repeating it: its path is as good as a password.
fn require_address(url: Option<&Secret>, key: &str, node: &Node, problems: &mut Problems) {
    if url.is_some_and(|url| Url::parse(url.expose()).is_none()) {
        problems.error_at(node, key, format!("expected {}", Url::FORM));
    }
}

settings! {
    /// Slack, through an incoming webhook.
    #[derive(Eq)]
    pub struct Slack {
        /// Whether it is used; default true.
        enabled: bool = true,
        /// The webhook's address; required.
        webhook_url: Option<Secret>,
        /// The channel, where the webhook honours it; default: the webhook's own.
        channel: Option<String>,
    }
    check Self::check;
}

impl Slack {
    fn check(&self, node: &Node, problems: &mut Problems) {
        require(self.enabled, &["webhook_url"], node, problems);
        require_address(self.webhook_url.as_ref(), "webhook_url", node, problems);
    }
}

choices! {
    /// How mail is protected on its way.
    pub enum MailTls {
        /// STARTTLS if it is offered; without it, no login.
        Auto = "auto",
        /// STARTTLS, or no mail.
        StartTls = "starttls",
        /// TLS from the first byte.
        Tls = "tls",
        /// In clear.
        None = "none",
    }
}

settings! {
    /// E-mail.
    #[derive(Eq)]
    pub struct Email {
        /// Whether it is used; default true.
        enabled: bool = true,
        /// The mail server, `host:port`; required.
        smtp_server: Option<HostPort>,
        /// The sender; required.
        from: Option<String>,
        /// The receivers; required.
        to: OneOrMany<String>,
        /// The name to log in with; default: no login.
        username: Option<String>,
        /// The password to log in with; default: none.
        password: Option<Secret>,
        /// auto (STARTTLS if offered), starttls, tls or none; default auto.
        tls: MailTls,
    }
    check Self::check;
}

impl Email {
    fn is_active(&self) -> bool {
        self.enabled && self.smtp_server.is_some() && self.from.is_some() && !self.to.is_empty()
    }

    fn check(&self, node: &Node, problems: &mut Problems) {
        require(self.enabled, &["smtp_server", "from", "to"], node, problems);
        if node.get("username").is_some() != node.get("password").is_some() {
            problems.error(node, "`username` and `password` go together");
        }
    }
}

settings! {
    /// PagerDuty, Events API v2.
    #[derive(Eq)]
    pub struct PagerDuty {
        /// Whether it is used; default true.
        enabled: bool = true,
        /// Accepted for the guide's sake and not used: events need the routing key only.
        api_key: Option<Secret>,
        /// The routing key of the service's integration; required.
        service_key: Option<Secret>,
        /// Where events are sent; default: PagerDuty's own address.
        endpoint: Option<Url>,
    }
    check Self::check;
}

impl PagerDuty {
    fn check(&self, node: &Node, problems: &mut Problems) {
        require(self.enabled, &["service_key"], node, problems);
    }
}

settings! {
    /// Any HTTP service: a JSON object is posted to it.
    #[derive(Eq)]
    pub struct Webhook {
        /// Whether it is used; default true.
        enabled: bool = true,
        /// Where messages are posted; required.
        url: Option<Secret>,
        /// Headers added to each; default: none.
        headers: BTreeMap<String, Secret>,
    }
    check Self::check;
}

impl Webhook {
    fn check(&self, node: &Node, problems: &mut Problems) {
        require(self.enabled, &["url"], node, problems);
        require_address(self.url.as_ref(), "url", node, problems);
    }
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl Scalar for HostPort {
    const FORM: &'static str = "a host and a port, such as smtp.example.com:587";
    const REPEATED: bool = false;

    fn parse(text: &str) -> Option<HostPort> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|port| *port > 0)?;
        let named = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || "/@:".contains(c));
        named.then(|| HostPort { host: host.to_owned(), port })
    }

    fn text(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}
